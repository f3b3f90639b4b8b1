//! How far a sweep has come, told from the headers of checkpoints, locks, clocks and the scheduler;
//! no data and no tensor is read.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::manifest::Line;
use super::slurm::queue_of;
use crate::results::RunFolder;
use crate::results::runfiles::timings;
use crate::runs::Settings;
use crate::runs::execute::folder_of;
use crate::runs::progress::readable;

/// What is the matter with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Trained to its end.
    Done,
    /// A process is training it.
    Running,
    /// The last training failed.
    Failed,
    /// Not begun, or interrupted.
    Waiting,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Done => "done",
            State::Running => "running",
            State::Failed => "failed",
            State::Waiting => "waiting",
        }
    }
}

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
    /// What is the matter.
    pub state: State,
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
pub fn status_of(lines: &[Line], path: Option<&str>, settings: &Settings) -> Vec<Status> {
    let queue = path.map(queue_of).unwrap_or_default();
    let told = |line: &Line| {
        let mut status = one(line, settings);
        if status.state != State::Done {
            status.slurm = queue.get(&line.index).cloned();
        }
        status
    };
    lines.iter().map(told).collect()
}

fn one(line: &Line, settings: &Settings) -> Status {
    let folder = folder_of(&line.run, settings);
    let progress = folder.progress().map(|(progress, _)| progress);
    let epoch = progress.as_ref().map_or(0, |p| p.epoch);
    let epochs = line.run.training.as_ref().map_or(0, |t| t.epochs);
    let reason = std::fs::read_to_string(folder.failed_txt()).ok();
    let state = if progress.is_some_and(|p| p.is_finished()) {
        State::Done
    } else if folder.is_locked() {
        State::Running
    } else if reason.is_some() {
        State::Failed
    } else {
        State::Waiting
    };
    let is_running = state == State::Running;
    Status {
        index: line.index,
        id: line.id.clone(),
        name: line.name.clone(),
        seed: line.run.seed,
        state,
        epoch,
        epochs,
        seconds_left: is_running.then(|| seconds_left(&folder, line, epoch, epochs)),
        reason: reason.filter(|_| state == State::Failed).map(|text| text.trim_end().to_string()),
        slurm: None,
    }
}

/// By this run's own clock where it has run an epoch, else by the manifest's estimate.
fn seconds_left(folder: &RunFolder, line: &Line, epoch: u32, epochs: u32) -> f64 {
    let clock = timings(&folder.timing_csv());
    let each = match clock.len() {
        0 => line.seconds / f64::from(epochs.max(1)),
        n => clock.iter().map(|t| t.seconds).sum::<f64>() / n as f64,
    };
    let since = age(folder).unwrap_or_default().as_secs_f64().min(each);
    let left = each * f64::from(epochs.saturating_sub(epoch)) - since;
    (left.max(0.0) * 10.0).round() / 10.0
}

/// Time since the last epoch ended.
fn age(folder: &RunFolder) -> Option<Duration> {
    let written = folder.timing_csv().metadata().ok()?.modified().ok()?;
    SystemTime::now().duration_since(written).ok()
}

/// The table for people: with `all`, every run, else those that run or failed; and the counts.
pub fn describe_status(statuses: &[Status], all: bool) -> String {
    let shown =
        statuses.iter().filter(|s| all || matches!(s.state, State::Running | State::Failed));
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
            s.state.name(),
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
        "{} runs: {} done, {} running, {} failed, {} waiting\n",
        statuses.len(),
        count(State::Done),
        count(State::Running),
        count(State::Failed),
        count(State::Waiting)
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
            seconds_left: (state == State::Running).then_some(61.0),
            reason: (state == State::Failed).then(|| "the loss is NaN".to_string()),
            slurm: None,
        };
        let states = [State::Done, State::Running, State::Failed, State::Waiting];
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
