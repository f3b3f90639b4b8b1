//! An image leaves at the exit that is the P-th in a row to say the same class (Zhou et al., 2020).

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
        let exits = held_out.exits("patience", "a whole number of exits that agree")?;
        Ok(Gate::Patience(exits))
    }),
};
