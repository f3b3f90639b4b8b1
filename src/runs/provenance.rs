//! `run.json`: what made a figure, so that it can be made again and compared.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde::Serialize;

use crate::nn::Precision;
use crate::results::atomic;
use crate::results::began::{Began, Processor};

/// What made a figure.
#[derive(Debug, Serialize)]
pub struct Provenance {
    /// This program.
    pub program: String,
    /// `experiment::FORMAT`.
    pub format: u32,
    /// Commits of the source that the runs were begun from, each once.
    pub commit: Vec<String>,
    /// Whether the source of some run had changes which were not committed; none = unknown.
    pub dirty: Option<bool>,
    /// The command line that made the figure.
    pub command: String,
    /// Version of LibTorch.
    pub libtorch: String,
    /// Devices that the runs were begun on, each once.
    pub device: Vec<String>,
    /// Processors that the runs were begun on, each once.
    pub processor: Vec<Processor>,
    /// Multiply-adds a second of a 32-bit matrix product, the best that a run measured.
    pub matmul_fp32: Option<f64>,
    /// The same in bfloat16.
    pub matmul_bf16: Option<f64>,
    /// Element type of the trainings' convolutions.
    pub precision: Precision,
    /// Cores of the machine that made the figure.
    pub cores: usize,
    /// Threads that the runs were begun with, each once.
    pub threads: Vec<usize>,
    /// Processes that trained side by side.
    pub workers: usize,
    /// Digest of the training data.
    pub training_data: String,
    /// Digest of the test data.
    pub test_data: String,
    /// When the command began, UTC.
    pub began: String,
    /// When it ended, UTC.
    pub ended: String,
    /// Seconds that this command took.
    pub wall_seconds: f64,
    /// Seconds that the trainings took in all, this and earlier commands together.
    pub training_seconds: f64,
    /// Folders of the runs.
    pub runs: Vec<String>,
    /// Seconds that the training of each took.
    pub seconds_of_runs: Vec<f64>,
    /// Folders of the runs that were not finished and that the figure does without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// Distinct values of what began `runs`, in the order in which they come.
pub fn distinct<T: PartialEq>(runs: &[Began], value: impl Fn(&Began) -> T) -> Vec<T> {
    let mut found = Vec::new();
    for value in runs.iter().map(value) {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

/// The largest of a rate that `runs` measured; none where there are no runs.
pub fn best(runs: &[Began], rate: impl Fn(&Began) -> f64) -> Option<f64> {
    runs.iter().map(rate).max_by(f64::total_cmp)
}

/// Whether some run began from source with changes; none where that is not known of all.
pub fn any_dirty(runs: &[Began]) -> Option<bool> {
    let all: Vec<Option<bool>> = runs.iter().map(|began| began.dirty).collect();
    if all.contains(&Some(true)) { Some(true) } else { (!all.contains(&None)).then_some(false) }
}

/// The version of the LibTorch that was linked, as its folder says; tch has no call for it.
pub fn libtorch_version() -> String {
    let linked = env!("REPRO_LIBTORCH_VERSION");
    if linked.is_empty() { "unknown".to_string() } else { linked.to_string() }
}

/// A time as `2026-01-31T12:00:00Z`.
pub fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second % 3600 / 60,
        second % 60
    )
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let (mut year, mut month) = (1970, 1);
    loop {
        let is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let length = match month {
            2 => 28 + u64::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if days < length {
            return (year, month, days + 1);
        }
        days -= length;
        (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    }
}

/// Writes `run.json`.
///
/// # Errors
/// Names the path.
pub fn write(path: &Path, provenance: &Provenance) -> Result<()> {
    let mut text = serde_json::to_string_pretty(provenance)?;
    text.push('\n');
    atomic::write(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_right_across_leap_years() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_796_083_199), "2026-11-30T23:59:59Z");
    }
}
