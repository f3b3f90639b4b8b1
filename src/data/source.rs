//! Where batches come from, whatever is behind it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tch::{Device, Tensor};

use super::augment::{self, Augmentation, Normalisation};
use super::files::Files;
use super::{Dataset, Images, Part, digest, load};

/// A part of a data set, ready to be asked for batches.
#[derive(Debug)]
pub enum Source {
    /// All images in memory.
    Memory(Images),
    /// Image files, decoded when asked for.
    Files(Files),
}

impl Source {
    /// Opens a part of a data set.
    ///
    /// # Errors
    /// Those of [`load`].
    pub fn open(dataset: &Dataset, part: Part, data_dir: &Path) -> Result<Source> {
        match image_folder(dataset, data_dir) {
            Some(folder) => Files::open(&folder, part).map(Source::Files),
            None => load(dataset, part, data_dir).map(Source::Memory),
        }
    }

    /// The same without the image files that cannot be read, and their number.
    ///
    /// # Errors
    /// Those of [`load`]; a class without a readable image.
    pub fn open_whole(dataset: &Dataset, part: Part, data_dir: &Path) -> Result<(Source, usize)> {
        match image_folder(dataset, data_dir) {
            Some(folder) => {
                let (files, broken) = Files::open_whole(&folder, part)?;
                Ok((Source::Files(files), broken))
            }
            None => Ok((Source::open(dataset, part, data_dir)?, 0)),
        }
    }

    /// Number of images, N.
    pub fn len(&self) -> usize {
        match self {
            Source::Memory(images) => images.len(),
            Source::Files(files) => files.len(),
        }
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        match self {
            Source::Memory(images) => images.classes,
            Source::Files(files) => files.classes,
        }
    }

    /// The labels of all images, int64 `[N]`.
    pub fn labels(&self) -> &Tensor {
        match self {
            Source::Memory(images) => &images.labels,
            Source::Files(files) => &files.labels,
        }
    }

    /// The labels of some images, int64 `[B]`, on `device`.
    ///
    /// # Errors
    /// An index out of range.
    pub fn labels_of(&self, indices: &[u32], device: Device) -> Result<Tensor> {
        let labels = self.labels();
        let index = augment::index_tensor(indices, self.len(), labels.device())?;
        Ok(labels.f_index_select(0, &index)?.f_to(device)?)
    }

    /// A batch, float32 `[B, C, H, W]`, on `device`: see [`augment::batch`].
    ///
    /// # Errors
    /// Those of [`augment::batch`].
    pub fn batch(
        &self,
        indices: &[u32],
        norm: &Normalisation,
        augmentation: Option<(&Augmentation, u64, u32)>,
        device: Device,
    ) -> Result<Tensor> {
        match self {
            Source::Memory(images) => augment::batch(images, indices, norm, augmentation, device),
            Source::Files(files) => {
                let pixels = files.pixels(indices, augmentation.map(|(a, s, e)| (*a, s, e)))?;
                augment::Scale::new(norm, device)?.apply(&pixels.f_to(device)?)
            }
        }
    }

    /// SHA-256 of shape, pixels and labels: see [`digest`].
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn digest(&self) -> Result<String> {
        match self {
            Source::Memory(images) => digest(images),
            Source::Files(files) => files.digest(),
        }
    }
}

/// The folder of a data set that is one.
fn image_folder(dataset: &Dataset, data_dir: &Path) -> Option<PathBuf> {
    match dataset {
        Dataset::Imagenet => Some(data_dir.join("imagenet")),
        Dataset::Folder(path) => Some(path.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_gives_batches_and_their_labels_in_the_order_asked_for() {
        tch::set_num_threads(1);
        let source =
            Source::open(&Dataset::FashionMnistMini, Part::Test, Path::new("nowhere")).unwrap();
        assert_eq!((source.len(), source.classes()), (2000, 10));
        let labels = source.labels_of(&[0, 1, 2], Device::Cpu).unwrap();
        assert_eq!(Vec::<i64>::try_from(labels).unwrap(), [9, 2, 1]);
        let norm = Normalisation { mean: vec![0.], std: vec![1.] };
        let batch = source.batch(&[2, 1], &norm, None, Device::Cpu).unwrap();
        assert_eq!(batch.size(), [2, 1, 32, 32]);
        assert!(source.labels_of(&[2000], Device::Cpu).is_err());
    }
}
