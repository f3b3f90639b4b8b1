//! `repro explore`

use std::path::PathBuf;

use anyhow::Result;

use super::options::RunArgs;
use super::output::print_path;
use crate::look::explore::page;
use crate::look::opened::open_run;
use crate::results::atomic;

/// A web page of a run to play with: the budget on a slider, what leaves where.
#[derive(Debug, clap::Args)]
pub struct ExploreArgs {
    #[command(flatten)]
    run: RunArgs,
    /// The page: one file that needs neither network nor server
    #[arg(short, long, default_value = "explore.html", value_name = "FILE")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: &ExploreArgs) -> Result<()> {
    let settings = args.run.settings()?;
    atomic::create_folder_of(&args.output)?;
    let text = page(&open_run(&args.run.run, &settings)?)?;
    atomic::write(&args.output, text.as_bytes())?;
    print_path(&args.output);
    Ok(())
}
