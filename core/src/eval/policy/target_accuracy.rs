//! An image leaves where the accuracy at its confidence, counted on the hold-out, reaches a target.

use anyhow::ensure;

use super::form::{Decide, Form};
use super::gate::Gate;
use crate::eval::probabilities::Certainty;
use crate::eval::policy::target::calibrate;

/// Calibrated accuracy, or a lower bound on it, reaches a target.
pub const TARGET_ACCURACY: Form = Form {
    name: "target-accuracy",
    label: "calibrated accuracy",
    knob: "target",
    certainty: Some(Certainty::MaxSoftmax),
    by_ratio: false,
    combines: true,
    values: |knobs, _| knobs.targets.clone(),
    decide: Decide::Gate(|held_out| {
        let target = held_out.knob;
        ensure!((0.0..=1.0).contains(&target), "target: {target} is out of range (0 to 1)");
        let exits = calibrate(held_out.hold_out.answers(), held_out.target_bound)?.into_iter();
        Ok(Gate::Bins(exits.map(|exit| (exit.bins.clone(), exit.reach(target))).collect()))
    }),
};
