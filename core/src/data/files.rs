//! Image folders: files decoded in parallel, a batch ahead of the network, and kept where they fit
//! in memory.
//!
//! As torchvision does for ImageNet (paper, section 5.1): evaluation resizes the shorter side to
//! 256 and cuts the central 224x224; training cuts a random part of 8 to 100 % of the area and a
//! ratio of 3/4 to 4/3, resizes it to 224x224 and mirrors half of the images.

mod listing;
mod memory;
pub(super) mod transform;

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, bail, ensure};
use image::RgbImage;
use rayon::iter::Either;
use rayon::prelude::*;
use tch::Tensor;

use super::folder::LeftOut;
use super::{Change, Split};
use crate::stop;
pub(super) use listing::{Listing, list};
use transform::SIDE;

/// Bytes of decoded images that a split keeps in memory, at most: 4 GiB. Several processes may each
/// hold as many, so none keeps more where little memory is left.
const CACHE: u64 = 4 << 30;

/// Bytes of an image as the network sees it.
const BYTES: usize = 3 * SIDE * SIDE;

/// Called after a file has been read, with the number of files read so far and of all, by several threads.
pub type OnRead<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// A file that is no whole image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, for people; names the file.
    pub reason: String,
    /// Whether the disk or the network failed, which says nothing of the image.
    is_of_the_disk: bool,
}

/// The image files of a split.
pub struct Files {
    shared: Arc<Shared>,
    /// int64 `[N]`.
    pub(super) labels: Tensor,
    pub(super) classes: usize,
    /// Files that are no images.
    pub(super) left_out: LeftOut,
    ahead: Mutex<Option<Ahead>>,
}

/// What the decoding threads share.
struct Shared {
    paths: Vec<PathBuf>,
    /// Whole images, for training.
    decoded: Vec<OnceLock<RgbImage>>,
    /// Images as the network sees them in evaluation, `[3, 224, 224]`.
    ready: Vec<OnceLock<Box<[u8]>>>,
    room: AtomicU64,
}

/// A batch being decoded in the background.
struct Ahead {
    indices: Vec<u32>,
    change: Change,
    thread: JoinHandle<Result<Vec<u8>>>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} image files of {} classes", self.len(), self.classes)
    }
}

impl Files {
    /// Lists the images of a split; none is opened yet.
    ///
    /// # Errors
    /// A missing folder, a class without images, an empty file: named.
    pub fn open(folder: &Path, split: Split) -> Result<Files> {
        let listing = list(folder, split)?;
        for (path, _) in &listing.files {
            let size = std::fs::metadata(path).with_context(|| path.display().to_string())?;
            ensure!(
                size.len() > 0,
                "{} is empty; --skip-broken leaves such files out",
                path.display()
            );
        }
        Files::new(listing.files, listing.names.len(), listing.left_out)
    }

    /// The same without the images that cannot be read, and those. Every file is read.
    ///
    /// # Errors
    /// A missing folder, a class without a readable image, or a file that the disk did not give: named.
    pub fn open_whole(folder: &Path, split: Split) -> Result<(Files, Vec<Broken>)> {
        let listing = list(folder, split)?;
        let names = listing.names.clone();
        let (files, broken) = Files::read(listing, &|_, _| ())?;
        if let Some(lost) = broken.iter().find(|broken| broken.is_of_the_disk) {
            // Another time it may be read, and the data would be others.
            bail!("{}; mend the disk or the network, or delete such files", lost.reason);
        }
        let labels = Vec::<i64>::try_from(&files.labels)?;
        for (class, name) in names.iter().enumerate() {
            ensure!(
                labels.contains(&(class as i64)),
                "class {name} has no {} image that can be read",
                split.name()
            );
        }
        Ok((files, broken))
    }

    /// Reads every file of a listing and keeps those that are whole images, and why the others are
    /// not. `on_read` is called after each file with the number of files read and of all. A class
    /// may be left without an image.
    ///
    /// # Errors
    /// When LibTorch fails or the process is asked to stop.
    pub(super) fn read(listing: Listing, on_read: OnRead) -> Result<(Files, Vec<Broken>)> {
        let (count, done) = (listing.files.len(), AtomicUsize::new(0));
        let look = |file: (PathBuf, usize)| {
            stop::check()?;
            let found = transform::open(&file.0, "");
            on_read(done.fetch_add(1, Ordering::Relaxed) + 1, count);
            match found {
                Ok(_) => Ok(Either::Left(file)),
                Err(error) => Ok(Either::Right(Broken {
                    path: file.0,
                    reason: format!("{error:#}"),
                    is_of_the_disk: is_of_the_disk(&error),
                })),
            }
        };
        let found: Result<Vec<_>> = listing.files.into_par_iter().map(look).collect();
        let (whole, broken): (Vec<_>, Vec<_>) =
            found?.into_par_iter().partition_map(|either| either);
        Ok((Files::new(whole, listing.names.len(), listing.left_out)?, broken))
    }

    fn new(files: Vec<(PathBuf, usize)>, classes: usize, left_out: LeftOut) -> Result<Files> {
        let labels: Vec<i64> = files.iter().map(|(_, label)| *label as i64).collect();
        let paths: Vec<PathBuf> = files.into_iter().map(|(path, _)| path).collect();
        let shared = Shared {
            decoded: paths.iter().map(|_| OnceLock::new()).collect(),
            ready: paths.iter().map(|_| OnceLock::new()).collect(),
            paths,
            room: AtomicU64::new(CACHE),
        };
        Ok(Files {
            shared: Arc::new(shared),
            labels: Tensor::f_from_slice(&labels)?,
            classes,
            left_out,
            ahead: Mutex::new(None),
        })
    }

    /// Number of images, N.
    pub fn len(&self) -> usize {
        self.shared.paths.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins to decode a batch that will be asked for next.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn prefetch(&self, indices: &[u32], change: Change) -> Result<()> {
        let (shared, wanted) = (self.shared.clone(), indices.to_vec());
        let thread = std::thread::Builder::new()
            .name("decode".to_string())
            .spawn(move || shared.decode(&wanted, change))
            .context("a thread for decoding images")?;
        let ahead = Ahead { indices: indices.to_vec(), change, thread };
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        Ok(())
    }

    /// uint8 `[B, 3, 224, 224]`.
    ///
    /// # Errors
    /// An image that cannot be read, named; an index out of range.
    pub fn pixels(&self, indices: &[u32], change: Change) -> Result<Tensor> {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).take();
        let bytes = match ahead {
            Some(ahead) if ahead.indices == indices && ahead.change == change => {
                ahead.thread.join().map_err(|_| anyhow!("decoding images failed"))??
            }
            _ => self.shared.decode(indices, change)?,
        };
        let shape = [indices.len() as i64, 3, SIDE as i64, SIDE as i64];
        Ok(Tensor::f_from_data_size(&bytes, &shape, tch::Kind::Uint8)?)
    }

    /// Reads images to find the broken ones, and keeps none.
    ///
    /// # Errors
    /// An image that cannot be read, named.
    pub fn check(&self, indices: &[u32]) -> Result<()> {
        let shared = &self.shared;
        indices.par_iter().try_for_each(|&index| {
            let path = shared.paths.get(index as usize);
            transform::decode(path.with_context(|| format!("no image {index}"))?).map(|_| ())
        })
    }

    /// The file of an image; none where there is no such image.
    pub fn file(&self, index: u32) -> Option<&Path> {
        self.shared.paths.get(index as usize).map(PathBuf::as_path)
    }

    /// SHA-256 over class numbers, file names, sizes and contents; of more than 4 GiB of files the first
    /// kilobyte of each stands for its content.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn digest(&self) -> Result<String> {
        let labels = Vec::<i64>::try_from(&self.labels)?;
        listing::digest(self.classes, self.shared.paths.iter().zip(labels))
    }
}

/// Whether the system failed to read a file, as with a disk or a server that is gone or too many open
/// files: EIO, ENOMEM, ENFILE, EMFILE, ENOTCONN, ETIMEDOUT, ESTALE.
fn is_of_the_disk(error: &anyhow::Error) -> bool {
    let own = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    let number = own.and_then(std::io::Error::raw_os_error);
    cfg!(target_os = "linux") && matches!(number, Some(5 | 12 | 23 | 24 | 107 | 110 | 116))
}

impl Shared {
    fn decode(&self, indices: &[u32], change: Change) -> Result<Vec<u8>> {
        let mut bytes = vec![0; indices.len() * BYTES];
        bytes.par_chunks_mut(BYTES).zip(indices).try_for_each(|(target, &index)| {
            let image = index as usize;
            ensure!(
                image < self.paths.len(),
                "image {index} of a data set that has {}",
                self.paths.len()
            );
            match change {
                None => self.evaluation(image, target),
                Some((augmentation, seed, epoch)) => {
                    let whole = self.whole(image)?;
                    let draw = transform::draw(&whole, seed, epoch, index);
                    transform::training(&whole, augmentation, draw, target);
                    Ok(())
                }
            }
        })?;
        Ok(bytes)
    }

    fn evaluation(&self, image: usize, target: &mut [u8]) -> Result<()> {
        if let Some(ready) = self.ready[image].get() {
            target.copy_from_slice(ready);
            return Ok(());
        }
        match self.decoded[image].get() {
            Some(whole) => transform::evaluation(whole, target),
            None => transform::evaluation(&transform::decode(&self.paths[image])?, target),
        }
        if self.take_room(BYTES as u64) {
            let _ = self.ready[image].set(target.into());
        }
        Ok(())
    }

    fn whole(&self, image: usize) -> Result<Cow<'_, RgbImage>> {
        if let Some(whole) = self.decoded[image].get() {
            return Ok(Cow::Borrowed(whole));
        }
        let whole = transform::decode(&self.paths[image])?;
        if self.take_room(whole.as_raw().len() as u64) {
            return Ok(Cow::Borrowed(self.decoded[image].get_or_init(|| whole)));
        }
        Ok(Cow::Owned(whole))
    }

    /// Whether `bytes` more may be kept.
    fn take_room(&self, bytes: u64) -> bool {
        let less = |room: u64| room.checked_sub(bytes);
        memory::is_spare()
            && self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

#[cfg(test)]
mod tests;
