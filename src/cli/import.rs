//! `repro import` and `repro export`.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::data::Dataset;
use crate::experiment::load_networks;
use crate::results::find_run;
use crate::runs::import::{Import, export_run, import_run};

/// Options of `repro import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// A state dict with the reference port's names: .safetensors, or a .pth.tar of torch.save
    weights: PathBuf,
    /// The network: a file with one `msdnet:`, `resnet:` or `densenet:` mapping; - = standard input
    #[arg(long, value_name = "FILE")]
    network: String,
    /// The data set that the weights were trained on
    #[arg(long, value_name = "NAME")]
    dataset: Dataset,
    /// Folder for runs; the run's own folder in it has a name that follows from its configuration
    #[arg(long, alias = "runs", default_value = "runs", value_name = "DIR")]
    run: PathBuf,
    /// Folder with the data sets
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// The seed that the weights stand for in experiments
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Replace other weights that were imported as the same run
    #[arg(long)]
    force: bool,
}

/// Options of `repro export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// A run: its folder, or the beginning of its name
    run: String,
    /// File to write [default: the run's name]
    #[arg(long, value_name = "FILE.safetensors")]
    out: Option<PathBuf>,
    /// Folder for trained runs
    #[arg(long, default_value = "runs", value_name = "DIR")]
    runs: PathBuf,
}

/// Imports weights and prints the run's folder.
///
/// # Errors
/// What went wrong and where.
pub fn import(args: &ImportArgs) -> Result<()> {
    let (networks, _) = load_networks(&args.network)?;
    let [(_, network)] = &networks[..] else {
        bail!("{} holds {} networks; weights are those of one", args.network, networks.len());
    };
    let folder = import_run(&Import {
        weights: &args.weights,
        network,
        dataset: &args.dataset,
        seed: args.seed,
        runs: &args.run,
        data: &args.data,
        force: args.force,
    })?;
    println!("{}", folder.path().display());
    Ok(())
}

/// Exports weights and prints the file's name.
///
/// # Errors
/// What went wrong and where.
pub fn export(args: &ExportArgs) -> Result<()> {
    let folder = find_run(&args.run, &args.runs)?;
    println!("{}", export_run(&folder, args.out.as_deref())?.display());
    Ok(())
}
