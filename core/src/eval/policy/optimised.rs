//! Thresholds that are best on the hold-out at a price lambda of cost in accuracy.

use anyhow::Result;

use super::form::{Decide, Form, HeldOut};
use super::gate::Gate;
use crate::eval::answers::Answers;
use crate::eval::optimise::{self, Price};
use crate::eval::probabilities::Certainty;
use crate::eval::thresholds::Thresholds;

const fn form(name: &'static str, label: &'static str, gate: fn(&HeldOut) -> Result<Gate>) -> Form {
    Form {
        name,
        label,
        knob: "lambda",
        certainty: Some(Certainty::MaxSoftmax),
        by_ratio: false,
        combines: true,
        values: |knobs, _| knobs.lambdas.clone(),
        decide: Decide::Gate(gate),
    }
}

/// Thresholds by coordinate ascent.
pub const COORDINATE_ASCENT: Form = form("coordinate-ascent", "coordinate ascent", |held_out| {
    Ok(Gate::Thresholds(ascend(held_out.hold_out.answers(), &held_out.price()?)?))
});

/// Thresholds by dynamic programming over binned confidences.
pub const DYNAMIC_PROGRAMME: Form = form("dynamic-programme", "dynamic programme", |held_out| {
    Ok(Gate::Thresholds(programme(held_out.hold_out.answers(), &held_out.price()?)?))
});

/// The better of the two optima that are reached from where nobody leaves and from the dynamic
/// programme.
fn ascend(answers: &Answers, price: &Price) -> Result<Thresholds> {
    let exits = answers.exits();
    let nobody = Thresholds::by_hand(vec![f64::INFINITY; exits - 1], exits)?;
    let first = optimise::coordinate_ascent(answers, price, &nobody)?;
    let second = optimise::coordinate_ascent(answers, price, &programme(answers, price)?)?;
    let better = if second.objective > first.objective { second } else { first };
    Ok(better.thresholds)
}

fn programme(answers: &Answers, price: &Price) -> Result<Thresholds> {
    let found = optimise::dynamic_programme(answers, price)?;
    Thresholds::by_hand(found.thresholds, answers.exits())
}
