//! Judges the paper's claims on what a figure measured.
//!
//! A rule measures an effect at one or several places (`lines` by multiply-adds, [`pooled`] for
//! figure 3), each with its noise ([`statistics`](crate::eval::statistics)); [`verdict`] says what
//! follows. A claim about a curve that is not there is not judged at all; one that cannot be
//! measured on curves that are there says why.

mod leaving;
mod lines;
mod measure;
pub mod pooled;
pub mod verdict;

use std::sync::Arc;

use crate::eval::claims::{Claim, Curves, Kind, Rule};
use crate::eval::figure::Figure;
use crate::eval::statistics::{Estimate, Term};
use pooled::Families;
pub use verdict::{EXPLORATORY, Judgement, Magnitude, Needed, Verdict, judge_exact};

/// How a network, or one of its exits, did on the test images.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// Share answered rightly, 0 to 1.
    pub accuracy: f64,
    /// Test images; 0 = unknown.
    pub images: usize,
    /// Whether each was answered rightly.
    pub hits: Option<Arc<[bool]>>,
}

impl Answered {
    fn term(&self, gradient: f64) -> Term<'_> {
        Term { gradient, accuracy: self.accuracy, images: self.images, hits: self.hits.as_deref() }
    }
}

/// A point of a line of accuracy by multiply-adds.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The curve's label.
    pub curve: String,
    /// The network's own name.
    pub network: String,
    /// Its seed.
    pub seed: u64,
    /// Multiply-adds.
    pub x: f64,
    /// How it did.
    pub answered: Answered,
    /// Accuracy on the hold-out of the same point, by which the best of several networks is chosen.
    pub hold_out: Option<f64>,
    /// Whether it is the mean of the exits' answers.
    pub averaged: bool,
    /// What the policy sweeps, of a point with dynamic evaluation.
    pub ratio: Option<f64>,
    /// Which images left where, of a point with dynamic evaluation.
    pub leavers: Option<Leavers>,
}

impl Row {
    /// A point of single exits without dynamic evaluation.
    pub fn new(curve: &str, network: &str, seed: u64, x: f64, answered: Answered) -> Row {
        Row {
            curve: curve.to_owned(),
            network: network.to_owned(),
            seed,
            x,
            answered,
            hold_out: None,
            averaged: false,
            ratio: None,
            leavers: None,
        }
    }
}

/// The images that leave at the first and at the last exit.
#[derive(Debug, Clone, PartialEq)]
pub struct Leavers {
    /// Whether each image leaves at the first exit.
    pub first: Arc<[bool]>,
    /// Whether each image leaves at the last exit.
    pub last: Arc<[bool]>,
    /// Whether the last exit's answer to each image is right, wherever it leaves.
    pub last_hits: Arc<[bool]>,
}

/// A network of figure 3: with one intermediate classifier, or without.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The curve's label: its family.
    pub curve: String,
    /// Its own name.
    pub network: String,
    /// Its seed; networks of a curve are paired by it.
    pub seed: u64,
    /// Blocks or layers before the intermediate classifier; none = there is none.
    pub position: Option<usize>,
    /// The same by those of the whole network, 0 to 1.
    pub depth: Option<f64>,
    /// How the classifier that the figure is about did.
    pub answered: Answered,
    /// On the left: how the final classifier of the same run did.
    pub own_final: Option<Answered>,
}

/// What a figure measured.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
    /// Anytime lines, which are steps.
    Steps(Vec<Row>),
    /// Lines that are straight between their points.
    Straight(Vec<Row>),
    /// Networks by the position of their intermediate classifier.
    Positions(Vec<Network>),
}

impl Measured {
    /// Whether a pattern selects a curve.
    fn has(&self, curves: &Curves) -> bool {
        match self {
            Measured::Steps(rows) | Measured::Straight(rows) => {
                rows.iter().any(|row| curves.matches(&row.curve))
            }
            Measured::Positions(networks) => networks.iter().any(|n| curves.matches(&n.curve)),
        }
    }
}

/// The effect at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What and where, for people.
    pub place: String,
    /// The effect.
    pub estimate: Estimate,
    /// What was left out, for people; empty = nothing.
    pub left_out: String,
}

/// Seeds that are left out because `why`; empty without a seed.
fn seeds_left_out(seeds: &[u64], why: &str) -> String {
    let names: Vec<String> = seeds.iter().map(u64::to_string).collect();
    match seeds.len() {
        0 => String::new(),
        1 => format!("seed {} left out: {why}", names[0]),
        _ => format!("seeds {} left out: {why}", names.join(", ")),
    }
}

/// Findings, or why there is none.
pub(crate) type Findings = Result<Vec<Finding>, String>;

/// Judges the claims of one figure, in their order; exact ones need no figure. For a mean over budgets the
/// note also gives the paper's value over our range of budgets; `papers` holds the points of the paper's
/// curves, if there are any.
pub fn judge(
    claims: &[Claim],
    figure: Figure,
    measured: &Measured,
    papers: &[Row],
) -> Vec<Judgement> {
    let own = claims.iter().filter(|c| c.figure == figure && c.kind != Kind::Exact);
    let present = own.filter(|c| c.rule.patterns().iter().all(|curves| measured.has(curves)));
    let found = |claim: &Claim| find(&claim.rule, figure, measured, papers);
    present.map(|claim| verdict::conclude(claim, found(claim))).collect()
}

fn find(rule: &Rule, figure: Figure, measured: &Measured, papers: &[Row]) -> Findings {
    match measured {
        Measured::Steps(rows) => measure::find(rule, rows, papers, lines::Shape::Steps),
        Measured::Straight(rows) => measure::find(rule, rows, papers, lines::Shape::Straight),
        Measured::Positions(networks) => {
            let families = Families::of(networks, figure);
            match rule {
                Rule::Loss { curve, of } => families.loss(curve, *of),
                Rule::KeepsMore { curve, than, of } => families.difference(curve, than, *of),
                _ => Err(format!("the rule is not about {figure}")),
            }
        }
    }
}

#[cfg(test)]
mod tests;
