//! How a network is trained.

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schedule::RateSchedule;
use crate::data::augment::Augmentation;
use crate::nn::Precision;

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

impl Training {
    /// Checks what a type cannot say.
    ///
    /// # Errors
    /// Returns an error naming the invalid key.
    pub fn validate(&self) -> Result<()> {
        ensure!(self.epochs > 0, "training.epochs: 0 trains nothing");
        ensure!(
            self.batch_size > 1,
            "training.batch_size: batch normalisation needs at least 2 images"
        );
        ensure!(
            self.batch_size <= LARGEST_BATCH,
            "training.batch_size: {} is more than {LARGEST_BATCH}",
            self.batch_size
        );
        ensure!(
            self.learning_rate as f32 > 0.0 && fits(self.learning_rate),
            "training.learning_rate: {:?} is not a number above 0 that 32 bits hold, up to {:e}",
            self.learning_rate,
            f32::MAX
        );
        ensure!(
            (0.0..1.0).contains(&self.momentum),
            "training.momentum: {} is not in 0 to below 1",
            self.momentum
        );
        ensure!(
            self.weight_decay >= 0.0 && fits(self.weight_decay),
            "training.weight_decay: {:?} is not in 0 to {:e}",
            self.weight_decay,
            f32::MAX
        );
        ensure!(
            !(self.nesterov && self.momentum == 0.0),
            "training.nesterov: needs a momentum above 0; set nesterov: false"
        );
        self.schedule.validate(f64::from(self.epochs))?;
        let epochs = f64::from(self.epochs);
        let end = self.learning_rate * self.schedule.factor(epochs - 1.0, epochs);
        ensure!(
            fits(end),
            "training.schedule: the learning rate grows to {end:e}, and {:e} is the most",
            f32::MAX
        );
        Ok(())
    }
}

/// Images in a step, at most: those of 65,536 photographs take 10 GB.
const LARGEST_BATCH: usize = 1 << 16;

/// Whether LibTorch, which steps in 32 bits, can compute with `n`.
fn fits(n: f64) -> bool {
    n.abs() <= f64::from(f32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(changed: Training) -> String {
        changed.validate().err().map_or(String::new(), |error| format!("{error:#}"))
    }

    #[test]
    fn numbers_that_32_bits_do_not_hold_are_refused_by_their_key() {
        let of = Training::default;
        assert_eq!(said(of()), "");
        let rate = said(Training { learning_rate: 1e39, ..of() });
        assert!(rate.starts_with("training.learning_rate: 1e39 is not a number"), "{rate}");
        assert!(said(Training { learning_rate: 1e-50, ..of() }).contains("1e-50 is not"));
        let decay = said(Training { weight_decay: 1e300, ..of() });
        assert!(decay.starts_with("training.weight_decay: 1e300 is not in 0"), "{decay}");
        let grows = RateSchedule::Step { at: vec![0.5, 0.75], factor: 1e20 };
        let grown = said(Training { schedule: grows, ..of() });
        assert!(grown.starts_with("training.schedule: the learning rate grows to"), "{grown}");
    }
}
