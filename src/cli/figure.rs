//! The commands that make a figure.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::options::{Compute, Folders, SavingArgs, Workers, change, combinations, number};
use super::output::print;
use crate::eval::combine::Combine;
use crate::eval::policy::Policy;
use crate::experiment::{Combines, Entry, Experiment, Figure, load};
use crate::runs::Settings;
use crate::study::{Ask, ClaimFailed, Origin, make_figure};

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
}

/// Options of `repro budgeted-batch`.
#[derive(Debug, clap::Args)]
pub struct BudgetedArgs {
    #[command(flatten)]
    figure: FigureArgs,
    #[command(flatten)]
    combine: CombineArgs,
    #[arg(long, value_name = "POLICY,..", value_delimiter = ',', help = policy_help())]
    policy: Vec<Policy>,
    /// Policy target-accuracy: a lower bound on accuracy must reach the target. This is the bound's
    /// confidence, above 0 and below 1
    #[arg(long, value_name = "PROBABILITY", value_parser = number)]
    target_bound: Option<f64>,
    /// Draw every policy that asks how sure an exit is (all but patience and oracle) once more,
    /// with temperatures that are fitted on the hold-out
    #[arg(long)]
    temperature: bool,
}

fn policy_help() -> String {
    format!(
        "When an image leaves: {}; several with commas between them, each a curve [default: the \
         experiment's, else {}]",
        Policy::names(),
        Policy::PAPER
    )
}

/// Options of `repro anytime`.
#[derive(Debug, clap::Args)]
pub struct AnytimeArgs {
    #[command(flatten)]
    figure: FigureArgs,
    #[command(flatten)]
    combine: CombineArgs,
}

/// How exits are combined.
#[derive(Debug, clap::Args)]
struct CombineArgs {
    #[arg(long, value_name = "RULE,..", value_delimiter = ',', help = format!("How exits are combined before one is believed: {}; several with commas between them, each a curve [default: the experiment's]", combinations()))]
    combine: Vec<Combine>,
}

impl CombineArgs {
    /// Puts them in place of what the experiment's networks say; an ensemble combines its members.
    fn adapt(&self, experiment: &mut Experiment) {
        let is_network = |entry: &&mut Entry| entry.joined.is_none() && entry.ensemble.is_none();
        let entries = experiment.networks.iter_mut().filter(is_network);
        for entry in entries.filter(|_| !self.combine.is_empty()) {
            entry.combine = Some(Combines(self.combine.clone()));
        }
    }
}

/// Runs `repro anytime`.
pub fn run_anytime(args: &AnytimeArgs) -> Result<()> {
    carry_out(&args.figure, Figure::Anytime, |experiment| args.combine.adapt(experiment))
}

/// Runs `repro budgeted-batch`.
pub fn run_budgeted(args: &BudgetedArgs) -> Result<()> {
    carry_out(&args.figure, Figure::BudgetedBatch, |experiment| {
        args.combine.adapt(experiment);
        if args.policy.is_empty() && !args.temperature && args.target_bound.is_none() {
            return;
        }
        let budgeted = experiment.budgeted.get_or_insert_default();
        if !args.policy.is_empty() {
            budgeted.policies.clone_from(&args.policy);
        }
        budgeted.temperature |= args.temperature;
        budgeted.target_bound = args.target_bound.or(budgeted.target_bound);
    })
}

/// Runs the command of any other figure.
pub fn run(args: &FigureArgs, figure: Figure) -> Result<()> {
    carry_out(args, figure, |_| {})
}

fn carry_out(args: &FigureArgs, figure: Figure, adapt: impl Fn(&mut Experiment)) -> Result<()> {
    let default = format!("{}-quick", figure.name());
    let which = args.experiment.as_deref().unwrap_or(&default);
    let (name, mut experiment) = load(which, &args.changes)?;
    if experiment.figure != figure {
        let right = experiment.figure.name();
        bail!("{which} is an experiment for {right}; run `repro {right} {which}`");
    }
    adapt(&mut experiment);
    experiment.validate()?;
    let ask = Ask { plan: args.plan, json: args.json, require_claims: args.require_claims };
    let origin = Origin::of(which)?;
    let made = make_figure(&name, &origin, &experiment, &settings(args)?, ask);
    if let Some(failed) = made.as_ref().err().and_then(|error| error.downcast_ref::<ClaimFailed>())
    {
        print(&failed.told);
    }
    print(made?);
    Ok(())
}

fn settings(args: &FigureArgs) -> Result<Settings> {
    let places = args.folders.places(&args.out);
    Ok(Settings {
        saving: args.saving.saving(),
        ..args.compute.settings(places, args.workers.workers)?
    })
}
