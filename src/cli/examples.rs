//! `repro examples`

use std::path::PathBuf;

use anyhow::Result;

use super::options::{RunArgs, number};
use super::output::print_path;
use crate::look::examples::{Aim, write_examples};
use crate::look::opened::open_run;

/// Sheets of easy and hard test images of a run (Figs. 1 and 6).
#[derive(Debug, clap::Args)]
pub struct ExamplesArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Only images of this class, by name or number
    #[arg(long)]
    class: Option<String>,
    /// Images shown of each exit
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    per_exit: u32,
    /// Ratio of the exits' shares, as in figure.csv [default: that of the middle budget]
    #[arg(long, conflicts_with = "budget", value_parser = number)]
    ratio: Option<f64>,
    /// Mean multiply-adds of an image, such as 20e6 [default: half way between first and last exit]
    #[arg(long, value_name = "MULTIPLY_ADDS", value_parser = number)]
    budget: Option<f64>,
    /// Folder for by-exit.png, corrected.png and their CSVs [default: results/examples/RUN]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &ExamplesArgs) -> Result<()> {
    let settings = args.run.settings()?;
    let opened = open_run(&args.run.run, &settings)?;
    let aim = match (args.ratio, args.budget) {
        (Some(ratio), _) => Aim::Ratio(ratio),
        (None, Some(budget)) => Aim::Budget(budget),
        (None, None) => Aim::Middle,
    };
    let default = || PathBuf::from("results/examples").join(&opened.name);
    let folder = args.output.clone().unwrap_or_else(default);
    let class = args.class.as_deref();
    for path in write_examples(&opened, class, args.per_exit as usize, aim, &folder)? {
        print_path(&path);
    }
    Ok(())
}
