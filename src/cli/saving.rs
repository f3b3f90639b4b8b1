//! How often a training is saved.

use crate::runs::Saving;

/// Options of every command that trains.
#[derive(Debug, clap::Args)]
pub struct SavingArgs {
    /// Save a training after so many epochs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    checkpoint_epochs: u32,
    /// Save a training after so many minutes, also within an epoch
    #[arg(long, value_name = "M", default_value_t = 10.0)]
    checkpoint_minutes: f64,
}

impl SavingArgs {
    /// The same for the pipeline.
    pub fn saving(&self) -> Saving {
        Saving::every(self.checkpoint_epochs, self.checkpoint_minutes)
    }
}
