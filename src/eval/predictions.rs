//! What a network answered on a split: plain numbers, computed once and analysed ever after.

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
}
