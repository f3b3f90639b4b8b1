//! Runs trained one after another in this process, or side by side in worker processes.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tch::{Cuda, Device};

use super::context::Settings;
use super::data::DataSets;
use super::device::cores;
use super::display::{Display, Shown};
use super::machine;
use super::order::longest_first;
use super::protocol::{End, Order, Report, Task};
use super::sharing::workers_for;
use super::stop::{Interrupted, Stop, watch_signals};
use super::train::Outcome;
use super::worker::carry_out;
use crate::cuda::{Trouble, plain, trouble};
use crate::results::RunFolder;

/// How often a signal is looked for while a worker is silent.
const LOOK: Duration = Duration::from_millis(100);
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
            drop(shown);
            match result {
                Ok(Outcome::Finished) => {}
                Ok(Outcome::Busy) => busy.push(task),
                Ok(Outcome::Interrupted) => bail!(Interrupted),
                // Every later call of this process would fail as well.
                Err(error) if ends_the_process(&error) => {
                    return Err(error);
                }
                Err(error) => failures.push(Failure::new(&task, &plain(&format!("{error:#}")))),
            }
        }
        if let Some(task) = busy.first() {
            wait_for(task, settings)?;
        }
        waiting = busy;
    }
    Ok(failures)
}

fn wait_for(task: &Task, settings: &Settings) -> Result<()> {
    settings.say(waiting(task));
    let stop = watch_signals()?;
    let folder = RunFolder::standing_for(&settings.places.runs, &task.run);
    loop {
        if stop.is_asked() {
            bail!(Interrupted);
        }
        if folder.try_lock()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(BUSY);
    }
}

fn waiting(task: &Task) -> String {
    format!("{}: another process is training it; waiting", task.label())
}

/// What the threads that keep the workers busy share.
struct Shared<'a> {
    queue: Mutex<VecDeque<Task>>,
    failures: Mutex<Vec<Failure>>,
    display: Display,
    stop: Stop,
    settings: &'a Settings,
    /// How many workers there are.
    workers: usize,
}

/// A panic elsewhere leaves plain lists whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What failed.
fn side_by_side(tasks: Vec<Task>, workers: usize, settings: &Settings) -> Result<Vec<Failure>> {
    let display = Display::new(settings.quiet, &tasks);
    let shared = Shared {
        queue: Mutex::new(longest_first(tasks).into()),
        failures: Mutex::default(),
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
        let Some(task) = lock(&shared.queue).pop_front() else {
            break;
        };
        let mut worker = match idle.take() {
            Some(worker) => worker,
            None => Worker::start(index, shared)?,
        };
        match worker.train(&task, shared) {
            Ok(End::Finished) => idle = Some(worker),
            Ok(End::Interrupted) => break,
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
                RunFolder::standing_for(runs, &task.run).keep_failure(&reason)?;
                failed(&task, &reason, shared);
            }
        }
    }
    Ok(())
}

fn failed(task: &Task, reason: &str, shared: &Shared) {
    let failure = Failure::new(task, reason);
    shared.display.say(&format!("failed: {}: {}", failure.label, failure.reason));
    lock(&shared.failures).push(failure);
}

/// Another process is training it: asked again later.
fn put_back(task: Task, shared: &Shared) {
    let mut queue = lock(&shared.queue);
    let alone = queue.is_empty();
    queue.push_back(task);
    drop(queue);
    if alone {
        std::thread::sleep(BUSY);
    }
}

/// A worker process. Dropped, it is told to end by the end of its standard input, and waited for.
struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    reports: Receiver<Report>,
    last_error: Arc<Mutex<String>>,
}

impl Worker {
    fn start(index: usize, shared: &Shared) -> Result<Worker> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut command = Command::new(&program);
        let places = &shared.settings.places;
        command.args(["sweep", "worker", "--device", &device(index, shared.settings.device)]);
        let threads = shared.settings.threads.to_string();
        if shared.settings.threads_asked {
            command.args(["--threads", &threads]);
        } else {
            // Images are decoded on as many threads as there are cores for.
            let decoders = (cores() / shared.workers).max(1);
            command.env("RAYON_NUM_THREADS", decoders.to_string());
        }
        command.arg("--runs").arg(&places.runs);
        command.arg("--data").arg(&places.data);
        if shared.settings.skip_broken {
            command.arg("--skip-broken");
        }
        let saving = shared.settings.saving;
        command.args(["--checkpoint-epochs", &saving.epochs.to_string()]);
        let minutes = saving.time.as_secs_f64() / 60.0;
        command.args(["--checkpoint-minutes", &minutes.to_string()]);
        command.args(shared.settings.numerics.options());
        if shared.settings.only_train {
            command.arg("--only-train");
        }
        command.env("OMP_NUM_THREADS", &threads);
        command.env(machine::PARENT_COMMAND, machine::command());
        // A thread that waits must not keep a core from another worker.
        command.env("OMP_WAIT_POLICY", "PASSIVE");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C reaches the parent alone, which asks its workers to stop.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start the worker {}", program.display()))?;
        let reports = read_reports(child.stdout.take().context("a worker without output")?);
        let stderr = child.stderr.take().context("a worker without errors")?;
        let last_error = pass_on(stderr, shared.settings.quiet);
        Ok(Worker { orders: child.stdin.take(), child, reports, last_error })
    }

    /// Has `task` carried out; a signal meanwhile is passed on.
    ///
    /// # Errors
    /// When the worker dies.
    fn train(&mut self, task: &Task, shared: &Shared) -> Result<End> {
        let mut shown = shared.display.add(task);
        if self.order(&Order::Train(Box::new(task.clone()))).is_err() {
            bail!(self.how_it_ended());
        }
        self.follow(&mut shown, &shared.stop)
    }

    fn follow(&mut self, shown: &mut Shown, stop: &Stop) -> Result<End> {
        let mut told = false;
        loop {
            if stop.is_asked() && !told {
                told = true;
                // A worker that is gone already is noticed below.
                let _ = self.order(&Order::Stop);
            }
            match self.reports.recv_timeout(LOOK) {
                Ok(Report::Ended { end }) => return Ok(end),
                Ok(Report::Event { event }) => shown.show(&event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!(self.how_it_ended()),
            }
        }
    }

    fn order(&mut self, order: &Order) -> Result<()> {
        let pipe = self.orders.as_mut().context("no pipe to the worker")?;
        writeln!(pipe, "{}", serde_json::to_string(order)?)?;
        Ok(pipe.flush()?)
    }

    /// How the worker ended, and the last that it said.
    fn how_it_ended(&mut self) -> String {
        self.orders = None;
        let how = self.child.wait().map_or_else(|e| e.to_string(), describe_status);
        let words = lock(&self.last_error).clone();
        let words = if words.is_empty() { words } else { format!(": {words}") };
        format!("its process ended by itself ({how}){words}")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.child.wait();
    }
}

fn describe_status(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let memory = if signal == 9 { ", as when memory runs out" } else { "" };
        return format!("signal {signal}{memory}");
    }
    format!("{status}")
}

/// Worker `index` takes the GPU that follows the first one by as many places, in a circle.
fn device(index: usize, first: Device) -> String {
    match first {
        Device::Cuda(first) => {
            let count = usize::try_from(Cuda::device_count()).unwrap_or(1).max(1);
            format!("cuda:{}", (first + index) % count)
        }
        _ => "cpu".to_string(),
    }
}

fn read_reports(stdout: impl std::io::Read + Send + 'static) -> Receiver<Report> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Ok(report) = serde_json::from_str(&line)
                && sender.send(report).is_err()
            {
                return;
            }
        }
    });
    receiver
}

/// Passes a worker's errors on and keeps the last line.
fn pass_on(stderr: impl std::io::Read + Send + 'static, quiet: bool) -> Arc<Mutex<String>> {
    let last = Arc::new(Mutex::new(String::new()));
    let kept = last.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if !quiet {
                super::context::tell(&line);
            }
            *lock(&kept) = line;
        }
    });
    last
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
