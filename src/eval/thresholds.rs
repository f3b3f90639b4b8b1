//! From a ratio to one threshold an exit, on the hold-out (the dynamic evaluation of figure 7).
//!
//! The share of images meant to leave at exit k is proportional to `ratio^k`, k from 1: the
//! paper's exit probability q is `1 - ratio`. Two conventions turn shares into thresholds:
//!
//! | | [`Convention::Paper`] | [`Convention::Port`] |
//! | --- | --- | --- |
//! | arithmetic | f64 | f32 shares and confidences |
//! | an image leaves when | confidence > threshold | confidence >= threshold |
//! | meant to leave | by exit k, in all: N times the sum of the first k shares, rounded | at exit k: N times its share, rounded down |
//! | threshold | the surest of the images that are to stay | the least sure of the images that are to leave |
//! | equal confidences | all stay, and are made up for at the next exit | all leave |
//! | nobody is to leave | infinity | 1e8 (also when too few images are left) |
//! | everybody is to leave | minus infinity | the least sure image's confidence |
//!
//! In both the last exit takes whoever is left. Rounding the paper's counts in all instead of one
//! by one makes the hold-out's mean cost monotone in the ratio where confidences do not tie.

use anyhow::{Result, ensure};

use crate::eval::answers::{Answers, Precision};

/// How shares become thresholds; see the module's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// As the paper describes it.
    Paper,
    /// As the authors' PyTorch port computes it, to the last digit.
    Port,
}

impl Convention {
    /// The arithmetic of its confidences.
    pub fn precision(self) -> Precision {
        match self {
            Convention::Paper => Precision::Double,
            Convention::Port => Precision::Single,
        }
    }
}

/// The port's threshold of an exit that nobody may take.
const NOBODY: f64 = 1e8;

/// One threshold for every exit but the last.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// K-1 values.
    pub values: Vec<f64>,
    /// Whether a confidence equal to the threshold leaves.
    pub equal_leaves: bool,
}

impl Thresholds {
    /// Thresholds given by a person, by the paper's rule: an image leaves when its confidence
    /// exceeds its exit's. Fails unless they are `exits - 1` numbers.
    pub fn by_hand(values: Vec<f64>, exits: usize) -> Result<Self> {
        let expected = exits.saturating_sub(1);
        ensure!(
            values.len() == expected,
            "{} thresholds given, but a network of {exits} exits takes {expected}: one for every \
             exit but the last, which keeps whoever is left",
            values.len()
        );
        if let Some(k) = values.iter().position(|value| value.is_nan()) {
            anyhow::bail!("the threshold of exit {} is not a number", k + 1);
        }
        Ok(Thresholds { values, equal_leaves: false })
    }

    /// Whether an image of this confidence leaves at `exit` (from 0).
    pub fn leaves(&self, exit: usize, confidence: f64) -> bool {
        match self.values.get(exit) {
            None => true,
            Some(&threshold) if self.equal_leaves => confidence >= threshold,
            Some(&threshold) => confidence > threshold,
        }
    }

    /// The exit (from 0) that each image leaves at, N.
    pub fn exits_of(&self, answers: &Answers) -> Result<Vec<usize>> {
        let last = answers.exits() - 1;
        ensure!(
            self.values.len() == last,
            "thresholds for {} exits, but answers of {}",
            self.values.len() + 1,
            answers.exits()
        );
        let leaves = |image: usize| {
            let mut exits = (0..last).filter(|&k| self.leaves(k, answers.confidence[k][image]));
            exits.next().unwrap_or(last)
        };
        Ok((0..answers.images()).map(leaves).collect())
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
    /// Fails on a hold-out without an image, of fewer images than exits, or with NaN.
    pub fn new(answers: Answers) -> Result<Self> {
        answers.check()?;
        ensure!(
            answers.images() > 0,
            "early exit needs a hold-out: thresholds are chosen on images that were neither \
             trained on nor tested on, and there is none (set `validation` above 0)"
        );
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

/// The same in the port's f32: `exp(k ln ratio)`, normalised.
///
/// Within 4 units of the last place of the port's own, whose vectorised logarithm rounds
/// differently; the counts made of them are the same unless a count is a whole number by chance.
pub fn port_shares(ratio: f64, exits: usize) -> Result<Vec<f32>> {
    let log = f64::from(ratio as f32).ln() as f32;
    let power = |k: usize| f64::from(log * k as f32).exp() as f32;
    let powers: Vec<f32> = (1..=exits).map(power).collect();
    let sum = sum_in_four_lanes(&powers);
    ensure!(
        log.is_finite() && sum.is_finite() && sum > 0.0,
        "the ratio {ratio} is beyond what the port's single precision can hold for {exits} exits"
    );
    Ok(powers.iter().map(|power| power / sum).collect())
}

/// Adds every fourth number, then the four sums, as the port's library does.
fn sum_in_four_lanes(values: &[f32]) -> f32 {
    let mut lanes = [0f32; 4];
    for (index, value) in values.iter().enumerate() {
        lanes[index % 4] += value;
    }
    lanes.iter().sum()
}

/// How many hold-out images the port wants to leave at each exit.
pub fn port_wanted(shares: &[f32], images: usize) -> Vec<usize> {
    shares.iter().map(|share| (images as f32 * share).floor() as usize).collect()
}

/// Thresholds of `ratio`, by walking each exit's images from the surest, past those that have
/// left before.
pub fn search(hold_out: &HoldOut, ratio: f64, convention: Convention) -> Result<Thresholds> {
    match convention {
        Convention::Paper => search_paper(hold_out, &shares(ratio, hold_out.answers.exits())?),
        Convention::Port => search_port(hold_out, &port_shares(ratio, hold_out.answers.exits())?),
    }
}

/// The paper's convention for any shares; K numbers that sum to 1.
pub fn search_paper(hold_out: &HoldOut, shares: &[f64]) -> Result<Thresholds> {
    check_shares(hold_out, shares.len())?;
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
    Ok(Thresholds { values, equal_leaves: false })
}

fn search_port(hold_out: &HoldOut, shares: &[f32]) -> Result<Thresholds> {
    check_shares(hold_out, shares.len())?;
    let wanted = port_wanted(shares, hold_out.answers.images());
    let mut left = vec![false; hold_out.answers.images()];
    let mut values = Vec::with_capacity(shares.len() - 1);
    for (k, order) in hold_out.descending.iter().enumerate() {
        let confidence = &hold_out.answers.confidence[k];
        let least = wanted[k].checked_sub(1).and_then(|n| nth_remaining(order, &left, n));
        let threshold = least.map_or(NOBODY, |image| confidence[image]);
        leave(order, &mut left, |image| confidence[image] >= threshold);
        values.push(threshold);
    }
    Ok(Thresholds { values, equal_leaves: true })
}

fn check_shares(hold_out: &HoldOut, shares: usize) -> Result<()> {
    let exits = hold_out.answers.exits();
    ensure!(shares == exits, "{shares} shares for {exits} exits");
    Ok(())
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
        let thresholds = search_paper(hold_out, shares).unwrap();
        let exits = thresholds.exits_of(hold_out.answers()).unwrap();
        (thresholds.values, exits)
    }

    /// Six images, three exits; a ratio of 1/2 means shares of 4/7, 2/7, 1/7: of six images 3.43
    /// in all by exit 1, rounded 3; 5.14 by exit 2, rounded 5.
    #[test]
    fn the_papers_convention_on_six_images_is_worked_by_hand() {
        let table = hold_out(&[
            &[0.9, 0.3, 0.8, 0.4, 0.7, 0.5],
            &[0.1, 0.6, 0.2, 0.9, 0.99, 0.95],
            &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        ]);
        let thresholds = search(&table, 0.5, Convention::Paper).unwrap();
        // Exit 1 lets .9 .8 .7 go and keeps .5, the surest to stay, which is the threshold.
        // Exit 2 has images 1, 3, 5 (.6 .9 .95) left, lets two go and keeps .6.
        assert_eq!(thresholds.values, vec![0.5, 0.6]);
        assert_eq!(thresholds.exits_of(table.answers()).unwrap(), vec![0, 2, 0, 1, 0, 1]);
    }

    #[test]
    fn equal_confidences_stay_in_the_papers_convention_and_are_made_up_for_later() {
        let table = hold_out(&[&[0.9, 0.5, 0.5, 0.5], &[0.1, 0.2, 0.3, 0.4], &[0.0; 4]]);
        // Two are meant to go by exit 1 and three by exit 2; the three at 0.5 stay together.
        assert_eq!(paper(&table, &[0.5, 0.25, 0.25]), (vec![0.5, 0.2], vec![0, 2, 1, 1]));
    }

    #[test]
    fn equal_confidences_leave_in_the_ports_convention() {
        let table = hold_out(&[&[0.9, 0.5, 0.5, 0.5], &[0.1, 0.2, 0.3, 0.4], &[0.0; 4]]);
        let thresholds = search_port(&table, &[0.5, 0.25, 0.25]).unwrap();
        // Two are wanted, four go; exit 2 runs out of images.
        assert_eq!(thresholds.values, vec![0.5, 1e8]);
        assert_eq!(thresholds.exits_of(table.answers()).unwrap(), vec![0, 0, 0, 0]);
    }

    #[test]
    fn an_exit_that_nobody_is_meant_to_take_is_closed_to_surer_test_images_too() {
        let table = hold_out(&[&[0.5, 0.6], &[0.5, 0.6]]);
        assert_eq!(paper(&table, &[0.0, 1.0]).0, vec![f64::INFINITY]);
        assert_eq!(search_port(&table, &[0.0, 1.0]).unwrap().values, vec![1e8]);
    }

    #[test]
    fn an_exit_that_everybody_is_meant_to_take_is_open_to_less_sure_test_images_too() {
        let table = hold_out(&[&[0.5, 0.6], &[0.5, 0.6]]);
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
    fn a_hold_out_without_an_image_is_refused_with_the_reason() {
        let empty =
            Answers { confidence: vec![vec![]; 2], predicted: vec![vec![]; 2], labels: vec![] };
        let error = HoldOut::new(empty).unwrap_err().to_string();
        assert!(error.contains("neither trained on nor tested on"), "{error}");
    }

    #[test]
    fn a_hold_out_smaller_than_the_number_of_exits_is_refused() {
        let small = Answers {
            confidence: vec![vec![0.5]; 2],
            predicted: vec![vec![0]; 2],
            labels: vec![0],
        };
        let error = HoldOut::new(small).unwrap_err().to_string();
        assert!(error.contains("1 images is too small for the thresholds of 2 exits"), "{error}");
    }

    #[test]
    fn shares_are_proportional_to_powers_of_the_ratio() {
        assert_eq!(shares(2.0, 3).unwrap(), vec![1. / 7., 2. / 7., 4. / 7.]);
        assert_eq!(shares(0.0, 3).unwrap(), vec![1.0, 0.0, 0.0]);
        assert_eq!(shares(f64::INFINITY, 3).unwrap(), vec![0.0, 0.0, 1.0]);
        assert_eq!(shares(1.0, 4).unwrap(), vec![0.25; 4]);
        assert!(shares(-0.1, 3).is_err() && shares(f64::NAN, 3).is_err());
    }

    #[test]
    fn ratios_beyond_single_precision_are_refused_in_the_ports_convention_only() {
        assert!(port_shares(1e30, 5).is_err() && port_shares(0.0, 5).is_err());
        assert!(shares(1e30, 5).is_ok());
    }
}
