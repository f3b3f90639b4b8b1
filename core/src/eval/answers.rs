//! What early exit needs of a split: how sure each exit is, what it says, and what is true.

use anyhow::{Result, ensure};

/// Certainty and predicted class of every exit on every image of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// `[K][N]`; the larger, the surer.
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

    /// Checks that there is an exit, that all tables have the same size, and that no confidence is
    /// NaN.
    ///
    /// # Errors
    /// Says which exit is wrong.
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
