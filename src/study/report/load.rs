//! The files of a results folder, checked.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, ensure};
use serde_json::Value;

use super::super::claims;
use super::super::kinds::{KINDS, kind};
use super::again::{self, name_of};
use super::rows::{ClaimRow, check_judged, rows};
use super::run;
use crate::data::plural;
use crate::eval::figure::Figure;
use crate::eval::named::unique;
use crate::experiment::{BUILT_IN, Experiment, FORMAT, Plan, Run, explain};
use crate::figures::learning;
use crate::results::is_scratch;
use crate::results::tables::{Rows, read};
use crate::runs::data::input_of;

/// The files of one figure that the page is made of.
pub(super) struct Shown {
    /// The experiment's name.
    pub name: String,
    /// Where the files are.
    pub folder: PathBuf,
    pub experiment: Experiment,
    /// `run.json`.
    pub run: Value,
    pub claims: Vec<ClaimRow>,
    pub curves: Rows,
    pub costs: Rows,
    /// `positions.csv`, of Fig. 3.
    pub positions: Option<Rows>,
    /// `summary.csv`, where the figure has networks that can exit early.
    pub summary: Option<Rows>,
    /// Networks with a trained run.
    trained: HashSet<String>,
}

/// A row of `positions.csv`, as people read it.
pub(super) struct Loss {
    /// Curve, relative depth, what the loss is relative to.
    pub place: [String; 3],
    /// In ln, with its interval.
    pub loss: String,
    pub seeds: String,
}

impl Shown {
    /// The losses at the positions of Fig. 3.
    pub(super) fn losses(&self) -> Result<Vec<Loss>> {
        let Some(table) = &self.positions else {
            return Ok(Vec::new());
        };
        let text = |name| table.text(name);
        let number = |name| table.numbers(name);
        let (curve, reference, seeds) = (text("curve")?, text("reference")?, text("seeds")?);
        let (depth, loss) = (number("relative_depth")?, number("loss")?);
        let (low, high) = (number("low")?, number("high")?);
        let row = |i: usize| Loss {
            place: [curve[i].clone(), format!("{:.2}", depth[i]), reference[i].clone()],
            loss: format!("{:.3} [{:.3}, {:.3}]", loss[i], low[i], high[i]),
            seeds: seeds[i].clone(),
        };
        Ok((0..curve.len()).map(row).collect())
    }

    /// The paper's figure that it is, and its data where these figures are of several.
    pub(super) fn place(&self, figures: &[Shown]) -> String {
        let place = kind(self.experiment.figure).in_the_paper;
        let own = &self.experiment.dataset;
        match figures.iter().all(|figure| figure.experiment.dataset == *own) {
            true => place.to_string(),
            false => format!("{place}, {own}"),
        }
    }

    /// Images seen in training, each as often as it was.
    pub(super) fn image_passes(&self) -> Option<f64> {
        let images = training_images(&self.experiment)?;
        Some(images as f64 * f64::from(self.experiment.training.epochs))
    }

    /// Hours that its trainings took.
    pub(super) fn hours(&self) -> f64 {
        self.run["training_seconds"].as_f64().unwrap_or(0.0) / 3600.0
    }

    /// Whether a network of its plan has a trained run.
    pub(super) fn is_trained(&self, network: &str) -> bool {
        self.trained.contains(network)
    }

    /// What the figure lacks, in words: runs that are not trained yet, and runs that are trained and
    /// published in `runs/` but not drawn. Empty for nothing.
    pub(super) fn lacking(&self) -> String {
        let missing = self.missing();
        let (kept, missing): (Vec<&String>, Vec<&String>) =
            missing.iter().partition(|run| self.published(run).is_some());
        let parts = [
            ("Not trained yet", missing),
            ("Trained and in runs/, but not yet in the figure", kept),
        ];
        let told = parts.iter().filter(|(_, runs)| !runs.is_empty());
        let told: Vec<String> =
            told.map(|(words, runs)| format!("{words}: {}", self.networks_of(runs))).collect();
        told.join(". ")
    }

    /// The folders' names of the runs that were not there when the figure was drawn, and of those of
    /// networks that its experiment has gained since.
    pub(super) fn missing(&self) -> Vec<String> {
        let names = |key| self.listed(key).into_iter().filter_map(Value::as_str);
        let known: HashSet<&str> = names("runs").chain(names("missing")).collect();
        let mut missing: Vec<String> = names("missing").map(String::from).collect();
        let shipped = self.shipped().map_or_else(Vec::new, |shipped| runs(&shipped));
        let is_known = |run: &Run| {
            [run, &run.imported()].iter().any(|run| known.contains(run.folder_name().as_str()))
        };
        missing.extend(shipped.iter().filter(|run| !is_known(run)).map(Run::folder_name));
        missing
    }

    /// Whether its runs are among those of the shipped experiment of its name.
    pub(super) fn is_shipped(&self) -> bool {
        self.shipped().is_some()
    }

    /// The shipped experiment of its name, if that has all its runs.
    fn shipped(&self) -> Option<Experiment> {
        let (_, yaml) = BUILT_IN.iter().find(|(name, _)| *name == self.name)?;
        let shipped: Experiment = serde_yaml::from_str(yaml).ok()?;
        let folders = |experiment| runs(experiment).iter().map(Run::folder_name).collect();
        let (there, own): (HashSet<_>, HashSet<_>) = (folders(&shipped), folders(&self.experiment));
        own.is_subset(&there).then_some(shipped)
    }

    /// A run's folder in `runs/`, if it is published there.
    pub(super) fn published(&self, run: &str) -> Option<PathBuf> {
        let folder = self.folder.with_file_name("runs").join(run);
        let mut files = ["train.csv", "checkpoint.safetensors"].iter();
        files.all(|file| folder.join(file).is_file()).then_some(folder)
    }

    /// The networks of runs, and how many runs of each.
    fn networks_of(&self, missing: &[&String]) -> String {
        // Of an image folder that is gone there is no plan, and the run's folder is named.
        let plan = plan(self.shipped().as_ref().unwrap_or(&self.experiment));
        let networks = plan.map_or_else(|_| Vec::new(), |plan| plan.networks);
        let is_of = |run: &Run, folder: &str| {
            [run, &run.imported()].iter().any(|r| r.folder_name() == folder)
        };
        let name = |folder: &str| {
            let own = networks.iter().find(|n| n.runs.iter().any(|run| is_of(run, folder)));
            own.map_or(folder.to_string(), |network| network.name.clone())
        };
        let names: Vec<String> = missing.iter().map(|folder| name(folder)).collect();
        let mut by_count: BTreeMap<usize, Vec<&String>> = BTreeMap::new();
        for network in unique(names.iter()) {
            let count = names.iter().filter(|name| *name == network).count();
            by_count.entry(count).or_default().push(network);
        }
        let groups = by_count.into_iter().rev().map(|(count, names)| {
            let each = if names.len() > 1 { " each" } else { "" };
            let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
            format!("{} ({}{each})", names.join("; "), plural(count, "run"))
        });
        groups.collect::<Vec<_>>().join("; ")
    }

    /// The command that makes the results again, given in the folder that theirs lies in.
    pub(super) fn command(&self) -> String {
        again::from_above(&self.folder, self.experiment.figure)
    }

    /// An error of its files, with the way out.
    pub(super) fn broken(&self, error: &Error) -> Error {
        broken(&self.folder, error)
    }

    /// A list of `run.json`, or its one value.
    pub(super) fn listed(&self, key: &str) -> Vec<&Value> {
        match &self.run[key] {
            Value::Null => Vec::new(),
            Value::Array(values) => values.iter().collect(),
            one => vec![one],
        }
    }
}

/// The runs of an experiment; none where it has no plan.
fn runs(experiment: &Experiment) -> Vec<Run> {
    let networks = plan(experiment).map_or_else(|_| Vec::new(), |plan| plan.networks);
    networks.into_iter().flat_map(|network| network.runs).collect()
}

/// Training images of an experiment, where they can be counted.
pub(super) fn training_images(experiment: &Experiment) -> Option<usize> {
    let all = experiment.dataset.training_images().ok();
    let left = all.and_then(|all| all.checked_sub(experiment.validation.unwrap_or(0)));
    match (left, experiment.training_images) {
        (Some(left), Some(images)) => Some(left.min(images)),
        (left, images) => left.or(images),
    }
}

/// How many images it trains on and holds out.
pub(super) fn images(experiment: &Experiment) -> String {
    let held_out = experiment.validation.unwrap_or(0);
    match training_images(experiment) {
        Some(images) => format!("{images}, {held_out} others held out"),
        None => format!("all but {held_out} that are held out"),
    }
}

/// The experiment's networks and runs.
pub(super) fn plan(experiment: &Experiment) -> Result<Plan> {
    let held_out = experiment.validation.unwrap_or(0);
    Plan::new(experiment, input_of(&experiment.dataset)?, held_out)
}

/// Every figure under `out` but quick ones and smoke: in the paper's order, what stands beside another
/// behind it.
///
/// # Errors
/// Names the file that is missing or broken, and the command that makes the results again.
pub(super) fn figures(out: &Path) -> Result<Vec<Shown>> {
    let context = || format!("cannot read {}", out.display());
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(out).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if is_figure(&path) && !is_scratch(&name_of(&path)) {
            folders.push(path);
        }
    }
    folders.sort();
    let load = |folder: &PathBuf| load(folder).map_err(|error| broken(folder, &error));
    let mut figures = folders.iter().map(load).collect::<Result<Vec<Shown>>>()?;
    figures.sort_by_key(|figure| {
        let place = KINDS.iter().position(|kind| kind.figure == figure.experiment.figure);
        (place, figure.experiment.beside.is_some())
    });
    Ok(figures)
}

/// Whether a folder is a figure's. One without its `run.json`, which is written last, still is: it is refused, not
/// left out.
fn is_figure(folder: &Path) -> bool {
    // The exact claims need no figure.
    let is_exact = name_of(folder) == "exact";
    let has = |file: &str| folder.join(file).is_file();
    has("run.json") || (!is_exact && (has("figure.csv") || has("claims.csv")))
}

/// An error of a figure's files, in one line with the way out.
fn broken(folder: &Path, error: &Error) -> Error {
    anyhow!(
        "in {}: {error:#}; `{}` makes these results again and trains what is missing",
        folder.display(),
        again::from_here(folder)
    )
}

fn load(folder: &Path) -> Result<Shown> {
    let text = |name: &str| -> Result<String> {
        let path = folder.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let effective: Value =
        serde_yaml::from_str(&text("experiment.yaml")?).context("experiment.yaml")?;
    let run = text("run.json").context("the figure was not finished")?;
    let run: Value = serde_json::from_str(&run).context("run.json")?;
    let claims = table(&folder.join("claims.csv"), &[], &[])?;
    check_version(&run, &claims)?;
    run::check(&run)?;
    let experiment: Experiment = serde_json::from_value(effective)
        .map_err(|error| anyhow!("experiment.yaml: {}", explain(&error.to_string())))?;
    let claims = rows(&claims, Some(experiment.figure)).context("claims.csv")?;
    if experiment.beside.is_none() {
        check_judged(&claims)?;
    }
    let learned = folder.join("learning.csv");
    table(&learned, &["network", "seed", "loss"], &[])?;
    learning::check(&learned)?;
    let exits = table(&folder.join("exits.csv"), &["network"], &[])?;
    let summary = folder.join("summary.csv");
    let summary = summary.is_file().then(|| table(&summary, &["network", "measure"], &[]));
    Ok(Shown {
        curves: curves(folder, experiment.figure)?,
        costs: table(&folder.join("costs.csv"), &["network"], &["multiply_adds", "parameters"])?
            .filled()?,
        positions: experiment.figure.is_positional().then(|| positions(folder)).transpose()?,
        summary: summary.transpose()?,
        experiment,
        run,
        claims,
        trained: exits.column("network").map(String::from).collect(),
        folder: folder.to_path_buf(),
        name: name_of(folder),
    })
}

/// Reads a table whose `texts` are columns without an empty cell, and whose `numbers` have one in each row.
fn table(path: &Path, texts: &[&str], numbers: &[&str]) -> Result<Rows> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    // A cut within the last cell leaves a row that is as wide as the others.
    ensure!(bytes.ends_with(b"\n"), "{} is cut: its last line does not end", path.display());
    let rows = read(path)?;
    rows.check_filled(texts)?;
    for column in numbers {
        rows.numbers(column)?;
    }
    Ok(rows)
}

/// `figure.csv`; there is no figure without a point.
fn curves(folder: &Path, figure: Figure) -> Result<Rows> {
    let (own, numbers): (&[&str], &[&str]) = match figure {
        Figure::FigIntermediate => (&[], &["relative_depth", "accuracy"]),
        Figure::FigFinalDegradation => (&[], &["relative_depth", "accuracy", "reference_accuracy"]),
        Figure::Anytime => (&["exit", "combine"], &["accuracy"]),
        Figure::BudgetedBatch | Figure::Ablation => (&[], &["accuracy"]),
    };
    let texts = [&["curve", "network", "seed"][..], own].concat();
    table(&folder.join("figure.csv"), &texts, numbers)?.filled()
}

/// `positions.csv`, which every figure by position has.
fn positions(folder: &Path) -> Result<Rows> {
    let texts = ["curve", "reference", "seeds"];
    let numbers = ["relative_depth", "loss", "low", "high"];
    table(&folder.join("positions.csv"), &texts, &numbers)
}

/// Refuses results of another version of this program, whose numbers and claims mean something else.
fn check_version(run: &Value, found: &Rows) -> Result<()> {
    let format = run["format"].as_u64();
    ensure!(
        format == Some(u64::from(FORMAT)),
        "run.json: the results are of format {}, and this program's is {FORMAT}",
        format.map_or("unknown".to_string(), |format| format.to_string())
    );
    ensure!(
        found.names() == claims::table(&[]).names(),
        "claims.csv: the columns are those of another version of this program"
    );
    Ok(())
}
