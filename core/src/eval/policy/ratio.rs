//! The paper's rule: an image leaves at the first exit that is surer than its threshold. The
//! thresholds follow from one ratio of the exits' shares.

use super::form::{Decide, Form};
use super::gate::Gate;
use crate::eval::probabilities::Certainty;
use crate::eval::thresholds::search;

const fn form(name: &'static str, label: &'static str, certainty: Certainty) -> Form {
    Form {
        name,
        label,
        knob: "ratio",
        certainty: Some(certainty),
        by_ratio: true,
        combines: true,
        values: |knobs, _| knobs.ratios.clone(),
        decide: Decide::Gate(|held_out| {
            Ok(Gate::Thresholds(search(held_out.hold_out, held_out.knob)?))
        }),
    }
}

/// The largest softmax; the paper's policy.
pub const MAX_SOFTMAX: Form = form("max-softmax", "largest softmax", Certainty::MaxSoftmax);
/// The difference of the two largest.
pub const MARGIN: Form = form("margin", "margin", Certainty::Margin);
/// The negative entropy.
pub const ENTROPY: Form = form("entropy", "entropy", Certainty::NegativeEntropy);
