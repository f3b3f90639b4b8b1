//! A threshold with a guarantee: leaving early costs at most a tolerated loss, by the hold-out
//! alone.
//!
//! One threshold t serves every exit: an image leaves at the first exit whose confidence exceeds
//! t, else at the last. Its answer is compared with the last exit's:
//!
//! | risk | loss of an image | needs labels |
//! | --- | --- | --- |
//! | gap | wrong early (0 or 1) minus wrong at the last exit (0 or 1) | yes |
//! | consistency | 1 where the two answers differ | no |
//!
//! The risk R(t) is the mean loss. Thresholds are tried in the order of [`thresholds`], from
//! nobody leaves to everybody leaves, and the last one is taken such that it and all before it
//! pass. Of n hold-out images, with a tolerance e and a confidence 1 - d:
//!
//! | method | a threshold passes when | what holds | source |
//! | --- | --- | --- | --- |
//! | crc | the sum of losses is at most (n + 1) e - 1 | R is at most e in expectation | Angelopoulos et al., 2024 |
//! | betting | [`betting_holds`] | R is at most e with probability 1 - d | Waudby-Smith and Ramdas, 2024; Bates et al., 2021 |
//! | ltt | [`hoeffding_bentkus`] is at most d | the same, of the losses above 0 | Angelopoulos et al., 2021 |
//!
//! The proof of crc asks for losses that never fall while the threshold falls. Neither loss does
//! so exactly: an image may leave with a wrong answer at a middle threshold and with a right one
//! at a lower. To stop at the first threshold that fails is the cautious side.

pub mod bounds;
pub mod table;

use anyhow::{Result, ensure};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::eval::answers::Answers;
use crate::eval::policy::target::check_confidence;
use crate::eval::thresholds::Thresholds;
use crate::named;
use bounds::{betting_holds, hoeffding_bentkus};

/// What leaving early may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Risk {
    /// Accuracy below the last exit's.
    Gap,
    /// Answers that differ from the last exit's.
    Consistency,
}

/// How a threshold is certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Conformal risk control.
    Crc,
    /// The betting bound.
    Betting,
    /// Learn then test.
    Ltt,
}

impl Risk {
    /// Loss of an image that is answered `early` where the last exit says `last`: -1, 0 or 1.
    pub fn loss(self, early: u32, last: u32, label: u32) -> i8 {
        match self {
            Risk::Gap => i8::from(early != label) - i8::from(last != label),
            Risk::Consistency => i8::from(early != last),
        }
    }
}

named! { Risk, "risk": Gap = "gap", Consistency = "consistency" }
named! { Method, "method": Crc = "crc", Betting = "betting", Ltt = "ltt" }

impl Method {
    /// Whether a threshold with these losses on the hold-out, by itself, is within `tolerance`.
    pub fn passes(self, losses: &[i8], tolerance: &Tolerance) -> bool {
        let Tolerance { at_most, confidence } = *tolerance;
        let delta = 1.0 - confidence;
        match self {
            Method::Crc => {
                let sum: i64 = losses.iter().map(|&loss| i64::from(loss)).sum();
                sum as f64 <= (losses.len() + 1) as f64 * at_most - 1.0
            }
            Method::Betting => betting_holds(losses, at_most, delta),
            Method::Ltt => {
                let count = losses.iter().filter(|&&loss| loss > 0).count();
                hoeffding_bentkus(count, losses.len(), at_most) <= delta
            }
        }
    }
}

/// What is tolerated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Largest risk, above 0, to 1.
    pub at_most: f64,
    /// Probability with which the risk keeps within it, between 0 and 1; crc has no use for it.
    pub confidence: f64,
}

impl Tolerance {
    /// A checked tolerance.
    ///
    /// # Errors
    /// Names the number that is out of range.
    pub fn new(at_most: f64, confidence: f64) -> Result<Self> {
        ensure!(
            at_most > 0.0 && at_most <= 1.0,
            "a tolerated loss of {at_most} is out of range (above 0, to 1; 0.02 is two points)"
        );
        check_confidence(confidence)?;
        Ok(Tolerance { at_most, confidence })
    }

    /// Refuses a hold-out on which `method` would pass no threshold, not even one that costs
    /// nothing.
    ///
    /// # Errors
    /// Says the least size.
    pub fn check_size(&self, method: Method, hold_out: usize) -> Result<()> {
        let least = bounds::least_hold_out(method, self);
        if least.is_some_and(|least| hold_out >= least) {
            return Ok(());
        }
        let least = least.map_or(format!("more than {}", bounds::MOST_IMAGES), |n| n.to_string());
        let with = match method {
            Method::Crc => String::new(),
            _ => format!(" with a confidence of {}", self.confidence),
        };
        anyhow::bail!(
            "a hold-out of {hold_out} images is too small to promise a loss of at most {}{with}: \
             {method} needs at least {least} images",
            self.at_most
        )
    }
}

/// The thresholds that are tried, in this order: 1.00 (nobody leaves), 0.99, .. 0.00.
///
/// They are fixed beforehand: thresholds chosen on the hold-out would void the guarantee.
pub fn thresholds() -> Vec<f64> {
    (0..=100).map(|row| f64::from(100 - row) / 100.0).collect()
}

/// The exit (from 0) of each image when one threshold serves all exits.
///
/// # Errors
/// On answers without an exit.
pub fn exits_at(answers: &Answers, threshold: f64) -> Result<Vec<usize>> {
    let exits = answers.exits();
    Thresholds::by_hand(vec![threshold; exits.saturating_sub(1)], exits)?.exits_of(answers)
}

/// Loss of each image at each threshold, `[thresholds][N]`.
///
/// # Errors
/// On answers that do not fit together.
pub fn losses(answers: &Answers, risk: Risk, thresholds: &[f64]) -> Result<Vec<Vec<i8>>> {
    answers.check()?;
    let last = &answers.predicted[answers.exits() - 1];
    let at = |&threshold: &f64| {
        let exits = exits_at(answers, threshold)?;
        let loss = |(image, &exit): (usize, &usize)| {
            risk.loss(answers.predicted[exit][image], last[image], answers.labels[image])
        };
        Ok(exits.iter().enumerate().map(loss).collect())
    };
    thresholds.iter().map(at).collect()
}

/// The images of every row in one random order, the same at every call. The bets of the betting bound
/// take the images to come in no order, and those of an image folder come class by class.
fn shuffled(losses: &[Vec<i8>]) -> Vec<Vec<i8>> {
    let mut order: Vec<usize> = (0..losses.first().map_or(0, Vec::len)).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    losses.iter().map(|row| order.iter().map(|&image| row[image]).collect()).collect()
}

/// Mean loss.
pub fn mean(losses: &[i8]) -> f64 {
    let sum: i64 = losses.iter().map(|&loss| i64::from(loss)).sum();
    sum as f64 / losses.len() as f64
}

/// The last row of losses such that it and all before it pass; none where the first fails.
pub fn choose(losses: &[Vec<i8>], method: Method, tolerance: &Tolerance) -> Option<usize> {
    let passing = losses.iter().take_while(|losses| method.passes(losses, tolerance));
    passing.count().checked_sub(1)
}

/// The certified threshold by the answers on the hold-out; infinity (nobody leaves) where even a
/// threshold of 1 fails.
///
/// # Errors
/// When the hold-out is too small for the tolerance, or its answers do not fit together.
pub fn certify(
    hold_out: &Answers,
    risk: Risk,
    method: Method,
    tolerance: &Tolerance,
) -> Result<f64> {
    tolerance.check_size(method, hold_out.images())?;
    let tried = thresholds();
    let row = choose(&shuffled(&losses(hold_out, risk, &tried)?), method, tolerance);
    Ok(row.map_or(f64::INFINITY, |row| tried[row]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tolerance(at_most: f64, confidence: f64) -> Tolerance {
        Tolerance::new(at_most, confidence).unwrap()
    }

    #[test]
    fn tolerances_out_of_range_are_refused() {
        for wrong in [0.0, -0.1, 1.01, f64::NAN] {
            let error = Tolerance::new(wrong, 0.9).unwrap_err().to_string();
            assert!(error.contains("above 0, to 1"), "{error}");
        }
        for wrong in [0.0, 1.0, f64::NAN] {
            let error = Tolerance::new(0.1, wrong).unwrap_err().to_string();
            assert!(error.contains("a confidence of"), "{error}");
        }
    }

    #[test]
    fn a_hold_out_that_is_too_small_is_told_the_least_size() {
        let asked = tolerance(0.02, 0.9);
        // (n + 1) e - 1 >= 0 at n = 49; 0.98^n <= 0.1 at n = 114.
        for (method, least) in [(Method::Crc, 49), (Method::Ltt, 114)] {
            assert!(asked.check_size(method, least).is_ok(), "{method}");
            let error = asked.check_size(method, least - 1).unwrap_err().to_string();
            assert!(error.contains(&format!("needs at least {least} images")), "{error}");
        }
    }

    #[test]
    fn without_a_loss_every_method_passes_from_its_least_size_on_and_not_below() {
        for at_most in [0.3, 0.02, 0.005] {
            for method in Method::ALL {
                let asked = tolerance(at_most, 0.9);
                let least = bounds::least_hold_out(method, &asked).unwrap();
                assert!(method.passes(&vec![0; least], &asked), "{method}, {at_most}, {least}");
                assert!(!method.passes(&vec![0; least - 1], &asked), "{method}, {at_most}");
            }
        }
    }

    #[test]
    fn a_hold_out_that_comes_class_by_class_wins_no_bet_before_its_hard_classes() {
        // 9 easy classes, then one in which every second answer of exit 1 is wrong: a risk of 0.05.
        let images = 1000;
        let early: Vec<u32> = (0..images).map(|i| u32::from(i >= 900 && i % 2 == 0)).collect();
        let hold_out = Answers {
            confidence: vec![vec![0.995; images]; 2],
            predicted: vec![early, vec![0; images]],
            labels: vec![0; images],
        };
        let stored = losses(&hold_out, Risk::Gap, &[0.5]).unwrap();
        let asked = tolerance(0.02, 0.9);
        assert!(Method::Betting.passes(&stored[0], &asked), "the order is what deceives");
        for method in Method::ALL {
            let found = certify(&hold_out, Risk::Gap, method, &asked).unwrap();
            assert_eq!(found, 1.0, "{method}");
        }
    }

    #[test]
    fn an_exit_that_is_always_like_the_last_may_take_everybody() {
        let images = 500;
        let hold_out = Answers {
            confidence: vec![vec![0.6; images]; 2],
            predicted: vec![vec![0; images]; 2],
            labels: vec![0; images],
        };
        for method in Method::ALL {
            for risk in Risk::ALL {
                let found = certify(&hold_out, risk, method, &tolerance(0.05, 0.9)).unwrap();
                assert_eq!(found, 0.0, "{method}, {risk}");
            }
        }
    }
}
