//! A policy that the hold-out has made ready: it decides image by image, on cached answers and in a
//! running network alike.

use anyhow::{Result, ensure};

use crate::eval::answers::Answers;
use crate::eval::policy::bins::Bins;
use crate::eval::thresholds::Thresholds;

/// A policy that the hold-out has made ready.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    /// Exit k lets an image go whose certainty exceeds its threshold.
    Thresholds(Thresholds),
    /// Exit k lets an image go whose confidence lies in one of these bins; K-1 entries.
    Bins(Vec<(Bins, Vec<bool>)>),
    /// The exit that is the P-th in a row to say the same class lets an image go; P is 1 or more.
    Patience(usize),
}

impl Gate {
    /// Before the first exit of an image.
    pub fn visit(&self) -> Visit<'_> {
        Visit { gate: self, exit: 0, said: None, agreed: 0 }
    }

    /// The exit (from 0) that each image leaves at, N.
    ///
    /// # Errors
    /// When the answers are of another number of exits.
    pub fn exits_of(&self, answers: &Answers) -> Result<Vec<usize>> {
        self.check(answers.exits())?;
        let last = answers.exits() - 1;
        let leaves = |image: usize| {
            let mut visit = self.visit();
            let mut exits = (0..last).filter(|&exit| {
                visit.leaves(answers.confidence[exit][image], answers.predicted[exit][image])
            });
            exits.next().unwrap_or(last)
        };
        Ok((0..answers.images()).map(leaves).collect())
    }

    /// Refuses networks of another number of exits.
    ///
    /// # Errors
    /// Says both numbers.
    pub fn check(&self, exits: usize) -> Result<()> {
        let own = match self {
            Gate::Thresholds(thresholds) => thresholds.values.len() + 1,
            Gate::Bins(bins) => bins.len() + 1,
            Gate::Patience(_) => exits,
        };
        ensure!(own == exits, "a rule for {own} exits, but answers of {exits}");
        Ok(())
    }

    /// K-1 thresholds, infinite where nobody or everybody leaves; none of rules without.
    pub fn thresholds(&self) -> Vec<f64> {
        match self {
            Gate::Thresholds(thresholds) => thresholds.values.clone(),
            Gate::Bins(_) | Gate::Patience(_) => Vec::new(),
        }
    }
}

/// One image on its way from exit to exit.
#[derive(Debug, Clone)]
pub struct Visit<'a> {
    gate: &'a Gate,
    exit: usize,
    /// What the exit before said.
    said: Option<u32>,
    /// How many exits in a row said so.
    agreed: usize,
}

impl Visit<'_> {
    /// Whether the image leaves at the next exit, which is this sure of this class. At the last
    /// exit nobody stays, whatever this says.
    pub fn leaves(&mut self, certainty: f64, class: u32) -> bool {
        let exit = self.exit;
        self.exit += 1;
        self.agreed = if self.said == Some(class) { self.agreed + 1 } else { 1 };
        self.said = Some(class);
        match self.gate {
            Gate::Thresholds(thresholds) => thresholds.leaves(exit, certainty),
            Gate::Bins(exits) => {
                exits.get(exit).is_none_or(|(bins, leaves)| leaves[bins.bin(certainty)])
            }
            Gate::Patience(patience) => self.agreed >= *patience,
        }
    }
}
