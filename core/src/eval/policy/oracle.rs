//! The best exit for those who see the label: what no policy can exceed.

use super::form::{Decide, Form};
use crate::eval::optimise;

/// An image leaves where being right is worth its cost.
pub const ORACLE: Form = Form {
    name: "oracle",
    label: "oracle (sees the label)",
    knob: "lambda",
    certainty: None,
    by_ratio: false,
    combines: true,
    values: |_, multiply_adds| optimise::oracle_lambdas(multiply_adds),
    decide: Decide::Labels(optimise::oracle),
};
