//! How pictures are let go: by a knob, a budget, thresholds or a guarantee, made ready on a run's
//! hold-out.

use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};

use crate::eval::budgeted::{self, Setting, solve};
use crate::eval::combine::{self, Combine};
use crate::eval::guarantee::{Method, Risk, Tolerance, certify};
use crate::eval::policy::{Gate, Policy, Rule};
use crate::eval::predictions::Predictions;
use crate::eval::probabilities::Certainty;
use crate::eval::thresholds::Thresholds;
use crate::nn::Precision;
use crate::runs::{DataSets, IMPORTED_DOUBT, Known, Split, tell};

/// When a picture leaves.
#[derive(Debug, Clone, PartialEq)]
pub enum Leave {
    /// At the last exit, all of them.
    Last,
    /// By what the policy is swept by (the paper's by the ratio of the exits' shares), on the run's
    /// hold-out.
    Knob(f64),
    /// With this mean of multiply-adds on the run's hold-out.
    Budget(f64),
    /// At the first exit that is surer than its threshold; a single one holds for all.
    Thresholds(Vec<f64>),
    /// Above the common threshold that the betting bound certifies on the run's hold-out.
    Guarantee(Risk, Tolerance),
}

/// How pictures are let go.
#[derive(Debug, Clone, PartialEq)]
pub struct Letting {
    /// When a picture leaves.
    pub leave: Leave,
    /// By which policy.
    pub policy: Policy,
    /// How exits are combined before they are asked.
    pub combine: Combine,
    /// How sure target-accuracy has to be; see [`Knobs`](crate::eval::policy::Knobs).
    pub target_bound: Option<f64>,
}

impl Letting {
    /// The precision to compute in where `asked` was asked for; none = what the machine has.
    ///
    /// # Errors
    /// When a guarantee, which is about 32-bit answers, is to be kept in another one.
    pub(super) fn precision(&self, asked: Option<Precision>) -> Result<Option<Precision>> {
        if !matches!(self.leave, Leave::Guarantee(..)) {
            return Ok(asked);
        }
        ensure!(
            asked != Some(Precision::Bf16),
            "--guarantee is certified on answers in 32 bits; leave --precision out"
        );
        Ok(Some(Precision::Fp32))
    }
}

fn hold_out(known: &Known, data_sets: &DataSets) -> Result<Rc<Predictions>> {
    ensure!(
        known.data(data_sets)?.validation > 0,
        "{} has no hold-out, and only --threshold works without one",
        known.folder.path().display()
    );
    if known.is_imported() {
        tell(format!("warning: {IMPORTED_DOUBT}"));
    }
    known.predictions(Split::Validation, data_sets)
}

/// The rule that pictures leave by.
///
/// # Errors
/// When the run has no hold-out that the rule needs or too small a one, or the policy does not go
/// with the rest.
pub(super) fn rule(
    letting: &Letting,
    known: &Known,
    data_sets: &DataSets,
    multiply_adds: &[u64],
) -> Result<Rule> {
    let Letting { ref leave, policy, combine, target_bound } = *letting;
    policy.check_combine(combine)?;
    ensure!(
        target_bound.is_none() || policy == Policy::TargetAccuracy,
        "--target-bound is of the policy {}, and not of {policy}",
        Policy::TargetAccuracy
    );
    let exits = multiply_adds.len();
    let hold_out = || hold_out(known, data_sets);
    let common = |threshold: f64| Thresholds::by_hand(vec![threshold; exits - 1], exits);
    let by_thresholds = |thresholds: Thresholds| {
        let Some(certainty) = policy.certainty().filter(|_| policy.form().by_ratio) else {
            bail!("the policy {policy} has no thresholds of its own; give --ratio or --budget");
        };
        let (gate, multiply_adds) = (Gate::Thresholds(thresholds), multiply_adds.to_vec());
        Ok(Rule { combine, certainty, multiply_adds, gate })
    };
    let mut setting = Setting { policy, combine, ..Setting::paper() };
    setting.knobs.target_bound = target_bound;
    match leave {
        Leave::Last => by_thresholds(common(f64::INFINITY)?),
        Leave::Thresholds(given) => by_thresholds(match given.as_slice() {
            [one] => common(*one)?,
            all => Thresholds::by_hand(all.to_vec(), exits)?,
        }),
        Leave::Knob(knob) => {
            let hold_out = hold_out()?;
            budgeted::rule(&hold_out, multiply_adds, &setting, *knob).context("--ratio")
        }
        Leave::Budget(budget) => {
            let hold_out = hold_out()?;
            let network = budgeted::Network { hold_out: &hold_out, test: &hold_out, multiply_adds };
            let knob = solve(&network, &setting, *budget).context("--budget")?;
            budgeted::rule(&hold_out, multiply_adds, &setting, knob).context("--budget")
        }
        Leave::Guarantee(risk, tolerance) => {
            ensure!(policy == Policy::PAPER, "--guarantee is of the policy {}", Policy::PAPER);
            let (hold_out, kind) = (hold_out()?, Certainty::MaxSoftmax);
            let answers = combine::answers(&hold_out, combine, multiply_adds, kind)?;
            let threshold = certify(&answers, *risk, Method::Betting, tolerance);
            by_thresholds(common(threshold.context("--guarantee")?)?)
        }
    }
}
