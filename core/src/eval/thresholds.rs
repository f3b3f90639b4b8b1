//! From a ratio to one threshold an exit, on the hold-out: the dynamic evaluation of figure 7.
//!
//! Section 4 of the paper: an image that reaches a classifier leaves there with probability q, so
//! the share of a batch D that leaves at exit k is
//!
//! ```text
//! q_k = z (1 - q)^(k-1) q,   z such that the q_k sum to 1,
//! |D| sum over k of q_k C_k <= B
//! ```
//!
//! for a budget of B multiply-adds, where C_k is what an image that leaves at exit k has cost.
//! Here `ratio` = 1 - q, from 0 to infinity (above 1 most images go on, which no q can say), so
//! q_k is proportional to `ratio^k`; [`solve`](crate::eval::budgeted::solve) finds the ratio for a
//! budget.
//!
//! A threshold is the confidence of the surest hold-out image that is to stay, and an image leaves
//! where its confidence is above it. Meant to leave by exit k, in all, are N (q_1 + .. + q_k)
//! images, rounded; so the hold-out's mean cost never falls while the ratio rises. Images of equal
//! confidence all stay, and the next exit makes up for them. Where no image is to leave the
//! threshold is infinity, where every image is, minus infinity. The last exit has none: all images
//! that are left leave there.

use anyhow::{Result, ensure};

use crate::eval::answers::Answers;

/// One threshold for every exit but the last.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// K-1 values.
    pub values: Vec<f64>,
}

impl Thresholds {
    /// Thresholds given by a person.
    ///
    /// # Errors
    /// Unless they are `exits - 1` numbers.
    pub fn by_hand(values: Vec<f64>, exits: usize) -> Result<Self> {
        let expected = exits.saturating_sub(1);
        ensure!(
            values.len() == expected,
            "{} thresholds given, but a network of {exits} exits takes {expected}: one for every \
             exit but the last, where all others leave",
            values.len()
        );
        if let Some(k) = values.iter().position(|value| value.is_nan()) {
            anyhow::bail!("the threshold of exit {} is not a number", k + 1);
        }
        Ok(Thresholds { values })
    }

    /// Whether an image of this confidence leaves at `exit` (from 0).
    #[inline]
    pub fn leaves(&self, exit: usize, confidence: f64) -> bool {
        self.values.get(exit).is_none_or(|&threshold| confidence > threshold)
    }

    /// The exit (from 0) that each image leaves at, N.
    ///
    /// # Errors
    /// When the answers are of another number of exits.
    pub fn exits_of(&self, answers: &Answers) -> Result<Vec<usize>> {
        ensure!(answers.exits() > 0, "answers without an exit");
        let last = answers.exits() - 1;
        ensure!(
            self.values.len() == last,
            "thresholds for {} exits, but answers of {}",
            self.values.len() + 1,
            answers.exits()
        );
        let mut exits = Vec::with_capacity(answers.images());
        for image in 0..answers.images() {
            let mut exit = 0;
            while exit < last && !self.leaves(exit, answers.confidence[exit][image]) {
                exit += 1;
            }
            exits.push(exit);
        }
        Ok(exits)
    }
}

/// Answers on the hold-out, sorted once for every search: thresholds come from nothing else.
#[derive(Debug, Clone)]
pub struct HoldOut {
    answers: Answers,
    /// `[K-1][N]`: images by descending confidence.
    descending: Vec<Vec<u32>>,
}

impl HoldOut {
    /// The sorted answers.
    ///
    /// # Errors
    /// On a hold-out without an image, of fewer images than exits, or with NaN.
    pub fn new(answers: Answers) -> Result<Self> {
        answers.check()?;
        check_not_empty(answers.images())?;
        ensure!(
            answers.images() >= answers.exits(),
            "a hold-out of {} images is too small for the thresholds of {} exits",
            answers.images(),
            answers.exits()
        );
        let descending = answers.confidence[..answers.exits() - 1].iter().map(|c| sorted(c));
        Ok(HoldOut { descending: descending.collect(), answers })
    }

    /// The answers themselves.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }
}

/// Checks that the hold-out has an image.
///
/// # Errors
/// Says what it is for.
pub(crate) fn check_not_empty(images: usize) -> Result<()> {
    ensure!(
        images > 0,
        "early exit needs a hold-out: thresholds are chosen on images that were neither trained \
         on nor tested on, and there is none (set `validation` above 0)"
    );
    Ok(())
}

fn sorted(confidence: &[f64]) -> Vec<u32> {
    let mut images: Vec<u32> = (0..confidence.len() as u32).collect();
    images.sort_unstable_by(|&a, &b| {
        confidence[b as usize].total_cmp(&confidence[a as usize]).then(a.cmp(&b))
    });
    images
}

/// Shares of the images meant to leave at each exit; K numbers that sum to 1.
///
/// `ratio` is from 0 (all at the first exit) to infinity (all at the last).
///
/// # Errors
/// On a ratio below 0.
pub fn shares(ratio: f64, exits: usize) -> Result<Vec<f64>> {
    ensure!(ratio >= 0.0, "a ratio must be 0 or more, not {ratio}");
    // Powers of at most 1, so that none overflows.
    let mut powers: Vec<f64> = if ratio <= 1.0 {
        (0..exits).map(|k| ratio.powi(k as i32)).collect()
    } else {
        (0..exits).map(|k| (1.0 / ratio).powi((exits - 1 - k) as i32)).collect()
    };
    let sum: f64 = powers.iter().sum();
    powers.iter_mut().for_each(|power| *power /= sum);
    Ok(powers)
}

/// Thresholds of `ratio`.
///
/// # Errors
/// On a ratio below 0.
pub fn search(hold_out: &HoldOut, ratio: f64) -> Result<Thresholds> {
    search_shares(hold_out, &shares(ratio, hold_out.answers.exits())?)
}

/// Thresholds of any shares, K numbers that sum to 1: walks each exit's images from the surest,
/// past those that have left before.
///
/// # Errors
/// When the shares are not one for each exit.
pub fn search_shares(hold_out: &HoldOut, shares: &[f64]) -> Result<Thresholds> {
    let (given, exits) = (shares.len(), hold_out.answers.exits());
    ensure!(given == exits, "{given} shares for {exits} exits");
    let images = hold_out.answers.images();
    let mut left = vec![false; images];
    let (mut gone, mut cumulative) = (0, 0.0);
    let mut values = Vec::with_capacity(shares.len() - 1);
    for (k, order) in hold_out.descending.iter().enumerate() {
        cumulative += shares[k];
        let meant = ((cumulative * images as f64).round() as usize).saturating_sub(gone);
        let confidence = &hold_out.answers.confidence[k];
        let threshold = if meant == 0 {
            f64::INFINITY
        } else {
            nth_remaining(order, &left, meant).map_or(f64::NEG_INFINITY, |i| confidence[i])
        };
        gone += leave(order, &mut left, |image| confidence[image] > threshold);
        values.push(threshold);
    }
    Ok(Thresholds { values })
}

/// The `n`-th (from 0) image in this order that has not left.
fn nth_remaining(order: &[u32], left: &[bool], n: usize) -> Option<usize> {
    order.iter().map(|&image| image as usize).filter(|&image| !left[image]).nth(n)
}

/// Marks the images that leave, which are the first in this order; returns how many are new.
fn leave(order: &[u32], left: &mut [bool], leaves: impl Fn(usize) -> bool) -> usize {
    let mut new = 0;
    for image in order.iter().map(|&image| image as usize).take_while(|&image| leaves(image)) {
        new += usize::from(!left[image]);
        left[image] = true;
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold_out(confidence: &[&[f64]]) -> HoldOut {
        let images = confidence[0].len();
        HoldOut::new(Answers {
            confidence: confidence.iter().map(|c| c.to_vec()).collect(),
            predicted: vec![vec![0; images]; confidence.len()],
            labels: vec![0; images],
        })
        .unwrap()
    }

    fn paper(hold_out: &HoldOut, shares: &[f64]) -> (Vec<f64>, Vec<usize>) {
        let thresholds = search_shares(hold_out, shares).unwrap();
        let exits = thresholds.exits_of(hold_out.answers()).unwrap();
        (thresholds.values, exits)
    }

    /// Six images, three exits; a ratio of 1/2 means shares of 4/7, 2/7, 1/7: of six images 3.43
    /// in all by exit 1, rounded 3; 5.14 by exit 2, rounded 5.
    #[test]
    fn thresholds_of_six_images_are_worked_by_hand() {
        let table = hold_out(&[
            &[0.9, 0.3, 0.8, 0.4, 0.7, 0.5],
            &[0.1, 0.6, 0.2, 0.9, 0.99, 0.95],
            &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        ]);
        let thresholds = search(&table, 0.5).unwrap();
        // Exit 1 lets .9 .8 .7 go and keeps .5, the surest to stay, which is the threshold.
        // Exit 2 has images 1, 3, 5 (.6 .9 .95) left, lets two go and keeps .6.
        assert_eq!(thresholds.values, vec![0.5, 0.6]);
        assert_eq!(thresholds.exits_of(table.answers()).unwrap(), vec![0, 2, 0, 1, 0, 1]);
    }

    #[test]
    fn equal_confidences_stay_and_are_made_up_for_later() {
        let table = hold_out(&[&[0.9, 0.5, 0.5, 0.5], &[0.1, 0.2, 0.3, 0.4], &[0.0; 4]]);
        // Two are meant to go by exit 1 and three by exit 2; the three at 0.5 stay together.
        assert_eq!(paper(&table, &[0.5, 0.25, 0.25]), (vec![0.5, 0.2], vec![0, 2, 1, 1]));
    }

    #[test]
    fn an_exit_that_nobody_or_everybody_is_to_take_is_shut_or_open_to_any_test_image() {
        let table = hold_out(&[&[0.5, 0.6], &[0.5, 0.6]]);
        assert_eq!(paper(&table, &[0.0, 1.0]).0, vec![f64::INFINITY]);
        assert_eq!(paper(&table, &[1.0, 0.0]).0, vec![f64::NEG_INFINITY]);
    }

    #[test]
    fn a_confidence_equal_to_a_threshold_by_hand_stays() {
        let thresholds = Thresholds::by_hand(vec![0.5], 2).unwrap();
        assert!(!thresholds.leaves(0, 0.5) && thresholds.leaves(0, 0.500001));
        assert!(thresholds.leaves(1, 0.0));
    }

    #[test]
    fn thresholds_by_hand_must_be_one_fewer_than_the_exits() {
        let error = Thresholds::by_hand(vec![0.5, 0.5, 0.5], 3).unwrap_err().to_string();
        assert!(error.starts_with("3 thresholds given, but a network of 3 exits takes 2"));
        assert!(Thresholds::by_hand(vec![f64::NAN], 2).is_err());
        assert!(Thresholds::by_hand(vec![], 1).is_ok());
    }

    #[test]
    fn a_hold_out_without_an_image_or_with_fewer_than_exits_is_refused() {
        for (images, expected) in [
            (0, "neither trained on nor tested on"),
            (1, "1 images is too small for the thresholds of 2 exits"),
        ] {
            let small = Answers {
                confidence: vec![vec![0.5; images]; 2],
                predicted: vec![vec![0; images]; 2],
                labels: vec![0; images],
            };
            let error = HoldOut::new(small).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn shares_are_proportional_to_powers_of_the_ratio() {
        assert_eq!(shares(2.0, 3).unwrap(), vec![1. / 7., 2. / 7., 4. / 7.]);
        assert_eq!(shares(0.0, 3).unwrap(), vec![1.0, 0.0, 0.0]);
        assert_eq!(shares(f64::INFINITY, 3).unwrap(), vec![0.0, 0.0, 1.0]);
        assert_eq!(shares(1.0, 4).unwrap(), vec![0.25; 4]);
        assert!(shares(-0.1, 3).is_err() && shares(f64::NAN, 3).is_err());
        assert!(shares(1e30, 5).is_ok());
    }
}
