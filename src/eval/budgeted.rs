//! The budgeted-batch setting (figure 7): easy images leave early, so that a batch as a whole
//! keeps within its budget.
//!
//! Policies, all on the same predictions:
//!
//! | policy | an image leaves at the first exit | swept by `ratio` |
//! | --- | --- | --- |
//! | max-softmax, margin, entropy | that is surer than its threshold | shares of exits, [`thresholds`](crate::eval::thresholds) |
//! | patience | that completes P exits in a row of the same class | P, from 1 to K |
//! | oracle | that is right | nothing: one point, no ratio |
//!
//! Whoever is left leaves at the last exit. Only the thresholds look at the hold-out, and they
//! look at nothing else.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Error, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::eval::answers::Answers;
use crate::eval::anytime::check_costs;
use crate::eval::probabilities::Certainty;
use crate::eval::thresholds::{Convention, HoldOut, Thresholds, search};
use crate::eval::{Predictions, temperature};

/// When an image leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Largest probability above its threshold: the paper's.
    MaxSoftmax,
    /// Largest minus second largest probability above its threshold.
    Margin,
    /// Negative entropy above its threshold.
    Entropy,
    /// Several exits in a row agree (Zhou et al., 2020).
    Patience,
    /// The answer is right: what no policy that cannot see the label can exceed.
    Oracle,
}

impl Policy {
    /// Every policy, in the order of the documentation.
    pub const ALL: [Policy; 5] =
        [Policy::MaxSoftmax, Policy::Margin, Policy::Entropy, Policy::Patience, Policy::Oracle];

    /// Its name in options and tables.
    pub fn name(self) -> &'static str {
        match self {
            Policy::MaxSoftmax => "max-softmax",
            Policy::Margin => "margin",
            Policy::Entropy => "entropy",
            Policy::Patience => "patience",
            Policy::Oracle => "oracle",
        }
    }

    /// The certainty that its thresholds are of; none for policies without thresholds.
    pub fn certainty(self) -> Option<Certainty> {
        match self {
            Policy::MaxSoftmax => Some(Certainty::MaxSoftmax),
            Policy::Margin => Some(Certainty::Margin),
            Policy::Entropy => Some(Certainty::NegativeEntropy),
            Policy::Patience | Policy::Oracle => None,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Policy::ALL.map(Policy::name).join(", ");
        let policy = Policy::ALL.into_iter().find(|policy| policy.name() == name);
        policy.with_context(|| format!("unknown policy `{name}`: one of {known}"))
    }
}

/// What a sweep is made of besides predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// When an image leaves.
    pub policy: Policy,
    /// How shares become thresholds.
    pub convention: Convention,
    /// Whether to fit a temperature an exit on the hold-out first.
    pub scale_temperature: bool,
    /// Ratios to sweep; unused by patience and oracle.
    pub ratios: Vec<f64>,
}

impl Setting {
    /// The paper's policy and convention over [`default_ratios`].
    pub fn paper() -> Self {
        Setting {
            policy: Policy::MaxSoftmax,
            convention: Convention::Paper,
            scale_temperature: false,
            ratios: default_ratios(),
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

/// Accuracy on the hold-out at each point of a sweep by thresholds, by which the best of several
/// networks is chosen without a look at the test images.
///
/// # Errors
/// As [`sweep`].
pub fn hold_out_accuracies(
    network: &Network,
    setting: &Setting,
    points: &[BudgetedPoint],
) -> Result<Vec<f64>> {
    let Some(kind) = setting.policy.certainty() else {
        bail!("the policy {} has no thresholds", setting.policy);
    };
    let temperatures = network.temperatures(setting.scale_temperature)?;
    let precision = setting.convention.precision();
    let answers = Answers::of(network.hold_out, kind, &temperatures, precision)?;
    let accuracy = |point: &BudgetedPoint| {
        let equal_leaves = setting.convention == Convention::Port;
        let thresholds = Thresholds { values: point.thresholds.clone(), equal_leaves };
        let there = evaluate(&answers, &thresholds, network.multiply_adds, setting.convention)?;
        Ok(there.accuracy)
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
    /// The ratio; P of patience; none of the oracle.
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

/// The whole curve: thresholds on the hold-out, cost and accuracy on test.
///
/// Fails on unusable predictions, on a hold-out of no image or fewer than exits, and on splits or
/// costs of different networks.
pub fn sweep(network: &Network, setting: &Setting) -> Result<Sweep> {
    network.check()?;
    let temperatures = network.temperatures(setting.scale_temperature)?;
    let points = match setting.policy.certainty() {
        Some(kind) => by_thresholds(network, setting, kind, &temperatures)?,
        None => without_thresholds(network, setting.policy)?,
    };
    Ok(Sweep { policy: setting.policy, temperatures, points })
}

/// The point of thresholds given by a person; its `ratio` is none.
pub fn with_thresholds(
    network: &Network,
    setting: &Setting,
    thresholds: Vec<f64>,
) -> Result<BudgetedPoint> {
    network.check()?;
    let Some(kind) = setting.policy.certainty() else {
        bail!("the policy {} has no thresholds", setting.policy);
    };
    let thresholds = Thresholds::by_hand(thresholds, network.test.exits)?;
    let temperatures = network.temperatures(setting.scale_temperature)?;
    let test = Answers::of(network.test, kind, &temperatures, setting.convention.precision())?;
    evaluate(&test, &thresholds, network.multiply_adds, setting.convention)
}

/// The largest ratio whose mean cost on the hold-out is within `budget` multiply-adds an image.
///
/// The paper solves for its exit probability q; this bisects the ratio instead, with the cost that the
/// thresholds of that ratio really have on the hold-out. Fails when not even the first exit is
/// affordable; infinity when the last one always is.
pub fn solve(network: &Network, setting: &Setting, budget: f64) -> Result<f64> {
    network.check()?;
    let Some(kind) = setting.policy.certainty() else {
        bail!("the policy {} has no ratio to solve for", setting.policy);
    };
    let costs = network.multiply_adds;
    let (first, last) = (costs[0] as f64, costs[costs.len() - 1] as f64);
    ensure!(
        budget >= first,
        "a budget of {budget} multiply-adds an image is less than the first exit costs ({first})"
    );
    if budget >= last {
        return Ok(f64::INFINITY);
    }
    let temperatures = network.temperatures(setting.scale_temperature)?;
    let answers =
        Answers::of(network.hold_out, kind, &temperatures, setting.convention.precision())?;
    bisect(&HoldOut::new(answers)?, setting.convention, costs, budget)
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

fn by_thresholds(
    network: &Network,
    setting: &Setting,
    kind: Certainty,
    temperatures: &[f64],
) -> Result<Vec<BudgetedPoint>> {
    let precision = setting.convention.precision();
    let hold_out = Answers::of(network.hold_out, kind, temperatures, precision)?;
    let test = Answers::of(network.test, kind, temperatures, precision)?;
    sweep_answers(
        &HoldOut::new(hold_out)?,
        &test,
        network.multiply_adds,
        &setting.ratios,
        setting.convention,
    )
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

fn without_thresholds(network: &Network, policy: Policy) -> Result<Vec<BudgetedPoint>> {
    let (exits, costs) = (network.test.exits, network.multiply_adds);
    // Certainties are unused here, but the classes are.
    let answers = Answers::of(
        network.test,
        Certainty::MaxSoftmax,
        &vec![1.0; exits],
        Convention::Paper.precision(),
    )?;
    let leaving = |left: Vec<usize>, ratio| {
        let point = outcome(&answers, &left, costs, Convention::Paper);
        BudgetedPoint { ratio, ..point }
    };
    if policy == Policy::Oracle {
        return Ok(vec![leaving(first_right(&answers), None)]);
    }
    let patience = |p| leaving(first_agreed(&answers, p), Some(p as f64));
    Ok((1..=exits).map(patience).collect())
}

fn first_right(answers: &Answers) -> Vec<usize> {
    let right = |image: usize| {
        let label = answers.labels[image];
        answers.predicted.iter().position(|classes| classes[image] == label)
    };
    (0..answers.images()).map(|image| right(image).unwrap_or(answers.exits() - 1)).collect()
}

fn first_agreed(answers: &Answers, patience: usize) -> Vec<usize> {
    let leaves = |image: usize| {
        let mut run = 0;
        for exit in 0..answers.exits() {
            let class = answers.predicted[exit][image];
            let agrees = exit > 0 && answers.predicted[exit - 1][image] == class;
            run = if agrees { run + 1 } else { 1 };
            if run >= patience {
                return exit;
            }
        }
        answers.exits() - 1
    };
    (0..answers.images()).map(leaves).collect()
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
