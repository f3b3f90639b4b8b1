//! What a network answered on a split: plain numbers, computed once and analysed ever after.

use anyhow::{Result, bail, ensure};

/// Logits of every exit on every image of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Number of exits, K.
    pub exits: usize,
    /// Number of classes, C.
    pub classes: usize,
    /// Index of each image in its data file; N entries.
    pub images: Vec<u32>,
    /// True class of each image; N entries.
    pub labels: Vec<u32>,
    /// Logits, row-major `[K, N, C]`.
    pub logits: Vec<f32>,
}

impl Predictions {
    /// Number of images, N.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The C logits of `exit` (from 0) for the `image`-th image (from 0).
    pub fn logits_of(&self, exit: usize, image: usize) -> &[f32] {
        let start = (exit * self.len() + image) * self.classes;
        &self.logits[start..start + self.classes]
    }

    /// Checks that there are images, exits and classes, that the tables have the same length, that
    /// labels lie within the classes, and that logits are finite.
    ///
    /// # Errors
    /// Names the exit, from 1, and the image by its index in its file.
    pub fn check(&self) -> Result<()> {
        ensure!(!self.is_empty(), "the predictions hold no image");
        ensure!(self.exits > 0, "the predictions hold no exit");
        ensure!(self.classes > 0, "the predictions hold no class");
        ensure!(
            self.labels.len() == self.len(),
            "{} labels for {} images",
            self.labels.len(),
            self.len()
        );
        let expected = self.exits * self.len() * self.classes;
        ensure!(
            self.logits.len() == expected,
            "{} logits, but {} exits x {} images x {} classes are {expected}",
            self.logits.len(),
            self.exits,
            self.len(),
            self.classes
        );
        for (image, &label) in self.labels.iter().enumerate() {
            if label as usize >= self.classes {
                bail!(
                    "image {} has label {label}, but there are {} classes (labels count from 0)",
                    self.images[image],
                    self.classes
                );
            }
        }
        if let Some(at) = self.logits.iter().position(|logit| !logit.is_finite()) {
            let row = at / self.classes;
            bail!(
                "exit {} gave a logit of {} on image {}",
                row / self.len() + 1,
                self.logits[at],
                self.images[row % self.len()]
            );
        }
        Ok(())
    }
}

#[cfg(test)]
impl Predictions {
    /// Predictions of the images 0, 1, ..
    pub fn numbered(exits: usize, classes: usize, labels: &[u32], logits: &[f32]) -> Self {
        let images = (0..labels.len() as u32).collect();
        Predictions { exits, classes, images, labels: labels.to_vec(), logits: logits.to_vec() }
    }
}

/// Checks that there is one cost an exit, and none less than the one before.
///
/// # Errors
/// Says what does not fit.
pub(crate) fn check_costs(exits: usize, multiply_adds: &[u64]) -> Result<()> {
    ensure!(
        multiply_adds.len() == exits,
        "predictions of {exits} exits, but costs of {}: they are of different networks",
        multiply_adds.len()
    );
    ensure!(
        multiply_adds.is_sorted(),
        "the costs of later exits must include those of earlier ones, but they are \
         {multiply_adds:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_exits_two_images() -> Predictions {
        let numbered = Predictions::numbered(2, 2, &[0, 1], &[1., 0., 0., 1., 2., 0., 0., 2.]);
        Predictions { images: vec![7, 9], ..numbered }
    }

    fn message(predictions: &Predictions) -> String {
        predictions.check().unwrap_err().to_string()
    }

    #[test]
    fn a_logit_that_is_not_finite_is_named_by_exit_and_image() {
        let mut predictions = two_exits_two_images();
        assert!(predictions.check().is_ok());
        predictions.logits[6] = f32::NAN;
        assert_eq!(message(&predictions), "exit 2 gave a logit of NaN on image 9");
        predictions.logits[6] = 0.0;
        predictions.logits[1] = f32::INFINITY;
        assert_eq!(message(&predictions), "exit 1 gave a logit of inf on image 7");
    }

    #[test]
    fn a_label_outside_the_classes_is_refused() {
        let mut predictions = two_exits_two_images();
        predictions.labels[1] = 2;
        assert!(message(&predictions).contains("image 9 has label 2"));
    }

    #[test]
    fn predictions_without_an_image_are_refused() {
        let mut predictions = two_exits_two_images();
        predictions.images.clear();
        predictions.labels.clear();
        predictions.logits.clear();
        assert!(message(&predictions).contains("no image"));
    }
}
