//! Where batches come from: images in memory or files, and passes over them.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tch::{Device, Tensor};

use super::augment::{Change, Gather, Normalisation, Scale, index_tensor};
use super::files::{Broken, Files};
use super::raw::grouped;
use super::{Dataset, Images, Split, digest, folder, load};

/// The files of a split of a data set, ready to be asked for batches.
#[derive(Debug)]
pub enum Source {
    /// All images in memory.
    Memory(Images),
    /// Image files, decoded when asked for.
    Files(Files),
}

impl Source {
    /// Opens the files of a split.
    ///
    /// # Errors
    /// Those of [`load`].
    pub fn open(dataset: &Dataset, split: Split, data_dir: &Path) -> Result<Source> {
        let Some(folder) = dataset.image_folder(data_dir) else {
            return load(dataset, split, data_dir).map(Source::Memory);
        };
        check_classes(dataset, &folder)?;
        Files::open(&folder, split).map(Source::Files)
    }

    /// Its images on another device, where it has them in memory; files are read as they are needed.
    ///
    /// # Errors
    /// Those of [`Images::to_device`].
    pub fn to_device(self, device: Device) -> Result<Source> {
        match self {
            Source::Memory(images) => images.to_device(device).map(Source::Memory),
            files => Ok(files),
        }
    }

    /// The same without the image files that cannot be read, and those.
    ///
    /// # Errors
    /// Those of [`load`]; a class without a readable image.
    pub fn open_whole(
        dataset: &Dataset,
        split: Split,
        data_dir: &Path,
    ) -> Result<(Source, Vec<Broken>)> {
        let Some(folder) = dataset.image_folder(data_dir) else {
            return Ok((Source::open(dataset, split, data_dir)?, Vec::new()));
        };
        check_classes(dataset, &folder)?;
        let (files, broken) = Files::open_whole(&folder, split)?;
        Ok((Source::Files(files), broken))
    }

    /// What of an image folder is not read, for people.
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
        let index = index_tensor(indices, self.len(), labels.device())?;
        Ok(labels.f_index_select(0, &index)?.f_to(device)?)
    }

    /// The images at `indices`, float32 `[B, C, H, W]`, on `device`: see [`Batches::images`].
    ///
    /// # Errors
    /// An index out of range, a normalisation of another number of channels, a crop larger than the image, an
    /// image that cannot be read, or no memory.
    pub fn batch(
        &self,
        indices: &[u32],
        norm: &Normalisation,
        change: Change,
        device: Device,
    ) -> Result<Tensor> {
        Batches::new(self, vec![indices.to_vec()], norm, change, device)?.images(0)
    }

    /// The file of an image, where each has one.
    pub fn file(&self, index: u32) -> Option<&Path> {
        match self {
            Source::Memory(_) => None,
            Source::Files(files) => files.file(index),
        }
    }

    /// Reads images to find the broken ones, where they are files.
    ///
    /// # Errors
    /// An image that cannot be read, named.
    pub fn check(&self, indices: &[u32]) -> Result<()> {
        match self {
            Source::Memory(_) => Ok(()),
            Source::Files(files) => files.check(indices),
        }
    }

    /// SHA-256 of shape, pixels and labels ([`digest`]); of image files see [`Files::digest`].
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

/// Labels of another number of folders would stand for some of ImageNet's classes.
pub(super) fn check_classes(dataset: &Dataset, folder: &Path) -> Result<()> {
    if let Some(row) = dataset.row() {
        let (found, wanted) = (folder::classes(folder)?.len(), row.classes);
        ensure!(
            found == wanted,
            "{} has {found} classes, and {dataset} has {}; other images are read by \
             `dataset: {{ folder: {} }}`",
            folder.join("train").display(),
            grouped(wanted),
            folder.display()
        );
    }
    Ok(())
}

/// One pass over images in a given order. What all its batches need is on the device before the first, so that
/// asking for one waits for nothing: no upload, and no value read back.
#[derive(Debug)]
pub struct Batches<'a> {
    home: Home<'a>,
    batches: Vec<Vec<u32>>,
    /// Where each batch begins in the pass.
    starts: Vec<i64>,
    change: Change,
    device: Device,
    scale: Scale,
    /// int64 `[N]`, in the order of the pass, on the device.
    labels: Tensor,
}

/// Where the pixels come from.
#[derive(Debug)]
enum Home<'a> {
    Memory(&'a Images, Gather),
    Files(&'a Files),
}

impl<'a> Batches<'a> {
    /// A pass over `batches` of `source`, which `change` changes; the batches come to lie on `device`.
    ///
    /// # Errors
    /// An index out of range, a crop larger than the image, or no memory.
    pub fn new(
        source: &'a Source,
        batches: Vec<Vec<u32>>,
        norm: &Normalisation,
        change: Change,
        device: Device,
    ) -> Result<Batches<'a>> {
        let (home, labels) = match source {
            Source::Memory(images) => {
                let gather = Gather::new(images, &batches, change)?;
                let labels = images.labels.f_index_select(0, gather.order())?;
                (Home::Memory(images, gather), labels)
            }
            Source::Files(files) => {
                let order = index_tensor(&batches.concat(), files.len(), Device::Cpu)?;
                (Home::Files(files), files.labels.f_index_select(0, &order)?)
            }
        };
        let starts = batches.iter().scan(0, |next, batch| {
            let start = *next;
            *next += batch.len() as i64;
            Some(start)
        });
        Ok(Batches {
            home,
            starts: starts.collect(),
            batches,
            change,
            device,
            scale: Scale::new(norm, device)?,
            labels: labels.f_to(device)?,
        })
    }

    /// Number of batches.
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// Whether there is no batch.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Number of images of a batch.
    pub fn size(&self, batch: usize) -> usize {
        self.batches.get(batch).map_or(0, Vec::len)
    }

    /// The images of a batch, float32 `[B, C, H, W]`, (pixel / 255 - mean) / std, changed as training asks.
    /// Decoding the files of the next batch begins.
    ///
    /// # Errors
    /// A batch that is not there, an image that cannot be read, no memory.
    pub fn images(&self, batch: usize) -> Result<Tensor> {
        let indices = self.batches.get(batch).with_context(|| format!("no batch {batch}"))?;
        let pixels = match &self.home {
            Home::Memory(images, gather) => {
                let length = indices.len() as i64;
                gather.pixels(images, self.starts[batch], length)?.f_to(self.device)?
            }
            Home::Files(files) => {
                let pixels = upload(&files.pixels(indices, self.change)?, self.device)?;
                self.prefetch(files, batch + 1)?;
                pixels
            }
        };
        self.scale.apply(&pixels)
    }

    /// The labels of a batch, int64 `[B]`.
    ///
    /// # Errors
    /// A batch that is not there.
    pub fn labels(&self, batch: usize) -> Result<Tensor> {
        let start = self.starts.get(batch).with_context(|| format!("no batch {batch}"))?;
        Ok(self.labels.f_narrow(0, *start, self.size(batch) as i64)?)
    }

    fn prefetch(&self, files: &Files, batch: usize) -> Result<()> {
        match self.batches.get(batch) {
            Some(indices) => files.prefetch(indices, self.change),
            None => Ok(()),
        }
    }
}

/// A GPU takes pinned memory while the host goes on; without any, the host waits.
fn upload(pixels: &Tensor, device: Device) -> Result<Tensor> {
    if device == Device::Cpu {
        return Ok(pixels.shallow_clone());
    }
    // `f_pin_memory` warns of its argument at every call.
    match pixels.f_internal_pin_memory(device) {
        Ok(pinned) => Ok(pinned.f_to_device_(device, pinned.kind(), true, false)?),
        Err(_) => Ok(pixels.f_to(device)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_gives_batches_and_their_labels_in_the_order_asked_for() {
        tch::set_num_threads(1);
        let source =
            Source::open(&Dataset::FashionMnistMini, Split::Test, Path::new("nowhere")).unwrap();
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
        for split in [Split::Train, Split::Test] {
            let error = Source::open(&Dataset::Imagenet, split, data.path()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("has 2 classes, and imagenet has 1,000"), "{text}");
            assert!(text.contains("{ folder: "), "{text}");
            assert!(Source::open_whole(&Dataset::Imagenet, split, data.path()).is_err());
        }
    }
}
