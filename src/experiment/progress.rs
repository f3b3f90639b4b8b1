//! How far a run has come, and the log of its epochs.

use serde::{Deserialize, Serialize};

use super::plan::Run;

/// One finished epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Learning rate of its first step.
    pub learning_rate: f64,
    /// Mean over its steps of the sum over the exits of the cross-entropy.
    pub loss: f64,
    /// Accuracy of each exit on the hold-out; empty without one.
    pub accuracy: Vec<f64>,
}

/// How far a run has come. No times: the same run gives the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// [`FORMAT`](super::FORMAT) of the program that wrote it.
    pub format: u32,
    /// The run.
    pub run: Run,
    /// Digest of the training data.
    pub data: String,
    /// Finished epochs.
    pub epoch: u32,
    /// Finished steps of the epoch under way.
    pub step: usize,
    /// Sum of the losses of those steps.
    pub loss_sum: f64,
    /// The finished epochs.
    pub log: Vec<LogRow>,
    /// Where imported weights came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Progress {
    /// Whether nothing is left to train.
    pub fn is_finished(&self) -> bool {
        match &self.run.training {
            Some(training) => self.epoch >= training.epochs,
            None => true,
        }
    }
}
