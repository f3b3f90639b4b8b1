//! The commands that make a figure.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::options::{Compute, Folders, Workers, change};
use super::saving::SavingArgs;
use crate::experiment::{Figure, load};
use crate::pipeline::{Ask, Settings, make_figure};

/// Options of every figure command.
#[derive(Debug, clap::Args)]
pub struct FigureArgs {
    /// Experiment: a path, or a name that `repro experiments list` shows [default: the figure's
    /// -quick experiment]
    experiment: Option<String>,
    /// Folder for figures and tables
    #[arg(long, default_value = "results", value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    folders: Folders,
    /// Change a key of the experiment, such as training.epochs=3
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = change)]
    changes: Vec<String>,
    /// Print runs, costs, what is done and what is missing; train nothing
    #[arg(long)]
    plan: bool,
    /// Print JSON on standard output
    #[arg(long)]
    json: bool,
    /// A claim of the paper that fails is an error (exit code 3)
    #[arg(long)]
    require_claims: bool,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    workers: Workers,
    #[command(flatten)]
    saving: SavingArgs,
    /// Say more of what is skipped and why
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
}

/// Runs the command of `figure`.
///
/// # Errors
/// What went wrong and where.
pub fn run(args: &FigureArgs, figure: Figure) -> Result<()> {
    let default = format!("{}-quick", figure.name());
    let which = args.experiment.as_deref().unwrap_or(&default);
    let (name, experiment) = load(which, &args.changes)?;
    if experiment.figure != figure {
        let right = experiment.figure.name();
        bail!("{which} is an experiment for {right}; run `repro {right} {which}`");
    }
    let ask = Ask {
        plan: args.plan,
        json: args.json,
        require_claims: args.require_claims,
    };
    let text = make_figure(&name, &experiment, &settings(args)?, ask)?;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

fn settings(args: &FigureArgs) -> Result<Settings> {
    let places = args.folders.places(&args.out);
    Ok(Settings {
        verbose: args.verbose,
        saving: args.saving.saving(),
        ..args.compute.settings(places, args.workers.workers)?
    })
}
