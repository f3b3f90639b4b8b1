//! One pass over images in a given order. What all its batches need is on the device before the first, so that
//! asking for one waits for nothing: no upload, and no value read back.

use anyhow::{Context, Result};
use tch::{Device, Tensor};

use super::Images;
use super::augment::{Change, Gather, Normalisation, Scale, index_tensor};
use super::files::Files;
use super::source::Source;

/// The batches of a pass.
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

    /// The images of a batch, float32 `[B, C, H, W]`: see [`super::augment::batch`]. Files of the next one begin to
    /// be decoded.
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
    match pixels.f_pin_memory(device) {
        Ok(pinned) => Ok(pinned.f_to_device_(device, pinned.kind(), true, false)?),
        Err(_) => Ok(pixels.f_to(device)?),
    }
}
