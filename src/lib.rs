//! Multi-Scale Dense Networks for Resource Efficient Image Classification
//! (Huang et al., ICLR 2018, arXiv 1703.09844), reproduced on LibTorch.

pub mod cli;
pub mod cost;
pub mod data;
pub mod eval;
pub mod experiment;
pub mod figures;
pub mod heap;
pub mod import;
pub mod models;
pub mod nn;
pub mod pipeline;
pub mod predict;
pub mod results;
pub mod train;
