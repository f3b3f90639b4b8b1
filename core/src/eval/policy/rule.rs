//! A policy made ready, with all that a running network needs to follow it.

use anyhow::{Result, ensure};

use super::gate::{Gate, Visit};
use crate::eval::combine::{Combine, Combiner};
use crate::eval::probabilities::{Certainty, certainty_of, largest};
use crate::eval::thresholds::Thresholds;

/// All that a running network needs to let images go as a replay of its logits does.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// How exits are combined before they are asked.
    pub combine: Combine,
    /// What they are asked for.
    pub certainty: Certainty,
    /// Multiply-adds of exits 1..k, K numbers.
    pub multiply_adds: Vec<u64>,
    /// When an image leaves.
    pub gate: Gate,
}

/// What an exit says of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    /// The class.
    pub class: u32,
    /// Its probability.
    pub confidence: f64,
    /// Whether the image leaves here.
    pub leaves: bool,
}

/// One image on its way through a network.
#[derive(Debug, Clone)]
pub struct Passage<'a> {
    rule: &'a Rule,
    combiner: Combiner<'a>,
    visit: Visit<'a>,
}

impl Rule {
    /// Largest softmax of single exits against thresholds.
    pub fn plain(thresholds: Thresholds, multiply_adds: &[u64]) -> Rule {
        Rule {
            combine: Combine::Single,
            certainty: Certainty::MaxSoftmax,
            multiply_adds: multiply_adds.to_vec(),
            gate: Gate::Thresholds(thresholds),
        }
    }

    /// The thresholds, if it is the largest softmax of single exits against them.
    pub fn plain_thresholds(&self) -> Option<&Thresholds> {
        match &self.gate {
            Gate::Thresholds(thresholds)
                if self.combine == Combine::Single && self.certainty == Certainty::MaxSoftmax =>
            {
                Some(thresholds)
            }
            _ => None,
        }
    }

    /// Before the first exit of an image.
    pub fn passage(&self) -> Passage<'_> {
        let combiner = Combiner::new(self.combine, &self.multiply_adds);
        Passage { rule: self, combiner, visit: self.gate.visit() }
    }

    /// Refuses networks of another number of exits.
    ///
    /// # Errors
    /// Says both numbers.
    pub fn check(&self, exits: usize) -> Result<()> {
        let own = self.multiply_adds.len();
        ensure!(own == exits, "a rule for {own} exits, but a network of {exits}");
        self.gate.check(exits)
    }
}

impl Passage<'_> {
    /// Takes in the C logits of the next exit.
    pub fn next(&mut self, logits: &[f32]) -> Said {
        let logs = self.combiner.next(logits, 1.0);
        let class = largest(&logs);
        Said {
            class,
            confidence: logs[class as usize].exp(),
            leaves: self.visit.leaves(certainty_of(&logs, self.rule.certainty), class),
        }
    }
}
