//! Dynamic programming over binned confidences: from the last exit to the first, the bins from one
//! on leave where that loses less than to go on, if the bin is all that is known of an image.

use anyhow::Result;

use super::Price;
use crate::eval::answers::Answers;
use crate::eval::policy::bins::{BINS, Bins, Counts};

/// The best rule of the binned model.
#[derive(Debug, Clone, PartialEq)]
pub struct Programme {
    /// K-1 thresholds: the top of the bin below the first that leaves.
    pub thresholds: Vec<f64>,
    /// Error plus lambda (cost - c_1) / c_K, as the model sees the hold-out.
    pub expected_loss: f64,
}

/// Solves the model of the hold-out: err_k(b), the share of wrong answers of exit k in bin b, and
/// the share of bin b at exit k that is in each bin at exit k + 1. All hold-out images count at
/// every exit, whether or not they would have left.
///
/// # Errors
/// When the costs are not the answers', or no image is there.
pub fn dynamic_programme(hold_out: &Answers, price: &Price) -> Result<Programme> {
    price.check(hold_out)?;
    let bins: Vec<Bins> = hold_out.confidence.iter().map(|c| Bins::of(c)).collect();
    let exits = hold_out.confidence.iter().zip(&bins);
    let of: Vec<Vec<usize>> =
        exits.map(|(confidence, bins)| confidence.iter().map(|&c| bins.bin(c)).collect()).collect();
    let last = hold_out.exits() - 1;
    let counts = |exit: usize| Counts::new(hold_out, exit, &of[exit]);
    let mut value: Vec<f64> = (0..BINS).map(|bin| counts(last).error(bin)).collect();
    let mut thresholds = vec![0.0; last];
    for exit in (0..last).rev() {
        let counts = counts(exit);
        let step = price.of(exit + 1) - price.of(exit);
        let go_on = go_on(&of[exit], &of[exit + 1], &value, &counts, step);
        let first = first_to_leave(&counts, &go_on);
        value = (0..BINS)
            .map(|bin| if bin >= first { counts.error(bin) } else { go_on[bin] })
            .collect();
        thresholds[exit] = bins[exit].threshold_below(first);
    }
    let expected: f64 = of[0].iter().map(|&bin| value[bin]).sum();
    Ok(Programme { thresholds, expected_loss: expected / hold_out.images() as f64 })
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

/// The bin from which on bins leave: the one of the smallest loss, of equals the last.
fn first_to_leave(counts: &Counts, go_on: &[f64]) -> usize {
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
    best.1
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
        let found = dynamic_programme(&answers(), &price).unwrap();
        // Bins from 10 on leave: the top of bin 9 is image 99's confidence.
        assert_eq!(found.thresholds, vec![99.0 / 200.0]);
        // Half go on, for 0.4 x 30/40 each.
        assert!((found.expected_loss - 0.15).abs() < 1e-12);
    }
}
