//! The options of commands that look at one trained run.

use std::path::PathBuf;

use anyhow::Result;

use crate::pipeline::{Opened, Places, Settings, open_run, parse_device, set_threads};

/// Which run, where it is, and how to predict what was not predicted yet.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// A run folder, or a beginning of its name
    pub run: String,
    /// Folder for trained runs
    #[arg(long, default_value = "runs", value_name = "DIR")]
    pub runs: PathBuf,
    /// Folder with the data sets
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
    /// Threads of one process; 0 = all cores
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// No progress on standard error
    #[arg(short, long)]
    quiet: bool,
}

impl RunArgs {
    /// The run, with its predictions.
    ///
    /// # Errors
    /// Those of [`open_run`].
    pub fn open(&self) -> Result<Opened> {
        let settings = Settings {
            places: Places {
                out: PathBuf::from("results"),
                runs: self.runs.clone(),
                data: self.data.clone(),
            },
            device: parse_device(&self.device)?,
            threads: set_threads(self.threads),
            workers: 1,
            quiet: self.quiet,
            verbose: false,
            skip_broken: false,
            saving: crate::pipeline::Saving::default(),
        };
        open_run(&self.run, &settings)
    }
}
