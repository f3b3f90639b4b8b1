//! Where things are, and how to compute.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::MultiProgress;
use tch::Device;

use super::stop::{Interrupted, watch_signals};
use crate::cuda::Numerics;

/// Folders that a command reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Figures and tables.
    pub out: PathBuf,
    /// Run folders.
    pub runs: PathBuf,
    /// Data sets.
    pub data: PathBuf,
}

/// How a command computes and speaks.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folders.
    pub places: Places,
    /// Where to compute.
    pub device: Device,
    /// Threads of one process.
    pub threads: usize,
    /// Whether `threads` was asked for; else a resumed training keeps its own number.
    pub threads_asked: bool,
    /// Processes that train side by side; 1 = this one alone.
    pub workers: usize,
    /// Whether `workers` was asked for; else the memory of a GPU decides how many share it.
    pub workers_asked: bool,
    /// Whether progress is kept from standard error.
    pub quiet: bool,
    /// Whether image files that cannot be read are left out; else they are an error.
    pub skip_broken: bool,
    /// How often a training is saved.
    pub saving: Saving,
    /// How a GPU computes.
    pub numerics: Numerics,
    /// Whether a run is trained and left without predictions; whoever needs them makes them.
    pub only_train: bool,
}

/// How often a training is saved, besides at its end and when it is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saving {
    /// Save every N epochs.
    pub epochs: u32,
    /// Save at least this often, also within an epoch.
    pub time: Duration,
}

impl Default for Saving {
    fn default() -> Saving {
        Saving { epochs: 1, time: Duration::from_secs(600) }
    }
}

impl Saving {
    /// After `epochs` epochs, at least 1, and after `minutes` minutes.
    pub fn every(epochs: u32, minutes: f64) -> Saving {
        Saving {
            epochs: epochs.max(1),
            time: Duration::try_from_secs_f64(60.0 * minutes).unwrap_or(Duration::MAX),
        }
    }
}

/// The bars on the terminal, which make room for what is said.
pub(super) static BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Says something on standard error. Where that cannot be written, as on a full disk, a training
/// must not end for it.
pub fn tell(message: impl AsRef<str>) {
    let say = || drop(writeln!(std::io::stderr(), "{}", message.as_ref()));
    match &*BARS.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(bars) => bars.suspend(say),
        None => say(),
    }
}

/// How long to wait before what another process has is asked for again.
const AGAIN: Duration = Duration::from_millis(100);

impl Settings {
    /// One thread on the CPU, in silence.
    pub fn on_one_core(places: Places) -> Settings {
        Settings {
            places,
            device: Device::Cpu,
            threads: 1,
            threads_asked: false,
            workers: 1,
            workers_asked: true,
            quiet: true,
            skip_broken: false,
            saving: Saving::default(),
            numerics: Numerics::default(),
            only_train: false,
        }
    }

    /// Calls `attempt` until it returns something. The first time it has to wait, it says `why`.
    ///
    /// # Errors
    /// Those of `attempt`; [`Interrupted`] after a signal.
    pub fn wait_for<T>(
        &self,
        why: impl FnOnce() -> String,
        mut attempt: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let stop = watch_signals()?;
        let mut why = Some(why);
        loop {
            if stop.is_asked() {
                bail!(Interrupted);
            }
            if let Some(got) = attempt()? {
                return Ok(got);
            }
            if let Some(why) = why.take() {
                self.say(why());
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// Says something on standard error, unless quiet.
    pub fn say(&self, message: impl AsRef<str>) {
        if !self.quiet {
            tell(message);
        }
    }
}
