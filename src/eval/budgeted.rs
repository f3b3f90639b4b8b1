//! The budgeted-batch setting (figure 7): easy images leave early, so that a batch as a whole
//! keeps within its budget.
//!
//! Policies are those of [`policy`](crate::eval::policy), all on the same predictions. Only the
//! oracle looks at anything but the hold-out.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use crate::eval::answers::Answers;
use crate::eval::combine::{self, Combine};
use crate::eval::optimise::{self, Price};
use crate::eval::policy::{Gate, Knobs, Policy, Rule, default_lambdas, default_targets};
use crate::eval::predictions::check_costs;
use crate::eval::probabilities::Certainty;
use crate::eval::thresholds::{Convention, HoldOut, Thresholds, search};
use crate::eval::{Predictions, temperature};

/// What a sweep is made of besides predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// When an image leaves.
    pub policy: Policy,
    /// How exits are combined before they are asked.
    pub combine: Combine,
    /// How shares become thresholds.
    pub convention: Convention,
    /// Whether to fit a temperature an exit on the hold-out first.
    pub scale_temperature: bool,
    /// What the policy is swept over.
    pub knobs: Knobs,
}

impl Setting {
    /// The paper's policy and convention over [`default_ratios`].
    pub fn paper() -> Self {
        Setting {
            policy: Policy::PAPER,
            combine: Combine::Single,
            convention: Convention::Paper,
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

/// Accuracy on the hold-out at each point of a sweep, by which the best of several
/// networks is chosen without a look at the test images.
///
/// # Errors
/// As [`sweep`].
pub fn hold_out_accuracies(
    network: &Network,
    setting: &Setting,
    points: &[BudgetedPoint],
) -> Result<Vec<f64>> {
    let both = Both::new(network, setting)?;
    let answers = both.hold_out.answers();
    let accuracy = |point: &BudgetedPoint| {
        let gate = both.gate(point.ratio.context("a point that no knob has swept")?)?;
        let left = gate.exits_of(answers)?;
        Ok(outcome(answers, &left, network.multiply_adds, setting.convention).accuracy)
    };
    points.iter().map(accuracy).collect()
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
    /// K-1 thresholds, infinite where nobody or everybody leaves; empty of policies without.
    pub thresholds: Vec<f64>,
    /// Images that left at each exit, K.
    pub taken: Vec<usize>,
    /// Whether each image was answered rightly, for paired comparisons.
    pub hits: Arc<[bool]>,
    /// The exit, from 0, at which each image left.
    pub left: Arc<[u16]>,
}

/// A network's curve under one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// The policy.
    pub policy: Policy,
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
    let knobs = setting.policy.knobs(&setting.knobs, network.multiply_adds);
    let points: Result<_> = knobs.into_iter().map(|knob| both.point(knob)).collect();
    Ok(Sweep { policy: setting.policy, temperatures: both.temperatures, points: points? })
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
        let on = |split| answers(split, network.multiply_adds, setting, &temperatures);
        let (hold_out, test) = (HoldOut::new(on(network.hold_out)?)?, on(network.test)?);
        Ok(Both { network, setting, temperatures, hold_out, test })
    }

    fn gate(&self, knob: f64) -> Result<Gate> {
        let Setting { policy, convention, ref knobs, .. } = *self.setting;
        let (costs, bound) = (self.network.multiply_adds, knobs.target_bound);
        Gate::new(policy, &self.hold_out, costs, knob, bound, convention)
    }

    /// The point on test; the oracle needs nothing but the labels there.
    fn point(&self, knob: f64) -> Result<BudgetedPoint> {
        let (costs, convention) = (self.network.multiply_adds, self.setting.convention);
        let (left, thresholds) = match self.setting.policy {
            Policy::Oracle => {
                (optimise::oracle(&self.test, &Price::new(costs, knob)?)?, Vec::new())
            }
            _ => {
                let gate = self.gate(knob)?;
                (gate.exits_of(&self.test)?, gate.thresholds())
            }
        };
        let point = outcome(&self.test, &left, costs, convention);
        Ok(BudgetedPoint { ratio: Some(knob), thresholds, ..point })
    }
}

/// Answers of a split as a setting asks for them.
fn answers(
    split: &Predictions,
    multiply_adds: &[u64],
    setting: &Setting,
    temperatures: &[f64],
) -> Result<Answers> {
    // Policies without a certainty look at classes alone.
    let kind = setting.policy.certainty().unwrap_or(Certainty::MaxSoftmax);
    match setting.combine {
        Combine::Single => Answers::of(split, kind, temperatures, setting.convention.precision()),
        rule => combine::answers(split, rule, multiply_adds, kind, temperatures),
    }
}

/// A policy made ready on the hold-out, for a network that runs.
///
/// # Errors
/// On an unusable or too small hold-out, a knob out of range, and for the oracle.
pub fn rule(
    hold_out: &Predictions,
    multiply_adds: &[u64],
    setting: &Setting,
    knob: f64,
) -> Result<Rule> {
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
/// The paper solves for its exit probability q; a ratio is bisected instead, with the cost that
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
    match setting.policy {
        Policy::Threshold(_) if budget >= last => Ok(f64::INFINITY),
        Policy::Threshold(_) => bisect(&both.hold_out, setting.convention, costs, budget),
        _ => dearest_within(&both, budget),
    }
}

fn dearest_within(both: &Both, budget: f64) -> Result<f64> {
    let (policy, costs) = (both.setting.policy, both.network.multiply_adds);
    let answers = both.hold_out.answers();
    let mut best = None;
    for knob in policy.knobs(&both.setting.knobs, costs) {
        let left = both.gate(knob)?.exits_of(answers)?;
        let cost = outcome(answers, &left, costs, both.setting.convention).multiply_adds;
        if cost <= budget && best.is_none_or(|(dearest, _)| cost > dearest) {
            best = Some((cost, knob));
        }
    }
    let (_, knob) = best.with_context(|| {
        format!("no {} of {policy} keeps within {budget} multiply-adds an image", policy.knob())
    })?;
    Ok(knob)
}

/// [`solve`] looks between ratios of `exp(-limit)` and `exp(limit)`: as far as it matters to
/// 10,000 images, and as the port's single precision holds the powers of.
fn log_limit(convention: Convention, exits: usize) -> f64 {
    match convention {
        Convention::Paper => 12.0,
        Convention::Port => f64::min(12.0, 80.0 / exits as f64),
    }
}

fn bisect(hold_out: &HoldOut, convention: Convention, costs: &[u64], budget: f64) -> Result<f64> {
    let affordable = |log_ratio: f64| -> Result<bool> {
        let thresholds = search(hold_out, log_ratio.exp(), convention)?;
        let point = evaluate(hold_out.answers(), &thresholds, costs, convention)?;
        Ok(point.multiply_adds <= budget)
    };
    let limit = log_limit(convention, costs.len());
    let (mut low, mut high) = (-limit, limit);
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
    /// Refuses predictions and costs of different networks, and a hold-out of no image.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn check(&self) -> Result<()> {
        ensure!(
            !self.hold_out.is_empty(),
            "early exit needs a hold-out: thresholds are chosen on images that were neither \
             trained on nor tested on, and there is none (set `validation` above 0)"
        );
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

/// The same sweep over answers that are already computed.
pub fn sweep_answers(
    hold_out: &HoldOut,
    test: &Answers,
    multiply_adds: &[u64],
    ratios: &[f64],
    convention: Convention,
) -> Result<Vec<BudgetedPoint>> {
    let point = |&ratio: &f64| {
        let thresholds = search(hold_out, ratio, convention)?;
        let point = evaluate(test, &thresholds, multiply_adds, convention)?;
        Ok(BudgetedPoint { ratio: Some(ratio), ..point })
    };
    ratios.iter().map(point).collect()
}

/// Cost and accuracy of thresholds on a split; `ratio` is left none.
pub fn evaluate(
    answers: &Answers,
    thresholds: &Thresholds,
    multiply_adds: &[u64],
    convention: Convention,
) -> Result<BudgetedPoint> {
    check_costs(answers.exits(), multiply_adds)?;
    ensure!(answers.images() > 0, "there is no image to evaluate the thresholds on");
    let left = thresholds.exits_of(answers)?;
    let point = outcome(answers, &left, multiply_adds, convention);
    Ok(BudgetedPoint { thresholds: thresholds.values.clone(), ..point })
}

/// The point of a split whose images leave at the exits (from 0) `left`; `ratio` is left none.
///
/// # Errors
/// When the costs are not the answers', or there is no image.
pub fn leaving(answers: &Answers, left: &[usize], multiply_adds: &[u64]) -> Result<BudgetedPoint> {
    check_costs(answers.exits(), multiply_adds)?;
    ensure!(!left.is_empty() && left.len() == answers.images(), "there is no image to leave");
    Ok(outcome(answers, left, multiply_adds, Convention::Paper))
}

/// What follows from the exit (from 0) at which each image left.
fn outcome(
    answers: &Answers,
    left: &[usize],
    multiply_adds: &[u64],
    convention: Convention,
) -> BudgetedPoint {
    let mut taken = vec![0; answers.exits()];
    for &exit in left {
        taken[exit] += 1;
    }
    let right =
        |(image, &exit): (usize, &usize)| answers.predicted[exit][image] == answers.labels[image];
    let hits: Arc<[bool]> = left.iter().enumerate().map(right).collect();
    let correct = hits.iter().filter(|&&hit| hit).count();
    let images = left.len();
    BudgetedPoint {
        ratio: None,
        multiply_adds: mean_cost(&taken, multiply_adds, convention),
        accuracy: correct as f64 / images as f64,
        correct,
        images,
        thresholds: Vec::new(),
        taken,
        hits,
        left: left.iter().map(|&exit| exit as u16).collect(),
    }
}

fn mean_cost(taken: &[usize], multiply_adds: &[u64], convention: Convention) -> f64 {
    let images: usize = taken.iter().sum();
    let exits = taken.iter().zip(multiply_adds);
    match convention {
        Convention::Paper => {
            // Whole numbers, so that no order of summing matters.
            let spent: u128 = exits.map(|(&n, &cost)| n as u128 * u128::from(cost)).sum();
            spent as f64 / images as f64
        }
        Convention::Port => {
            let share = |n: usize| n as f32 / images as f32;
            let mean = exits.fold(0f32, |sum, (&n, &cost)| sum + share(n) * cost as f32);
            f64::from(mean)
        }
    }
}

#[cfg(test)]
mod tests;
