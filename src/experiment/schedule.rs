//! The learning rate over a training.

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the learning rate changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum RateSchedule {
    /// Falls by `factor` at each of some places.
    Step {
        /// Fractions of all epochs, 0 to 1.
        at: Vec<f64>,
        /// What the rate is multiplied by at each, above 0.
        factor: f64,
    },
    /// Falls to 0 along half a cosine, after a linear warm-up.
    Cosine {
        /// Epochs over which the rate rises from 0; fractions are allowed.
        #[serde(default)]
        warm_up: f64,
    },
}

impl Default for RateSchedule {
    /// The paper's: a tenth at 1/2 and 3/4 of the epochs.
    fn default() -> RateSchedule {
        RateSchedule::Step { at: vec![0.5, 0.75], factor: 0.1 }
    }
}

impl RateSchedule {
    /// What the largest rate is multiplied by after `passed` of `epochs` epochs (with fractions).
    pub fn factor(&self, passed: f64, epochs: f64) -> f64 {
        match self {
            // The reference counts whole epochs from 0 and falls when `epoch >= at * epochs`. The product may be
            // rounded up: 0.14 of 50 epochs is 7.000000000000001.
            RateSchedule::Step { at, factor } => {
                let is_past = |at: &&f64| passed.floor() >= **at * epochs - 1e-9;
                let falls = at.iter().filter(is_past).count();
                factor.powi(falls as i32)
            }
            RateSchedule::Cosine { warm_up } if passed < *warm_up => passed / warm_up,
            RateSchedule::Cosine { warm_up } => {
                let progress = (passed - warm_up) / (epochs - warm_up).max(f64::MIN_POSITIVE);
                0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
        }
    }

    /// Returns an error naming the invalid key.
    pub(super) fn validate(&self, epochs: f64) -> Result<()> {
        match self {
            RateSchedule::Step { at, factor } => {
                ensure!(
                    at.iter().all(|at| (0.0..=1.0).contains(at)),
                    "training.schedule.step.at: fractions of the epochs lie in 0 to 1"
                );
                ensure!(
                    *factor > 0.0 && factor.is_finite(),
                    "training.schedule.step.factor: must be positive"
                );
            }
            RateSchedule::Cosine { warm_up } => ensure!(
                *warm_up >= 0.0 && *warm_up < epochs,
                "training.schedule.cosine.warm_up: {warm_up} epochs do not fit in {epochs}"
            ),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_schedule_falls_to_a_tenth_at_half_and_three_quarters() {
        let schedule = RateSchedule::default();
        let close = |passed: f64, expected: f64| {
            assert!((schedule.factor(passed, 300.0) - expected).abs() < 1e-12, "{passed}");
        };
        close(0.0, 1.0);
        close(149.9, 1.0);
        close(150.0, 0.1);
        close(224.5, 0.1);
        close(225.0, 0.01);
    }

    #[test]
    fn a_place_whose_product_is_rounded_up_falls_at_its_epoch() {
        for (at, epochs, falls) in [(0.14, 50.0, 7.0), (0.55, 100.0, 55.0)] {
            let schedule = RateSchedule::Step { at: vec![at], factor: 0.1 };
            let factors = [falls - 1.0, falls].map(|passed| schedule.factor(passed, epochs));
            assert_eq!(factors, [1.0, 0.1], "{at} of {epochs}");
        }
    }

    #[test]
    fn a_cosine_rises_linearly_and_falls_to_zero() {
        let schedule = RateSchedule::Cosine { warm_up: 2.0 };
        assert_eq!(schedule.factor(0.0, 10.0), 0.0);
        assert_eq!(schedule.factor(1.0, 10.0), 0.5);
        assert_eq!(schedule.factor(2.0, 10.0), 1.0);
        assert!((schedule.factor(6.0, 10.0) - 0.5).abs() < 1e-12);
        assert!(schedule.factor(10.0, 10.0).abs() < 1e-12);
    }
}
