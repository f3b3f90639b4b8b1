//! `repro costs`.

use anyhow::Result;

use super::options::NetworkArgs;
use super::output::print;
use crate::runs::costs::{cost_rows, costs_table};

/// Multiply-adds and parameters of every exit, as CSV.
#[derive(Debug, clap::Args)]
pub struct CostsArgs {
    #[command(flatten)]
    networks: NetworkArgs,
    /// JSON instead of CSV
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &CostsArgs) -> Result<()> {
    let (networks, input) = args.networks.read()?;
    let rows = cost_rows(&networks, input)?;
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&rows)?).into_bytes()
    } else {
        costs_table(&rows).to_csv()?
    };
    print(text);
    Ok(())
}
