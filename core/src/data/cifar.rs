//! CIFAR-10 and CIFAR-100 in the official binary layout (cs.toronto.edu/~kriz/cifar.html).
//!
//! A record is the label byte (CIFAR-100: a coarse, then a fine one) and 3,072 pixels: the red, green and blue
//! planes of a 32x32 image, row by row. A file is nothing but records.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::Split;
use super::raw::{Raw, grouped};
use super::sniff;

const SIDE: usize = 32;
const CHANNELS: usize = 3;
const PIXELS: usize = CHANNELS * SIDE * SIDE;

/// Which labels to read, and with it which of the two layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// CIFAR-10: one label byte, 10 classes.
    Ten,
    /// CIFAR-100: the second of two label bytes, 100 classes.
    Fine,
    /// CIFAR-100: the first of two label bytes, 20 classes.
    Coarse,
}

impl Labels {
    /// Label bytes of a record, which of them is wanted, and how many classes each distinguishes.
    fn layout(self) -> (&'static [(usize, &'static str)], usize) {
        match self {
            Labels::Ten => (&[(10, "label")], 0),
            Labels::Coarse => (&[(20, "coarse label"), (100, "fine label")], 0),
            Labels::Fine => (&[(20, "coarse label"), (100, "fine label")], 1),
        }
    }

    /// Bytes of a record: the labels and pixels of an image.
    pub(super) fn record(self) -> usize {
        self.layout().0.len() + PIXELS
    }
}

/// The files of a split in the official archive, in order.
pub(super) fn files(labels: Labels, split: Split) -> Vec<String> {
    match (labels, split) {
        (Labels::Ten, Split::Test) => vec!["test_batch.bin".to_string()],
        (Labels::Ten, _) => (1..=5).map(|n| format!("data_batch_{n}.bin")).collect(),
        (_, Split::Test) => vec!["test.bin".to_string()],
        (_, _) => vec!["train.bin".to_string()],
    }
}

/// Reads one file's bytes; `name` is what errors call it. Any whole, positive number of records is accepted.
///
/// # Errors
/// A part of a record, no record, or a label out of range: with the record, the byte offset, what was expected
/// and what was found.
pub fn parse(bytes: &[u8], name: &str, labels: Labels) -> Result<Raw> {
    let (label_bytes, wanted) = labels.layout();
    let record = labels.record();
    check_size(bytes, name, record)?;
    let images = bytes.len() / record;
    let mut raw = Raw {
        pixels: Vec::with_capacity(images * PIXELS),
        labels: Vec::with_capacity(images),
        channels: CHANNELS,
        side: SIDE,
        classes: label_bytes[wanted].0,
    };
    for (index, bytes_of) in bytes.chunks_exact(record).enumerate() {
        let (found, pixels) = bytes_of.split_at(label_bytes.len());
        for (place, (&label, (classes, what))) in found.iter().zip(label_bytes).enumerate() {
            ensure!(
                usize::from(label) < *classes,
                "{name}: record {index}, byte offset {}: {what} {label}, expected 0 to {}{}",
                index * record + place,
                classes - 1,
                sniff::hint(bytes)
            );
        }
        raw.labels.push(found[wanted]);
        raw.pixels.extend_from_slice(pixels);
    }
    Ok(raw)
}

fn check_size(bytes: &[u8], name: &str, record: usize) -> Result<()> {
    let (whole, over) = (bytes.len() / record, bytes.len() % record);
    if over != 0 || whole == 0 {
        bail!(
            "{name}: {} bytes, expected a whole number of records of {} bytes; found {} records and {} bytes \
             of record {whole} at byte offset {}{}",
            grouped(bytes.len()),
            grouped(record),
            grouped(whole),
            grouped(over),
            whole * record,
            sniff::hint(bytes)
        );
    }
    Ok(())
}

/// Reads the files of a split from `folder`.
///
/// # Errors
/// A missing or unreadable file, and those of [`parse`].
pub(super) fn read(folder: &Path, labels: Labels, split: Split) -> Result<Raw> {
    let mut all: Option<Raw> = None;
    for name in files(labels, split) {
        let path = folder.join(name);
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let raw = parse(&bytes, &path.display().to_string(), labels)?;
        match &mut all {
            None => all = Some(raw),
            Some(all) => {
                all.pixels.extend_from_slice(&raw.pixels);
                all.labels.extend_from_slice(&raw.labels);
            }
        }
    }
    all.context("a split has at least one file")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record whose pixels are all `pixel`.
    fn record(labels: &[u8], pixel: u8) -> Vec<u8> {
        [labels, &[pixel; PIXELS]].concat()
    }

    #[test]
    fn records_become_planes_and_labels() {
        let mut bytes = [record(&[3], 1), record(&[9], 2)].concat();
        bytes[1 + 1024] = 77; // first green pixel of the first image
        let raw = parse(&bytes, "x.bin", Labels::Ten).unwrap();
        assert_eq!(raw.labels, [3, 9]);
        assert_eq!((raw.channels, raw.side, raw.classes), (3, 32, 10));
        assert_eq!(raw.pixels.len(), 2 * 3072);
        assert_eq!((raw.pixels[1023], raw.pixels[1024], raw.pixels[3072]), (1, 77, 2));
    }

    #[test]
    fn coarse_is_the_first_label_byte_and_fine_the_second() {
        let bytes = record(&[19, 99], 0);
        let coarse = parse(&bytes, "x.bin", Labels::Coarse).unwrap();
        let fine = parse(&bytes, "x.bin", Labels::Fine).unwrap();
        assert_eq!((coarse.labels[0], coarse.classes), (19, 20));
        assert_eq!((fine.labels[0], fine.classes), (99, 100));
    }

    #[test]
    fn a_file_cut_short_names_its_size_and_the_record_that_is_not_whole() {
        let mut bytes = [record(&[3], 1), record(&[9], 2)].concat();
        bytes.truncate(5000);
        let error = parse(&bytes, "data_batch_1.bin", Labels::Ten).unwrap_err().to_string();
        assert_eq!(
            error,
            "data_batch_1.bin: 5,000 bytes, expected a whole number of records of 3,073 bytes; found 1 records \
             and 1,927 bytes of record 1 at byte offset 3073"
        );
    }

    #[test]
    fn a_label_out_of_range_names_its_record_and_offset() {
        let bytes = [record(&[3, 50], 1), record(&[4, 100], 2)].concat();
        let error = parse(&bytes, "train.bin", Labels::Coarse).unwrap_err().to_string();
        assert_eq!(
            error,
            "train.bin: record 1, byte offset 3075: fine label 100, expected 0 to 99"
        );
    }

    #[test]
    fn something_else_under_the_name_is_called_what_it_is() {
        let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 3065]].concat();
        let error = parse(&png, "x.bin", Labels::Ten).unwrap_err().to_string();
        assert!(error.contains("it is a PNG image"), "{error}");
        let error = parse(b"", "x.bin", Labels::Fine).unwrap_err().to_string();
        assert!(error.contains("the file is empty"), "{error}");
    }

    #[test]
    fn the_five_training_files_are_read_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for (label, name) in (0..).zip(files(Labels::Ten, Split::Train)) {
            std::fs::write(dir.path().join(name), record(&[label], label)).unwrap();
        }
        let raw = read(dir.path(), Labels::Ten, Split::Train).unwrap();
        assert_eq!(raw.labels, [0, 1, 2, 3, 4]);
        let error = format!("{:#}", read(dir.path(), Labels::Ten, Split::Test).unwrap_err());
        assert!(error.contains("test_batch.bin"), "{error}");
    }
}
