//! The small files of a run folder.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RunFolder;
use super::atomic;
use super::began::Began;
use super::tables::{self, Rows, Table};
use crate::experiment::{FORMAT, LogRow, Run};

#[derive(Serialize)]
struct RunFile<'a> {
    format: u32,
    run: &'a Run,
    training_data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<&'a [String]>,
    /// The last one: what a clock says comes at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    began: Option<&'a Began>,
}

/// Writes the configuration as people read it, what `source` it was imported from, the names of the
/// `classes` of an image folder, and what `began` it.
///
/// # Errors
/// Names the path.
pub fn write_run_yaml(
    path: &Path,
    run: &Run,
    training_data: &str,
    source: Option<&str>,
    classes: Option<&[String]>,
    began: Option<&Began>,
) -> Result<()> {
    let file = RunFile { format: FORMAT, run, training_data, source, classes, began };
    // Through JSON's model, which writes enums as plain mappings and not as YAML tags.
    let text = serde_yaml::to_string(&serde_json::to_value(file)?)?;
    atomic::write(path, text.as_bytes())
}

/// The run that `run.yaml` at `path` describes; none where it is not whole.
pub fn read_run_yaml(path: &Path) -> Option<Run> {
    read_key(path, "run")
}

/// What began the run, as `run.yaml` at `path` says; none where it does not.
pub fn read_began(path: &Path) -> Option<Began> {
    read_key(path, "began")
}

/// The names of the classes, by label, that `run.yaml` at `path` keeps; none of a data set with a
/// name, and of runs from before they were kept.
pub fn read_classes(path: &Path) -> Option<Vec<String>> {
    read_key(path, "classes")
}

/// Through JSON's model, as it was written.
fn read_key<T: DeserializeOwned>(path: &Path, key: &str) -> Option<T> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut file: serde_json::Value = serde_yaml::from_str(&text).ok()?;
    serde_json::from_value(file.get_mut(key)?.take()).ok()
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

/// The log of a run as a table: its `train.csv`, which is ahead of the checkpoint while the run is
/// trained; where that is lost or was cut, the log that the checkpoint holds.
///
/// # Errors
/// Names `train.csv` where it cannot be read and there is no checkpoint either.
pub fn log(folder: &RunFolder) -> Result<Rows> {
    let path = folder.train_csv();
    let Some((progress, _)) = folder.progress() else {
        return tables::read(&path);
    };
    match tables::read(&path) {
        // One that says no more may have been cut within its last number.
        Ok(rows) if rows.count() > progress.log.len() => Ok(rows),
        _ => tables::parse(&path, train_csv(&progress.log)?),
    }
}

/// Adds a row to the clock's table; a row that a killed process left half written is dropped.
///
/// # Errors
/// Names the path.
pub fn append_timing(path: &Path, epoch: u32, images_per_second: f64, seconds: f64) -> Result<()> {
    let old = std::fs::read(path).unwrap_or_default();
    let old = String::from_utf8_lossy(&old);
    let whole = old
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n') && timing(line.trim_end()).is_some());
    let mut text = String::from("epoch,images_per_second,seconds\n");
    text.extend(whole);
    text.push_str(&format!("{epoch},{images_per_second:.1},{seconds:.3}\n"));
    atomic::write(path, text.as_bytes())
}

/// What a clock said of one epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Training images a second; 0 where a resumed training had only the evaluation left to do.
    pub images_per_second: f64,
    /// Seconds since the epoch, or the call that resumed it, began.
    pub seconds: f64,
}

/// The rows of the clock's table at `path`; none without one.
pub fn timings(path: &Path) -> Vec<Timing> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().skip(1).filter_map(timing).collect()
}

fn timing(line: &str) -> Option<Timing> {
    let mut fields = line.split(',');
    let epoch = fields.next()?.parse().ok()?;
    let mut number = || -> Option<f64> {
        let number = fields.next()?.parse().ok()?;
        (0.0..1e12).contains(&number).then_some(number)
    };
    Some(Timing { epoch, images_per_second: number()?, seconds: number()? })
}

/// Seconds in all that the clock's table at `path` holds; 0 without one.
pub fn timing_seconds(path: &Path) -> f64 {
    timings(path).iter().map(|row| row.seconds).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.yaml");
        let run = r#"{"network":{"msdnet":{"channels":4,"growth":2,"scale_growth":[1,2],
            "bottleneck":[1,1],"exits":2,"first_exit":1,"spacing":{"even":1}}},
            "dataset":{"folder":"pets"},"validation":3,"seed":1,
            "training":{"epochs":2,"schedule":{"cosine":{"warm_up":0.5}}}}"#;
        let run: Run = serde_json::from_str(run).unwrap();
        write_run_yaml(&path, &run, "digest", None, None, None).unwrap();
        assert_eq!((read_run_yaml(&path), read_began(&path)), (Some(run.clone()), None));
        assert_eq!(read_classes(&path), None);
        // Names that YAML would take for something else.
        let names = ["1", "no", "null", "a: b", "\u{e9}t\u{e9}"].map(String::from);
        write_run_yaml(&path, &run, "digest", None, Some(&names), None).unwrap();
        assert_eq!((read_run_yaml(&path), read_classes(&path)), (Some(run), Some(names.to_vec())));
        std::fs::write(&path, "run: 3").unwrap();
        assert_eq!(read_run_yaml(&path), None);
    }

    #[test]
    fn a_row_torn_by_a_kill_is_dropped_from_the_clocks_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timing.csv");
        append_timing(&path, 1, 10.0, 2.5).unwrap();
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend_from_slice(b"2,1");
        std::fs::write(&path, torn).unwrap();
        assert_eq!(timing_seconds(&path), 2.5);
        append_timing(&path, 2, 10.0, 1.5).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "epoch,images_per_second,seconds\n1,10.0,2.500\n2,10.0,1.500\n");
        assert_eq!(timing_seconds(&path), 4.0);
    }
}
