//! Predictions as Parquet, with the digests of what made them in the file's own metadata: stale
//! ones are never taken for fresh.

use std::fs::File;
use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use polars::io::parquet::write::KeyValueMetadata;
use polars::prelude::{
    Column, DataFrame, DataType, Float32Type, IntoSeries, ListBuilderTrait,
    ListPrimitiveChunkedBuilder, ParquetCompression, ParquetReader, ParquetWriter, SerReader,
};
use serde::{Deserialize, Serialize};

use super::atomic;
use crate::eval::Predictions;

/// What predictions were made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// `experiment::FORMAT` of the program.
    pub format: u32,
    /// Digest of the weights.
    pub weights: String,
    /// Digest of the data.
    pub data: String,
    /// Number of held-out images that the split leaves; it decides which images are meant.
    pub validation: usize,
}

const KEY: &str = "repro";

/// Writes predictions: image, exit (from 1), label, predicted, confidence, logits.
///
/// # Errors
/// Names the path.
pub fn save(path: &Path, predictions: &Predictions, made: &Made) -> Result<()> {
    let mut frame = frame(predictions)?;
    let made = serde_json::to_string(made)?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .set_parallel(false)
        .with_compression(ParquetCompression::Uncompressed)
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(vec![(
            KEY.to_string(),
            made,
        )])))
        .finish(&mut frame)
        .with_context(|| format!("writing {}", path.display()))?;
    atomic::write(path, &bytes)
}

/// What the predictions at `path` were made of; none where there are none or they cannot be read.
pub fn made(path: &Path) -> Option<Made> {
    let mut reader = ParquetReader::new(File::open(path).ok()?);
    let metadata = reader.get_metadata().ok()?;
    let pairs = metadata.key_value_metadata().as_ref()?;
    let value = pairs.iter().find(|pair| pair.key == KEY)?.value.as_ref()?;
    serde_json::from_str(value).ok()
}

/// Reads predictions and checks them.
///
/// # Errors
/// Names the path and what is wrong with it.
pub fn load(path: &Path) -> Result<Predictions> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(bytes).with_context(|| format!("{} does not hold predictions", path.display()))
}

/// Predictions from a file's bytes.
///
/// # Errors
/// Says what is wrong.
pub fn parse(bytes: Vec<u8>) -> Result<Predictions> {
    let frame = ParquetReader::new(Cursor::new(bytes)).finish()?;
    let numbers = |name: &str| -> Result<Vec<u32>> {
        let column = frame
            .column(name)?
            .u32()
            .with_context(|| format!("column {name}"))?;
        ensure!(column.null_count() == 0, "column {name} has gaps");
        Ok(column.into_no_null_iter().collect())
    };
    let (images, exits, labels) = (numbers("image")?, numbers("exit")?, numbers("label")?);
    let count = exits.iter().take_while(|&&exit| exit == 1).count();
    ensure!(
        count > 0 && exits.len() % count == 0,
        "not a whole table of exits and images"
    );
    for (row, &exit) in exits.iter().enumerate() {
        let (expected, first) = (row / count, row % count);
        ensure!(
            exit as usize == expected + 1,
            "row {row}: exit {exit}, expected {}",
            expected + 1
        );
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
        let values = column
            .get_as_series(row)
            .with_context(|| format!("row {row}: no logits"))?;
        let values = values.f32().context("column logits")?;
        classes = if row == 0 { values.len() } else { classes };
        ensure!(
            values.len() == classes && values.null_count() == 0,
            "row {row}: {} logits, expected {classes}",
            values.len()
        );
        logits.extend(values.into_no_null_iter());
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
