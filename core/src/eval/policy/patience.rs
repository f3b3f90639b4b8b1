//! An image leaves at the exit that is the P-th in a row to say the same class (Zhou et al., 2020).

use anyhow::ensure;

use super::form::{Decide, Form};
use super::gate::Gate;

/// P exits in a row agree; combined exits repeat each other, so it takes single ones.
pub const PATIENCE: Form = Form {
    name: "patience",
    label: "exits that agree",
    knob: "exits that agree",
    certainty: None,
    by_ratio: false,
    combines: false,
    values: |_, multiply_adds| (1..=multiply_adds.len()).map(|p| p as f64).collect(),
    decide: Decide::Gate(|held_out| {
        let (knob, exits) = (held_out.knob, held_out.hold_out.answers().exits());
        ensure!(
            knob.fract() == 0.0 && (1.0..=exits as f64).contains(&knob),
            "patience: {knob} is out of range (a whole number of exits that agree, 1 to {exits})"
        );
        Ok(Gate::Patience(knob as usize))
    }),
};
