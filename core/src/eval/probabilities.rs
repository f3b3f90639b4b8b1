//! From logits to probabilities and to how sure an exit is.
//!
//! Probabilities are f64 except where the reference port's f32 is the point: in f32 a sure
//! network's confidences collapse to exactly 1 and tie.

use crate::eval::Predictions;

/// Softmax of C logits in f32, as the reference port computes it.
pub fn softmax_f32(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|z| (z - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|p| p / sum).collect()
}

/// Logarithm of the softmax of C logits divided by `temperature`.
pub fn log_softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let mut scaled: Vec<f64> = logits.iter().map(|&z| f64::from(z) / temperature).collect();
    // The largest is taken off first: else the logarithm of a probability near 1 would lose its digits.
    let largest = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scaled.iter_mut().for_each(|z| *z -= largest);
    let rest = scaled.iter().map(|z| z.exp()).sum::<f64>().ln();
    scaled.iter_mut().for_each(|z| *z -= rest);
    scaled
}

/// Logarithm of the probability of `label`; its negative mean is the NLL.
pub fn log_likelihood(logits: &[f32], label: u32, temperature: f64) -> f64 {
    let scaled: Vec<f64> = logits.iter().map(|&z| f64::from(z) / temperature).collect();
    scaled[label as usize] - log_sum_exp(&scaled)
}

/// `ln(sum(exp(values)))`, without overflow.
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + values.iter().map(|v| (v - largest).exp()).sum::<f64>().ln()
}

/// Index of the largest logit; of equal ones the first. Not generic, so that it is compiled here,
/// optimised.
pub fn argmax(logits: &[f32]) -> u32 {
    largest(logits)
}

/// Index of the largest number; of equal ones the first.
pub fn largest<T: PartialOrd>(values: &[T]) -> u32 {
    let mut best = 0;
    for (class, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = class;
        }
    }
    best as u32
}

/// How an exit's certainty is measured; the larger, the surer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// Largest probability: the paper's confidence.
    MaxSoftmax,
    /// Largest minus second largest probability.
    Margin,
    /// Negative entropy, in nats: from -ln C to 0.
    NegativeEntropy,
}

/// Certainty of the softmax of C logits divided by `temperature`.
pub fn certainty(logits: &[f32], temperature: f64, kind: Certainty) -> f64 {
    certainty_of(&log_softmax(logits, temperature), kind)
}

/// Certainty of C probabilities that are given as logarithms, minus infinity for 0.
pub fn certainty_of(logs: &[f64], kind: Certainty) -> f64 {
    match kind {
        Certainty::MaxSoftmax => logs.iter().copied().fold(f64::NEG_INFINITY, f64::max).exp(),
        Certainty::Margin => {
            let (mut first, mut second) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
            for &log in logs {
                if log > first {
                    (first, second) = (log, first);
                } else if log > second {
                    second = log;
                }
            }
            first.exp() - second.exp()
        }
        Certainty::NegativeEntropy => {
            // 0 ln 0 = 0.
            let possible = logs.iter().filter(|&&log| log > f64::NEG_INFINITY);
            possible.map(|&log| log.exp() * log).sum()
        }
    }
}

/// Exit k of the result says the mean of the softmaxes of the first k `layers`, each given as
/// predictions and the exit (from 0) to read of them. All must be of the same images.
///
/// The mean is kept as its logarithm, so that its softmax is the mean itself and every other
/// analysis applies to it as it is.
pub fn running_mean(layers: &[(&Predictions, usize)]) -> Predictions {
    let like = layers[0].0;
    let (images, classes) = (like.len(), like.classes);
    let mut logits = Vec::with_capacity(layers.len() * images * classes);
    // ln of the sum of probabilities so far, [N, C]
    let mut sums = vec![f64::NEG_INFINITY; images * classes];
    for (k, (predictions, exit)) in layers.iter().enumerate() {
        let count = ((k + 1) as f64).ln();
        for image in 0..images {
            let logs = log_softmax(predictions.logits_of(*exit, image), 1.0);
            for (class, log) in logs.into_iter().enumerate() {
                let sum = &mut sums[image * classes + class];
                *sum = log_sum_exp(&[*sum, log]);
                logits.push((*sum - count) as f32);
            }
        }
    }
    Predictions {
        exits: layers.len(),
        classes,
        images: like.images.clone(),
        labels: like.labels.clone(),
        logits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_survives_logits_that_overflow_an_exponential() {
        assert_eq!(softmax_f32(&[1000.0, 1000.0]), vec![0.5, 0.5]);
        assert_eq!(log_likelihood(&[1000.0, 0.0], 1, 1.0), -1000.0);
        assert_eq!(log_likelihood(&[1000.0, 0.0], 1, 10.0), -100.0);
    }

    #[test]
    fn certainties_of_three_to_one_are_known() {
        let logits = [3f32.ln(), 0.0];
        let near = |kind, expected: f64| {
            let measured = certainty(&logits, 1.0, kind);
            assert!((measured - expected).abs() < 1e-7, "{kind:?}: {measured}");
        };
        near(Certainty::MaxSoftmax, 0.75);
        near(Certainty::Margin, 0.5);
        near(Certainty::NegativeEntropy, 0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
    }

    #[test]
    fn the_first_of_equal_logits_wins() {
        assert_eq!(argmax(&[0.0, 2.0, 2.0]), 1);
    }

    #[test]
    fn an_average_of_probabilities_is_not_an_average_of_logits() {
        let predictions = Predictions::numbered(2, 2, &[0], &[3f32.ln(), 0.0, 0.0, 9f32.ln()]);
        let averaged = running_mean(&[(&predictions, 0), (&predictions, 1)]);
        let second = softmax_f32(averaged.logits_of(1, 0));
        assert!((second[0] - (0.75 + 0.1) / 2.0).abs() < 1e-6, "{second:?}");
        assert!((softmax_f32(averaged.logits_of(0, 0))[0] - 0.75).abs() < 1e-6);
    }
}
