//! Dynamic programming over binned confidences: from the last exit to the first, each bin leaves
//! where that loses less than to go on, if the bin is all that is known of an image.

use anyhow::Result;

use super::Price;
use crate::eval::answers::Answers;
use crate::eval::bins::{BINS, Bins, Counts};

/// What the rule of an exit may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The bins from one on leave: a threshold.
    Thresholds,
    /// Any bins leave.
    Bins,
}

/// The best rule of the binned model.
#[derive(Debug, Clone, PartialEq)]
pub struct Programme {
    /// Bins of every exit but the last.
    pub bins: Vec<Bins>,
    /// `[K-1][20]`: whether a bin leaves.
    pub leaves: Vec<Vec<bool>>,
    /// Error plus lambda (cost - c_1) / c_K, as the model sees the hold-out.
    pub expected_loss: f64,
}

impl Programme {
    /// K-1 thresholds of [`Form::Thresholds`]: the top of the bin below the first that leaves.
    pub fn thresholds(&self) -> Vec<f64> {
        let first = |leaves: &Vec<bool>| leaves.iter().position(|&leave| leave).unwrap_or(BINS);
        let exits = self.bins.iter().zip(&self.leaves);
        exits.map(|(bins, leaves)| bins.threshold_below(first(leaves))).collect()
    }
}

/// Solves the model of the hold-out: err_k(b), the share of wrong answers of exit k in bin b, and
/// the share of bin b at exit k that is in each bin at exit k + 1. All hold-out images count at
/// every exit, whether or not they would have left.
///
/// # Errors
/// When the costs are not the answers', or no image is there.
pub fn dynamic_programme(hold_out: &Answers, price: &Price, form: Form) -> Result<Programme> {
    price.check(hold_out)?;
    let bins: Vec<Bins> = hold_out.confidence.iter().map(|c| Bins::of(c)).collect();
    let of: Vec<Vec<usize>> = hold_out
        .confidence
        .iter()
        .zip(&bins)
        .map(|(confidence, bins)| confidence.iter().map(|&c| bins.bin(c)).collect())
        .collect();
    let last = hold_out.exits() - 1;
    let counts = |exit: usize| Counts::new(hold_out, exit, &of[exit]);
    let mut value: Vec<f64> = (0..BINS).map(|bin| counts(last).error(bin)).collect();
    let mut leaves = Vec::with_capacity(last);
    for exit in (0..last).rev() {
        let counts = counts(exit);
        let step = price.of(exit + 1) - price.of(exit);
        let go_on = go_on(&of[exit], &of[exit + 1], &value, &counts, step);
        let leave = match form {
            Form::Bins => (0..BINS).map(|bin| counts.error(bin) <= go_on[bin]).collect(),
            Form::Thresholds => from_one_on(&counts, &go_on),
        };
        value =
            (0..BINS).map(|bin| if leave[bin] { counts.error(bin) } else { go_on[bin] }).collect();
        leaves.push(leave);
    }
    leaves.reverse();
    let expected: f64 = of[0].iter().map(|&bin| value[bin]).sum();
    let bins = bins.into_iter().take(last).collect();
    Ok(Programme { bins, leaves, expected_loss: expected / hold_out.images() as f64 })
}

/// Loss of going on from each bin: the price of the next exit and what waits there.
fn go_on(from: &[usize], to: &[usize], value: &[f64], counts: &Counts, step: f64) -> Vec<f64> {
    let mut moves = vec![vec![0usize; BINS]; BINS];
    for (&from, &to) in from.iter().zip(to) {
        moves[from][to] += 1;
    }
    let expected = |bin: usize| {
        let waits = moves[bin].iter().zip(value).map(|(&n, value)| n as f64 * value);
        step + waits.sum::<f64>() / counts.images[bin].max(1) as f64
    };
    (0..BINS).map(expected).collect()
}

/// The bins that leave where they must be those from one on: the one of the smallest loss, of
/// equals the last.
fn from_one_on(counts: &Counts, go_on: &[f64]) -> Vec<bool> {
    let loss = |first: usize| -> f64 {
        let each = (0..BINS).map(|bin| {
            let loss = if bin >= first { counts.error(bin) } else { go_on[bin] };
            counts.images[bin] as f64 * loss
        });
        each.sum()
    };
    let mut best = (f64::INFINITY, BINS);
    for first in 0..=BINS {
        let loss = loss(first);
        if loss <= best.0 {
            best = (loss, first);
        }
    }
    (0..BINS).map(|bin| bin >= best.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 images, two exits: exit 1 is right on the surer half, exit 2 on all.
    fn answers() -> Answers {
        let images = 200;
        Answers {
            confidence: vec![(0..images).map(|i| i as f64 / 200.0).collect(); 2],
            predicted: vec![
                (0..images).map(|i| u32::from(i < images / 2)).collect(),
                vec![0; images],
            ],
            labels: vec![0; images],
        }
    }

    #[test]
    fn the_half_that_is_right_leaves() {
        let price = Price::new(&[10, 40], 0.4).unwrap();
        for form in [Form::Thresholds, Form::Bins] {
            let found = dynamic_programme(&answers(), &price, form).unwrap();
            assert_eq!(found.leaves[0], (0..BINS).map(|b| b >= 10).collect::<Vec<_>>());
            // The top of bin 9 is image 99's confidence.
            assert_eq!(found.thresholds(), vec![99.0 / 200.0]);
            // Half go on, for 0.4 x 30/40 each.
            assert!((found.expected_loss - 0.15).abs() < 1e-12);
        }
    }

    #[test]
    fn a_bin_in_the_middle_may_leave_alone_unless_a_threshold_is_asked_for() {
        let mut answers = answers();
        // Only bin 5 (images 50 to 59) is right at exit 1.
        answers.predicted[0] = (0..200).map(|i| u32::from(!(50..60).contains(&i))).collect();
        let price = Price::new(&[10, 40], 0.4).unwrap();
        let by_bins = dynamic_programme(&answers, &price, Form::Bins).unwrap();
        assert_eq!(by_bins.leaves[0], (0..BINS).map(|b| b == 5).collect::<Vec<_>>());
        let by_thresholds = dynamic_programme(&answers, &price, Form::Thresholds).unwrap();
        assert_eq!(by_thresholds.leaves[0], vec![false; BINS]);
        assert_eq!(by_thresholds.thresholds(), vec![f64::INFINITY]);
        assert!(by_bins.expected_loss < by_thresholds.expected_loss);
    }
}
