//! The files of a figure's folder that every figure has.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Result;
use serde_json::json;

use super::{Origin, Study};
use crate::data::{Split, Turn};
use crate::eval::exits::{ExitScore, score};
use crate::eval::named::unique;
use crate::experiment::{FORMAT, Run};
use crate::results::began::Began;
use crate::results::tables::Table;
use crate::results::{RunFolder, atomic, runfiles};
use crate::runs::costs::costs_table;
use crate::runs::device::cores;
use crate::runs::machine;
use crate::runs::provenance;

/// Names of the files in a figure's folder.
pub struct Outputs {
    folder: PathBuf,
    origin: Origin,
}

impl Outputs {
    /// The folder of a study under its results, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made, or holds the results of another experiment of the same name.
    pub fn new(study: &Study, origin: &Origin) -> Result<Outputs> {
        let folder = study.settings.places.out.join(&study.name);
        atomic::create_folder(&folder)?;
        let outputs = Outputs { folder, origin: origin.clone() };
        let _turn = outputs.turn(study)?;
        origin.claim(&outputs.folder, &effective(study)?)?;
        atomic::remove_temporaries(&outputs.folder);
        Ok(outputs)
    }

    /// The right to write to the folder; waits for it where another process has it.
    fn turn(&self, study: &Study) -> Result<Turn> {
        let why = || format!("{}: another process writes there; waiting", self.folder.display());
        study.settings.wait_for(why, || Turn::take(&self.file("experiment.yaml")))
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Begins to replace what is in the folder, and keeps other processes from it as long as the turn
/// lasts. `experiment.yaml` says whose results these are. `run.json` is written last, so without it
/// the results are unfinished. Tables that not every figure has go too.
///
/// # Errors
/// When another experiment of the same name has taken the folder meanwhile, or a file stays;
/// [`crate::runs::Interrupted`] after a signal.
pub fn begin(study: &Study, outputs: &Outputs) -> Result<Turn> {
    let turn = outputs.turn(study)?;
    outputs.origin.check(&outputs.folder, &effective(study)?)?;
    for name in ["run.json", "summary.csv", "exits_taken.csv", "positions.csv"] {
        atomic::remove(&outputs.file(name))?;
    }
    outputs.origin.write(&outputs.folder, &effective(study)?)?;
    Ok(turn)
}

/// Costs, learning curves, and scores of every exit.
pub fn common_tables(study: &Study) -> Result<[(&'static str, Table); 3]> {
    Ok([
        ("costs.csv", costs_table(&study.costs)),
        ("learning.csv", learning_table(study)?),
        ("exits.csv", exits_table(study)?),
    ])
}

/// The experiment with all that the command line changed, as YAML.
fn effective(study: &Study) -> Result<String> {
    Ok(serde_yaml::to_string(&serde_json::to_value(&study.experiment)?)?)
}

/// Every epoch of every run that was trained here; the accuracy is on the hold-out, and empty
/// without one.
fn learning_table(study: &Study) -> Result<Table> {
    const NAMES: [&str; 7] =
        ["network", "seed", "epoch", "learning_rate", "loss", "exit", "accuracy"];
    let mut rows: Vec<[String; 7]> = Vec::new();
    for network in &study.plan.networks {
        for (_, run) in study.runs_of(network) {
            let folder = RunFolder::standing_for(&study.settings.places.runs, run);
            let table = runfiles::log(&folder)?;
            let column = |name: &str| table.column(name).collect::<Vec<_>>();
            let [epoch, rate, loss] = ["epoch", "learning_rate", "loss"].map(column);
            for exit in 1..=study.multiply_adds(&network.name).len() {
                let accuracy = column(&format!("accuracy_{exit}"));
                for row in 0..epoch.len() {
                    let (seed, exit) = (run.seed.to_string(), exit.to_string());
                    let accuracy = accuracy.get(row).copied().unwrap_or_default();
                    let cells =
                        [&network.name, &seed, epoch[row], rate[row], loss[row], &exit, accuracy];
                    rows.push(cells.map(str::to_owned));
                }
            }
        }
    }
    let column = |table: Table, (at, name)| table.text(name, rows.iter().map(|row| &row[at]));
    Ok(NAMES.into_iter().enumerate().fold(Table::default(), column))
}

/// Scores of every exit on the test images, and on the hold-out where there is one.
fn exits_table(study: &Study) -> Result<Table> {
    let mut rows: Vec<(String, u64, Split, ExitScore)> = Vec::new();
    for network in &study.plan.networks {
        for (place, run) in study.runs_of(network) {
            for &split in study.data.splits() {
                let predictions = study.predictions(network, place, split)?;
                let scores = score(&predictions)?;
                rows.extend(scores.into_iter().map(|s| (network.name.clone(), run.seed, split, s)));
            }
        }
    }
    Ok(Table::default()
        .text("network", rows.iter().map(|r| &r.0))
        .count("seed", rows.iter().map(|r| r.1))
        .text("split", rows.iter().map(|r| r.2.name()))
        .count("exit", rows.iter().map(|r| r.3.exit as u64))
        .number("top1", rows.iter().map(|r| r.3.top1))
        .number("top5", rows.iter().map(|r| r.3.top5))
        .number("nll", rows.iter().map(|r| r.3.nll))
        .number("ece", rows.iter().map(|r| r.3.ece)))
}

/// A run that the figure stands on, and what began it.
struct Begun {
    began: Began,
    seed: u64,
    /// Seconds that its training took, wherever it went on.
    seconds: f64,
}

/// The runs of which it is known what began them.
fn begun(study: &Study) -> Vec<Begun> {
    let (present, _) = study.present_and_missing();
    let runs = &study.settings.places.runs;
    let begun = |run: &&Run| {
        let folder = RunFolder::standing_for(runs, run);
        let began = runfiles::read_began(&folder.run_yaml())?;
        let seconds = runfiles::timing_seconds(&folder.timing_csv());
        Some(Begun { began, seed: run.seed, seconds })
    };
    present.iter().filter_map(begun).collect()
}

/// How many runs, of which seeds, began on each device, its highest rates of matrix products, and the
/// seconds that the runs took.
fn by_device(runs: &[Begun]) -> Vec<serde_json::Value> {
    let place = |run: &Begun| (run.began.device.clone(), run.began.processor.name.clone());
    let row = |(device, processor): (String, String)| {
        let is_own =
            |run: &&Begun| run.began.device == device && run.began.processor.name == processor;
        let own: Vec<&Begun> = runs.iter().filter(is_own).collect();
        let mut seeds: Vec<u64> = unique(own.iter().map(|run| run.seed));
        seeds.sort_unstable();
        let seconds: f64 = own.iter().map(|run| run.seconds).sum();
        json!({
            "device": device, "processor": processor, "runs": own.len(), "seeds": seeds,
            "matmul_fp32": provenance::best(own.iter().map(|run| run.began.matmul_fp32)),
            "matmul_bf16": provenance::best(own.iter().map(|run| run.began.matmul_bf16)),
            "training_seconds": seconds,
        })
    };
    unique(runs.iter().map(place)).into_iter().map(row).collect()
}

/// The commits that began the runs that the figure stands on, each once.
pub fn commits(study: &Study) -> Vec<String> {
    unique(begun(study).into_iter().map(|run| run.began.commit))
}

/// `run.json`.
pub fn write_provenance(study: &Study, outputs: &Outputs, began: SystemTime) -> Result<()> {
    let (present, missing) = study.present_and_missing();
    let folders_of = |runs: &[&Run]| -> Vec<RunFolder> {
        let runs = runs.iter();
        runs.map(|run| RunFolder::standing_for(&study.settings.places.runs, run)).collect()
    };
    let (folders, missing) = (folders_of(&present), folders_of(&missing));
    let names = |folders: &[RunFolder]| folders.iter().map(RunFolder::name).collect::<Vec<_>>();
    let begun = begun(study);
    let runs: Vec<&Began> = begun.iter().map(|run| &run.began).collect();
    let seconds: Vec<f64> =
        folders.iter().map(|f| runfiles::timing_seconds(&f.timing_csv())).collect();
    let ended = SystemTime::now();
    // What began the runs is listed, each value once.
    let mut provenance = json!({
        "program": format!("repro {}", env!("CARGO_PKG_VERSION")),
        "format": FORMAT,
        "commit": unique(runs.iter().map(|began| &began.commit)),
        "dirty": provenance::any_dirty(&runs),
        "command": machine::command(),
        "libtorch": provenance::libtorch_version(),
        "device": unique(runs.iter().map(|began| &began.device)),
        "runs_by_device": by_device(&begun),
        "processor": unique(runs.iter().map(|began| &began.processor)),
        "matmul_fp32": provenance::best(runs.iter().map(|began| began.matmul_fp32)),
        "matmul_bf16": provenance::best(runs.iter().map(|began| began.matmul_bf16)),
        "precision": study.experiment.training.precision,
        "cores": cores(),
        "threads": unique(runs.iter().map(|began| began.threads)),
        "workers": study.settings.workers,
        "training_data": study.data.images(Split::Train)?.digest,
        "test_data": study.data.images(Split::Test)?.digest,
        "began": provenance::utc(began),
        "ended": provenance::utc(ended),
        "wall_seconds": ended.duration_since(began).unwrap_or_default().as_secs_f64(),
        // Of this and earlier commands together.
        "training_seconds": seconds.iter().sum::<f64>(),
        "runs": names(&folders),
        "seconds_of_runs": seconds,
    });
    if !missing.is_empty() {
        provenance["missing"] = json!(names(&missing));
    }
    atomic::write(&outputs.file("run.json"), format!("{provenance:#}\n").as_bytes())
}
