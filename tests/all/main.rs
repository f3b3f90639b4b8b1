//! Every test that reads the program from outside, in one binary so that it links once.

mod golden;
mod golden_costs;
mod golden_network;
mod golden_thresholds;
