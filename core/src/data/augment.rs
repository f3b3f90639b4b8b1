//! Batches: gathered, padded, cropped, flipped and normalised as tensor operations on the whole batch.
//!
//! As torchvision's `RandomCrop(32, padding=4)`, `RandomHorizontalFlip`, `ToTensor` and `Normalize` in the
//! reference port: the zeros are pixels, so after normalisation they are -mean/std.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::Images;
use super::random::{below, stream};

/// How a training image is changed each time it is seen (paper section 5.1). Never applied to a hold-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Pixels of zeros on each side before a crop of the original size at one of (2 crop + 1)^2 offsets; 0 = off.
    /// Of an image folder 0 = the central part, any other number = a part of random place and size.
    pub crop: usize,
    /// Whether half of the images are mirrored left to right.
    pub flip: bool,
}

impl Default for Augmentation {
    fn default() -> Self {
        Augmentation { crop: 4, flip: true }
    }
}

impl Augmentation {
    /// Checks that the crop fits images of `height` x `width` pixels.
    ///
    /// # Errors
    /// More pixels of padding than an image has on a side.
    pub fn check(&self, height: usize, width: usize) -> Result<()> {
        let most = height.min(width);
        ensure!(
            self.crop <= most,
            "crop: {} pixels of padding around images of {height}x{width}; at most {most} fit",
            self.crop
        );
        Ok(())
    }
}

/// What is subtracted from each channel, and what it is then divided by; of pixels from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// One mean a channel.
    pub mean: Vec<f64>,
    /// One standard deviation a channel.
    pub std: Vec<f64>,
}

impl Normalisation {
    /// The pixels of one image `[C, H, W]` normalised, to the same bits as a batch.
    pub fn apply(&self, pixels: &[u8]) -> Vec<f32> {
        let plane = (pixels.len() / self.mean.len()).max(1);
        let planes = pixels.chunks(plane).zip(self.mean.iter().zip(&self.std));
        let normalised = planes.flat_map(|(plane, (&mean, &std))| {
            let (mean, std) = (mean as f32, std as f32);
            let one = move |&pixel: &u8| (f32::from(pixel) / 255.0 - mean) / std;
            plane.iter().map(one)
        });
        normalised.collect()
    }
}

impl From<&super::Facts> for Normalisation {
    fn from(facts: &super::Facts) -> Self {
        Normalisation { mean: facts.mean.clone(), std: facts.std.clone() }
    }
}

/// What was drawn for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Draw {
    /// Row and column of the padded image where the crop begins, 0 to 2 crop; `crop` leaves it in place.
    top: i64,
    left: i64,
    mirrored: bool,
}

/// A function of seed, epoch and image alone: neither the batch, the order nor the threads can change it.
fn draw(augmentation: &Augmentation, seed: u64, epoch: u32, image: u32) -> Draw {
    let mut rng = stream("augment", seed, epoch, u64::from(image));
    let offsets = 2 * augmentation.crop as u32 + 1;
    // All three are always drawn, so that switching one off leaves the others as they were.
    let (top, left, coin) =
        (below(&mut rng, offsets), below(&mut rng, offsets), below(&mut rng, 2));
    Draw { top: i64::from(top), left: i64::from(left), mirrored: augmentation.flip && coin == 1 }
}

/// How the training images of a pass are changed, with the run's seed and the epoch; none = not at all.
pub type Change = Option<(Augmentation, u64, u32)>;

/// What gathering the batches of one pass needs, put where the pixels are beforehand.
#[derive(Debug)]
pub(super) struct Gather {
    /// The images in the order of the pass, int64 `[N]`.
    order: Tensor,
    crop: usize,
    /// Where each image's window begins in its padded batch, int64 `[N]`.
    places: Option<Tensor>,
    /// Whether each image is mirrored, bool `[N, 1, 1, 1]`.
    coins: Option<Tensor>,
}

impl Gather {
    /// For `batches` of `images`, one after another.
    ///
    /// # Errors
    /// An index out of range, a crop larger than the image, or no memory.
    pub(super) fn new(images: &Images, batches: &[Vec<u32>], change: Change) -> Result<Gather> {
        let home = images.pixels.device();
        let order = index_tensor(&batches.concat(), images.len(), home)?;
        let Some((augmentation, seed, epoch)) = change else {
            return Ok(Gather { order, crop: 0, places: None, coins: None });
        };
        let (_, c, h, w) = images.pixels.size4()?;
        augmentation.check(h as usize, w as usize).context("augmentation")?;
        let draws: Vec<Vec<Draw>> = batches
            .iter()
            .map(|batch| batch.iter().map(|&i| draw(&augmentation, seed, epoch, i)).collect())
            .collect();
        let crop = augmentation.crop;
        let places = if crop > 0 {
            let places = draws.iter().flat_map(|draws| places(draws, crop as i64, [c, h, w]));
            Some(Tensor::f_from_slice(&places.collect::<Vec<i64>>())?.f_to(home)?)
        } else {
            None
        };
        let coins = if augmentation.flip {
            let coins: Vec<bool> = draws.iter().flatten().map(|draw| draw.mirrored).collect();
            Some(Tensor::f_from_slice(&coins)?.f_reshape([-1, 1, 1, 1])?.f_to(home)?)
        } else {
            None
        };
        Ok(Gather { order, crop, places, coins })
    }

    /// All images of the pass, int64 `[N]`.
    pub(super) fn order(&self) -> &Tensor {
        &self.order
    }

    /// The `length` images of the pass from `start` on, changed, uint8 `[length, C, H, W]`. They must be one batch.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn pixels(&self, images: &Images, start: i64, length: i64) -> Result<Tensor> {
        let index = self.order.f_narrow(0, start, length)?;
        let mut pixels = images.pixels.f_index_select(0, &index)?;
        if let Some(places) = &self.places {
            pixels = cropped(&pixels, self.crop as i64, &places.f_narrow(0, start, length)?)?;
        }
        if let Some(coins) = &self.coins {
            pixels = mirrored(&pixels, &coins.f_narrow(0, start, length)?)?;
        }
        Ok(pixels)
    }
}

/// Indices as an int64 tensor; an error where one is not below `images`.
pub(super) fn index_tensor(indices: &[u32], images: usize, device: Device) -> Result<Tensor> {
    if let Some(wrong) = indices.iter().find(|&&i| i as usize >= images) {
        bail!("image {wrong} of a data set that has {images}");
    }
    let indices: Vec<i64> = indices.iter().map(|&i| i64::from(i)).collect();
    Ok(Tensor::f_from_slice(&indices)?.f_to(device)?)
}

/// Where the window of each image of a batch begins, counted in the bytes of the padded batch.
fn places(draws: &[Draw], crop: i64, [c, h, w]: [i64; 3]) -> Vec<i64> {
    let (row, plane) = (w + 2 * crop, (h + 2 * crop) * (w + 2 * crop));
    let place = |(image, draw): (i64, &Draw)| image * c * plane + draw.top * row + draw.left;
    (0..).zip(draws).map(place).collect()
}

/// uint8 `[B, C, H, W]`, padded by `crop` zeros and cut at each image's place.
fn cropped(pixels: &Tensor, crop: i64, places: &Tensor) -> Result<Tensor> {
    let (_, c, h, w) = pixels.size4()?;
    let padded = pixels.f_constant_pad_nd([crop; 4])?.f_contiguous()?;
    // A window of C x H x W at every byte of the padded batch, overlapping, without a copy; one index an image then
    // picks its window. (An index of rows and columns takes several times as long.)
    let (row, plane) = (w + 2 * crop, (h + 2 * crop) * (w + 2 * crop));
    let last = (c - 1) * plane + (h - 1) * row + w - 1;
    let starts = padded.numel() as i64 - last;
    let windows = padded.f_as_strided([starts, c, h, w], [1, plane, row, 1], None)?;
    Ok(windows.f_index_select(0, places)?)
}

fn mirrored(pixels: &Tensor, coins: &Tensor) -> Result<Tensor> {
    Ok(pixels.f_flip([3])?.f_where_self(coins, pixels)?)
}

/// A [`Normalisation`] on a device.
#[derive(Debug)]
pub(super) struct Scale {
    /// 255, as a tensor: by a plain number a GPU multiplies with its reciprocal, which is another result.
    most: Tensor,
    mean: Tensor,
    std: Tensor,
}

impl Scale {
    /// Puts it there.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn new(norm: &Normalisation, device: Device) -> Result<Scale> {
        let a_channel = |values: &[f64]| -> Result<Tensor> {
            let values = Tensor::f_from_slice(values)?.f_to_kind(Kind::Float)?;
            Ok(values.f_reshape([1, -1, 1, 1])?.f_to(device)?)
        };
        Ok(Scale {
            most: Tensor::f_full([1], 255.0, (Kind::Float, device))?,
            mean: a_channel(&norm.mean)?,
            std: a_channel(&norm.std)?,
        })
    }

    /// uint8 `[B, C, H, W]` as floats, elementwise in the order of torchvision's `ToTensor` and `Normalize`, so that
    /// the numbers are the same bits.
    ///
    /// # Errors
    /// Pixels of another number of channels.
    pub(super) fn apply(&self, pixels: &Tensor) -> Result<Tensor> {
        let (_, channels, _, _) = pixels.size4()?;
        for values in [&self.mean, &self.std] {
            ensure!(
                values.numel() as i64 == channels,
                "a normalisation of {} channels for images of {channels}",
                values.numel()
            );
        }
        let mut floats = pixels.f_to_kind(Kind::Float)?.f_contiguous()?;
        floats
            .f_div_(&self.most)?
            .f_sub_(&self.mean)?
            .f_div_(&self.std)
            .context("cannot normalise a batch")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Raw;

    fn plain(channels: usize) -> Normalisation {
        // Gives the pixels back: (p / 255 - 0) / (1 / 255).
        Normalisation { mean: vec![0.0; channels], std: vec![1.0 / 255.0; channels] }
    }

    fn images(n: usize, channels: usize, side: usize) -> Images {
        tch::set_num_threads(1);
        let pixels = (0..n * channels * side * side).map(|i| (i * 7 % 255) as u8 + 1).collect();
        let raw = Raw { pixels, labels: vec![0; n], channels, side, classes: 1 };
        Images::try_from(raw).unwrap()
    }

    fn batch(
        images: &Images,
        indices: &[u32],
        norm: &Normalisation,
        change: Change,
    ) -> Result<Tensor> {
        let gather = Gather::new(images, &[indices.to_vec()], change)?;
        let pixels = gather.pixels(images, 0, indices.len() as i64)?;
        Scale::new(norm, Device::Cpu)?.apply(&pixels)
    }

    fn pixels(tensor: &Tensor) -> Vec<u8> {
        Vec::try_from((tensor + 0.5).floor().to_kind(Kind::Uint8).flatten(0, -1)).unwrap()
    }

    /// What the crop and flip of a single image should give, pixel by pixel.
    fn by_hand(image: &[u8], channels: usize, side: usize, crop: usize, draw: Draw) -> Vec<u8> {
        let mut out = Vec::new();
        for c in 0..channels {
            for y in 0..side {
                for x in 0..side {
                    let x = if draw.mirrored { side - 1 - x } else { x };
                    let (y, x) = (y + draw.top as usize, x + draw.left as usize);
                    let inside =
                        (crop..crop + side).contains(&y) && (crop..crop + side).contains(&x);
                    out.push(if inside {
                        image[(c * side + y - crop) * side + x - crop]
                    } else {
                        0
                    });
                }
            }
        }
        out
    }

    #[test]
    fn without_augmentation_a_batch_is_the_normalised_images_in_order() {
        let raw = Raw {
            pixels: vec![0, 255, 51, 102, 1, 2, 3, 4],
            labels: vec![0, 0],
            channels: 1,
            side: 2,
            classes: 1,
        };
        let images = Images::try_from(raw).unwrap();
        let norm = Normalisation { mean: vec![0.5], std: vec![0.25] };
        let batch = batch(&images, &[0], &norm, None).unwrap();
        assert_eq!(batch.size(), [1, 1, 2, 2]);
        let values: Vec<f32> = Vec::try_from(batch.flatten(0, -1)).unwrap();
        for (found, expected) in values.iter().zip([-2.0, 2.0, -1.2, -0.4]) {
            assert!((found - expected).abs() < 1e-6, "{values:?}");
        }
    }

    #[test]
    fn one_image_is_normalised_to_the_same_bits_as_a_batch() {
        let images = images(3, 3, 16);
        let norm =
            Normalisation { mean: vec![0.5071, 0.4867, 0.4408], std: vec![0.2675, 0.2565, 0.2761] };
        let batch = batch(&images, &[1], &norm, None).unwrap();
        let expected: Vec<f32> = Vec::try_from(batch.flatten(0, -1)).unwrap();
        let pixels = Vec::<u8>::try_from(images.pixels.get(1).flatten(0, -1)).unwrap();
        assert_eq!(norm.apply(&pixels), expected);
    }

    #[test]
    fn a_crop_moves_the_image_over_zeros_and_a_flip_mirrors_it() {
        let image = Tensor::from_slice(&[1u8, 2, 3, 4]).reshape([1, 1, 2, 2]);
        let cut = |top, left| {
            let draw = Draw { top, left, mirrored: false };
            let place = Tensor::from_slice(&places(&[draw], 1, [1, 2, 2]));
            Vec::<u8>::try_from(cropped(&image, 1, &place).unwrap().flatten(0, -1)).unwrap()
        };
        assert_eq!(cut(1, 1), [1, 2, 3, 4]);
        assert_eq!(cut(0, 0), [0, 0, 0, 1]);
        assert_eq!(cut(2, 1), [3, 4, 0, 0]);
        let turned = mirrored(&image, &Tensor::from_slice(&[true])).unwrap();
        assert_eq!(Vec::<u8>::try_from(turned.flatten(0, -1)).unwrap(), [2, 1, 4, 3]);
    }

    #[test]
    fn every_image_of_a_batch_is_what_its_draw_says() {
        let (channels, side) = (3, 8);
        let images = images(6, channels, side);
        let all = Vec::<u8>::try_from(images.pixels.flatten(0, -1)).unwrap();
        let augmentation = Augmentation::default();
        let chosen = [5, 0, 3, 3, 1];
        let found = batch(&images, &chosen, &plain(channels), Some((augmentation, 9, 2))).unwrap();
        let found = pixels(&found);
        let size = channels * side * side;
        for (place, &image) in chosen.iter().enumerate() {
            let original = &all[image as usize * size..][..size];
            let draw = draw(&augmentation, 9, 2, image);
            let expected = by_hand(original, channels, side, 4, draw);
            assert_eq!(found[place * size..][..size], expected, "image {image}, {draw:?}");
        }
    }

    #[test]
    fn an_image_is_the_same_in_any_batch() {
        let images = images(40, 3, 16);
        let augmentation = Augmentation::default();
        let of = |indices: &[u32], epoch| {
            batch(&images, indices, &plain(3), Some((augmentation, 1, epoch))).unwrap()
        };
        let alone = of(&[17], 4);
        let all: Vec<u32> = (0..40).rev().collect();
        assert!(alone.get(0).equal(&of(&all, 4).get(22)));
        assert!((0..10).any(|epoch| !alone.equal(&of(&[17], epoch))));
    }

    #[test]
    fn all_81_offsets_and_both_flips_come_about_equally_often() {
        let augmentation = Augmentation::default();
        let mut seen = [[0u32; 2]; 81];
        for image in 0..1000 {
            for epoch in 0..81 {
                let draw = draw(&augmentation, 3, epoch, image);
                seen[(draw.top * 9 + draw.left) as usize][usize::from(draw.mirrored)] += 1;
            }
        }
        // 81,000 draws over 162 outcomes: 500 each, standard deviation 22.
        for count in seen.iter().flatten() {
            assert!((390..610).contains(count), "{seen:?}");
        }
    }

    #[test]
    fn what_is_switched_off_does_not_happen_and_does_not_change_the_rest() {
        let both = Augmentation::default();
        let no_flip = Augmentation { flip: false, ..both };
        for image in 0..50 {
            let (a, b) = (draw(&both, 0, 0, image), draw(&no_flip, 0, 0, image));
            assert_eq!((a.top, a.left, false), (b.top, b.left, b.mirrored));
        }
        let off = Augmentation { crop: 0, flip: false };
        let images = images(3, 1, 4);
        let with = batch(&images, &[0, 1, 2], &plain(1), Some((off, 0, 0))).unwrap();
        let without = batch(&images, &[0, 1, 2], &plain(1), None).unwrap();
        assert!(with.equal(&without));
    }

    #[test]
    fn wrong_indices_channels_and_crops_are_errors() {
        let images = images(3, 1, 4);
        let error = batch(&images, &[3], &plain(1), None).unwrap_err().to_string();
        assert_eq!(error, "image 3 of a data set that has 3");
        assert!(batch(&images, &[0], &plain(3), None).is_err());
        let wide = Augmentation { crop: 5, flip: false };
        assert!(batch(&images, &[0], &plain(1), Some((wide, 0, 0))).is_err());
    }

    #[test]
    fn an_unknown_key_of_an_augmentation_is_an_error() {
        assert!(serde_yaml::from_str::<Augmentation>("{crops: 4}").is_err());
        let partly: Augmentation = serde_yaml::from_str("{flip: false}").unwrap();
        assert_eq!(partly, Augmentation { crop: 4, flip: false });
    }
}
