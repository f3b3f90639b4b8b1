//! Options that several commands share.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::pipeline::{Places, Saving, Settings, crew, device_name, parse_device, set_threads};

/// Where runs and data sets are.
#[derive(Debug, clap::Args)]
pub struct Folders {
    /// Folder for trained runs
    #[arg(long, default_value = "runs", value_name = "DIR")]
    pub runs: PathBuf,
    /// Folder with the data sets
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub data: PathBuf,
}

impl Folders {
    /// These, and the folder for figures and tables.
    pub fn places(&self, out: impl Into<PathBuf>) -> Places {
        Places { out: out.into(), runs: self.runs.clone(), data: self.data.clone() }
    }
}

/// With what to compute.
#[derive(Debug, clap::Args)]
pub struct Compute {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = device_name)]
    device: String,
    /// Threads of one process; 0 = all cores, shared among the workers
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
    /// Leave out image files that cannot be read, and say how many
    #[arg(long)]
    skip_broken: bool,
    /// No progress on standard error
    #[arg(short, long)]
    quiet: bool,
}

impl Compute {
    /// Settings of a command that computes with `workers` processes, by default as many as
    /// [`crew`] says.
    ///
    /// # Errors
    /// When the device is not there.
    pub fn settings(&self, places: Places, workers: Option<usize>) -> Result<Settings> {
        let device = parse_device(&self.device)?;
        Ok(Settings {
            places,
            device,
            threads: set_threads(self.threads),
            workers: crew(workers, self.threads, device),
            quiet: self.quiet,
            verbose: false,
            skip_broken: self.skip_broken,
            saving: Saving::default(),
        })
    }
}

/// How many processes train.
#[derive(Debug, clap::Args)]
pub struct Workers {
    /// Processes that train side by side, on the GPUs from --device on [default: one a core, or
    /// one a GPU; 1 with --threads]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub workers: Option<usize>,
}

fn at_least_one(text: &str) -> Result<usize> {
    let number = text.parse().ok().filter(|&number| number > 0);
    number.context("expected a whole number from 1")
}

/// A change to an experiment, `key=value`.
///
/// # Errors
/// When there is no `=`.
pub fn change(text: &str) -> Result<String> {
    ensure!(text.contains('='), "expected key=value, such as training.epochs=3");
    Ok(text.to_string())
}
