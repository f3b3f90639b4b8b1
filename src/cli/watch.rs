//! `repro watch`

use std::path::PathBuf;

use anyhow::Result;

use super::output::print_path;
use crate::look::watch::{draw_training, write_tensorboard};
use crate::runs::Known;

/// Draw training curves of runs: loss, accuracy of the exits, learning rate.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// Run folders, or beginnings of their names
    #[arg(required = true, value_name = "RUN")]
    which: Vec<String>,
    /// Folder for trained runs
    #[arg(long, default_value = "runs", value_name = "DIR")]
    runs: PathBuf,
    /// Where to: NAME.svg and NAME.png
    #[arg(short, long, default_value = "training", value_name = "NAME")]
    output: PathBuf,
    /// Write event files for TensorBoard to this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    tensorboard: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &WatchArgs) -> Result<()> {
    let find = |which: &String| Ok(Known::named(which, &args.runs)?.folder);
    let runs: Vec<_> = args.which.iter().map(find).collect::<Result<_>>()?;
    let written = match &args.tensorboard {
        Some(folder) => write_tensorboard(&runs, folder)?,
        None => draw_training(&runs, &args.output)?.to_vec(),
    };
    for path in written {
        print_path(&path);
    }
    Ok(())
}
