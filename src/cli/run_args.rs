//! The options of commands that look at one trained run.

use anyhow::Result;

use super::options::{Compute, Folders};
use crate::runs::Settings;

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
    /// How to compute.
    ///
    /// # Errors
    /// When the device is not there.
    pub fn settings(&self) -> Result<Settings> {
        self.compute.looking(self.folders.places("results"))
    }
}
