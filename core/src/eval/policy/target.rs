//! Accuracy as the knob: an image leaves at the first exit that is right often enough.
//!
//! How often an exit is right at a confidence is counted on the hold-out, in the bin of that
//! confidence ([`Bins`]); with a confidence level, the lower bound of Clopper and Pearson (1934)
//! on that accuracy counts instead.

use anyhow::{Result, ensure};
use statrs::distribution::{Beta, ContinuousCDF};

use super::bins::{BINS, Bins, Counts};
use crate::eval::answers::Answers;

/// Accuracy of each bin of an exit on the hold-out.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrated {
    /// The bins.
    pub bins: Bins,
    /// Accuracy of each bin, or its lower bound, 0 to 1; 0 in an empty bin.
    pub accuracy: Vec<f64>,
}

impl Calibrated {
    /// Which bins reach `target`.
    pub fn reach(&self, target: f64) -> Vec<bool> {
        self.accuracy.iter().map(|&accuracy| accuracy >= target).collect()
    }
}

/// Calibrated accuracies of every exit but the last; `confidence` asks for lower bounds that are
/// right with this probability each.
///
/// # Errors
/// When the confidence is not between 0 and 1.
pub fn calibrate(hold_out: &Answers, confidence: Option<f64>) -> Result<Vec<Calibrated>> {
    confidence.map(check_confidence).transpose()?;
    let exits = 0..hold_out.exits().saturating_sub(1);
    Ok(exits.map(|exit| calibrate_exit(hold_out, exit, confidence)).collect())
}

/// Checks the confidence of a bound.
///
/// # Errors
/// When it is not between 0 and 1.
pub fn check_confidence(confidence: f64) -> Result<()> {
    ensure!(
        confidence > 0.0 && confidence < 1.0,
        "a confidence of {confidence} is out of range (above 0, below 1; such as 0.9)"
    );
    Ok(())
}

fn calibrate_exit(hold_out: &Answers, exit: usize, confidence: Option<f64>) -> Calibrated {
    let bins = Bins::of(&hold_out.confidence[exit]);
    let of: Vec<usize> = hold_out.confidence[exit].iter().map(|&c| bins.bin(c)).collect();
    let counts = Counts::new(hold_out, exit, &of);
    let accuracy = |bin: usize| {
        let (images, wrong) = (counts.images[bin], counts.wrong[bin]);
        match confidence {
            _ if images == 0 => 0.0,
            // Not 1 minus the error, which may be rounded to below a target that is reached.
            None => (images - wrong) as f64 / images as f64,
            Some(confidence) => lower_bound(images - wrong, images, confidence),
        }
    };
    Calibrated { accuracy: (0..BINS).map(accuracy).collect(), bins }
}

/// Clopper and Pearson's one-sided lower bound on a chance that came true for `right` of `images`.
fn lower_bound(right: usize, images: usize, confidence: f64) -> f64 {
    let beta = Beta::new(right as f64, (images - right + 1) as f64);
    // No right answer: the shape would be 0, and the bound is.
    beta.map_or(0.0, |beta| beta.inverse_cdf(1.0 - confidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_bound_of_all_right_is_the_root_of_the_risk() {
        // n right of n: d^(1/n).
        let bound = lower_bound(50, 50, 0.9);
        assert!((bound - 0.1f64.powf(1.0 / 50.0)).abs() < 1e-9, "{bound}");
        assert_eq!(lower_bound(0, 50, 0.9), 0.0);
        // 45 of 50 with 0.95 one-sided, as tables of the binomial distribution have it.
        assert!(
            (lower_bound(45, 50, 0.95) - 0.80122).abs() < 1e-4,
            "{}",
            lower_bound(45, 50, 0.95)
        );
    }

    #[test]
    fn a_bin_that_is_right_as_often_as_the_target_leaves() {
        // 200 images of one confidence a bin; of each ten the first right ones are counted.
        for (right, target) in [(1, 0.1), (2, 0.2), (9, 0.9)] {
            let hold_out = Answers {
                confidence: vec![(0..200).map(|i| f64::from(i) / 200.0).collect(); 2],
                predicted: vec![(0..200).map(|i| u32::from(i % 10 >= right)).collect(); 2],
                labels: vec![0; 200],
            };
            let plain = &calibrate(&hold_out, None).unwrap()[0];
            assert_eq!(plain.reach(target), vec![true; BINS], "{right}");
        }
    }

    #[test]
    fn bins_that_are_right_often_enough_leave_and_bounds_are_stricter() {
        // 200 images of rising confidence; the lower half wrong, the upper right.
        let images = 200;
        let hold_out = Answers {
            confidence: vec![(0..images).map(|i| i as f64 / 200.0).collect(); 2],
            predicted: vec![(0..images).map(|i| u32::from(i < images / 2)).collect(); 2],
            labels: vec![0; images],
        };
        let plain = &calibrate(&hold_out, None).unwrap()[0];
        assert_eq!(plain.reach(0.9), (0..BINS).map(|b| b >= 10).collect::<Vec<_>>());
        assert_eq!(plain.reach(0.0), vec![true; BINS]);
        let bound = &calibrate(&hold_out, Some(0.9)).unwrap()[0];
        // Ten right of ten: 0.1^(1/10) = 0.79.
        assert_eq!(bound.reach(0.9), vec![false; BINS]);
        assert_eq!(bound.reach(0.79), plain.reach(0.79));
        assert!(calibrate(&hold_out, Some(1.0)).is_err());
    }
}
