//! A worker as its parent sees it: a process that is sent tasks and reports on them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tch::Device;

use super::context::Settings;
use super::device::cores;
use super::display::{Display, Shown};
use super::machine;
use super::protocol::{End, Order, Report, Task};
use super::sharing::gpus_from;
use super::stop::Stop;

/// How often a signal is looked for while a worker is silent.
const LOOK: Duration = Duration::from_millis(100);

/// A panic elsewhere leaves plain lists whole.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A worker process. Dropping it closes its standard input, which asks it to end, and waits for it.
pub(super) struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    reports: Receiver<Report>,
    /// Reads the worker's errors to their end, and gives the last line.
    errors: Option<JoinHandle<String>>,
}

impl Worker {
    /// Starts worker `index` of `workers`.
    pub(super) fn start(index: usize, workers: usize, settings: &Settings) -> Result<Worker> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut command = Command::new(&program);
        let places = &settings.places;
        command.args(["sweep", "worker", "--device", &device(index, settings.device)]);
        let threads = settings.threads.to_string();
        if settings.threads_asked {
            command.args(["--threads", &threads]);
        } else {
            // Images are decoded on as many threads as there are cores for.
            let decoders = (cores() / workers).max(1);
            command.env("RAYON_NUM_THREADS", decoders.to_string());
        }
        command.arg("--runs").arg(&places.runs);
        command.arg("--data").arg(&places.data);
        if settings.skip_broken {
            command.arg("--skip-broken");
        }
        let saving = settings.saving;
        command.args(["--checkpoint-epochs", &saving.epochs.to_string()]);
        let minutes = saving.time.as_secs_f64() / 60.0;
        command.args(["--checkpoint-minutes", &minutes.to_string()]);
        command.args(settings.numerics.options());
        if settings.only_train {
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
        let errors = Some(pass_on(stderr, settings.quiet));
        Ok(Worker { orders: child.stdin.take(), child, reports, errors })
    }

    /// Has `task` carried out; a signal meanwhile is passed on.
    ///
    /// # Errors
    /// When the worker dies.
    pub(super) fn train(&mut self, task: &Task, display: &Display, stop: &Stop) -> Result<End> {
        let mut shown = display.add(task);
        let end = self.carry_out(task, &mut shown, stop);
        if !matches!(end, Ok(End::Busy)) {
            shown.end(matches!(end, Ok(End::Finished)));
        }
        end
    }

    fn carry_out(&mut self, task: &Task, shown: &mut Shown, stop: &Stop) -> Result<End> {
        if self.order(&Order::Train(Box::new(task.clone()))).is_err() {
            bail!(self.how_it_ended());
        }
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
        let words = self.errors.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
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

/// The GPU of worker `index`: those from `first` on, in turn.
fn device(index: usize, first: Device) -> String {
    if first == Device::Cpu {
        return "cpu".to_string();
    }
    let gpus = gpus_from(first);
    format!("cuda:{}", gpus.start + index % gpus.len())
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
fn pass_on(stderr: impl std::io::Read + Send + 'static, quiet: bool) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut last = String::new();
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if !quiet {
                super::context::tell(&line);
            }
            last = line;
        }
        last
    })
}
