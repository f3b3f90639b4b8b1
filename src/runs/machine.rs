//! What the program says of itself and of the machine it runs on.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, bail};
use tch::{Cuda, Device, Kind, Tensor};

use super::context::Settings;
use super::provenance::utc;
use crate::cuda::describe;
use crate::experiment::Training;
use crate::results::began::{Began, Processor};
use crate::results::runfiles;
use crate::results::{RunFolder, shell};

/// A matrix product that takes so long is measured.
const MEASURED: Duration = Duration::from_millis(2);
/// Rows of the largest matrix tried.
const LARGEST_SIDE: i64 = 8192;

/// Commit of the source that this program was built from; `unknown` without git.
pub fn commit() -> &'static str {
    let commit = env!("REPRO_COMMIT");
    if commit.is_empty() { "unknown" } else { commit }
}

/// Whether that source had changes which were not committed; none = unknown.
pub fn dirty() -> Option<bool> {
    env!("REPRO_DIRTY").parse().ok()
}

/// The environment variable in which a worker finds its parent's command line.
pub const PARENT_COMMAND: &str = "REPRO_PARENT_COMMAND";

/// The command line that a person gave: that of this process, or of the parent of a worker.
pub fn command() -> String {
    if let Ok(command) = std::env::var(PARENT_COMMAND) {
        return command;
    }
    let words: Vec<String> =
        std::env::args_os().map(|word| shell::word(&word.to_string_lossy())).collect();
    words.join(" ")
}

/// What begins a run now, or what began it where it is `under_way`: its threads are kept, and
/// a change of processor or device is reported.
///
/// # Errors
/// When other threads were asked for than the run was begun with, or LibTorch fails.
pub fn began(
    folder: &RunFolder,
    training: &Training,
    under_way: bool,
    settings: &Settings,
) -> Result<Began> {
    let before = if under_way { runfiles::read_began(&folder.run_yaml()) } else { None };
    let Some(before) = before else {
        return fresh(training, settings);
    };
    if settings.threads_asked && settings.threads != before.threads {
        bail!(
            "{} was begun with --threads {}; --threads {} would change its numbers. Leave --threads out (for Slurm, \
             give --cpus {}), or delete the folder to start again",
            folder.path().display(),
            before.threads,
            settings.threads,
            before.threads
        );
    }
    let (processor, device) = (Processor::here(), describe(settings.device, settings.numerics));
    if processor != before.processor || device != before.device {
        settings.say(format!(
            "{}: begun on {}, {}, goes on on {device}, {processor}; last digits may differ",
            folder.path().display(),
            before.device,
            before.processor
        ));
    }
    Ok(before)
}

fn fresh(training: &Training, settings: &Settings) -> Result<Began> {
    let [matmul_fp32, matmul_bf16] = matmul_rates(settings.device)?;
    Ok(Began {
        commit: commit().to_string(),
        dirty: dirty(),
        command: command(),
        date: utc(SystemTime::now()),
        threads: settings.threads,
        skip_broken: settings.skip_broken,
        device: describe(settings.device, settings.numerics),
        precision: training.precision,
        processor: Processor::here(),
        matmul_fp32,
        matmul_bf16,
    })
}

/// Multiply-adds a second of a matrix product in 32 bits and in bfloat16, measured once a process.
fn matmul_rates(device: Device) -> Result<[f64; 2]> {
    static RATES: OnceLock<[f64; 2]> = OnceLock::new();
    if let Some(rates) = RATES.get() {
        return Ok(*rates);
    }
    let rates = [matmul_rate(Kind::Float, device)?, matmul_rate(Kind::BFloat16, device)?];
    Ok(*RATES.get_or_init(|| rates))
}

fn matmul_rate(kind: Kind, device: Device) -> Result<f64> {
    // As large as the device is fast: it emulates bfloat16, or has units for it.
    let mut side: i64 = 64;
    loop {
        let matrix = Tensor::f_full([side, side], 0.5, (kind, device))?;
        let product = || -> Result<f64> {
            let start = Instant::now();
            let _ = matrix.f_matmul(&matrix)?;
            if let Device::Cuda(index) = device {
                Cuda::synchronize(index as i64);
            }
            Ok(start.elapsed().as_secs_f64())
        };
        // The first one sets up what the others use.
        product()?;
        let seconds = product()?.max(1e-9);
        if seconds >= MEASURED.as_secs_f64() || side >= LARGEST_SIDE {
            let seconds = seconds.min(product()?.max(1e-9));
            return Ok((side as f64).powi(3) / seconds);
        }
        side *= 2;
    }
}

/// LibTorch's threads while it is held; those from before come back.
pub struct Threads {
    before: i32,
}

impl Threads {
    /// Sets `threads`.
    pub fn of(threads: usize) -> Threads {
        let before = tch::get_num_threads();
        tch::set_num_threads(threads as i32);
        Threads { before }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        tch::set_num_threads(self.before);
    }
}
