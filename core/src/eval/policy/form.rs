//! What a policy says of itself: a row of the table.

use anyhow::Result;

use super::gate::Gate;
use crate::eval::answers::Answers;
use crate::eval::optimise::Price;
use crate::eval::probabilities::Certainty;
use crate::eval::thresholds::HoldOut;

/// A policy.
#[derive(Debug)]
pub struct Form {
    /// Its name in options and tables.
    pub name: &'static str,
    /// Its name in the explorer's page.
    pub label: &'static str,
    /// What it is swept by, for people.
    pub knob: &'static str,
    /// The certainty that it asks exits for; none where only their classes count.
    pub certainty: Option<Certainty>,
    /// Whether it has one threshold for each exit, all of which follow from a single ratio of the exits'
    /// shares. Then people may give thresholds of their own, and the ratio of a budget is found by
    /// bisection.
    pub by_ratio: bool,
    /// Whether it goes with combined exits.
    pub combines: bool,
    /// The values that it is swept over, of a network with these multiply-adds of exits 1..k.
    pub values: fn(&Knobs, &[u64]) -> Vec<f64>,
    /// How it decides.
    pub decide: Decide,
}

/// How a policy decides at which exit an image leaves.
#[derive(Debug, Clone, Copy)]
pub enum Decide {
    /// By what it becomes on the hold-out.
    Gate(fn(&HeldOut) -> Result<Gate>),
    /// By the labels of the images themselves: the exit, from 0, of each. It bounds the others and
    /// serves nobody.
    Labels(fn(&Answers, &Price) -> Result<Vec<usize>>),
}

/// What a policy is made ready on.
#[derive(Debug, Clone, Copy)]
pub struct HeldOut<'a> {
    /// Answers of the exits on the hold-out.
    pub hold_out: &'a HoldOut,
    /// Multiply-adds of exits 1..k, K numbers.
    pub multiply_adds: &'a [u64],
    /// The value of what the policy is swept by.
    pub knob: f64,
    /// See [`Knobs::target_bound`].
    pub target_bound: Option<f64>,
}

impl HeldOut<'_> {
    /// The knob as the price of cost in accuracy, lambda.
    ///
    /// # Errors
    /// Returns an error when it is negative or not finite.
    pub fn price(&self) -> Result<Price<'_>> {
        Price::new(self.multiply_adds, self.knob)
    }
}

/// Values that policies are swept over.
#[derive(Debug, Clone, PartialEq)]
pub struct Knobs {
    /// Ratios of the exits' shares, from 0 to infinity.
    pub ratios: Vec<f64>,
    /// Target accuracies, 0 to 1.
    pub targets: Vec<f64>,
    /// Prices of the last exit's cost in accuracy, from 0.
    pub lambdas: Vec<f64>,
    /// Whether a lower bound on a bin's accuracy has to reach the target, and how sure it is:
    /// above 0, below 1.
    pub target_bound: Option<f64>,
}
