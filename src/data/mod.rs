//! Data sets: readers, splits, augmentation.
//!
//! A reader turns files into [`Raw`] bytes; [`Images`] is the same as two tensors; a [`Source`] is what training
//! and prediction hold, whatever is behind it. Splits are lists of indices ([`splits`]), and normalisation and
//! augmentation happen when a batch is gathered ([`augment`]): the reader decides nothing.

use std::path::Path;

use anyhow::{Context, Result, bail};
use tch::{Device, Tensor};

pub mod augment;
mod batches;
pub mod catalog;
pub mod cifar;
mod digest;
mod embedded;
pub mod fetch;
pub mod files;
pub mod folder;
pub mod idx;
mod names;
pub mod picture;
pub(crate) mod random;
mod raw;
mod sniff;
mod source;
pub mod splits;
mod synthetic;
mod terms;
pub mod verify;

pub use augment::{Augmentation, Change, Normalisation};
pub use batches::Batches;
pub use catalog::{Dataset, Facts, class_names};
pub use digest::{digest, hex};
pub use raw::Raw;
pub(crate) use sniff::hint;
pub use source::Source;
pub use splits::{Split, epoch_order, hold_out, subset};
pub use terms::terms;

/// A data set's two parts. A hold-out is taken from the first (see [`splits::hold_out`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The training images, hold-out included.
    Train,
    /// The test images.
    Test,
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

/// Reads a part of a data set into memory.
///
/// # Errors
/// Missing or damaged files: with the file, the offset or record, what was expected and what was found. Data
/// sets that do not fit in memory (image folders).
pub fn load(dataset: &Dataset, part: Part, data_dir: &Path) -> Result<Images> {
    let raw = match dataset {
        Dataset::FashionMnistMini => embedded::read(part),
        Dataset::FashionMnist => idx::read(&data_dir.join("fashion-mnist"), part),
        Dataset::Cifar10 => cifar::read(data_dir, cifar::Labels::Ten, part),
        Dataset::Cifar100 => cifar::read(data_dir, cifar::Labels::Fine, part),
        Dataset::Cifar100Coarse => cifar::read(data_dir, cifar::Labels::Coarse, part),
        Dataset::Synthetic => Ok(synthetic::images(part)),
        Dataset::Imagenet | Dataset::Folder(_) => {
            bail!("{dataset}: an image folder is read file by file, not into memory")
        }
    };
    raw.and_then(Images::try_from)
        .with_context(|| format!("cannot read the {} images of {dataset}", part.name()))
}

impl Part {
    /// `training` or `test`, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Part::Train => "training",
            Part::Test => "test",
        }
    }
}
