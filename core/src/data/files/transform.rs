//! From a file to the 224x224 pixels that the network sees.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};
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

/// Reads an image of a data set; its format is recognised by its content.
///
/// # Errors
/// Names the file and the way around it.
pub fn decode(path: &Path) -> Result<RgbImage> {
    Ok(open(path, "; --skip-broken leaves such files out")?.0.into_rgb8())
}

/// Reads an image and turns it as its camera says (EXIF), and whether there was anything to turn.
///
/// # Errors
/// Names the file.
pub fn read_turned(path: &Path) -> Result<(RgbImage, bool)> {
    let (mut image, orientation) = open(path, "")?;
    image.apply_orientation(orientation);
    Ok((image.into_rgb8(), orientation != Orientation::NoTransforms))
}

/// Reads an image as its pixels lie in the file, and how to turn it; `hint` ends the error about a
/// file that is not a whole image.
pub fn open(path: &Path, hint: &str) -> Result<(DynamicImage, Orientation)> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let context = || {
        let found = crate::data::hint(&bytes);
        let found = if is_of_known_kind(&bytes) { "" } else { &found };
        format!("{} is not a whole JPEG, PNG or WebP image{found}{hint}", path.display())
    };
    let image = whole(&bytes).with_context(context)?;
    let reader = ImageReader::new(Cursor::new(image)).with_guessed_format();
    let mut decoder = reader.with_context(context)?.into_decoder().with_context(context)?;
    check_shape(decoder.dimensions()).with_context(context)?;
    // A description that cannot be read is none.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder).with_context(context)?, orientation))
}

/// Refuses shapes that no photograph has: a few bytes of header would take all memory, since the
/// shorter side becomes 256 pixels whatever the longer one is.
fn check_shape((width, height): (u32, u32)) -> Result<()> {
    let (short, long) = (width.min(height), width.max(height));
    ensure!(
        short > 0 && long / short <= LONGEST && u64::from(short) * u64::from(long) <= MOST_PIXELS,
        "{width} x {height} pixels; at most {MOST_PIXELS} in all, and one side at most {LONGEST} times the other"
    );
    Ok(())
}

fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8])
}

fn is_webp(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")
}

fn is_of_known_kind(bytes: &[u8]) -> bool {
    is_jpeg(bytes) || is_webp(bytes) || bytes.starts_with(b"\x89PNG")
}

/// The image's own bytes: a film or a second picture may lie behind it.
fn whole(bytes: &[u8]) -> Result<&[u8]> {
    let own = if is_jpeg(bytes) {
        whole_jpeg(bytes)
    } else if is_webp(bytes) {
        let length = bytes[4..8].first_chunk().map(|length| u32::from_le_bytes(*length));
        length.and_then(|length| bytes.get(..8 + length as usize))
    } else {
        // A PNG has its end in it, which its decoder looks for.
        Some(bytes)
    };
    own.context("its end is missing")
}

/// The bytes of a JPEG up to its end marker; none where that is missing, which the decoder would
/// fill with grey. Segments, such as one with a preview, are stepped over by their lengths.
fn whole_jpeg(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 2;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
        at += bytes[at..].iter().position(|&byte| byte != 0xff)?;
        let marker = bytes[at];
        at += 1;
        match marker {
            // A stuffed byte of a scan, and markers without a segment.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            0xd9 => return Some(&bytes[..at]),
            _ => at += usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?)),
        }
    }
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

    fn encoded(format: image::ImageFormat) -> Vec<u8> {
        let image =
            RgbImage::from_fn(24, 16, |x, y| image::Rgb([(x * 10) as u8, (y * 15) as u8, 99]));
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// The same JPEG with EXIF that says how it is to be turned.
    fn oriented(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let tiff = [
            b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0",
            &[orientation, 0, 0, 0][..],
            &[0; 4],
        ]
        .concat();
        let length = (tiff.len() as u16 + 8).to_be_bytes();
        [&jpeg[..2], b"\xff\xe1", &length, b"Exif\0\0", &tiff, &jpeg[2..]].concat()
    }

    #[test]
    fn bytes_behind_an_image_do_not_matter_and_a_missing_end_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let webp = include_bytes!("fixtures/tiny.webp").to_vec();
        // Bytes of a film may look like the beginning or the end of a scan.
        let film = b"\0\0\0\x18ftypmp42 \xff\xda \xff\xd9 \xff\xda\0\x0c";
        for image in [encoded(image::ImageFormat::Jpeg), encoded(image::ImageFormat::Png), webp] {
            std::fs::write(&path, &image).unwrap();
            let alone = decode(&path).unwrap();
            std::fs::write(&path, [&image[..], film].concat()).unwrap();
            assert_eq!(decode(&path).unwrap(), alone);
            // A PNG's last twelve bytes say no more than that it ends.
            let end = if image.starts_with(b"\x89PNG") { 12 } else { 1 };
            for end in (0..image.len() - end).step_by(3) {
                std::fs::write(&path, &image[..end]).unwrap();
                assert!(decode(&path).is_err(), "{end} of {}", image.len());
            }
        }
    }

    #[test]
    fn a_data_sets_image_stays_as_it_lies_in_the_file_and_ones_own_is_turned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        let jpeg = encoded(image::ImageFormat::Jpeg);
        std::fs::write(&path, &jpeg).unwrap();
        let plain = decode(&path).unwrap();
        assert_eq!(read_turned(&path).unwrap(), (plain.clone(), false));
        for orientation in [2, 3, 6, 8] {
            let turned = match orientation {
                2 => imageops::flip_horizontal(&plain),
                3 => imageops::rotate180(&plain),
                6 => imageops::rotate90(&plain),
                _ => imageops::rotate270(&plain),
            };
            std::fs::write(&path, oriented(&jpeg, orientation)).unwrap();
            assert_eq!(decode(&path).unwrap(), plain, "{orientation}");
            assert_eq!(read_turned(&path).unwrap(), (turned, true), "{orientation}");
        }
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
