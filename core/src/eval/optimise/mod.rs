//! Where images should leave for the most accuracy at a price: accuracy minus lambda times cost,
//! with the mean cost as a share of the last exit's.
//!
//! The paper's rule sets all thresholds by one number. Here each exit's is free:
//! [`coordinate_ascent`] tries every order statistic of one exit's confidences after another's,
//! [`dynamic_programme`] finds the best rule of a model that knows an image by its bin of
//! confidence alone. [`oracle`] sees the labels and leaves no rule a chance to be better.

mod ascent;
mod programme;

use anyhow::{Result, ensure};

use crate::eval::answers::Answers;
use crate::eval::predictions::check_costs;

pub use ascent::{Ascent, coordinate_ascent};
pub use programme::{Programme, dynamic_programme};

/// What an answer is worth.
#[derive(Debug, Clone, Copy)]
pub struct Price<'a> {
    /// Multiply-adds of exits 1..k, K numbers.
    pub multiply_adds: &'a [u64],
    /// Accuracy that the cost of the last exit is worth, 0 or more.
    pub lambda: f64,
}

impl<'a> Price<'a> {
    /// A checked price.
    ///
    /// # Errors
    /// When lambda is below 0 or not finite, or the costs are none, or 0, or descend.
    pub fn new(multiply_adds: &'a [u64], lambda: f64) -> Result<Self> {
        check_lambda(lambda)?;
        check_costs(multiply_adds.len(), multiply_adds)?;
        ensure!(multiply_adds.last().is_some_and(|&c| c > 0), "the last exit costs nothing");
        Ok(Price { multiply_adds, lambda })
    }

    /// Cost of leaving at `exit` (from 0), in accuracy.
    fn of(&self, exit: usize) -> f64 {
        self.lambda * self.multiply_adds[exit] as f64 / self.full()
    }

    fn full(&self) -> f64 {
        self.multiply_adds[self.multiply_adds.len() - 1] as f64
    }

    /// Images answered rightly minus their price, of whole sums, so that no order of adding
    /// matters.
    fn objective(&self, right: i64, spent: i128) -> f64 {
        right as f64 - self.lambda * (spent as f64 / self.full())
    }

    fn check(&self, answers: &Answers) -> Result<()> {
        answers.check()?;
        ensure!(answers.images() > 0, "thresholds are optimised on a hold-out, and it is empty");
        check_costs(answers.exits(), self.multiply_adds)
    }
}

/// Checks a lambda.
///
/// # Errors
/// When it is below 0 or not finite.
pub fn check_lambda(lambda: f64) -> Result<()> {
    ensure!(lambda >= 0.0 && lambda.is_finite(), "lambda: {lambda} is out of range (0 or more)");
    Ok(())
}

/// The exit (from 0) of each image at which the loss is least: 1 for a wrong answer, plus lambda times
/// the cost; of equals the earliest.
///
/// Below lambda = 1 / (1 - c_1 / c_K) it is the earliest right exit, and the first where none is
/// right.
///
/// # Errors
/// When the costs are not the answers'.
pub fn oracle(answers: &Answers, price: &Price) -> Result<Vec<usize>> {
    price.check(answers)?;
    let best = |image: usize| {
        let mut best = (f64::INFINITY, 0);
        for exit in 0..answers.exits() {
            let wrong = answers.predicted[exit][image] != answers.labels[image];
            let loss = f64::from(u8::from(wrong)) + price.of(exit);
            if loss < best.0 {
                best = (loss, exit);
            }
        }
        best.1
    };
    Ok((0..answers.images()).map(best).collect())
}

/// Prices at which the oracle takes another set of exits: 0, one between each two of the prices
/// at which an exit ceases to be worth its cost, and one above them all; ascending.
pub fn oracle_lambdas(multiply_adds: &[u64]) -> Vec<f64> {
    let Some((&first, &last)) = multiply_adds.first().zip(multiply_adds.last()) else {
        return Vec::new();
    };
    let worth = |&cost: &u64| last as f64 / (cost - first) as f64;
    let later = multiply_adds.iter().rev().filter(|&&cost| cost > first);
    let mut ends: Vec<f64> = later.map(worth).collect();
    ends.dedup();
    let mut lambdas = vec![0.0];
    lambdas.extend(ends.windows(2).map(|pair| (pair[0] * pair[1]).sqrt()));
    lambdas.extend(ends.last().map(|end| 2.0 * end));
    lambdas
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images: right from exit 2 on, and never right.
    fn answers() -> Answers {
        Answers {
            confidence: vec![vec![0.5; 2]; 3],
            predicted: vec![vec![0, 0], vec![1, 0], vec![1, 0]],
            labels: vec![1, 1],
        }
    }

    #[test]
    fn the_oracle_waits_for_a_right_exit_as_long_as_it_is_worth_its_cost() {
        let costs = [10, 20, 50];
        // Exit 2 costs a fifth more of the last: worth it below lambda = 5.
        let exits = |lambda| oracle(&answers(), &Price::new(&costs, lambda).unwrap()).unwrap();
        assert_eq!(exits(0.0), vec![1, 0]);
        assert_eq!(exits(4.9), vec![1, 0]);
        assert_eq!(exits(5.1), vec![0, 0]);
    }

    #[test]
    fn the_oracles_prices_lie_between_those_at_which_exits_cease_to_pay() {
        // They cease at 50/40 and at 50/10.
        let lambdas = oracle_lambdas(&[10, 20, 50]);
        assert_eq!(lambdas, vec![0.0, (1.25f64 * 5.0).sqrt(), 10.0]);
        assert_eq!(oracle_lambdas(&[10]), vec![0.0]);
    }

    #[test]
    fn a_price_below_zero_is_refused() {
        for lambda in [-0.1, f64::NAN, f64::INFINITY] {
            let error = Price::new(&[1, 2], lambda).unwrap_err().to_string();
            assert!(error.contains("out of range (0 or more)"), "{error}");
        }
        assert!(Price::new(&[0, 0], 1.0).is_err() && Price::new(&[], 1.0).is_err());
    }
}
