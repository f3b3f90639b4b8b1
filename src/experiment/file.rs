//! What an experiment file holds.

use crate::data::augment::Augmentation;
use crate::data::catalog::Dataset;
pub use crate::eval::figure::Figure;
use crate::eval::policy::Policy;
use crate::nn::Precision;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::schedule::RateSchedule;

/// How a network is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Passes over the training images.
    pub epochs: u32,
    /// Images in a step.
    #[serde(default = "batch_size")]
    pub batch_size: usize,
    /// Largest learning rate.
    #[serde(default = "learning_rate")]
    pub learning_rate: f64,
    /// How the rate changes.
    #[serde(default, with = "serde_yaml::with::singleton_map")]
    #[schemars(with = "RateSchedule")]
    pub schedule: RateSchedule,
    /// Momentum of SGD.
    #[serde(default = "momentum")]
    pub momentum: f64,
    /// Nesterov's form of momentum.
    #[serde(default = "yes")]
    pub nesterov: bool,
    /// L2 penalty on every parameter.
    #[serde(default = "weight_decay")]
    pub weight_decay: f64,
    /// Element type of the convolutions.
    #[serde(default)]
    pub precision: Precision,
    /// Random crops and flips.
    #[serde(default)]
    pub augmentation: Augmentation,
}

fn batch_size() -> usize {
    64
}

fn learning_rate() -> f64 {
    0.1
}

fn momentum() -> f64 {
    0.9
}

fn weight_decay() -> f64 {
    1e-4
}

fn yes() -> bool {
    true
}

impl Default for Training {
    /// The paper's, on CIFAR (section 5.1).
    fn default() -> Training {
        Training {
            epochs: 300,
            batch_size: batch_size(),
            learning_rate: learning_rate(),
            schedule: RateSchedule::default(),
            momentum: momentum(),
            nesterov: true,
            weight_decay: weight_decay(),
            precision: Precision::Fp32,
            augmentation: Augmentation::default(),
        }
    }
}

/// How a budgeted-batch figure decides where images leave.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budgeted {
    /// Exit ratios a of max-softmax, margin and entropy; empty = the usual range.
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
