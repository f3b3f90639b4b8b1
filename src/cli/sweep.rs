//! `repro sweep`: many runs.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::options::{Compute, Folders, SavingArgs, Workers, change};
use super::output::{is_open, print};
use crate::data::plural;
use crate::runs::device::{device_name, set_threads};
use crate::runs::worker::serve;
use crate::runs::{DataSets, Places, Settings, tell, watch_signals};
use crate::study::collect_figures;
use crate::sweep::{
    Line, Slurm, Status, describe_status, manifest, manifest_text, read_manifest, run_sweep,
    status_of, status_of_all, submit,
};

/// Plan many runs once and carry them out on this machine or by Slurm
#[derive(Debug, clap::Args)]
pub struct SweepArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write a manifest to standard output: JSON lines, one run a line
    Plan(PlanArgs),
    /// Train one run of a manifest, or all of them side by side
    Run(RunArgs),
    /// Show which runs are done, running, failed and waiting; on a terminal until all have ended
    Status(StatusArgs),
    /// Draw every figure from the runs that are done, and say what is missing
    Collect(CollectArgs),
    /// Submit a manifest to Slurm as a job array, and a job after it that draws the figures
    Slurm(SlurmArgs),
    /// Train what standard input says; started by the other commands
    #[command(hide = true)]
    Worker(WorkerArgs),
}

#[derive(Debug, clap::Args)]
struct Training {
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    saving: SavingArgs,
    /// Train and do not predict: predictions are made when they are needed, here or on another machine
    #[arg(long)]
    only_train: bool,
}

impl Training {
    fn settings(&self, places: Places, workers: Option<usize>) -> Result<Settings> {
        let settings = self.compute.settings(places, workers)?;
        Ok(Settings { saving: self.saving.saving(), only_train: self.only_train, ..settings })
    }
}

#[derive(Debug, clap::Args)]
struct PlanArgs {
    /// Experiments: paths, or names that `repro experiments list` shows
    #[arg(required = true)]
    experiments: Vec<String>,
    /// Seeds in place of the experiments' own: one, 0,3 or 0..4 (both ends included)
    #[arg(long, value_parser = parse_seeds)]
    seeds: Option<Seeds>,
    /// Change a key of every experiment, such as training.epochs=3
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = change)]
    changes: Vec<String>,
    #[command(flatten)]
    folders: Folders,
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// The manifest; - = standard input
    #[arg(long, value_name = "FILE")]
    manifest: String,
    /// Train the run with this index alone
    #[arg(long, value_name = "I", conflicts_with = "workers")]
    index: Option<usize>,
    #[command(flatten)]
    workers: Workers,
    #[command(flatten)]
    folders: Folders,
    #[command(flatten)]
    training: Training,
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// The manifest; without one, every run under --runs
    manifest: Option<String>,
    /// Refresh until everything has ended; the default on a terminal
    #[arg(long)]
    watch: bool,
    /// Show it once, on a terminal too
    #[arg(long, conflicts_with = "watch")]
    once: bool,
    /// JSON on standard output
    #[arg(long, conflicts_with = "watch")]
    json: bool,
    #[command(flatten)]
    folders: Folders,
}

#[derive(Debug, clap::Args)]
struct CollectArgs {
    /// A manifest's file, or experiments
    #[arg(required = true, value_name = "MANIFEST|EXPERIMENT")]
    which: Vec<String>,
    /// Folder for figures and tables
    #[arg(long, default_value = "results", value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    folders: Folders,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Debug, clap::Args)]
struct SlurmArgs {
    /// The manifest: a file that all nodes see
    manifest: PathBuf,
    /// Partition
    #[arg(long)]
    partition: Option<String>,
    /// Generic resources of a task, such as gpu:1
    #[arg(long)]
    gres: Option<String>,
    /// Time limit of a task, as Slurm writes it; a task that reaches it is queued again
    #[arg(long)]
    time: Option<String>,
    /// Tasks at a time
    #[arg(long, value_name = "P")]
    parallel: Option<usize>,
    /// Processors, and threads, of a task
    #[arg(long, default_value_t = 1)]
    cpus: usize,
    /// Device of a task: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = device_name)]
    device: String,
    /// Print the scripts and submit nothing
    #[arg(long)]
    dry_run: bool,
    /// Folder for figures and tables
    #[arg(long, default_value = "results", value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    folders: Folders,
}

#[derive(Debug, clap::Args)]
struct WorkerArgs {
    #[command(flatten)]
    folders: Folders,
    #[command(flatten)]
    training: Training,
}

/// Runs the command.
pub fn run(args: &SweepArgs) -> Result<()> {
    match &args.command {
        Command::Plan(args) => plan(args),
        Command::Run(args) => train(args),
        Command::Status(args) => status(args),
        Command::Collect(args) => collect(args),
        Command::Slurm(args) => slurm(args),
        Command::Worker(args) => {
            let places = args.folders.places("results");
            serve(&args.training.settings(places, Some(1))?)
        }
    }
}

/// Settings of a command that only looks.
fn looking(folders: &Folders) -> Result<Settings> {
    Ok(Settings {
        threads: set_threads(1)?,
        quiet: false,
        ..Settings::on_one_core(folders.places("results"))
    })
}

fn plan(args: &PlanArgs) -> Result<()> {
    let mut changes = args.changes.clone();
    if let Some(seeds) = &args.seeds {
        changes.push(format!("seeds={:?}", seeds.0));
    }
    let settings = looking(&args.folders)?;
    let lines = manifest(&args.experiments, &changes, &settings)?;
    print(manifest_text(&lines)?);
    Ok(())
}

/// Seeds in place of an experiment's own.
#[derive(Debug, Clone, PartialEq)]
struct Seeds(Vec<u64>);

/// `3`, `0,2` or `0..4`, both ends included.
fn parse_seeds(text: &str) -> Result<Seeds> {
    let number = |word: &str| {
        let number = word.trim().parse::<u64>().ok();
        number.context("expected numbers, as in 0,3 or 0..4 (both ends included)")
    };
    if let Some((first, last)) = text.split_once("..") {
        let (first, last) = (number(first)?, number(last)?);
        ensure!(first <= last, "it ends before it begins");
        ensure!(last - first < 10_000, "more than 10,000 seeds");
        return Ok(Seeds((first..=last).collect()));
    }
    let numbers: Result<_> = text.split(',').map(number).collect();
    Ok(Seeds(numbers?))
}

fn train(args: &RunArgs) -> Result<()> {
    let workers = if args.index.is_some() { Some(1) } else { args.workers.workers };
    let places = args.folders.places("results");
    let settings = args.training.settings(places, workers)?;
    let lines = read_manifest(&args.manifest)?;
    run_sweep(&lines, args.index, &settings)?;
    let what = match args.index {
        Some(index) => format!("run {index} is done"),
        None => format!("all {} runs are done", lines.len()),
    };
    settings.say(what);
    Ok(())
}

fn status(args: &StatusArgs) -> Result<()> {
    let settings = looking(&args.folders)?;
    let data_sets = DataSets::new(&settings);
    let manifest = args.manifest.as_deref();
    let lines = manifest.map(read_manifest).transpose()?;
    let statuses = || match (manifest, &lines) {
        (Some(path), Some(lines)) => Ok(status_of(lines, path, &data_sets)),
        _ => status_of_all(&data_sets),
    };
    if args.watch || (std::io::stdout().is_terminal() && !args.once && !args.json) {
        return watch(statuses);
    }
    print(if args.json {
        format!("{}\n", serde_json::to_string_pretty(&statuses()?)?)
    } else {
        describe_status(&statuses()?, true)
    });
    Ok(())
}

/// Shows the table every two seconds until no run is left that runs or waits.
fn watch(now: impl Fn() -> Result<Vec<Status>>) -> Result<()> {
    let stop = watch_signals()?;
    let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
    loop {
        let statuses = now()?;
        let text = describe_status(&statuses, statuses.len() <= 30);
        print(format!("{clear}{text}"));
        if statuses.iter().all(|s| ["done", "failed"].contains(&s.state)) || !is_open() {
            return Ok(());
        }
        for _ in 0..20 {
            if stop.is_asked() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn collect(args: &CollectArgs) -> Result<()> {
    let places = args.folders.places(&args.out);
    let settings = args.compute.looking(places)?;
    let (experiments, changes) = match &args.which[..] {
        [only] if is_manifest(only) => experiments_of(&read_manifest(only)?)?,
        [only] if is_jsonl(only) => bail!("there is no manifest {only}"),
        all => {
            if let Some(manifest) = all.iter().find(|which| is_jsonl(which)) {
                bail!("{manifest} is a manifest, and a manifest is given alone");
            }
            (all.to_vec(), Vec::new())
        }
    };
    let (told, failures) = collect_figures(&experiments, &changes, &settings)?;
    print(told);
    ensure!(failures.is_empty(), "{}", failures.join("\n  "));
    Ok(())
}

/// A manifest is a file that is no experiment's.
fn is_manifest(which: &str) -> bool {
    let path = Path::new(which);
    let is_yaml =
        path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    which == "-" || (path.is_file() && !is_yaml)
}

fn is_jsonl(which: &str) -> bool {
    Path::new(which).extension().is_some_and(|extension| extension == "jsonl")
}

fn experiments_of(lines: &[Line]) -> Result<(Vec<String>, Vec<String>)> {
    let changes = lines[0].changes.clone();
    let mut experiments: Vec<String> = Vec::new();
    for line in lines {
        if line.changes != changes {
            bail!("line {}: its changes differ from the first line's", line.index + 1);
        }
        for name in &line.experiments {
            if !experiments.contains(name) {
                experiments.push(name.clone());
            }
        }
    }
    ensure!(
        !experiments.is_empty(),
        "experiments: no line of the manifest names one, so there is no figure to draw; plan it again"
    );
    Ok((experiments, changes))
}

fn slurm(args: &SlurmArgs) -> Result<()> {
    let settings = looking(&args.folders)?;
    let path = args.manifest.display().to_string();
    ensure!(path != "-", "Slurm's nodes read the manifest; give a file");
    let lines = read_manifest(&path)?;
    let statuses = status_of(&lines, &path, &DataSets::new(&settings));
    let done = statuses.iter().filter(|s| s.state == "done").count();
    let is_under_way = |s: &&Status| s.state == "running" || s.slurm.is_some();
    let under_way = statuses.iter().filter(|s| s.state != "done").filter(is_under_way).count();
    let left = statuses.iter().filter(|s| s.state != "done" && !is_under_way(s));
    let left: Vec<usize> = left.map(|s| s.index).collect();
    if under_way > 0 {
        ensure!(
            !left.is_empty(),
            "nothing to submit: {} done, {} running or in Slurm's queue; \
             `repro sweep status {path}` shows them",
            plural(done, "run"),
            plural(under_way, "run")
        );
        tell(format!("left out: {} running or in Slurm's queue", plural(under_way, "run")));
    }
    let absolute =
        |path: &PathBuf| std::path::absolute(path).with_context(|| path.display().to_string());
    let places = Places {
        out: absolute(&args.out)?,
        runs: absolute(&args.folders.runs)?,
        data: absolute(&args.folders.data)?,
    };
    let asked = Slurm {
        partition: args.partition.clone(),
        gres: args.gres.clone(),
        time: args.time.clone(),
        cpus: args.cpus,
        parallel: args.parallel,
        device: args.device.clone(),
    };
    print(submit(&args.manifest, &lines, &left, &places, &asked, args.dry_run)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_number_a_list_or_a_range_with_both_ends() {
        assert_eq!(parse_seeds("3").unwrap().0, [3]);
        assert_eq!(parse_seeds("0,2").unwrap().0, [0, 2]);
        assert_eq!(parse_seeds("1..4").unwrap().0, [1, 2, 3, 4]);
        let error = parse_seeds("4..1").unwrap_err().to_string();
        assert!(error.contains("ends before it begins"), "{error}");
        assert!(parse_seeds("a").is_err());
    }
}
