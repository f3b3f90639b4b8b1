//! IDX, the format of MNIST and Fashion-MNIST, gzip'd or not.
//!
//! A file is a magic number (0x00000803 for images, 0x00000801 for labels), one big-endian u32 a dimension, and
//! the bytes. 28x28 images are padded with two rows and columns of zeros on each side, to 32x32.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::Split;
use super::raw::{Raw, grouped};
use super::sniff;

/// Classes of MNIST and of Fashion-MNIST.
const CLASSES: usize = 10;
/// Height and width that images are padded to.
const SIDE: usize = 32;

const IMAGES: u32 = 0x0803;
const LABELS: u32 = 0x0801;
/// More unpacked bytes than any file here has (47 MB): what stops a gzip bomb.
const LIMIT: u64 = 1 << 30;

/// Grey images, row-major `[count, side, side]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grey {
    /// Number of images, at least 1.
    pub count: usize,
    /// Height and width.
    pub side: usize,
    /// count * side * side bytes.
    pub pixels: Vec<u8>,
}

/// Names of the images' and the labels' file of a split, without `.gz`.
fn files(split: Split) -> [&'static str; 2] {
    match split {
        Split::Test => ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
        Split::Train | Split::Validation => ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
    }
}

/// Reads an IDX file of square images; `name` is what errors call it.
///
/// # Errors
/// Corrupt gzip, a wrong magic number, sizes that do not fit: with offset, expected and found.
pub fn parse_images(bytes: &[u8], name: &str) -> Result<Grey> {
    let bytes = unpacked(bytes, name)?;
    let [count, rows, columns] = dimensions::<3>(&bytes, name, IMAGES)?;
    ensure!(
        rows == columns && (1..=SIDE).contains(&rows),
        "{name}: byte offset 8: images of {rows}x{columns} pixels, expected square ones of at most {SIDE}x{SIDE}"
    );
    let pixels = body(&bytes, name, 16, count, rows * columns, "image")?;
    Ok(Grey { count, side: rows, pixels: pixels.to_vec() })
}

/// Reads an IDX file of labels, each below `classes`.
///
/// # Errors
/// As [`parse_images`], and a label out of range.
pub fn parse_labels(bytes: &[u8], name: &str, classes: usize) -> Result<Vec<u8>> {
    let bytes = unpacked(bytes, name)?;
    let [count] = dimensions::<1>(&bytes, name, LABELS)?;
    let labels = body(&bytes, name, 8, count, 1, "label")?;
    if let Some(record) = labels.iter().position(|&label| usize::from(label) >= classes) {
        bail!(
            "{name}: record {record}, byte offset {}: label {}, expected 0 to {}",
            8 + record,
            labels[record],
            classes - 1
        );
    }
    Ok(labels.to_vec())
}

/// Images and labels together, padded to 32x32.
///
/// # Errors
/// Those of the two files, and different numbers of records.
pub fn join(images: (&[u8], &str), labels: (&[u8], &str)) -> Result<Raw> {
    let grey = parse_images(images.0, images.1)?;
    let found = parse_labels(labels.0, labels.1, CLASSES)?;
    ensure!(
        grey.count == found.len(),
        "{}: {} labels, expected {}, as many as {} has images",
        labels.1,
        grouped(found.len()),
        grouped(grey.count),
        images.1
    );
    Ok(Raw { pixels: padded(&grey)?, labels: found, channels: 1, side: SIDE, classes: CLASSES })
}

/// Reads the files of a split from a folder, each with or without `.gz`.
///
/// # Errors
/// A missing or unreadable file, and those of [`join`].
pub(super) fn read(folder: &Path, split: Split) -> Result<Raw> {
    let read = |name| -> Result<(Vec<u8>, String)> {
        let path = find(folder, name)?;
        let bytes = std::fs::read(&path);
        let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
        Ok((bytes, path.display().to_string()))
    };
    let [images, labels] = files(split).map(read);
    let ((images, images_name), (labels, labels_name)) = (images?, labels?);
    join((&images, &images_name), (&labels, &labels_name))
}

macro_rules! embedded {
    ($name:literal) => {
        (
            include_bytes!(concat!("../../../data/fashion-mnist-mini/", $name)).as_slice(),
            concat!("fashion-mnist-mini/", $name),
        )
    };
}

/// Reads 10,000 training or 2,000 test images of Fashion-MNIST, which are compiled in so that an
/// installed program works in any folder.
/// (github.com/zalandoresearch/fashion-mnist, MIT, (c) 2017 Zalando SE; the notice is beside the files.)
///
/// # Errors
/// None, unless the program was built with damaged files.
pub(super) fn embedded(split: Split) -> Result<Raw> {
    let (images, labels) = match split {
        Split::Test => {
            (embedded!("t10k-images-idx3-ubyte.gz"), embedded!("t10k-labels-idx1-ubyte.gz"))
        }
        Split::Train | Split::Validation => {
            (embedded!("train-images-idx3-ubyte.gz"), embedded!("train-labels-idx1-ubyte.gz"))
        }
    };
    join(images, labels)
}

/// `name` or `name.gz` in `folder`.
///
/// # Errors
/// When neither is there.
pub(super) fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    let candidates = [folder.join(name), folder.join(format!("{name}.gz"))];
    let [plain, _] = &candidates;
    let missing = format!(
        "there is neither {} nor the same with .gz; `repro data fetch fashion-mnist` downloads it",
        plain.display()
    );
    candidates.into_iter().find(|path| path.is_file()).context(missing)
}

fn unpacked<'a>(bytes: &'a [u8], name: &str) -> Result<Cow<'a, [u8]>> {
    if !bytes.starts_with(b"\x1f\x8b") {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut out = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(bytes).take(LIMIT).read_to_end(&mut out);
    if let Err(error) = read {
        bail!(
            "{name}: gzip data is corrupt or cut short after {} unpacked bytes (of a file of {} bytes): {error}",
            grouped(out.len()),
            grouped(bytes.len())
        );
    }
    Ok(Cow::Owned(out))
}

/// The big-endian u32 at `offset`.
fn word(bytes: &[u8], name: &str, offset: usize) -> Result<u32> {
    let found = bytes.get(offset..offset + 4).and_then(|four| four.try_into().ok());
    found.map(u32::from_be_bytes).with_context(|| {
        format!(
            "{name}: byte offset {offset}: the header needs 4 bytes here, found {} in all{}",
            bytes.len(),
            sniff::hint(bytes)
        )
    })
}

fn dimensions<const N: usize>(bytes: &[u8], name: &str, magic: u32) -> Result<[usize; N]> {
    let found = word(bytes, name, 0)?;
    if found != magic {
        let what = match magic {
            IMAGES => "images",
            _ => "labels",
        };
        bail!(
            "{name}: byte offset 0: magic number 0x{found:08x}, expected 0x{magic:08x} (IDX, {what}){}",
            sniff::hint(bytes)
        );
    }
    let mut sizes = [0; N];
    for (i, size) in sizes.iter_mut().enumerate() {
        *size = word(bytes, name, 4 + 4 * i)? as usize;
    }
    ensure!(sizes[0] > 0, "{name}: byte offset 4: 0 records, expected at least 1");
    Ok(sizes)
}

/// The bytes after a header of `start` bytes: exactly `count` records of `record` bytes.
fn body<'a>(
    bytes: &'a [u8],
    name: &str,
    start: usize,
    count: usize,
    record: usize,
    what: &str,
) -> Result<&'a [u8]> {
    let found = bytes.len() - start;
    let expected = count.checked_mul(record).with_context(|| {
        format!("{name}: byte offset 4: {count} records are more than memory can hold")
    })?;
    if found < expected {
        bail!(
            "{name}: cut short in {what} {} at byte offset {}: expected {} bytes ({} records), found {}",
            found / record,
            bytes.len(),
            grouped(start + expected),
            grouped(count),
            grouped(bytes.len())
        );
    }
    ensure!(
        found == expected,
        "{name}: byte offset {}: {} bytes after the last of {} records, expected none",
        start + expected,
        grouped(found - expected),
        grouped(count)
    );
    Ok(&bytes[start..])
}

/// Zeros around each image, to 32x32.
fn padded(grey: &Grey) -> Result<Vec<u8>> {
    let margin = SIDE - grey.side;
    ensure!(
        margin.is_multiple_of(2),
        "images of {0}x{0} pixels cannot be padded evenly to {SIDE}x{SIDE}",
        grey.side
    );
    let mut out = vec![0; grey.count * SIDE * SIDE];
    let rows = grey.pixels.chunks_exact(grey.side);
    for (i, row) in rows.enumerate() {
        let (image, y) = (i / grey.side, i % grey.side);
        let at = (image * SIDE + y + margin / 2) * SIDE + margin / 2;
        out[at..at + grey.side].copy_from_slice(row);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn images(count: u32, side: u32) -> Vec<u8> {
        let mut bytes = [0x0803u32, count, side, side].map(u32::to_be_bytes).concat();
        bytes.extend((0..count * side * side).map(|i| (i % 251) as u8 + 1));
        bytes
    }

    fn labels(found: &[u8]) -> Vec<u8> {
        let mut bytes = [0x0801u32, found.len() as u32].map(u32::to_be_bytes).concat();
        bytes.extend_from_slice(found);
        bytes
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn error<T: std::fmt::Debug>(result: Result<T>) -> String {
        format!("{:#}", result.unwrap_err())
    }

    #[test]
    fn images_are_padded_by_two_zeros_on_each_side() {
        let raw = join((&images(2, 28), "i"), (&labels(&[4, 9]), "l")).unwrap();
        assert_eq!((raw.channels, raw.side, raw.classes), (1, 32, 10));
        assert_eq!(raw.labels, [4, 9]);
        let second = &raw.pixels[1024..];
        assert!(second[..2 * 32 + 2].iter().all(|&p| p == 0));
        assert_eq!(second[2 * 32 + 2], (784 % 251) as u8 + 1);
        assert_eq!(second[29 * 32 + 29], (1567 % 251) as u8 + 1);
        assert!(second[29 * 32 + 30..].iter().all(|&p| p == 0));
    }

    #[test]
    fn gzip_makes_no_difference() {
        let plain = images(3, 28);
        assert_eq!(
            parse_images(&plain, "x").unwrap(),
            parse_images(&gzipped(&plain), "x").unwrap()
        );
    }

    #[test]
    fn a_file_cut_short_names_the_image_and_both_sizes() {
        let bytes = images(3, 28);
        let error = error(parse_images(&bytes[..1000], "x"));
        assert_eq!(
            error,
            "x: cut short in image 1 at byte offset 1000: expected 2,368 bytes (3 records), found 1,000"
        );
    }

    #[test]
    fn bytes_after_the_last_record_are_an_error() {
        let mut bytes = labels(&[1, 2]);
        bytes.push(3);
        assert_eq!(
            error(parse_labels(&bytes, "x", 10)),
            "x: byte offset 10: 1 bytes after the last of 2 records, expected none"
        );
    }

    #[test]
    fn a_label_out_of_range_names_its_record_and_offset() {
        assert_eq!(
            error(parse_labels(&labels(&[1, 10]), "x", 10)),
            "x: record 1, byte offset 9: label 10, expected 0 to 9"
        );
    }

    #[test]
    fn labels_in_place_of_images_and_other_files_are_called_what_they_are() {
        let swapped = error(parse_images(&labels(&[1]), "x"));
        assert!(swapped.contains("it is an IDX file of labels"), "{swapped}");
        let page = error(parse_labels(b"<html><body>404</body></html>", "x", 10));
        assert!(page.contains("HTML"), "{page}");
    }

    #[test]
    fn corrupt_gzip_is_an_error_with_the_place() {
        let mut bytes = gzipped(&images(3, 28));
        bytes.truncate(bytes.len() / 2);
        let error = error(parse_images(&bytes, "x.gz"));
        assert!(error.starts_with("x.gz: gzip data is corrupt or cut short after"), "{error}");
    }

    #[test]
    fn different_numbers_of_images_and_labels_are_an_error() {
        let error = error(join((&images(2, 28), "i"), (&labels(&[4]), "l")));
        assert_eq!(error, "l: 1 labels, expected 2, as many as i has images");
    }

    #[test]
    fn a_header_that_promises_more_than_memory_is_an_error() {
        let mut bytes = images(1, 28);
        bytes[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(error(parse_images(&bytes, "x")).contains("cut short"));
        bytes[8..16].copy_from_slice(&[0xff; 8]);
        assert!(error(parse_images(&bytes, "x")).contains("expected square"));
    }
}
