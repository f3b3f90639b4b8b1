//! From a file to the 224x224 pixels that the network sees.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::imageops::{self, FilterType};
use image::{ImageReader, RgbImage};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::data::Augmentation;
use crate::data::random::{below, stream};

/// Height and width that the network sees.
pub const SIDE: usize = 224;
/// The shorter side before the central cut.
const SHORTER: u32 = 256;
/// The longer side by the shorter, at most.
const LONGEST: u32 = 200;
/// Pixels of an image, at most.
const MOST_PIXELS: u64 = 1 << 28;
/// Parts of the area and ratios of width to height that a training cut may have.
const AREA: (f64, f64) = (0.08, 1.0);
const RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);

/// A part of an image, and whether it is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Whether the image is mirrored left to right.
    pub mirrored: bool,
}

/// Reads an image of a data set; its kind is told by its content.
///
/// # Errors
/// Names the file and the way around it.
pub fn decode(path: &Path) -> Result<RgbImage> {
    read(path, "; --skip-broken leaves such files out")
}

/// Reads an image; its kind is told by its content.
///
/// # Errors
/// Names the file; of one that is no whole image `hint` is said too.
pub fn read(path: &Path, hint: &str) -> Result<RgbImage> {
    let context = || format!("{} is not a whole JPEG or PNG image{hint}", path.display());
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(!is_cut_short(&bytes), context());
    check_shape(&bytes).with_context(context)?;
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let image = reader.with_context(context)?.decode();
    Ok(image.with_context(context)?.into_rgb8())
}

/// Refuses shapes that no photograph has: a few bytes of header would take all memory, since the
/// shorter side becomes 256 pixels whatever the longer one is.
fn check_shape(bytes: &[u8]) -> Result<()> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let (width, height) = reader.into_dimensions()?;
    let (short, long) = (width.min(height), width.max(height));
    ensure!(
        short > 0 && long / short <= LONGEST && u64::from(short) * u64::from(long) <= MOST_PIXELS,
        "{width} x {height} pixels; at most {MOST_PIXELS} in all, and one side at most {LONGEST} times the other"
    );
    Ok(())
}

/// Whether the bytes are a JPEG whose end is missing: the decoder would fill it with grey. The end
/// marker after the last start of a scan is the image's own; an embedded preview has both earlier.
fn is_cut_short(bytes: &[u8]) -> bool {
    let (start, scan, end) = ([0xff, 0xd8], [0xff, 0xda], [0xff, 0xd9]);
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    bytes.starts_with(&start) && last(end) < last(scan)
}

/// The central 224x224 pixels of the image resized to 256 pixels on its shorter side, `[3, 224,
/// 224]` in `target`.
pub fn evaluation(image: &RgbImage, target: &mut [u8]) {
    let (width, height) = resized(image.width(), image.height());
    let image = imageops::resize(image, width, height, FilterType::Triangle);
    let side = SIDE as u32;
    let left = (f64::from(width - side) / 2.0).round_ties_even() as u32;
    let top = (f64::from(height - side) / 2.0).round_ties_even() as u32;
    let cut = imageops::crop_imm(&image, left, top, side, side).to_image();
    planes(&cut, false, target);
}

/// Width and height with 256 pixels on the shorter side; the longer is rounded down.
fn resized(width: u32, height: u32) -> (u32, u32) {
    let longer = |long: u32, short: u32| {
        let long = u64::from(SHORTER) * u64::from(long) / u64::from(short.max(1));
        u32::try_from(long).unwrap_or(u32::MAX)
    };
    if width <= height {
        (SHORTER, longer(height, width))
    } else {
        (longer(width, height), SHORTER)
    }
}

/// What training sees of an image: a function of seed, epoch and image alone.
pub fn draw(image: &RgbImage, seed: u64, epoch: u32, index: u32) -> Draw {
    let mut rng = stream("resized-crop", seed, epoch, u64::from(index));
    let mirrored = below(&mut rng, 2) == 1;
    let (width, height) = (image.width(), image.height());
    let area = f64::from(width) * f64::from(height);
    for _ in 0..10 {
        let part = area * uniform(&mut rng, AREA);
        let ratio = uniform(&mut rng, (RATIO.0.ln(), RATIO.1.ln())).exp();
        let w = (part * ratio).sqrt().round() as u32;
        let h = (part / ratio).sqrt().round() as u32;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            return Draw {
                left: below(&mut rng, width - w + 1),
                top: below(&mut rng, height - h + 1),
                width: w,
                height: h,
                mirrored,
            };
        }
    }
    central(width, height, mirrored)
}

/// The largest central part whose ratio is allowed, for an image too long for any other.
fn central(width: u32, height: u32, mirrored: bool) -> Draw {
    let ratio = f64::from(width) / f64::from(height);
    let (w, h) = if ratio < RATIO.0 {
        (width, (f64::from(width) / RATIO.0).round() as u32)
    } else if ratio > RATIO.1 {
        ((f64::from(height) * RATIO.1).round() as u32, height)
    } else {
        (width, height)
    };
    let (w, h) = (w.clamp(1, width), h.clamp(1, height));
    Draw { left: (width - w) / 2, top: (height - h) / 2, width: w, height: h, mirrored }
}

fn uniform(rng: &mut ChaCha8Rng, (low, high): (f64, f64)) -> f64 {
    let unit = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    low + (high - low) * unit
}

/// A training image `[3, 224, 224]` in `target`. Without `crop` the part is the evaluation's.
pub fn training(image: &RgbImage, augmentation: Augmentation, draw: Draw, target: &mut [u8]) {
    let mirrored = augmentation.flip && draw.mirrored;
    if augmentation.crop == 0 {
        evaluation(image, target);
        if mirrored {
            target.chunks_mut(SIDE).for_each(<[u8]>::reverse);
        }
        return;
    }
    let part = imageops::crop_imm(image, draw.left, draw.top, draw.width, draw.height).to_image();
    let side = SIDE as u32;
    let sized = imageops::resize(&part, side, side, FilterType::Triangle);
    planes(&sized, mirrored, target);
}

/// Red, green and blue apart.
fn planes(image: &RgbImage, mirrored: bool, target: &mut [u8]) {
    for (x, y, pixel) in image.enumerate_pixels() {
        let x = if mirrored { SIDE - 1 - x as usize } else { x as usize };
        for (channel, &value) in pixel.0.iter().enumerate() {
            target[(channel * SIDE + y as usize) * SIDE + x] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_side_becomes_256_and_the_longer_is_rounded_down() {
        assert_eq!(resized(500, 375), (341, 256));
        assert_eq!(resized(375, 500), (256, 341));
        assert_eq!(resized(10, 10), (256, 256));
    }

    #[test]
    fn a_draw_lies_in_the_image_and_depends_on_seed_epoch_and_image() {
        let image = RgbImage::new(60, 40);
        let mut seen = std::collections::HashSet::new();
        for index in 0..200 {
            let d = draw(&image, 1, 2, index);
            assert!(d.left + d.width <= 60 && d.top + d.height <= 40, "{d:?}");
            let ratio = f64::from(d.width) / f64::from(d.height);
            // Sides are rounded to whole pixels.
            assert!((0.65..1.55).contains(&ratio), "{d:?}");
            assert_eq!(d, draw(&image, 1, 2, index));
            seen.insert((d.left, d.top, d.width, d.height));
        }
        assert!(seen.len() > 150);
        assert_ne!(draw(&image, 1, 2, 0), draw(&image, 1, 3, 0));
    }

    #[test]
    fn a_part_of_a_very_long_image_is_its_centre() {
        let d = central(1000, 30, false);
        assert_eq!((d.left, d.top, d.width, d.height), (480, 0, 40, 30));
        let d = draw(&RgbImage::new(10_000, 1), 0, 0, 0);
        assert!(d.width >= 1 && d.height == 1);
    }

    #[test]
    fn one_colour_stays_that_colour() {
        let image = RgbImage::from_pixel(300, 260, image::Rgb([10, 20, 30]));
        let mut target = vec![0; 3 * SIDE * SIDE];
        evaluation(&image, &mut target);
        for (channel, value) in [10, 20, 30].into_iter().enumerate() {
            let plane = &target[channel * SIDE * SIDE..][..SIDE * SIDE];
            assert!(plane.iter().all(|&v| v == value));
        }
    }
}
