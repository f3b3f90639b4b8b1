//! The files of a results folder, checked.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::claims;
use super::super::kinds::KINDS;
use crate::data::plural;
use crate::eval::claims as judging;
use crate::eval::judge::Verdict;
use crate::eval::named::unique;
use crate::experiment::{BUILT_IN, Experiment, FORMAT, Plan, Run, claims_yaml};
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
    /// Networks with a trained run; none where `exits.csv` is missing.
    trained: Option<HashSet<String>>,
}

/// A row of `claims.csv`.
#[derive(Clone, Default)]
pub(super) struct ClaimRow {
    pub claim: String,
    pub verdict: String,
    pub magnitude: String,
    pub value: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub unit: String,
    pub margin: Option<f64>,
    pub paper: Option<f64>,
    pub ratio: Option<f64>,
    pub ratio_low: Option<f64>,
    pub ratio_high: Option<f64>,
    pub seeds: u64,
    pub needed: String,
    pub note: String,
}

impl ClaimRow {
    pub(super) fn is_measured(&self) -> bool {
        self.verdict != "not-measurable"
    }
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
    /// The losses at the positions of Fig. 3. The last position of a figure that stands beside another
    /// need not be late, so what is relative to it is left out there.
    pub(super) fn losses(&self) -> Result<Vec<Loss>> {
        let Some(table) = &self.positions else {
            return Ok(Vec::new());
        };
        let text = |name| table.text(name);
        let number = |name| table.numbers(name);
        let (curve, reference, seeds) = (text("curve")?, text("reference")?, text("seeds")?);
        let (depth, loss) = (number("relative_depth")?, number("loss")?);
        let (low, high) = (number("low")?, number("high")?);
        let is_shown =
            |i: &usize| self.experiment.beside.is_none() || reference[*i] != "last position";
        let row = |i: usize| Loss {
            place: [curve[i].clone(), format!("{:.2}", depth[i]), reference[i].clone()],
            loss: format!("{:.3} [{:.3}, {:.3}]", loss[i], low[i], high[i]),
            seeds: seeds[i].clone(),
        };
        Ok((0..curve.len()).filter(is_shown).map(row).collect())
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
        self.trained.as_ref().is_none_or(|names| names.contains(network))
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

    /// The command that writes the results anew.
    pub(super) fn command(&self) -> String {
        format!("repro {} {}", self.experiment.figure.name(), self.name)
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
/// Names the file that is missing or broken, and of results of another version the command that
/// writes them anew.
pub(super) fn figures(out: &Path) -> Result<Vec<Shown>> {
    let context = || format!("cannot read {}", out.display());
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(out).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let name = path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
        if path.join("run.json").is_file() && !is_scratch(&name) {
            folders.push(path);
        }
    }
    folders.sort();
    let load = |folder: &PathBuf| load(folder).with_context(|| format!("in {}", folder.display()));
    let mut figures = folders.iter().map(load).collect::<Result<Vec<Shown>>>()?;
    figures.sort_by_key(|figure| {
        let place = KINDS.iter().position(|kind| kind.figure == figure.experiment.figure);
        (place, figure.experiment.beside.is_some())
    });
    Ok(figures)
}

fn load(folder: &Path) -> Result<Shown> {
    let text = |name: &str| -> Result<String> {
        let path = folder.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let name = folder.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    let effective: Value =
        serde_yaml::from_str(&text("experiment.yaml")?).context("experiment.yaml")?;
    let run: Value = serde_json::from_str(&text("run.json")?).context("run.json")?;
    let claims = read(&folder.join("claims.csv"))?;
    let figure = effective["figure"].as_str().unwrap_or("FIGURE");
    let again = format!("`repro {figure} {name}` writes them anew");
    check(&run, &claims, &again)?;
    let optional = |name: &str| -> Result<Option<Rows>> {
        let path = folder.join(name);
        path.is_file().then(|| read(&path)).transpose()
    };
    let (curves, summary) = (read(&folder.join("figure.csv"))?, optional("summary.csv")?);
    curves.text("curve")?;
    if let Some(summary) = &summary {
        summary.text("network")?;
    }
    let exits = optional("exits.csv")?;
    let trained = exits.map(|exits| exits.column("network").map(String::from).collect());
    Ok(Shown {
        experiment: serde_json::from_value(effective).context("experiment.yaml")?,
        run,
        claims: rows(&claims).with_context(|| format!("claims.csv ({again})"))?,
        curves,
        costs: read(&folder.join("costs.csv"))?,
        positions: optional("positions.csv")?,
        summary,
        trained,
        folder: folder.to_path_buf(),
        name,
    })
}

/// Refuses results of another version of this program, whose numbers and claims mean something else.
fn check(run: &Value, found: &Rows, again: &str) -> Result<()> {
    let format = run["format"].as_u64();
    ensure!(
        format == Some(u64::from(FORMAT)),
        "run.json: the results are of format {}, and this program's is {FORMAT}; {again}",
        format.map_or("unknown".to_string(), |format| format.to_string())
    );
    ensure!(
        found.names() == claims::table(&[]).names(),
        "claims.csv: the columns are those of another version of this program; {again}"
    );
    Ok(())
}

/// The rows of a table with the columns of `claims.csv`.
pub(super) fn rows(claims: &Rows) -> Result<Vec<ClaimRow>> {
    let all = judging::parse(claims_yaml()).context("claims.yaml")?;
    let known: HashSet<&str> = all.iter().map(|claim| claim.id.as_str()).collect();
    let row = |i: usize| {
        let cell = |name: &str| claims.column(name).nth(i).unwrap_or_default();
        let text = |name| cell(name).to_string();
        let wrong = |name: &str| format!("line {}, column {name}: {}", i + 2, cell(name));
        let number = |name: &str| -> Result<Option<f64>> {
            let given = Some(cell(name)).filter(|cell| !cell.is_empty());
            let finite = |cell: &str| cell.parse().ok().filter(|number: &f64| number.is_finite());
            given.map(|cell| finite(cell).with_context(|| wrong(name))).transpose()
        };
        let verdict = cell("verdict");
        ensure!(verdict.is_empty() || verdict.parse::<Verdict>().is_ok(), wrong("verdict"));
        ensure!(known.contains(cell("claim")), "{}, no claim of this program", wrong("claim"));
        Ok(ClaimRow {
            claim: text("claim"),
            verdict: text("verdict"),
            magnitude: text("magnitude"),
            value: number("value")?,
            low: number("low")?,
            high: number("high")?,
            unit: text("unit"),
            margin: number("margin")?,
            paper: number("paper")?,
            ratio: number("ratio")?,
            ratio_low: number("ratio_low")?,
            ratio_high: number("ratio_high")?,
            seeds: number("seeds")?.unwrap_or(0.0) as u64,
            needed: text("needed"),
            note: text("note"),
        })
    };
    (0..claims.column("claim").count()).map(row).collect()
}
