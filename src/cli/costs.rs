//! `repro costs`.

use std::path::PathBuf;

use anyhow::Result;

use super::output::print;
use crate::data::Dataset;
use crate::experiment::load_networks;
use crate::runs::costs::{cost_rows, costs_table};
use crate::runs::data::input_from;

/// Multiply-adds and parameters of every exit, as CSV.
#[derive(Debug, clap::Args)]
pub struct CostsArgs {
    /// A network or an experiment: a file, the name of a built-in experiment, or - for standard
    /// input
    file: String,
    /// Data set that gives image size and classes; default: the experiment's, else cifar100
    #[arg(long)]
    dataset: Option<Dataset>,
    /// Height and width of the images in pixels (1 to 4096) instead of the data set's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    side: Option<u32>,
    /// Folder with the data sets (only an image folder is looked at)
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// JSON instead of CSV
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &CostsArgs) -> Result<()> {
    let (networks, of_experiment) = load_networks(&args.file)?;
    let dataset = args.dataset.clone().or(of_experiment).unwrap_or(Dataset::Cifar100);
    let facts = dataset.facts()?;
    let mut input = input_from(&facts);
    if let Some(side) = args.side {
        input.side = side as usize;
    }
    let rows = cost_rows(&networks, input)?;
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&rows)?).into_bytes()
    } else {
        costs_table(&rows).to_csv()?
    };
    print(text);
    Ok(())
}
