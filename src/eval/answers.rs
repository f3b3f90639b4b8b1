//! What early exit needs of a split: how sure each exit is, what it says, and what is true.

use anyhow::{Result, ensure};

use crate::eval::Predictions;
use crate::eval::probabilities::{Certainty, argmax, certainty, softmax_f32};

/// Certainty and predicted class of every exit on every image of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// `[K][N]`; the larger, the surer. Single-precision values are held exactly.
    pub confidence: Vec<Vec<f64>>,
    /// `[K][N]`.
    pub predicted: Vec<Vec<u32>>,
    /// True classes, N.
    pub labels: Vec<u32>,
}

impl Answers {
    /// Number of exits, K.
    pub fn exits(&self) -> usize {
        self.confidence.len()
    }

    /// Number of images, N.
    pub fn images(&self) -> usize {
        self.labels.len()
    }

    /// Whether each exit is right on each image, `[K][N]`.
    pub fn right(&self) -> Vec<Vec<bool>> {
        let hits = |predicted: &Vec<u32>| {
            predicted.iter().zip(&self.labels).map(|(class, label)| class == label).collect()
        };
        self.predicted.iter().map(hits).collect()
    }

    /// Refuses tables of different sizes, no exit, and NaN.
    pub fn check(&self) -> Result<()> {
        ensure!(self.exits() > 0, "the answers hold no exit");
        ensure!(
            self.predicted.len() == self.exits(),
            "confidences of {} exits, but classes of {}",
            self.exits(),
            self.predicted.len()
        );
        for (k, (confidence, predicted)) in self.confidence.iter().zip(&self.predicted).enumerate()
        {
            let exit = k + 1;
            ensure!(
                confidence.len() == self.images() && predicted.len() == self.images(),
                "exit {exit} answered {} images with {} classes, but there are {} labels",
                confidence.len(),
                predicted.len(),
                self.images()
            );
            if let Some(image) = confidence.iter().position(|c| c.is_nan()) {
                anyhow::bail!("the confidence of exit {exit} on image {image} is not a number");
            }
        }
        Ok(())
    }

    /// Answers of checked predictions as they are, surest by the largest softmax: the paper's.
    ///
    /// # Errors
    /// What is wrong with the predictions.
    pub fn plain(predictions: &Predictions) -> Result<Self> {
        let temperatures = vec![1.0; predictions.exits];
        let kind = Certainty::MaxSoftmax;
        Self::of(predictions, kind, &temperatures, Precision::Double)
    }

    /// Answers of checked predictions, exit k's logits divided by `temperatures[k]`.
    pub fn of(
        predictions: &Predictions,
        kind: Certainty,
        temperatures: &[f64],
        precision: Precision,
    ) -> Result<Self> {
        predictions.check()?;
        ensure!(
            temperatures.len() == predictions.exits,
            "{} temperatures for {} exits",
            temperatures.len(),
            predictions.exits
        );
        let images = predictions.len();
        let mut confidence = Vec::with_capacity(predictions.exits);
        let mut predicted = Vec::with_capacity(predictions.exits);
        for (exit, &temperature) in temperatures.iter().enumerate() {
            let logits = (0..images).map(|image| predictions.logits_of(exit, image));
            let sure = logits.clone().map(|z| precision.certainty(z, temperature, kind));
            confidence.push(sure.collect());
            predicted.push(logits.map(argmax).collect());
        }
        Ok(Answers { confidence, predicted, labels: predictions.labels.clone() })
    }
}

/// In what arithmetic confidences are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// The reference port's: sure images tie at exactly 1.
    Single,
    /// So that images are told apart until within 1e-16 of 1.
    Double,
}

impl Precision {
    fn certainty(self, logits: &[f32], temperature: f64, kind: Certainty) -> f64 {
        match (self, kind) {
            (Precision::Double, _) => certainty(logits, temperature, kind),
            (Precision::Single, Certainty::MaxSoftmax) if temperature == 1.0 => {
                softmax_f32(logits).into_iter().fold(0.0, f32::max).into()
            }
            (Precision::Single, _) => f64::from(certainty(logits, temperature, kind) as f32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn double_precision_tells_sure_images_apart_where_single_does_not() {
        let predictions = Predictions {
            exits: 1,
            classes: 2,
            images: vec![0, 1],
            labels: vec![0, 0],
            logits: vec![20., 0., 25., 0.],
        };
        let sure = |precision| {
            let answers =
                Answers::of(&predictions, Certainty::MaxSoftmax, &[1.0], precision).unwrap();
            answers.confidence[0].clone()
        };
        assert_eq!(sure(Precision::Single), vec![1.0, 1.0]);
        let double = sure(Precision::Double);
        assert!(double[0] < double[1] && double[1] < 1.0);
    }

    #[test]
    fn a_confidence_that_is_not_a_number_is_named() {
        let answers = Answers {
            confidence: vec![vec![0.5, f64::NAN]],
            predicted: vec![vec![0, 0]],
            labels: vec![0, 0],
        };
        let error = answers.check().unwrap_err().to_string();
        assert_eq!(error, "the confidence of exit 1 on image 1 is not a number");
    }
}
