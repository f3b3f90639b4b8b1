//! The options of commands that look at one trained run.

use anyhow::Result;

use super::options::{Compute, Folders};
use crate::runs::opened::{Opened, open_run};

/// Which run, where it is, and how to predict what was not predicted yet.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// A run folder, or a beginning of its name
    pub run: String,
    #[command(flatten)]
    pub folders: Folders,
    #[command(flatten)]
    pub compute: Compute,
}

impl RunArgs {
    /// The run, with its predictions.
    ///
    /// # Errors
    /// Those of [`open_run`].
    pub fn open(&self) -> Result<Opened> {
        let places = self.folders.places("results");
        open_run(&self.run, &self.compute.looking(places)?)
    }
}
