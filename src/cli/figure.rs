//! The commands that make a figure.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::saving::SavingArgs;
use crate::experiment::{Figure, load};
use crate::pipeline::{Ask, Places, Settings, crew, make_figure, parse_device, set_threads};

/// Options of every figure command.
#[derive(Debug, clap::Args)]
pub struct FigureArgs {
    /// Experiment: a path, or a name that `repro experiments list` shows [default: the figure's
    /// -quick experiment]
    experiment: Option<String>,
    /// Folder for figures and tables
    #[arg(long, default_value = "results", value_name = "DIR")]
    out: PathBuf,
    /// Folder for trained runs
    #[arg(long, default_value = "runs", value_name = "DIR")]
    runs: PathBuf,
    /// Folder with the data sets
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// Change a key of the experiment, such as training.epochs=3
    #[arg(long = "set", value_name = "KEY=VALUE")]
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
    /// Leave out image files that cannot be read, and say how many
    #[arg(long)]
    skip_broken: bool,
    /// auto, cpu, cuda or cuda:N; with several workers, the first GPU of theirs
    #[arg(long, default_value = "auto")]
    device: String,
    /// Threads of one process; 0 = all cores, shared among the workers
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Processes that train side by side [default: one a core, or one a GPU; 1 with --threads]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    #[command(flatten)]
    saving: SavingArgs,
    /// No progress on standard error
    #[arg(short, long)]
    quiet: bool,
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
    let device = parse_device(&args.device)?;
    Ok(Settings {
        places: Places {
            out: args.out.clone(),
            runs: args.runs.clone(),
            data: args.data.clone(),
        },
        device,
        threads: set_threads(args.threads),
        workers: crew(args.workers, args.threads, device),
        quiet: args.quiet,
        verbose: args.verbose,
        skip_broken: args.skip_broken,
        saving: args.saving.saving(),
    })
}
