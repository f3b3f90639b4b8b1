//! What several runs were begun with, summed up; versions and times as text.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::results::began::Began;

/// The largest of the rates that runs measured; none where there are no runs.
pub fn best(rates: impl Iterator<Item = f64>) -> Option<f64> {
    rates.max_by(f64::total_cmp)
}

/// Whether some run began from source with changes; none where that is not known of all.
pub fn any_dirty(runs: &[&Began]) -> Option<bool> {
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
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}
