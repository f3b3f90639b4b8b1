//! How far a sweep has come, as run folders and the scheduler say.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde::Serialize;

use super::manifest::Line;
use super::slurm::queue_of;
use crate::data::plural;
use crate::results::RunFolder;
use crate::results::runfiles::timings;
use crate::runs::display::readable;
use crate::runs::{DataSets, Known, State};

/// A run's line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Place in the manifest.
    pub index: usize,
    /// The run's folder.
    pub id: String,
    /// The network's name.
    pub name: String,
    /// Seed.
    pub seed: u64,
    /// `waiting`, `running`, `failed` or `done`.
    pub state: &'static str,
    /// Epochs done.
    pub epoch: u32,
    /// Epochs in all.
    pub epochs: u32,
    /// Of a running one, estimated.
    pub seconds_left: Option<f64>,
    /// Why it failed.
    pub reason: Option<String>,
    /// What Slurm says of its task.
    pub slurm: Option<String>,
}

/// The state of every run of a manifest at `path`, which leads to its Slurm job.
pub fn status_of(lines: &[Line], path: &str, data_sets: &DataSets) -> Vec<Status> {
    let queue = queue_of(path, lines);
    let told = |line: &Line| {
        let known = Known::of(&line.run, &data_sets.settings.places);
        let mut status = one(line.index, &known, Some(line.seconds), data_sets);
        (status.id, status.name) = (line.id.clone(), line.name.clone());
        if status.state != State::Done.name() {
            status.slurm = queue.get(&line.index).cloned();
        }
        status
    };
    lines.iter().map(told).collect()
}

/// The state of every run that has a folder.
///
/// # Errors
/// When the folder of the runs cannot be read.
pub fn status_of_all(data_sets: &DataSets) -> Result<Vec<Status>> {
    let all = Known::all(&data_sets.settings.places.runs)?;
    Ok(all.iter().enumerate().map(|(index, known)| one(index, known, None, data_sets)).collect())
}

/// `estimate`: seconds of the whole training.
fn one(index: usize, known: &Known, estimate: Option<f64>, data_sets: &DataSets) -> Status {
    let state = known.state(data_sets);
    let (epochs, name) = (known.epochs(), state.name());
    let epoch = state.epoch(epochs);
    let is_running = matches!(state, State::Running { .. });
    Status {
        index,
        id: known.folder.name(),
        name: known.run.network.short_name(),
        seed: known.run.seed,
        state: name,
        epoch,
        epochs,
        seconds_left: is_running
            .then(|| seconds_left(&known.folder, estimate, epoch, epochs))
            .flatten(),
        reason: match state {
            State::Failed { reason, .. } => Some(reason),
            State::Waiting { epoch: 0 } => {
                known.kept().map(|why| format!("{why}; it is trained anew"))
            }
            _ => None,
        },
        slurm: None,
    }
}

/// By this run's own clock where it has run an epoch, else by the estimate.
fn seconds_left(folder: &RunFolder, estimate: Option<f64>, epoch: u32, epochs: u32) -> Option<f64> {
    let mut clock = timings(&folder.timing_csv());
    // The median: of an epoch with an interruption the clock has the end alone.
    clock.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let each = match clock.get(clock.len() / 2) {
        Some(middle) => middle.seconds,
        None => estimate? / f64::from(epochs.max(1)),
    };
    let since = age(folder).unwrap_or_default().as_secs_f64().min(each);
    let left = each * f64::from(epochs.saturating_sub(epoch)) - since;
    Some((left.max(0.0) * 10.0).round() / 10.0)
}

/// Time since the last epoch ended.
fn age(folder: &RunFolder) -> Option<Duration> {
    let written = folder.timing_csv().metadata().ok()?.modified().ok()?;
    SystemTime::now().duration_since(written).ok()
}

/// The table for people: with `all`, every run, else those that run or failed; and the counts.
pub fn describe_status(statuses: &[Status], all: bool) -> String {
    let shown = statuses.iter().filter(|s| all || ["running", "failed"].contains(&s.state));
    let width = statuses.iter().map(|s| s.name.chars().count()).max();
    let width = width.unwrap_or(0).max("network".len());
    let mut text = format!("index  {:width$}  seed  state    epoch\n", "network");
    for s in shown {
        let epoch = format!("{}/{}", s.epoch, s.epochs);
        let line = format!(
            "{:>5}  {:width$}  {:>4}  {:7}  {epoch:>7}  {}",
            s.index,
            s.name,
            s.seed,
            s.state,
            remark(s)
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str(&counts(statuses));
    text
}

fn remark(status: &Status) -> String {
    let left =
        status.seconds_left.map(|s| format!("{} left", readable(Duration::from_secs_f64(s))));
    let slurm = status.slurm.as_ref().map(|s| format!("Slurm: {s}"));
    let parts = [left, status.reason.clone(), slurm];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn counts(statuses: &[Status]) -> String {
    let count = |state| statuses.iter().filter(|s| s.state == state).count();
    format!(
        "{}: {} done, {} running, {} failed, {} waiting\n",
        plural(statuses.len(), "run"),
        count("done"),
        count("running"),
        count("failed"),
        count("waiting")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_table_shows_what_runs_or_failed_and_counts_the_rest() {
        let status = |index, state| Status {
            index,
            id: String::new(),
            name: "MSDNet".to_string(),
            seed: 0,
            state,
            epoch: 1,
            epochs: 2,
            seconds_left: (state == "running").then_some(61.0),
            reason: (state == "failed").then(|| "the loss is NaN".to_string()),
            slurm: None,
        };
        let states = ["done", "running", "failed", "waiting"];
        let statuses: Vec<Status> = (0..).zip(states).map(|(i, s)| status(i, s)).collect();
        assert_eq!(
            describe_status(&statuses, false),
            "index  network  seed  state    epoch\n    \
             1  MSDNet      0  running      1/2  1 min 01 s left\n    \
             2  MSDNet      0  failed       1/2  the loss is NaN\n\
             4 runs: 1 done, 1 running, 1 failed, 1 waiting\n"
        );
    }
}
