//! `run.json`: what made a figure, so that it can be made again and compared.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde::Serialize;

use super::context::Settings;
use crate::results::atomic;

/// What made a figure.
#[derive(Debug, Serialize)]
pub struct Provenance {
    /// This program.
    pub program: String,
    /// `experiment::FORMAT`.
    pub format: u32,
    /// Version of LibTorch.
    pub libtorch: String,
    /// Where it was computed.
    pub device: String,
    /// The processor's name.
    pub processor: String,
    /// Its cores.
    pub cores: usize,
    /// Threads of one process.
    pub threads: usize,
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

/// What does not depend on the figure.
pub fn machine(settings: &Settings) -> (String, String, String, usize) {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let device = match settings.device {
        tch::Device::Cpu => "cpu".to_string(),
        other => format!("{other:?}").to_lowercase(),
    };
    (libtorch_version(), device, processor(), cores)
}

/// The version of the LibTorch that was linked, as its folder says; tch has no call for it.
pub fn libtorch_version() -> String {
    let linked = env!("REPRO_LIBTORCH_VERSION");
    if linked.is_empty() { "unknown".to_string() } else { linked.to_string() }
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':'))
        .map_or("unknown".to_string(), |(_, name)| name.trim().to_string())
}

/// A time as `2026-01-31T12:00:00Z`.
pub fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, second) = ((seconds / 86_400) as i64, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second % 3600 / 60,
        second % 60
    )
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let (mut year, mut left) = (1970, days);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
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
