//! Predictions as Parquet, with the digests of what made them in the file's own metadata: stale
//! ones are never taken for fresh.
//!
//! A file also carries a checksum of itself (see `seal`), which is looked at before anything
//! parses it: a damaged Parquet file can do anything to its reader.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use polars::io::parquet::write::KeyValueMetadata;
use polars::prelude::{
    Column, DataFrame, DataType, Float32Type, IntoSeries, ListBuilderTrait,
    ListPrimitiveChunkedBuilder, ParquetCompression, ParquetReader, ParquetWriter, SerReader,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::atomic;
use crate::data::{Split, hex};
use crate::eval::Predictions;
use crate::nn::Precision;

/// What predictions were made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// `experiment::FORMAT` of the program.
    pub format: u32,
    /// Digest of the weights.
    pub weights: String,
    /// Digest of the data.
    pub data: String,
    /// Number of training images held out; it decides which images a split has, the test images apart.
    pub validation: usize,
    /// Where they were computed: `cpu`, or the GPU's name and how it computes. Only the last digits
    /// depend on it.
    pub device: String,
    /// Element type that they were computed in.
    pub precision: Precision,
}

impl Made {
    /// Whether both are predictions of the same weights on the same images of `split`, wherever they
    /// were computed.
    pub fn is_of_the_same(&self, other: &Made, split: Split) -> bool {
        let Made { format, weights, data, validation, device: _, precision: _ } = self;
        let is_held_out_alike = split == Split::Test || *validation == other.validation;
        is_held_out_alike && (*format, weights, data) == (other.format, &other.weights, &other.data)
    }
}

const KEY: &str = "repro";

/// Writes predictions: image, exit (from 1), label, predicted, confidence, logits.
///
/// # Errors
/// Names the path.
pub fn save(path: &Path, predictions: &Predictions, made: &Made) -> Result<()> {
    let bytes =
        to_bytes(predictions, made).with_context(|| format!("writing {}", path.display()))?;
    atomic::write(path, &bytes)
}

/// The file's bytes.
///
/// # Errors
/// When the predictions are not whole.
pub fn to_bytes(predictions: &Predictions, made: &Made) -> Result<Vec<u8>> {
    let pairs = vec![
        (KEY.to_string(), serde_json::to_string(made)?),
        ("checksum".to_string(), format!("{SEAL}{NO_DIGEST}")),
    ];
    let mut bytes = parquet(frame(predictions)?, Some(KeyValueMetadata::from_static(pairs)))?;
    seal(&mut bytes)?;
    Ok(bytes)
}

/// A table as Parquet that any reader takes.
pub(super) fn parquet(mut frame: DataFrame, metadata: Option<KeyValueMetadata>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .set_parallel(false)
        .with_compression(ParquetCompression::Uncompressed)
        .with_key_value_metadata(metadata)
        .finish(&mut frame)?;
    Ok(bytes)
}

/// Before the checksum, in the metadata at the end of the file.
const SEAL: &str = "repro-sha256:";
/// What stands in the checksum's place while it is taken.
const NO_DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Writes into the file's own metadata the SHA-256 of the file with zeros in that place. The file
/// stays Parquet, and no second file can be out of step with it.
fn seal(bytes: &mut [u8]) -> Result<()> {
    let place = seal_place(bytes)?;
    let digest = digest(bytes);
    bytes[place].copy_from_slice(digest.as_bytes());
    Ok(())
}

/// Refuses a file that is not byte for byte what was written.
fn check_seal(bytes: &mut [u8]) -> Result<()> {
    let place = seal_place(bytes)?;
    let said = bytes[place.clone()].to_vec();
    bytes[place].copy_from_slice(NO_DIGEST.as_bytes());
    let found = digest(bytes);
    ensure!(
        found.as_bytes() == said,
        "its checksum is {found}, the file says {}",
        String::from_utf8_lossy(&said)
    );
    Ok(())
}

fn seal_place(bytes: &[u8]) -> Result<std::ops::Range<usize>> {
    let marks = bytes.windows(SEAL.len()).enumerate().rev();
    let start = marks
        .filter(|(_, window)| *window == SEAL.as_bytes())
        .map(|(at, _)| at + SEAL.len())
        .find(|start| start + NO_DIGEST.len() <= bytes.len());
    let start = start.context("it is cut short, or was not written by this program")?;
    Ok(start..start + NO_DIGEST.len())
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Reads predictions, checks them, and says what they were made of.
///
/// # Errors
/// Names the path and what is wrong with it.
pub fn load(path: &Path) -> Result<(Made, Predictions)> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(bytes).with_context(|| format!("{} does not hold predictions", path.display()))
}

/// Predictions from a file's bytes, and what they were made of.
///
/// # Errors
/// Says what is wrong.
pub fn parse(mut bytes: Vec<u8>) -> Result<(Made, Predictions)> {
    check_seal(&mut bytes)?;
    let mut reader = ParquetReader::new(Cursor::new(bytes));
    let made = made(&mut reader)?;
    let predictions = predictions(&reader.finish()?)?;
    Ok((made, predictions))
}

fn made(reader: &mut ParquetReader<Cursor<Vec<u8>>>) -> Result<Made> {
    let metadata = reader.get_metadata()?;
    let pairs = metadata.key_value_metadata().as_ref();
    let pair = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == KEY));
    let value = pair.and_then(|pair| pair.value.as_ref());
    Ok(serde_json::from_str(value.context("it does not say what it was made of")?)?)
}

fn predictions(frame: &DataFrame) -> Result<Predictions> {
    let numbers = |name: &str| -> Result<Vec<u32>> {
        let column = frame.column(name)?.u32().with_context(|| format!("column {name}"))?;
        ensure!(column.null_count() == 0, "column {name} has gaps");
        Ok(column.data_views().collect::<Vec<_>>().concat())
    };
    let (images, exits, labels) = (numbers("image")?, numbers("exit")?, numbers("label")?);
    let count = exits.iter().take_while(|&&exit| exit == 1).count();
    ensure!(count > 0 && exits.len() % count == 0, "not a whole table of exits and images");
    for (row, &exit) in exits.iter().enumerate() {
        let (expected, first) = (row / count, row % count);
        ensure!(exit as usize == expected + 1, "row {row}: exit {exit}, expected {}", expected + 1);
        ensure!(
            images[row] == images[first] && labels[row] == labels[first],
            "row {row}: another image than at exit 1"
        );
    }
    let column = frame.column("logits")?.list().context("column logits")?;
    ensure!(column.null_count() == 0, "column logits has gaps");
    let mut logits = Vec::new();
    let mut classes = 0;
    for row in 0..column.len() {
        let values = column.get_as_series(row).with_context(|| format!("row {row}: no logits"))?;
        let values = values.f32().context("column logits")?;
        classes = if row == 0 { values.len() } else { classes };
        ensure!(
            values.len() == classes && values.null_count() == 0,
            "row {row}: {} logits, expected {classes}",
            values.len()
        );
        logits.extend_from_slice(values.cont_slice()?);
    }
    if classes == 0 {
        bail!("no logits");
    }
    let predictions = Predictions {
        exits: exits.len() / count,
        classes,
        images: images[..count].to_vec(),
        labels: labels[..count].to_vec(),
        logits,
    };
    predictions.check()?;
    Ok(predictions)
}

/// The table of predictions, one row an exit and image, exit by exit.
///
/// # Errors
/// When the predictions are not whole.
pub fn frame(predictions: &Predictions) -> Result<DataFrame> {
    predictions.check()?;
    let (exits, count) = (predictions.exits, predictions.len());
    let rows = exits * count;
    let repeat =
        |values: &[u32]| -> Vec<u32> { values.iter().copied().cycle().take(rows).collect() };
    let exit: Vec<u32> = (0..rows).map(|row| (row / count) as u32 + 1).collect();
    let mut logits = ListPrimitiveChunkedBuilder::<Float32Type>::new(
        "logits".into(),
        rows,
        predictions.logits.len(),
        DataType::Float32,
    );
    for row in predictions.logits.chunks(predictions.classes) {
        logits.append_slice(row);
    }
    let (predicted, confidence) = answers(predictions);
    Ok(DataFrame::new_infer_height(vec![
        Column::new("image".into(), repeat(&predictions.images)),
        Column::new("exit".into(), exit),
        Column::new("label".into(), repeat(&predictions.labels)),
        Column::new("predicted".into(), predicted),
        Column::new("confidence".into(), confidence),
        logits.finish().into_series().into(),
    ])?)
}

/// Predicted class and largest softmax of every row.
fn answers(predictions: &Predictions) -> (Vec<u32>, Vec<f32>) {
    let rows = predictions.logits.chunks(predictions.classes);
    rows.map(|logits| {
        let softmax = crate::eval::probabilities::softmax_f32(logits);
        let best = crate::eval::probabilities::argmax(&softmax);
        (best, softmax[best as usize])
    })
    .unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_on_the_test_images_serve_whatever_is_held_out() {
        let made = |validation| Made {
            format: 1,
            weights: "w".to_string(),
            data: "d".to_string(),
            validation,
            device: "cpu".to_string(),
            precision: Precision::Fp32,
        };
        let other_weights = Made { weights: "v".to_string(), ..made(5) };
        for split in [Split::Train, Split::Validation, Split::Test] {
            let is_test = split == Split::Test;
            assert!(made(5).is_of_the_same(&made(5), split));
            assert_eq!(made(5).is_of_the_same(&made(0), split), is_test);
            assert!(!made(5).is_of_the_same(&other_weights, split));
        }
    }
}
