//! The learning rate over a training.

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the learning rate changes; exactly one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Falls at fixed places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Steps>,
    /// Falls to 0 along half a cosine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosine: Option<Cosine>,
}

/// A fall of the rate by `factor` at each of some places.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// Fractions of all epochs, ascending.
    pub at: Vec<f64>,
    /// What the rate is multiplied by at each.
    pub factor: f64,
}

/// A cosine after a linear warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cosine {
    /// Epochs over which the rate rises from 0, in parts of an epoch.
    #[serde(default)]
    pub warm_up: f64,
}

impl Default for Schedule {
    /// The paper's: a tenth at 1/2 and 3/4 of the epochs.
    fn default() -> Schedule {
        Schedule { step: Some(Steps { at: vec![0.5, 0.75], factor: 0.1 }), cosine: None }
    }
}

impl Schedule {
    /// What the largest rate is multiplied by after `passed` of `epochs` epochs (with fractions).
    pub fn factor(&self, passed: f64, epochs: f64) -> f64 {
        if let Some(Steps { at, factor }) = &self.step {
            // The reference counts whole epochs from 0 and falls when `epoch >= at * epochs`.
            let falls = at.iter().filter(|&&at| passed.floor() >= at * epochs).count();
            return factor.powi(falls as i32);
        }
        let warm_up = self.cosine.as_ref().map_or(0.0, |c| c.warm_up);
        if passed < warm_up {
            return passed / warm_up;
        }
        let progress = (passed - warm_up) / (epochs - warm_up).max(f64::MIN_POSITIVE);
        0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
    }

    pub(super) fn validate(&self, epochs: f64) -> Result<()> {
        ensure!(
            self.step.is_some() != self.cosine.is_some(),
            "training.schedule: exactly one of `step` and `cosine`"
        );
        if let Some(steps) = &self.step {
            ensure!(
                steps.at.iter().all(|at| (0.0..=1.0).contains(at)),
                "training.schedule.step.at: fractions of the epochs lie in 0 to 1"
            );
            ensure!(
                steps.factor > 0.0 && steps.factor.is_finite(),
                "training.schedule.step.factor: must be positive"
            );
        }
        if let Some(cosine) = &self.cosine {
            ensure!(
                cosine.warm_up >= 0.0 && cosine.warm_up < epochs,
                "training.schedule.cosine.warm_up: {} epochs do not fit in {epochs}",
                cosine.warm_up
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_schedule_falls_to_a_tenth_at_half_and_three_quarters() {
        let schedule = Schedule::default();
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
    fn a_cosine_rises_linearly_and_falls_to_zero() {
        let schedule = Schedule { step: None, cosine: Some(Cosine { warm_up: 2.0 }) };
        assert_eq!(schedule.factor(0.0, 10.0), 0.0);
        assert_eq!(schedule.factor(1.0, 10.0), 0.5);
        assert_eq!(schedule.factor(2.0, 10.0), 1.0);
        assert!((schedule.factor(6.0, 10.0) - 0.5).abs() < 1e-12);
        assert!(schedule.factor(10.0, 10.0).abs() < 1e-12);
    }
}
