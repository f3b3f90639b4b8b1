//! The numerical code: networks as graphs ([`models`], [`nn`]), what they cost ([`cost`]), the engine that runs them
//! for inference ([`engine`]), images ([`data`]), predictions ([`predict`]) and the evaluation of early exit
//! ([`eval`]). It is a package of its own because only this part is optimised: the program around it runs once a
//! command, and optimising it took longer than all else of this code.

// What is printed or said is the program's: `cli::output` and `runs::tell`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod cost;
pub mod cuda;
pub mod data;
pub mod engine;
pub mod eval;
pub mod heap;
pub mod models;
pub mod nn;
pub mod predict;
pub mod stop;
