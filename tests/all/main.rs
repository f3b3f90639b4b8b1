//! Every test that reads the program from outside, in one binary so that it links once.

mod fixtures;
mod fuzz;
mod golden_thresholds;
mod mutate;
