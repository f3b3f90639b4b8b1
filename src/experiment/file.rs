//! What an experiment file holds.

use crate::data::catalog::Dataset;
pub use crate::eval::figure::Figure;
use crate::eval::policy::Policy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::training::Training;

/// How a budgeted-batch figure decides where images leave.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budgeted {
    /// Exit ratios a of max-softmax, margin and entropy, above 0; their limits, 0 and infinity, are swept
    /// as well. Empty = the usual range.
    #[serde(default)]
    pub ratios: Vec<f64>,
    /// Target accuracies of target-accuracy, 0 to 1; empty = the usual range.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<f64>,
    /// How sure target-accuracy has to be, above 0, below 1: a lower bound of this confidence on the
    /// accuracy of a bin has to reach the target, in place of the accuracy itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_bound: Option<f64>,
    /// Prices of coordinate-ascent and dynamic-programme, from 0: the accuracy that the cost of the
    /// last exit is worth; empty = the usual range.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lambdas: Vec<f64>,
    /// Policies, each a curve of its own; empty = max-softmax.
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// Whether each policy that asks how sure an exit is gets a second curve, with temperatures fitted on
    /// the hold-out.
    #[serde(default)]
    pub temperature: bool,
}

/// One experiment file: a plan of runs feeding a figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The figure it feeds.
    pub figure: Figure,
    /// Name of the experiment that this one stands beside: the same networks with another length of
    /// training, another classifier or other data. The paper's claims are judged there; here their
    /// effects are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// The data set.
    pub dataset: Dataset,
    /// Images held out of the training set; 0 = none; the data set's usual number if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// Number of the remaining training images to train on, a fixed choice; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_images: Option<usize>,
    /// Each network is trained once for each seed, which decides initialisation, batch order and
    /// augmentation.
    #[serde(default = "first_seed")]
    pub seeds: Vec<u64>,
    /// How every network is trained.
    pub training: Training,
    /// The networks, ensembles and joined curves.
    pub networks: Vec<Entry>,
    /// Settings of a budgeted-batch figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budgeted: Option<Budgeted>,
}

fn first_seed() -> Vec<u64> {
    vec![0]
}
