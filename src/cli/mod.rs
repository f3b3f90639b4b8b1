//! One subcommand a file: arguments in, a plain call out.

pub mod data;
