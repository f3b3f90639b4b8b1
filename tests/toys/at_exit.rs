//! A toy policy: every image leaves at exit P. `scripts/toys.sh` adds it to a copy of the program.

use super::form::{Decide, Form};
use super::gate::Gate;
use crate::eval::thresholds::Thresholds;

/// All leave at one exit, however sure they are.
pub const AT_EXIT: Form = Form {
    name: "at-exit",
    label: "one exit for all",
    knob: "exit",
    certainty: None,
    by_ratio: false,
    combines: true,
    values: |_, multiply_adds| (1..=multiply_adds.len()).map(|p| p as f64).collect(),
    decide: Decide::Gate(|held_out| {
        let exits = held_out.hold_out.answers().exits();
        let chosen = held_out.exits("at-exit", "an exit's number")?;
        let mut thresholds = vec![f64::INFINITY; exits - 1];
        thresholds.iter_mut().skip(chosen - 1).for_each(|t| *t = f64::NEG_INFINITY);
        Ok(Gate::Thresholds(Thresholds::by_hand(thresholds, exits)?))
    }),
};
