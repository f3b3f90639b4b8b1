//! CIFAR-10 and CIFAR-100 in the official binary layout (cs.toronto.edu/~kriz/cifar.html).
//!
//! A record is the label byte (CIFAR-100: a coarse, then a fine one) and 3,072 pixels: the red, green and blue
//! planes of a 32x32 image, row by row. A file is nothing but records.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::Part;
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
}

/// The folder of the official archive and the files of a part in it, in order.
pub fn files(labels: Labels, part: Part) -> (&'static str, &'static [&'static str]) {
    match (labels, part) {
        (Labels::Ten, Part::Train) => (
            "cifar-10-batches-bin",
            &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
            ],
        ),
        (Labels::Ten, Part::Test) => ("cifar-10-batches-bin", &["test_batch.bin"]),
        (_, Part::Train) => ("cifar-100-binary", &["train.bin"]),
        (_, Part::Test) => ("cifar-100-binary", &["test.bin"]),
    }
}

/// Reads one file's bytes; `name` is what errors call it. Any whole, positive number of records is accepted.
///
/// # Errors
/// A part of a record, no record, or a label out of range: with the record, the byte offset, what was expected
/// and what was found.
pub fn parse(bytes: &[u8], name: &str, labels: Labels) -> Result<Raw> {
    let (label_bytes, wanted) = labels.layout();
    let record = label_bytes.len() + PIXELS;
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

/// Reads a part from `<data_dir>/cifar-10-batches-bin` or `<data_dir>/cifar-100-binary`.
///
/// # Errors
/// A missing or unreadable file, and those of [`parse`].
pub fn read(data_dir: &Path, labels: Labels, part: Part) -> Result<Raw> {
    let (folder, names) = files(labels, part);
    let folder = data_dir.join(folder);
    ensure_there(&folder, labels)?;
    let mut all: Option<Raw> = None;
    for name in names {
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
    all.context("a part has at least one file")
}

fn ensure_there(folder: &Path, labels: Labels) -> Result<()> {
    let name = match labels {
        Labels::Ten => "cifar10",
        _ => "cifar100",
    };
    ensure!(
        folder.is_dir(),
        "there is no folder {}; `repro data fetch {name}` gets it, or --data names the folder that holds it",
        folder.display()
    );
    Ok(())
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
        let (folder, names) = files(Labels::Ten, Part::Train);
        std::fs::create_dir(dir.path().join(folder)).unwrap();
        for (i, name) in names.iter().enumerate() {
            std::fs::write(dir.path().join(folder).join(name), record(&[i as u8], i as u8))
                .unwrap();
        }
        let raw = read(dir.path(), Labels::Ten, Part::Train).unwrap();
        assert_eq!(raw.labels, [0, 1, 2, 3, 4]);
        let error = format!("{:#}", read(dir.path(), Labels::Ten, Part::Test).unwrap_err());
        assert!(error.contains("test_batch.bin"), "{error}");
    }

    #[test]
    fn a_missing_folder_says_which_command_fetches_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = read(dir.path(), Labels::Coarse, Part::Test).unwrap_err().to_string();
        assert!(error.contains("`repro data fetch cifar100`"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_images_or_an_error(bytes in proptest::collection::vec(0u8..120, 0..6200)) {
            for labels in [Labels::Ten, Labels::Fine, Labels::Coarse] {
                if let Ok(raw) = parse(&bytes, "x", labels) {
                    proptest::prop_assert_eq!(raw.pixels.len(), raw.labels.len() * PIXELS);
                }
            }
        }
    }
}
