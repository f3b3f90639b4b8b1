//! Runs trained one after another in this process, or side by side in worker processes.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Result, bail};
use tch::Device;

use super::child::{Worker, locked};
use super::context::Settings;
use super::data::DataSets;
use super::display::Display;
use super::protocol::{End, Task};
use super::sharing::{longest_first, workers_for};
use super::stop::{Interrupted, Stop, watch_signals};
use super::train::Outcome;
use super::worker::carry_out;
use crate::cuda::{Trouble, plain, trouble};
use crate::results::RunFolder;

/// How long to wait for a run that another process is training before asking again.
const BUSY: Duration = Duration::from_millis(300);

/// Trains and predicts every task's run: in this process, or by worker processes where there is
/// enough to do for more than one. A failing run does not stop the others.
///
/// # Errors
/// [`Interrupted`] after a signal; else a summary of what failed.
pub fn train_tasks(tasks: Vec<Task>, data_sets: &DataSets) -> Result<()> {
    let count = tasks.len();
    let settings = data_sets.settings;
    let workers = match settings.device {
        Device::Cuda(_) if !settings.workers_asked => workers_for(&tasks, settings.device),
        _ => settings.workers,
    };
    let workers = workers.min(count);
    let failures = if workers > 1 {
        side_by_side(tasks, workers, data_sets.settings)?
    } else {
        in_turn(tasks, data_sets)?
    };
    match failures.len() {
        0 => Ok(()),
        _ => bail!(summary(&failures, count)),
    }
}

/// A run that could not be trained.
#[derive(Debug, Clone)]
struct Failure {
    label: String,
    reason: String,
}

impl Failure {
    fn new(task: &Task, error: &str) -> Failure {
        let label = task.label();
        let reason = error.strip_prefix(&format!("{label}: ")).unwrap_or(error);
        Failure { reason: reason.to_string(), label }
    }
}

/// What failed of `count` runs, each reason once.
fn summary(failures: &[Failure], count: usize) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for failure in failures {
        match reasons.iter_mut().find(|(r, _)| *r == failure.reason) {
            Some((_, labels)) => labels.push(&failure.label),
            None => reasons.push((&failure.reason, vec![&failure.label])),
        }
    }
    match &reasons[..] {
        [(reason, labels)] if count == 1 => format!("{}: {reason}", labels[0]),
        [(reason, labels)] if labels.len() == count => {
            format!("none of the {count} runs can be trained: {reason}")
        }
        _ => {
            let lines: Vec<String> = reasons
                .iter()
                .map(|(reason, labels)| format!("{}: {reason}", labels.join("; ")))
                .collect();
            format!(
                "{} of {count} runs failed, the others are trained:\n  {}",
                failures.len(),
                lines.join("\n  ")
            )
        }
    }
}

/// Whether this process can compute nothing on its GPU after the error.
fn ends_the_process(error: &anyhow::Error) -> bool {
    matches!(trouble(&format!("{error:#}")), Some(Trouble::Lost | Trouble::Fault))
}

/// What failed.
fn in_turn(mut waiting: Vec<Task>, data_sets: &DataSets) -> Result<Vec<Failure>> {
    let settings = data_sets.settings;
    let display = Display::new(settings.quiet, &waiting);
    let mut failures = Vec::new();
    while !waiting.is_empty() {
        let mut busy = Vec::new();
        for task in waiting {
            let mut shown = display.add(&task);
            let result = carry_out(&task, data_sets, &mut |event| shown.show(&event));
            if !matches!(result, Ok(Outcome::Busy)) {
                shown.end(matches!(result, Ok(Outcome::Finished)));
            }
            match result {
                Ok(Outcome::Finished) => {}
                Ok(Outcome::Busy) => busy.push(task),
                Ok(Outcome::Interrupted) => bail!(Interrupted),
                // Every later call of this process would fail as well.
                Err(error) if ends_the_process(&error) => return Err(error),
                Err(error) => failures.push(Failure::new(&task, &plain(&format!("{error:#}")))),
            }
        }
        if let Some(task) = busy.first() {
            let folder = RunFolder::standing_for(&settings.places.runs, &task.run);
            drop(settings.wait_for(|| in_use(task), || folder.try_lock())?);
        }
        waiting = busy;
    }
    Ok(failures)
}

fn in_use(task: &Task) -> String {
    format!("{}: another process is training it; waiting", task.label())
}

/// What the threads that keep the workers busy share.
struct Shared<'a> {
    queue: Mutex<VecDeque<Task>>,
    failures: Mutex<Vec<Failure>>,
    /// Tasks that another process was found to train.
    waited_for: Mutex<Vec<Task>>,
    display: Display,
    stop: Stop,
    settings: &'a Settings,
    /// How many workers there are.
    workers: usize,
}

/// What failed.
fn side_by_side(tasks: Vec<Task>, workers: usize, settings: &Settings) -> Result<Vec<Failure>> {
    let display = Display::new(settings.quiet, &tasks);
    let shared = Shared {
        queue: Mutex::new(longest_first(tasks).into()),
        failures: Mutex::default(),
        waited_for: Mutex::default(),
        display,
        stop: watch_signals()?,
        settings,
        workers,
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|index| {
                let shared = &shared;
                scope.spawn(move || keep_busy(index, shared))
            })
            .collect();
        let results = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect::<Vec<_>>().into_iter().collect::<Result<()>>()
    })?;
    if shared.stop.is_asked() {
        bail!(Interrupted);
    }
    Ok(shared.failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// Keeps one worker busy until the queue is empty. The thread's error is one of starting a worker.
fn keep_busy(index: usize, shared: &Shared) -> Result<()> {
    let mut idle = None;
    while !shared.stop.is_asked() {
        let Some(task) = locked(&shared.queue).pop_front() else {
            break;
        };
        let mut worker = match idle.take() {
            Some(worker) => worker,
            None => Worker::start(index, shared.workers, shared.settings)?,
        };
        match worker.train(&task, &shared.display, &shared.stop) {
            Ok(End::Finished) => idle = Some(worker),
            Ok(End::Interrupted) if shared.stop.is_asked() => break,
            Ok(End::Interrupted) => {
                failed(
                    &task,
                    "its process was told to stop; run the same command again to go on",
                    shared,
                );
            }
            Ok(End::Busy) => {
                idle = Some(worker);
                put_back(task, shared);
            }
            Ok(End::Failed(reason)) => {
                // On a GPU a failure can spoil all that its process does afterwards.
                idle = (shared.settings.device == Device::Cpu).then_some(worker);
                failed(&task, &reason, shared);
            }
            Err(error) if shared.stop.is_asked() => {
                shared.display.say(&format!("{}: {error:#}", task.label()));
            }
            Err(error) => {
                // The worker died and could not say so itself.
                let reason = format!("{}: {error:#}", task.label());
                let runs = &shared.settings.places.runs;
                // On a full disk it cannot be kept; it is said anyway.
                drop(RunFolder::standing_for(runs, &task.run).keep_failure(&reason));
                failed(&task, &reason, shared);
            }
        }
    }
    Ok(())
}

fn failed(task: &Task, reason: &str, shared: &Shared) {
    let failure = Failure::new(task, reason);
    shared.display.say(&format!("failed: {}: {}", failure.label, failure.reason));
    locked(&shared.failures).push(failure);
}

/// Another process is training it, which is said once: asked again later.
fn put_back(task: Task, shared: &Shared) {
    let mut waited_for = locked(&shared.waited_for);
    if !waited_for.contains(&task) {
        shared.display.say(&in_use(&task));
        waited_for.push(task.clone());
    }
    drop(waited_for);
    locked(&shared.queue).push_back(task);
    std::thread::sleep(BUSY);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(label: &str, reason: &str) -> Failure {
        Failure { label: label.to_string(), reason: reason.to_string() }
    }

    #[test]
    fn a_reason_that_several_runs_share_is_said_once() {
        let both = [failure("A, seed 0", "no data"), failure("B, seed 0", "no data")];
        assert_eq!(summary(&both[..1], 1), "A, seed 0: no data");
        assert_eq!(summary(&both, 2), "none of the 2 runs can be trained: no data");
        assert_eq!(
            summary(&[both.to_vec(), vec![failure("C, seed 0", "full")]].concat(), 4),
            "3 of 4 runs failed, the others are trained:\n  A, seed 0; B, seed 0: no data\n  C, seed 0: full"
        );
    }
}
