//! `repro import` and `repro export`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::builder::NonEmptyStringValueParser;

use super::options::Folders;
use super::output::print_path;
use crate::data::Dataset;
use crate::experiment::{gives, network_text, networks_of};
use crate::look::card::export_card;
use crate::models::NetworkConfig;
use crate::results::RunFolder;
use crate::runs::data::input_of;
use crate::runs::import::{Import, export_run, import_card, import_run};
use crate::runs::onnx::export_onnx;
use crate::runs::{DataSets, Known, Settings};

/// Options of `repro import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// A state dict with the names of the reference port or of torchvision: safetensors, or a file
    /// of torch.save, whatever it is called; or a folder of `repro export --card`, which says the rest
    weights: PathBuf,
    /// The network: a file with one mapping such as `msdnet:` or `mobilenet_v2:`; - = standard input
    #[arg(long, value_name = "FILE")]
    network: Option<String>,
    /// The data set that the weights were trained on [default: the network file's, else cifar100]
    #[arg(long, value_name = "NAME", requires = "network")]
    dataset: Option<Dataset>,
    /// Folder for runs; the run's own folder in it has a name that follows from its configuration
    #[arg(long, alias = "runs", default_value = "runs", value_name = "DIR")]
    run: PathBuf,
    /// Not needed: no image is read. Scripts give it to every command.
    #[arg(long, hide = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The seed that the weights stand for in experiments
    #[arg(long, default_value_t = 0, requires = "network")]
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
    /// Instead, a folder as model hubs take it: weights, the run, and a card with the accuracy of
    /// every exit on the test images; `repro import DIR` reads it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["format", "exit", "out"])]
    card: Option<PathBuf>,
    /// Licence of the weights in the card's metadata [default: mit]
    #[arg(long, value_name = "NAME", requires = "card", value_parser = NonEmptyStringValueParser::new())]
    license: Option<String>,
    /// Also write the predictions on the test images beside the card
    #[arg(long, requires = "card")]
    predictions: bool,
    /// Leave out test images that cannot be read, and count them
    #[arg(long, requires = "card")]
    skip_broken: bool,
    #[command(flatten)]
    folders: Folders,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Safetensors,
    Onnx,
}

/// Imports weights and prints the run's folder.
pub fn import(args: &ImportArgs) -> Result<()> {
    let given = args.weights.display();
    ensure!(args.weights.exists(), "{given} does not exist");
    let folder = match (&args.network, &args.dataset) {
        (Some(_), _) | (_, Some(_)) if args.weights.is_dir() => bail!(
            "{given} is a folder: name the file of the weights, or, where `repro export --card` made it, leave --network \
             and --dataset out"
        ),
        (Some(network), dataset) => import_weights(args, network, dataset.as_ref())?,
        _ if args.weights.is_dir() => import_card(&args.weights, &args.run, args.force)?,
        _ => bail!(
            "{given} does not say what it is: add --network FILE (a folder of `repro export --card` \
             needs none)"
        ),
    };
    print_path(folder.path());
    Ok(())
}

fn import_weights(
    args: &ImportArgs,
    network: &str,
    dataset: Option<&Dataset>,
) -> Result<RunFolder> {
    let text = network_text(network)?;
    let (networks, of_file) = networks_of(&text).with_context(|| format!("in {network}"))?;
    let dataset = dataset.or(of_file.as_ref()).unwrap_or(&Dataset::Cifar100);
    let [(_, config)] = &networks[..] else {
        bail!("{network} holds {} networks; weights are those of one", networks.len());
    };
    let input = input_of(dataset)?;
    config.build(input).with_context(|| network.to_owned())?;
    let has_stem = match takes_either_stem(config) {
        Some(family) => gives(&text, family, "stem")?,
        None => true,
    };
    ensure!(
        has_stem || input.side <= SMALL,
        "{network}: `stem` is not given, and a {}'s weights fit with either; write `stem: imagenet` for published \
         weights of ImageNet, or `stem: cifar` if they were trained so",
        config.family()
    );
    import_run(&Import {
        weights: &args.weights,
        network: config,
        dataset,
        seed: args.seed,
        runs: &args.run,
        force: args.force,
    })
}

/// Largest side, in pixels, of the images that a stem for small ones, the default, is made for.
const SMALL: usize = 64;

/// The key of a network whose stems differ by their strides alone, so that the weights cannot say which one they are
/// for.
fn takes_either_stem(config: &NetworkConfig) -> Option<&'static str> {
    match config {
        NetworkConfig::Mobilenet(_) => Some("mobilenet"),
        NetworkConfig::MobilenetV2(_) => Some("mobilenet_v2"),
        _ => None,
    }
}

/// Exports a run and prints the file's name.
pub fn export(args: &ExportArgs) -> Result<()> {
    ensure!(
        args.exit.is_none() || args.format == Format::Onnx,
        "--exit cuts an ONNX model: add --format onnx"
    );
    // With --out, which takes the card's place, clap does not ask for it.
    ensure!(
        args.card.is_some() || (args.license.is_none() && !args.predictions && !args.skip_broken),
        "--license, --predictions and --skip-broken belong to --card"
    );
    let known = Known::named(&args.run, &args.folders.runs)?;
    if let Some(card) = &args.card {
        let settings = Settings {
            skip_broken: args.skip_broken,
            ..Settings::on_one_core(args.folders.places(""))
        };
        let license = args.license.as_deref().unwrap_or("mit");
        export_card(&known, card, license, args.predictions, &DataSets::new(&settings))?;
        print_path(card);
        return Ok(());
    }
    let out = args.out.as_deref();
    let written = match args.format {
        Format::Safetensors => export_run(&known.folder, out)?,
        Format::Onnx => export_onnx(&known, args.exit, &args.folders.data, out)?,
    };
    print_path(&written);
    Ok(())
}
