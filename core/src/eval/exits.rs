//! Each exit by itself: accuracy, likelihood, calibration.

use anyhow::Result;

use crate::eval::Predictions;
use crate::eval::probabilities::{Certainty, certainty, log_likelihood};

/// Bins of the expected calibration error: equal widths over confidences from 0 to 1.
pub const CALIBRATION_BINS: usize = 15;

/// How one exit does on a split.
#[derive(Debug, Clone, PartialEq)]
pub struct ExitScore {
    /// From 1.
    pub exit: usize,
    /// Share of images whose most probable class is right.
    pub top1: f64,
    /// Share of images whose class is among the five most probable (all, with fewer classes).
    pub top5: f64,
    /// Mean negative log-likelihood, in nats.
    pub nll: f64,
    /// Expected calibration error over [`CALIBRATION_BINS`] equal bins, 0 to 1.
    pub ece: f64,
    /// All images.
    pub images: usize,
}

/// Scores of every exit.
///
/// # Errors
/// On unusable predictions ([`Predictions::check`]).
pub fn score(predictions: &Predictions) -> Result<Vec<ExitScore>> {
    predictions.check()?;
    Ok((0..predictions.exits).map(|exit| score_exit(predictions, exit)).collect())
}

fn score_exit(predictions: &Predictions, exit: usize) -> ExitScore {
    let (mut correct, mut among_five, mut nll) = (0, 0, 0.0);
    // Sum of the confidences and right answers in each bin.
    let mut gaps = [(0.0, 0.0); CALIBRATION_BINS];
    for (image, &label) in predictions.labels.iter().enumerate() {
        let logits = predictions.logits_of(exit, image);
        let place = rank(logits, label as usize);
        correct += usize::from(place == 0);
        among_five += usize::from(place < 5);
        nll -= log_likelihood(logits, label, 1.0);
        let confidence = certainty(logits, 1.0, Certainty::MaxSoftmax);
        let bin = (confidence * CALIBRATION_BINS as f64) as usize;
        let (sum, right) = &mut gaps[bin.min(CALIBRATION_BINS - 1)];
        *sum += confidence;
        *right += f64::from(u8::from(place == 0));
    }
    let n = predictions.len() as f64;
    ExitScore {
        exit: exit + 1,
        top1: correct as f64 / n,
        top5: among_five as f64 / n,
        nll: nll / n,
        // A bin weighs its share of the images: their number cancels out of its mean.
        ece: gaps.iter().map(|(sum, right)| (sum - right).abs()).sum::<f64>() / n,
        images: predictions.len(),
    }
}

/// Classes that come before `class`; of equal logits the first comes first.
fn rank(logits: &[f32], class: usize) -> usize {
    let own = logits[class];
    let before = |(other, &logit): (usize, &f32)| logit > own || (logit == own && other < class);
    logits.iter().enumerate().filter(|&entry| before(entry)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores of one exit.
    fn scored(classes: usize, labels: &[u32], logits: &[f32]) -> Vec<ExitScore> {
        score(&Predictions::numbered(1, classes, labels, logits)).unwrap()
    }

    #[test]
    fn scores_of_four_images_are_worked_by_hand() {
        // Exit 1 says class 0 with probability 3/4 to all; it is right on two of four.
        let scores = scored(2, &[0, 0, 1, 1], &[3f32.ln(), 0.0].repeat(4));
        assert_eq!(scores[0].exit, 1);
        assert_eq!((scores[0].top1, scores[0].top5), (0.5, 1.0));
        let nll = -(0.75f64.ln() + 0.25f64.ln()) / 2.0;
        assert!((scores[0].nll - nll).abs() < 1e-7);
        assert!((scores[0].ece - 0.25).abs() < 1e-7);
    }

    #[test]
    fn over_and_under_confidence_cancel_only_within_a_bin() {
        // Sure at 0.9 and wrong once, at 0.6 and right once: two bins, (0.9 + 0.4) / 2.
        let scores = scored(2, &[1, 0], &[9f32.ln(), 0.0, 1.5f32.ln(), 0.0]);
        assert!((scores[0].ece - 0.65).abs() < 1e-7);
    }

    #[test]
    fn five_best_of_six_equal_classes_are_the_first_five() {
        assert_eq!(scored(6, &[4, 5], &[0.0; 12])[0].top5, 0.5);
    }
}
