//! Every test that reads the program from outside, in one binary so that it links once.

mod golden_thresholds;
mod slurm;
mod sweep;
