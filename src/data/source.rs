//! Where batches come from, whatever is behind it.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use tch::{Device, Tensor};

use super::augment::{self, Augmentation, Normalisation};
use super::files::Files;
use super::{Dataset, Images, Part, digest, folder, load};

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
        let Some(folder) = image_folder(dataset, data_dir) else {
            return load(dataset, part, data_dir).map(Source::Memory);
        };
        check_classes(dataset, &folder)?;
        Files::open(&folder, part).map(Source::Files)
    }

    /// The same without the image files that cannot be read, and their number.
    ///
    /// # Errors
    /// Those of [`load`]; a class without a readable image.
    pub fn open_whole(dataset: &Dataset, part: Part, data_dir: &Path) -> Result<(Source, usize)> {
        let Some(folder) = image_folder(dataset, data_dir) else {
            return Ok((Source::open(dataset, part, data_dir)?, 0));
        };
        check_classes(dataset, &folder)?;
        let (files, broken) = Files::open_whole(&folder, part)?;
        Ok((Source::Files(files), broken))
    }

    /// Which files of an image folder are no images, for people.
    pub fn left_out(&self) -> Option<String> {
        match self {
            Source::Memory(_) => None,
            Source::Files(files) => files.left_out.describe(),
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

/// Classes of ILSVRC 2012.
const IMAGENET_CLASSES: usize = 1000;

/// Labels of another number of folders would stand for some of ImageNet's classes.
fn check_classes(dataset: &Dataset, folder: &Path) -> Result<()> {
    if *dataset == Dataset::Imagenet {
        let found = folder::classes(folder)?.len();
        ensure!(
            found == IMAGENET_CLASSES,
            "{} has {found} classes, and imagenet has 1,000; other images are read by \
             `dataset: {{ folder: {} }}`",
            folder.join("train").display(),
            folder.display()
        );
    }
    Ok(())
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

    #[test]
    fn imagenet_wants_its_thousand_classes() {
        let data = tempfile::tempdir().unwrap();
        for class in 0..2 {
            for part in ["train", "val"] {
                let class = data.path().join(format!("imagenet/{part}/{class}"));
                std::fs::create_dir_all(&class).unwrap();
                std::fs::write(class.join("1.jpg"), "x").unwrap();
            }
        }
        for part in [Part::Train, Part::Test] {
            let error = Source::open(&Dataset::Imagenet, part, data.path()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("has 2 classes, and imagenet has 1,000"), "{text}");
            assert!(text.contains("{ folder: "), "{text}");
            assert!(Source::open_whole(&Dataset::Imagenet, part, data.path()).is_err());
        }
    }
}
