//! The small files of a run folder.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::atomic;
use super::checkpoint::LogRow;
use super::tables::Table;
use crate::experiment::{FORMAT, Run};

#[derive(Serialize)]
struct RunFile<'a> {
    format: u32,
    run: &'a Run,
    training_data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

/// Writes the configuration as people read it, and what `source` it was imported from.
///
/// # Errors
/// Names the path.
pub fn write_run_yaml(
    path: &Path,
    run: &Run,
    training_data: &str,
    source: Option<&str>,
) -> Result<()> {
    let file = RunFile {
        format: FORMAT,
        run,
        training_data,
        source,
    };
    // Through JSON's model, which writes enums as plain mappings and not as YAML tags.
    let text = serde_yaml::to_string(&serde_json::to_value(file)?)?;
    atomic::write(path, text.as_bytes())
}

/// The run that `run.yaml` at `path` describes; none where it is not whole.
pub fn read_run_yaml(path: &Path) -> Option<Run> {
    #[derive(serde::Deserialize)]
    struct File {
        run: Run,
    }
    let text = std::fs::read_to_string(path).ok()?;
    serde_yaml::from_str::<File>(&text).ok().map(|f| f.run)
}

/// The log as CSV: epoch, learning_rate, loss, and the accuracy of each exit on the hold-out.
///
/// # Errors
/// When the rows differ in their number of exits.
pub fn train_csv(log: &[LogRow]) -> Result<Vec<u8>> {
    let exits = log.first().map_or(0, |row| row.accuracy.len());
    let mut table = Table::default()
        .count("epoch", log.iter().map(|r| r.epoch))
        .number("learning_rate", log.iter().map(|r| r.learning_rate))
        .number("loss", log.iter().map(|r| r.loss));
    for exit in 0..exits {
        let column = log.iter().map(|r| r.accuracy.get(exit).copied());
        table = table.optional(&format!("accuracy_{}", exit + 1), column);
    }
    table.to_csv()
}

/// Adds a row to the clock's table.
///
/// # Errors
/// Names the path.
pub fn append_timing(path: &Path, epoch: u32, images_per_second: f64, seconds: f64) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    let is_new = !path.exists();
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(path)
        .with_context(context)?;
    let header = if is_new {
        "epoch,images_per_second,seconds\n"
    } else {
        ""
    };
    write!(
        file,
        "{header}{epoch},{images_per_second:.1},{seconds:.3}\n"
    )
    .with_context(context)
}

/// What a clock said of one epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Training images a second.
    pub images_per_second: f64,
    /// Seconds.
    pub seconds: f64,
}

/// The rows of the clock's table at `path`; none without one.
pub fn timings(path: &Path) -> Vec<Timing> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().skip(1).filter_map(timing).collect()
}

fn timing(line: &str) -> Option<Timing> {
    let mut fields = line.split(',');
    Some(Timing {
        epoch: fields.next()?.parse().ok()?,
        images_per_second: fields.next()?.parse().ok()?,
        seconds: fields.next()?.parse().ok()?,
    })
}

/// Seconds in all that the clock's table at `path` holds; 0 without one.
pub fn timing_seconds(path: &Path) -> f64 {
    timing_each(path).into_iter().sum()
}

/// Seconds of each row of the clock's table at `path`; none without one.
pub fn timing_each(path: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .skip(1)
        .filter_map(|line| line.rsplit(',').next()?.parse::<f64>().ok())
        .collect()
}
