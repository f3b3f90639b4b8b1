//! `repro report`.

use std::path::PathBuf;

use anyhow::Result;

use super::output::print_path;
use crate::study::write_report;

/// Judge the exact claims, gather what is in the results folder into its README.md with the pictures
/// of all claims, and put the findings into the README beside the folder.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Folder with figures and tables
    #[arg(long, default_value = "results", value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub fn run(args: &ReportArgs) -> Result<()> {
    for path in write_report(&args.out)? {
        print_path(&path);
    }
    Ok(())
}
