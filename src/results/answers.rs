//! Predictions for people and for other programs: plain tables, and the logits as tensors.

use std::path::Path;

use anyhow::{Context, Result, bail};
use polars::prelude::{Column, CsvWriter, DataFrame, SerWriter};
use tch::Tensor;

use super::predictions::{frame, parquet};
use super::{atomic, checkpoint};
use crate::eval::Predictions;

/// The CSV of predictions: image, exit (from 1), label, predicted, confidence; and file, where the images have
/// `files`, one each.
///
/// # Errors
/// When the predictions are not whole.
pub fn csv(predictions: &Predictions, files: Option<&[String]>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).finish(&mut table(predictions, files)?)?;
    Ok(bytes)
}

/// Writes the same as `.csv` or `.parquet`.
///
/// # Errors
/// When the name has another ending or the file cannot be written.
pub fn save(path: &Path, predictions: &Predictions, files: Option<&[String]>) -> Result<()> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    let bytes = match extension.as_deref() {
        Some("csv") => csv(predictions, files)?,
        Some("parquet") => parquet(table(predictions, files)?, None)
            .with_context(|| format!("writing {}", path.display()))?,
        _ => bail!("{}: expected a name that ends in .csv or .parquet", path.display()),
    };
    atomic::write(path, &bytes)
}

/// Writes `logits` `[exits, images, classes]` f32, `labels` `[images]` i64 and `images` `[images]`
/// i64 (indices in the data file) as safetensors.
///
/// # Errors
/// Names the path.
pub fn save_logits(path: &Path, predictions: &Predictions) -> Result<()> {
    let shape = [predictions.exits, predictions.len(), predictions.classes].map(|n| n as i64);
    let logits = Tensor::f_from_slice(&predictions.logits)?.f_view(shape)?;
    let longs = |values: &[u32]| {
        Tensor::f_from_slice(&values.iter().map(|&n| i64::from(n)).collect::<Vec<_>>())
    };
    let tensors = [
        ("logits".to_string(), logits),
        ("labels".to_string(), longs(&predictions.labels)?),
        ("images".to_string(), longs(&predictions.images)?),
    ];
    checkpoint::save_tensors(path, &tensors)
}

fn table(predictions: &Predictions, files: Option<&[String]>) -> Result<DataFrame> {
    let mut table = frame(predictions)?.drop("logits")?;
    if let Some(files) = files {
        // Exit by exit, each with all images.
        let column: Vec<&str> =
            files.iter().map(String::as_str).cycle().take(table.height()).collect();
        table.with_column(Column::new("file".into(), column))?;
    }
    Ok(table)
}
