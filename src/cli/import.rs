//! `repro import` and `repro export`.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use super::options::Folders;
use super::output::print_path;
use crate::data::Dataset;
use crate::experiment::load_networks;
use crate::runs::Known;
use crate::runs::import::{Import, export_run, import_run};
use crate::runs::onnx::export_onnx;

/// Options of `repro import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// A state dict with the names of the reference port or of torchvision: safetensors, or a file
    /// of torch.save, whatever it is called
    weights: PathBuf,
    /// The network: a file with one mapping such as `msdnet:` or `mobilenet_v2:`; - = standard input
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
    /// safetensors: the weights, with the reference port's names; onnx: the network with its weights,
    /// for ONNX Runtime, OpenVINO and others
    #[arg(long, value_enum, default_value_t = Format::Safetensors)]
    format: Format,
    /// Exit, from 1, at which an ONNX model ends [default: every exit is an output]
    #[arg(long, value_name = "K")]
    exit: Option<usize>,
    /// File to write [default: the run's name]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    folders: Folders,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Safetensors,
    Onnx,
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
    print_path(folder.path());
    Ok(())
}

/// Exports a run and prints the file's name.
///
/// # Errors
/// What went wrong and where.
pub fn export(args: &ExportArgs) -> Result<()> {
    ensure!(
        args.exit.is_none() || args.format == Format::Onnx,
        "--exit cuts an ONNX model: add --format onnx"
    );
    let folder = Known::named(&args.run, &args.folders.runs)?.folder;
    let out = args.out.as_deref();
    let written = match args.format {
        Format::Safetensors => export_run(&folder, out)?,
        Format::Onnx => export_onnx(&folder, args.exit, &args.folders.data, out)?,
    };
    print_path(&written);
    Ok(())
}
