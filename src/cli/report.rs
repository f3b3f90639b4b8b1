//! `repro report`.

use std::path::PathBuf;

use anyhow::Result;

use super::output::print_path;
use crate::study::write_report;

/// Gather what is in the results folder into its README.md.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Folder with figures and tables
    #[arg(long, default_value = "results", value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Names the file that is missing or broken.
pub fn run(args: &ReportArgs) -> Result<()> {
    print_path(&write_report(&args.out)?);
    Ok(())
}
