//! The budgeted-batch setting (figure 7): easy images leave early, so that a batch as a whole
//! keeps within its budget.
//!
//! Policies are those of [`policy`](crate::eval::policy), all on the same predictions. Only the
//! oracle looks at anything but the hold-out.

use std::sync::Arc;

use anyhow::{Context, Error, Result, ensure};

use crate::eval::answers::Answers;
use crate::eval::combine::{self, Combine};
use crate::eval::optimise::Price;
use crate::eval::policy::{
    Decide, Gate, HeldOut, Knobs, Policy, Rule, default_lambdas, default_targets,
};
use crate::eval::predictions::check_costs;
use crate::eval::probabilities::Certainty;
use crate::eval::thresholds::{HoldOut, check_not_empty, search};
use crate::eval::{Predictions, temperature};

/// What a sweep is made of besides predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// When an image leaves.
    pub policy: Policy,
    /// How exits are combined before they are asked.
    pub combine: Combine,
    /// Whether to fit a temperature an exit on the hold-out first.
    pub scale_temperature: bool,
    /// What the policy is swept over.
    pub knobs: Knobs,
}

impl Setting {
    /// The paper's policy over [`default_ratios`].
    pub fn paper() -> Self {
        Setting {
            policy: Policy::PAPER,
            combine: Combine::Single,
            scale_temperature: false,
            knobs: Knobs {
                ratios: default_ratios(),
                targets: default_targets(),
                lambdas: default_lambdas(),
                target_bound: None,
            },
        }
    }
}

/// The port's 39 ratios 0.05, 0.1, ..., 1.95, a few beyond, and both limits: at 0 every image leaves
/// at the first exit, at infinity at the last, as without dynamic evaluation.
pub fn default_ratios() -> Vec<f64> {
    let mut ratios = vec![0.0, 0.001, 0.01, 0.025];
    ratios.extend((1..40).map(|p| f64::from(p) / 20.0));
    ratios.extend([2.5, 3.5, 5.0, 10.0, 100.0, f64::INFINITY]);
    ratios
}

/// One network's predictions on both splits and what its exits cost.
#[derive(Debug, Clone, Copy)]
pub struct Network<'a> {
    /// Predictions on the hold-out, for thresholds and temperatures.
    pub hold_out: &'a Predictions,
    /// Predictions on the test split, for cost and accuracy.
    pub test: &'a Predictions,
    /// Multiply-adds of exits 1..k, K numbers.
    pub multiply_adds: &'a [u64],
}

/// One point of a budgeted-batch curve.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetedPoint {
    /// What the policy was swept by: ratio, P, target or lambda.
    pub ratio: Option<f64>,
    /// Mean over the images of what each has cost.
    pub multiply_adds: f64,
    /// Share of images answered rightly, 0 to 1.
    pub accuracy: f64,
    /// Images answered rightly.
    pub correct: usize,
    /// All images.
    pub images: usize,
    /// K-1 thresholds, infinite where no image or every image leaves; empty for policies without.
    pub thresholds: Vec<f64>,
    /// Images that left at each exit, K.
    pub taken: Vec<usize>,
    /// Whether each image was answered rightly, for paired comparisons.
    pub hits: Arc<[bool]>,
    /// The exit, from 0, at which each image left.
    pub left: Arc<[u16]>,
    /// Accuracy on the hold-out, by which the best of several networks is chosen without a look at
    /// the test images; only of swept points, and not of the oracle's.
    pub hold_out: Option<f64>,
}

/// A network's curve under one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// Temperature of each exit, K; 1 where not scaled.
    pub temperatures: Vec<f64>,
    /// A point a ratio, in the order of the ratios.
    pub points: Vec<BudgetedPoint>,
}

/// The whole curve: the policy made ready on the hold-out, cost and accuracy on test.
///
/// # Errors
/// On unusable predictions, on a hold-out of no image or fewer than exits, on splits or costs of
/// different networks, and on knobs out of range.
pub fn sweep(network: &Network, setting: &Setting) -> Result<Sweep> {
    let both = Both::new(network, setting)?;
    let values = setting.policy.form().values;
    let knobs = values(&setting.knobs, network.multiply_adds);
    let points: Result<_> = knobs.into_iter().map(|knob| both.point(knob)).collect();
    Ok(Sweep { temperatures: both.temperatures, points: points? })
}

/// The answers on both splits that one policy needs.
struct Both<'a> {
    network: &'a Network<'a>,
    setting: &'a Setting,
    temperatures: Vec<f64>,
    hold_out: HoldOut,
    test: Answers,
}

impl<'a> Both<'a> {
    fn new(network: &'a Network, setting: &'a Setting) -> Result<Self> {
        network.check()?;
        setting.policy.check_combine(setting.combine)?;
        let temperatures = network.temperatures(setting.scale_temperature)?;
        // Policies without a certainty look at classes alone.
        let kind = setting.policy.certainty().unwrap_or(Certainty::MaxSoftmax);
        let (rule, costs) = (setting.combine, network.multiply_adds);
        let on = |split| combine::answers_at(split, rule, costs, kind, &temperatures);
        let (hold_out, test) = (HoldOut::new(on(network.hold_out)?)?, on(network.test)?);
        Ok(Both { network, setting, temperatures, hold_out, test })
    }

    fn gate(&self, knob: f64) -> Result<Gate> {
        self.setting.policy.gate(&HeldOut {
            hold_out: &self.hold_out,
            multiply_adds: self.network.multiply_adds,
            knob,
            target_bound: self.setting.knobs.target_bound,
        })
    }

    /// The point on test; the oracle needs nothing but the labels there.
    fn point(&self, knob: f64) -> Result<BudgetedPoint> {
        let costs = self.network.multiply_adds;
        if let Decide::Labels(exits) = self.setting.policy.form().decide {
            let left = exits(&self.test, &Price::new(costs, knob)?)?;
            return Ok(BudgetedPoint { ratio: Some(knob), ..outcome(&self.test, &left, costs) });
        }
        let gate = self.gate(knob)?;
        let on = |answers| Ok::<_, Error>(outcome(answers, &gate.exits_of(answers)?, costs));
        Ok(BudgetedPoint {
            ratio: Some(knob),
            thresholds: gate.thresholds(),
            hold_out: Some(on(self.hold_out.answers())?.accuracy),
            ..on(&self.test)?
        })
    }
}

/// A policy made ready on the hold-out, for a network that runs.
///
/// # Errors
/// On an unusable or too small hold-out, a knob out of range, and for the oracle. When temperatures are
/// to be fitted, which a rule does not hold.
pub fn rule(
    hold_out: &Predictions,
    multiply_adds: &[u64],
    setting: &Setting,
    knob: f64,
) -> Result<Rule> {
    ensure!(!setting.scale_temperature, "a rule asks confidences at temperature 1");
    let network = Network { hold_out, test: hold_out, multiply_adds };
    let both = Both::new(&network, setting)?;
    Ok(Rule {
        combine: setting.combine,
        certainty: setting.policy.certainty().unwrap_or(Certainty::MaxSoftmax),
        multiply_adds: multiply_adds.to_vec(),
        gate: both.gate(knob)?,
    })
}

/// The knob whose mean cost on the hold-out is the largest within `budget` multiply-adds an image.
///
/// The paper (section 4) solves for its exit probability q; a ratio is bisected instead, with the cost that
/// the thresholds of that ratio really have on the hold-out, infinity when the last exit is always
/// affordable. Other policies take the dearest of the values that they are swept over.
///
/// # Errors
/// When not even the first exit is affordable, or none of those values is, and for the oracle.
pub fn solve(network: &Network, setting: &Setting, budget: f64) -> Result<f64> {
    let both = Both::new(network, setting)?;
    let costs = network.multiply_adds;
    let (first, last) = (costs[0] as f64, costs[costs.len() - 1] as f64);
    ensure!(
        budget >= first,
        "a budget of {budget} multiply-adds an image is less than the first exit costs ({first})"
    );
    match setting.policy.form().by_ratio {
        true if budget >= last => Ok(f64::INFINITY),
        true => bisect(&both.hold_out, costs, budget),
        false => dearest_within(&both, budget),
    }
}

fn dearest_within(both: &Both, budget: f64) -> Result<f64> {
    let (policy, costs) = (both.setting.policy, both.network.multiply_adds);
    let answers = both.hold_out.answers();
    let mut best = None;
    for knob in (policy.form().values)(&both.setting.knobs, costs) {
        let left = both.gate(knob)?.exits_of(answers)?;
        let cost = outcome(answers, &left, costs).multiply_adds;
        if cost <= budget && best.is_none_or(|(dearest, _)| cost > dearest) {
            best = Some((cost, knob));
        }
    }
    let (_, knob) = best.with_context(|| {
        format!(
            "no {} of {policy} keeps within {budget} multiply-adds an image",
            policy.form().knob
        )
    })?;
    Ok(knob)
}

/// [`solve`] looks between ratios of `exp(-LOG_LIMIT)` and `exp(LOG_LIMIT)`: as far as it matters
/// to 10,000 images.
const LOG_LIMIT: f64 = 12.0;

fn bisect(hold_out: &HoldOut, costs: &[u64], budget: f64) -> Result<f64> {
    let affordable = |log_ratio: f64| -> Result<bool> {
        let point = at_ratio(hold_out, hold_out.answers(), costs, log_ratio.exp())?;
        Ok(point.multiply_adds <= budget)
    };
    let (mut low, mut high) = (-LOG_LIMIT, LOG_LIMIT);
    if !affordable(low)? {
        return Ok(0.0);
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if affordable(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low.exp())
}

impl Network<'_> {
    /// Checks that predictions and costs are of one network, and that the hold-out has an image.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn check(&self) -> Result<()> {
        check_not_empty(self.hold_out.len())?;
        self.hold_out.check().context("predictions on the hold-out")?;
        self.test.check().context("predictions on the test split")?;
        let shape = |predictions: &Predictions| (predictions.exits, predictions.classes);
        ensure!(
            shape(self.hold_out) == shape(self.test),
            "the hold-out's predictions have {} exits and {} classes, the test split's {} and {}: \
             they are of different networks",
            self.hold_out.exits,
            self.hold_out.classes,
            self.test.exits,
            self.test.classes
        );
        check_costs(self.test.exits, self.multiply_adds)
    }

    fn temperatures(&self, scale: bool) -> Result<Vec<f64>> {
        if scale { temperature::fit(self.hold_out) } else { Ok(vec![1.0; self.test.exits]) }
    }
}

/// The point of answers that leave by the thresholds of a ratio.
///
/// # Errors
/// On a ratio below 0, and when the answers and costs are not of the hold-out's network.
pub fn at_ratio(
    hold_out: &HoldOut,
    answers: &Answers,
    multiply_adds: &[u64],
    ratio: f64,
) -> Result<BudgetedPoint> {
    let found = search(hold_out, ratio)?;
    let point = leaving(answers, &found.exits_of(answers)?, multiply_adds)?;
    Ok(BudgetedPoint { ratio: Some(ratio), thresholds: found.values, ..point })
}

/// The point of a split whose images leave at the exits (from 0) `left`.
///
/// # Errors
/// When the costs are not the answers', or there is no image.
pub fn leaving(answers: &Answers, left: &[usize], multiply_adds: &[u64]) -> Result<BudgetedPoint> {
    check_costs(answers.exits(), multiply_adds)?;
    ensure!(!left.is_empty() && left.len() == answers.images(), "there is no image to leave");
    Ok(outcome(answers, left, multiply_adds))
}

/// What follows from the exit (from 0) at which each image left.
fn outcome(answers: &Answers, left: &[usize], multiply_adds: &[u64]) -> BudgetedPoint {
    let mut taken = vec![0; answers.exits()];
    for &exit in left {
        taken[exit] += 1;
    }
    let right =
        |(image, &exit): (usize, &usize)| answers.predicted[exit][image] == answers.labels[image];
    let hits: Arc<[bool]> = left.iter().enumerate().map(right).collect();
    let correct = hits.iter().filter(|&&hit| hit).count();
    let images = left.len();
    // Whole numbers, so that no order of summing matters.
    let exits = taken.iter().zip(multiply_adds);
    let spent: u128 = exits.map(|(&n, &cost)| n as u128 * u128::from(cost)).sum();
    BudgetedPoint {
        ratio: None,
        multiply_adds: spent as f64 / images as f64,
        accuracy: correct as f64 / images as f64,
        correct,
        images,
        thresholds: Vec::new(),
        taken,
        hits,
        left: left.iter().map(|&exit| exit as u16).collect(),
        hold_out: None,
    }
}

#[cfg(test)]
mod tests;
