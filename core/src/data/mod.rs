//! Data sets: readers, splits, augmentation.
//!
//! A reader turns files into [`Raw`] bytes; [`Images`] is the same as two tensors; a [`Source`] is what training
//! and prediction hold, whatever is behind it. Normalisation and augmentation happen when a batch is gathered
//! ([`augment`]): the reader decides nothing.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tch::{Device, Tensor};

pub mod augment;
pub mod catalog;
pub mod cifar;
mod digest;
pub mod fetch;
pub mod files;
pub mod folder;
pub mod idx;
mod names;
pub mod picture;
pub mod random;
mod raw;
mod sniff;
mod source;
pub mod splits;
mod synthetic;
mod terms;
mod turn;
pub mod verify;

pub use augment::{Augmentation, Change, Normalisation};
use catalog::Reader;
pub use catalog::{Dataset, Facts, class_names};
pub use digest::{digest, hex};
pub use names::{did_you_mean, nearest};
pub use raw::{Raw, grouped, plural};
pub use sniff::hint;
pub use source::{Batches, Source};
pub use splits::{HoldOut, epoch_order, hold_out, subset};
pub use terms::terms;
pub use turn::Turn;

/// Which images of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// The training images. Their files also hold the validation images.
    Train,
    /// The images held out of the training images (see [`splits::hold_out`]).
    Validation,
    /// The test images.
    Test,
}

impl Split {
    /// Name in file names, on the command line and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "training",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }
}

/// N images in memory, as the file has them: not normalised, not augmented.
#[derive(Debug)]
pub struct Images {
    /// uint8 `[N, C, H, W]`.
    pub pixels: Tensor,
    /// int64 `[N]`, each below `classes`.
    pub labels: Tensor,
    /// Number of classes.
    pub classes: usize,
}

impl Images {
    /// Number of images, N.
    pub fn len(&self) -> usize {
        self.labels.size().first().map_or(0, |&n| n as usize)
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same images on another device.
    ///
    /// # Errors
    /// When the device cannot hold them.
    pub fn to_device(&self, device: Device) -> Result<Images> {
        let moved = |tensor: &Tensor| {
            let kind = tensor.kind();
            tensor.f_to_device_(device, kind, false, false)
        };
        Ok(Images {
            pixels: moved(&self.pixels)
                .with_context(|| format!("{} images to {device:?}", self.len()))?,
            labels: moved(&self.labels)?,
            classes: self.classes,
        })
    }
}

impl TryFrom<Raw> for Images {
    type Error = anyhow::Error;

    fn try_from(raw: Raw) -> Result<Images> {
        let size = [raw.labels.len(), raw.channels, raw.side, raw.side].map(|n| n as i64);
        let labels: Vec<i64> = raw.labels.iter().map(|&label| i64::from(label)).collect();
        Ok(Images {
            pixels: Tensor::f_from_slice(&raw.pixels)?.f_reshape(size)?,
            labels: Tensor::f_from_slice(&labels)?,
            classes: raw.classes,
        })
    }
}

/// Reads the files of a split into memory.
///
/// # Errors
/// Missing or damaged files: with the file, the offset or record, what was expected and what was found. Data
/// sets that do not fit in memory (image folders).
pub fn load(dataset: &Dataset, split: Split, data_dir: &Path) -> Result<Images> {
    let reader = dataset.row().map_or(&Reader::Folder, |row| &row.reader);
    let folder = dataset.place(data_dir).unwrap_or_default();
    ensure!(
        matches!(reader, Reader::Embedded | Reader::Synthetic | Reader::Folder) || folder.is_dir(),
        "there is no folder {}; `repro data fetch {dataset}` downloads it, or --data names the folder that \
         holds it",
        folder.display()
    );
    let raw = match reader {
        Reader::Embedded => idx::embedded(split),
        Reader::Idx => idx::read(&folder, split),
        Reader::Cifar(labels) => cifar::read(&folder, *labels, split),
        Reader::Synthetic => Ok(synthetic::images(split)),
        Reader::Folder => bail!("{dataset}: an image folder is read file by file, not into memory"),
    };
    raw.and_then(Images::try_from)
        .with_context(|| format!("cannot read the {} images of {dataset}", split.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_says_which_command_fetches_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["fashion-mnist", "cifar10", "cifar100", "cifar100-coarse"] {
            let error = load(&name.parse().unwrap(), Split::Train, folder.path()).unwrap_err();
            assert!(error.to_string().contains(&format!("`repro data fetch {name}`")), "{error}");
        }
    }
}
