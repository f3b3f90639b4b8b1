//! The command line: one subcommand a file, each a thin step from arguments to a plain call.

mod bench;
mod classify;
mod costs;
mod data;
mod doctor;
mod draw;
mod examples;
mod experiments;
mod explore;
mod figure;
mod guarantee;
mod hint;
mod import;
mod options;
mod output;
mod predict;
mod report;
mod runs;
pub mod shell;
mod sweep;
mod watch;

pub use output::note_standard_output;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::cuda::{Trouble, is_of_the_machine, panic_text, plain, trouble};
use crate::figures::take_missing;
use crate::runs::{Interrupted, tell};
use crate::study::ClaimFailed;

/// Everything went well.
const DONE: u8 = 0;
/// Something went wrong; standard error says what.
const FAILED: u8 = 1;
/// A claim failed under --require-claims.
const CLAIM_FAILED: u8 = 3;
/// Interrupted and saved, or the GPU was lost; the same command, run again, goes on (EX_TEMPFAIL of sysexits.h).
const RESUMABLE: u8 = 75;

/// Reproduces "Multi-Scale Dense Networks for Resource Efficient Image Classification"
/// (Huang et al., ICLR 2018): trains MSDNet and its baselines and draws the paper's figures.
#[derive(Debug, Parser)]
#[command(name = "repro", version, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "Exit codes: 0 done; 1 error; 2 usage; 3 a claim failed under --require-claims; \
75 interrupted or the GPU was lost: run the same command again to go on.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Accuracy against the budget of each image (Fig. 5)
    Anytime(figure::AnytimeArgs),
    /// Accuracy against the mean budget of a batch (Fig. 7)
    BudgetedBatch(figure::BudgetedArgs),
    /// Accuracy of a single intermediate classifier by its depth (Fig. 3, left)
    FigIntermediate(figure::FigureArgs),
    /// What an intermediate classifier costs the final one, by its depth (Fig. 3, right)
    FigFinalDegradation(figure::FigureArgs),
    /// MSDNet without its parts, one after another (Fig. 10)
    Ablation(figure::FigureArgs),
    /// Gather the results into results/README.md, and the findings into the README beside that folder
    Report(report::ReportArgs),
    /// Multiply-adds and parameters of every exit, as CSV
    Costs(costs::CostsArgs),
    /// Take weights from elsewhere, or a published run, in as a finished run
    Import(import::ImportArgs),
    /// Write a run's weights, an ONNX model, or a folder for model hubs
    Export(import::ExportArgs),
    /// What a run answers on every image, at every exit
    Predict(predict::PredictArgs),
    /// What a run says of your own images, and at which exit
    Classify(classify::ClassifyArgs),
    /// How much leaving early may cost, and how sure that is
    Guarantee(guarantee::GuaranteeArgs),
    /// How fast this machine trains and infers
    Bench(bench::BenchArgs),
    /// List, verify and fetch data sets
    Data(data::DataArgs),
    /// List and show the built-in experiments
    Experiments(experiments::ExperimentsArgs),
    /// List, show, export, slim and delete runs
    Runs(runs::RunsArgs),
    /// Draw training curves of runs, or write them for TensorBoard
    Watch(watch::WatchArgs),
    /// Sheets of easy and hard test images of a run (Figs. 1 and 6)
    Examples(examples::ExamplesArgs),
    /// A web page of a run, with the budget on a slider
    Explore(explore::ExploreArgs),
    /// Draw a network: scales as rows, layers as columns (Figs. 2 and 9)
    Draw(draw::DrawArgs),
    /// Check whether this machine can run the experiments
    Doctor(doctor::DoctorArgs),
    /// The JSON Schema of experiment files
    Config(shell::ConfigArgs),
    /// Completions for a shell
    Completions(shell::CompletionsArgs),
    /// Manual pages
    Man(shell::ManArgs),
    /// Plan many runs once and carry them out on this machine or by Slurm
    Sweep(sweep::SweepArgs),
}

/// Parses the command line, runs it, and says what went wrong.
pub fn main() -> ExitCode {
    crate::heap::keep();
    let matches = taking_negative_numbers(Cli::command()).try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(&hint::with_tip(error)),
    };
    std::panic::set_hook(Box::new(|info| {
        let text = panic_text(info.payload());
        match is_of_the_machine(&text) {
            true => tell(format!("error: {}", plain(&text))),
            false => tell(format!("error: this is a mistake in the program, not yours: {info}")),
        }
    }));
    let result = std::panic::catch_unwind(|| run(&cli.command));
    if let Some(missing) = take_missing() {
        tell(format!("warning: {missing}"));
    }
    let code = match result.map(|done| done.and_then(|()| output::finish())) {
        Ok(Ok(())) => DONE,
        Ok(Err(error)) => {
            tell(format!("error: {}", plain(&format!("{error:#}"))));
            code_of(&error)
        }
        Err(panic) => match trouble(&panic_text(&*panic)) {
            Some(Trouble::Lost) => RESUMABLE,
            _ => FAILED,
        },
    };
    ExitCode::from(code)
}

/// Takes `-3` as an option's value, whose range can then be said, and not as an option of its own.
fn taking_negative_numbers(command: clap::Command) -> clap::Command {
    let change = |arg: clap::Arg| {
        let has_value = !arg.is_positional() && arg.get_action().takes_values();
        if has_value { arg.allow_negative_numbers(true) } else { arg }
    };
    command.mut_args(change).mut_subcommands(taking_negative_numbers)
}

/// Shows what clap has to say: help, the version or what is wrong with the command line.
fn usage(said: &clap::Error) -> ExitCode {
    let code = u8::try_from(said.exit_code()).unwrap_or(FAILED);
    if said.use_stderr() {
        // Where nothing can be written to standard error, nothing can be said of that either.
        let _ = said.print();
        return ExitCode::from(code);
    }
    let text = said.render();
    let is_coloured = output::has_colours();
    output::print(if is_coloured { text.ansi().to_string() } else { text.to_string() });
    match output::finish() {
        Ok(()) => ExitCode::from(code),
        Err(error) => {
            tell(format!("error: {error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

fn code_of(error: &anyhow::Error) -> u8 {
    let is_lost = || trouble(&format!("{error:#}")) == Some(Trouble::Lost);
    if error.is::<Interrupted>() || is_lost() {
        RESUMABLE
    } else if error.is::<ClaimFailed>() {
        CLAIM_FAILED
    } else {
        FAILED
    }
}

fn run(command: &Command) -> Result<()> {
    use crate::experiment::Figure;
    match command {
        Command::Anytime(args) => figure::run_anytime(args),
        Command::BudgetedBatch(args) => figure::run_budgeted(args),
        Command::FigIntermediate(args) => figure::run(args, Figure::FigIntermediate),
        Command::FigFinalDegradation(args) => figure::run(args, Figure::FigFinalDegradation),
        Command::Ablation(args) => figure::run(args, Figure::Ablation),
        Command::Report(args) => report::run(args),
        Command::Costs(args) => costs::run(args),
        Command::Import(args) => import::import(args),
        Command::Export(args) => import::export(args),
        Command::Predict(args) => predict::run(args),
        Command::Classify(args) => classify::run(args),
        Command::Guarantee(args) => guarantee::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Data(args) => data::run(args),
        Command::Experiments(args) => experiments::run(args),
        Command::Runs(args) => runs::run(args),
        Command::Watch(args) => watch::run(args),
        Command::Examples(args) => examples::run(args),
        Command::Explore(args) => explore::run(args),
        Command::Draw(args) => draw::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Config(args) => shell::config(args),
        Command::Completions(args) => shell::completions(args),
        Command::Man(args) => shell::man(args),
        Command::Sweep(args) => sweep::run(args),
    }
}
