//! When an image leaves: the table of policies, and what each becomes on the hold-out.
//!
//! | policy | an image leaves at the first exit | swept by `ratio` in figure.csv |
//! | --- | --- | --- |
//! | max-softmax, margin, entropy | that is surer than its threshold | ratio of the exits' shares, [`thresholds`](crate::eval::thresholds) |
//! | patience | that completes P exits in a row of the same class | P, from 1 to K |
//! | target-accuracy | whose accuracy at this confidence, counted on the hold-out, or a lower bound on it, reaches a target | the target, [`target`] |
//! | coordinate-ascent, dynamic-programme | that is surer than its threshold | lambda, the price of cost in accuracy, [`optimise`](crate::eval::optimise) |
//! | oracle | at which being right is worth its cost | lambda |
//!
//! Whoever is left leaves at the last exit. The oracle sees the label, so it bounds the others and
//! serves nobody. The others look at the hold-out alone and become a [`Gate`].
//!
//! A policy is a file with a [`Form`], and a row of the table below.

pub mod bins;
mod form;
mod gate;
mod rule;
pub mod target;

use anyhow::{Error, Result, bail, ensure};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use form::{Decide, Form, HeldOut, Knobs};
pub use gate::{Gate, Visit};
pub use rule::{Passage, Rule, Said};

use crate::by_name;
use crate::eval::combine::Combine;
use crate::eval::probabilities::Certainty;

macro_rules! policies {
    ($($file:ident: $($policy:ident = $form:ident),+;)+) => {
        $(mod $file;)+

        /// When an image leaves; see the module's table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum Policy {
            $($(
                #[doc = concat!("A policy of `", stringify!($file), ".rs`.")]
                $policy,
            )+)+
        }

        impl Policy {
            /// Every policy, in the order of the documentation.
            pub const ALL: [Policy; [$($($file::$form.name),+),+].len()] =
                [$($(Policy::$policy),+),+];

            /// All that is known of it.
            pub fn form(self) -> &'static Form {
                match self {
                    $($(Policy::$policy => &$file::$form),+),+
                }
            }
        }
    };
}

// The policies: each file, and what it defines.
policies! {
    ratio: MaxSoftmax = MAX_SOFTMAX, Margin = MARGIN, Entropy = ENTROPY;
    patience: Patience = PATIENCE;
    oracle: Oracle = ORACLE;
    target_accuracy: TargetAccuracy = TARGET_ACCURACY;
    optimised: CoordinateAscent = COORDINATE_ASCENT, DynamicProgramme = DYNAMIC_PROGRAMME;
}

by_name!(Policy, "policy");

impl Policy {
    /// The paper's policy.
    pub const PAPER: Policy = Policy::MaxSoftmax;

    /// Its name in options and tables.
    pub fn name(self) -> &'static str {
        self.form().name
    }

    /// The certainty that it asks exits for; none where only their classes count.
    pub fn certainty(self) -> Option<Certainty> {
        self.form().certainty
    }

    /// What it becomes on the hold-out.
    ///
    /// # Errors
    /// Returns an error when the knob is out of range, and for a policy that sees the labels.
    pub fn gate(self, held_out: &HeldOut) -> Result<Gate> {
        match self.form().decide {
            Decide::Gate(gate) => gate(held_out),
            Decide::Labels(_) => bail!(
                "the {self} sees the label, so it bounds policies and is none to leave by; choose \
                 another policy"
            ),
        }
    }

    /// Refuses to combine exits under a policy that asks them one by one.
    ///
    /// # Errors
    /// Returns an error for such a policy with any rule but single.
    pub fn check_combine(self, rule: Combine) -> Result<()> {
        ensure!(
            self.form().combines || rule == Combine::Single,
            "the policy {self} asks exits one by one, so they cannot be combined by `{rule}` under \
             it; leave out one of the two"
        );
        Ok(())
    }

    /// The names of all, with commas between them.
    pub fn names() -> String {
        Policy::ALL.map(Policy::name).join(", ")
    }
}

impl TryFrom<String> for Policy {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

impl From<Policy> for &'static str {
    fn from(policy: Policy) -> &'static str {
        policy.name()
    }
}

impl JsonSchema for Policy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Policy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "When an image leaves.",
            "type": "string",
            "enum": Policy::ALL.map(Policy::name),
        })
    }
}

/// Targets from 0 (everybody leaves at once) to 1, close together where accuracies are high.
pub fn default_targets() -> Vec<f64> {
    let mut targets: Vec<f64> = (0..20).map(|p| f64::from(p) / 20.0).collect();
    targets.extend([0.96, 0.97, 0.98, 0.99, 0.995, 1.0]);
    targets
}

/// Prices from 0 (only accuracy counts) to 10 (nearly only cost does).
pub fn default_lambdas() -> Vec<f64> {
    vec![
        0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6,
        0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0,
    ]
}

#[cfg(test)]
mod tests;
