//! From an experiment to its figure.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Result, bail};
use serde_json::json;

use super::kinds::{Found, Kind, kind};
use super::outputs::{self, Outputs};
use super::plan::{describe_plan, plan_json};
use super::{Origin, Study, claims, standing, summary};
use crate::data::{Dataset, Split};
use crate::eval::judge::{Judgement, Verdict};
use crate::eval::paper;
use crate::experiment::{Experiment, Member, paper_curves_csv, published};
use crate::figures::PaperCurve;
use crate::runs::{Settings, watch_signals};
use crate::stop;

/// What a figure command was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ask {
    /// Only tell what would be done.
    pub plan: bool,
    /// Print JSON on standard output.
    pub json: bool,
    /// A claim that fails is an error.
    pub require_claims: bool,
}

/// The error of claims that failed under --require-claims.
#[derive(Debug)]
pub struct ClaimFailed {
    claims: String,
    /// The text for standard output.
    pub told: String,
}

impl std::fmt::Display for ClaimFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "claims that do not hold: {}", self.claims)
    }
}

impl std::error::Error for ClaimFailed {}

/// Carries out an experiment that was read from `origin`: trains what is missing, predicts, writes
/// the figure's files. Returns the text for standard output.
///
/// # Errors
/// [`crate::runs::Interrupted`] after a signal, [`ClaimFailed`] where claims are required; else what
/// went wrong and where.
pub fn make_figure(
    name: &str,
    origin: &Origin,
    experiment: &Experiment,
    settings: &Settings,
    ask: Ask,
) -> Result<String> {
    let began = SystemTime::now();
    // From the start: a signal while data are read is not to end the program without its code.
    watch_signals()?;
    let study = Study::new(name, experiment, settings)?;
    if ask.plan {
        let told = match ask.json {
            true => format!("{:#}\n", plan_json(&study)),
            false => describe_plan(&study),
        };
        // Of a run whose images were not read to the end nothing is known.
        stop::check()?;
        return Ok(told);
    }
    let outputs = Outputs::new(&study, origin)?;
    // Read before hours of training: a test part that cannot serve is told now.
    study.data.images(Split::Test)?;
    study.train_all()?;
    finish_figure(&study, &outputs, began, ask)
}

/// Writes the files of a figure whose runs are trained.
///
/// # Errors
/// As [`make_figure`].
pub fn finish_figure(
    study: &Study,
    outputs: &Outputs,
    began: SystemTime,
    ask: Ask,
) -> Result<String> {
    let kind = kind(study.plan.figure);
    // All is computed before a file is touched: where that fails, older results stay as they are.
    let Found { measured, mut tables } = (kind.measure)(study)?;
    tables.extend(outputs::common_tables(study)?);
    let summary = if study.plan.figure.is_positional() { None } else { summary::table(study)? };
    let (panel, dataset) = panel(kind, &study.experiment.dataset);
    let papers = paper::rows(&paper::parse(paper_curves_csv())?, panel, &dataset);
    let mut judgements =
        claims::judgements(kind.figure, &study.experiment.dataset, &measured, &papers)?;
    let commits = outputs::commits(study);
    standing::note_exploratory(&mut judgements, &study.settings.places.out, &commits)?;
    if let Some(judge) = &study.experiment.beside {
        claims::leave_to(judge, &mut judgements);
    }
    tables.push(("claims.csv", claims::table(&judgements)));
    // `run.json` has its digest.
    study.data.images(Split::Train)?;
    let _turn = outputs::begin(study, outputs)?;
    for (name, table) in tables {
        table.write(&outputs.file(name))?;
    }
    if let Some(summary) = summary {
        summary.write(&outputs.file("summary.csv"))?;
    }
    draw(study, outputs, kind)?;
    outputs::write_provenance(study, outputs, began)?;
    let told = told(study, &judgements, &outputs.file("figure.png"), ask.json);
    if ask.require_claims {
        require(study, &judgements, &told)?;
    }
    Ok(told)
}

/// An error where a claim failed; a warning where none could.
fn require(study: &Study, judgements: &[Judgement], told: &str) -> Result<()> {
    let failed = claims::failed(judgements);
    if !failed.is_empty() {
        bail!(ClaimFailed { claims: failed.join(", "), told: told.to_string() });
    }
    let has_none = |j: &Judgement| matches!(j.verdict, None | Some(Verdict::NotMeasurable));
    if judgements.iter().all(has_none) {
        let why = "a verdict needs three seeds, and an experiment that stands beside no other";
        study
            .settings
            .say(format!("warning: --require-claims: no claim has a verdict here; {why}"));
    }
    Ok(())
}

/// The text for standard output.
fn told(study: &Study, judgements: &[Judgement], picture: &Path, json: bool) -> String {
    if json {
        return format!("{:#}\n", told_json(study, judgements, picture));
    }
    let elsewhere = study.experiment.beside.as_ref();
    let elsewhere =
        elsewhere.map_or(String::new(), |judge| format!("claims are judged by {judge}\n"));
    let is_other = study.experiment.dataset != claims::PAPERS_DATA
        && judgements.iter().any(|j| j.paper.is_some());
    let others = match is_other {
        true => format!("the paper's values are of {}\n", claims::PAPERS_DATA),
        false => String::new(),
    };
    format!("{}{others}{elsewhere}\n{}\n", claims::describe(judgements), picture.display())
}

/// Draws the picture from the CSV just written, with the paper's curves beside ours.
fn draw(study: &Study, outputs: &Outputs, kind: &Kind) -> Result<()> {
    let mut members = study.plan.members.iter();
    let has_ensembles = members.any(|named| matches!(named.member, Member::Ensemble(_)));
    let mut paper = paper_curves(kind, &study.experiment.dataset, has_ensembles)?;
    if kind.has_published {
        paper.extend(published_points(study)?);
    }
    let file = |ending: &str| outputs.file(&format!("figure.{ending}"));
    (kind.draw)(&file("csv"), &paper, &file("svg"), &file("png"))
}

/// The paper's curves of the same figure, those of ensembles only beside ours; only where the data
/// set is the paper's too.
fn paper_curves(kind: &Kind, dataset: &Dataset, has_ensembles: bool) -> Result<Vec<PaperCurve>> {
    let (panel, dataset) = panel(kind, dataset);
    let points = paper::parse(paper_curves_csv())?;
    let mut families = vec!["MSDNet", "ResNet", "DenseNet"];
    if has_ensembles {
        families.push("Ensemble");
    }
    let labels = paper::curves(&points, panel, &dataset);
    let is_ours = |label: &&str| families.iter().any(|family| label.starts_with(family));
    let curve = |label: &str| PaperCurve {
        label: label.to_string(),
        source: None,
        points: paper::curve(&points, panel, &dataset, label),
    };
    Ok(labels.into_iter().filter(is_ours).map(curve).collect())
}

/// The figure's panel in the paper's table of curves, and the data set there.
fn panel(kind: &Kind, dataset: &Dataset) -> (&'static str, String) {
    let dataset = dataset.to_string();
    (kind.panels[usize::from(dataset != "imagenet")], dataset)
}

/// What others published of networks in the experiment, on its data set.
fn published_points(study: &Study) -> Result<Vec<PaperCurve>> {
    let mut curves = Vec::new();
    for entry in published()? {
        let mut networks = study.plan.networks.iter();
        let own = networks.find(|network| entry.is_of(&network.config).unwrap_or(false));
        let Some(own) = own.filter(|_| entry.dataset == study.experiment.dataset) else {
            continue;
        };
        let costs = study.multiply_adds(&own.name);
        let points = costs.iter().zip(&entry.accuracy_percent);
        curves.push(PaperCurve {
            label: entry.name,
            source: Some(format!("{}, {}", entry.source, entry.recipe)),
            points: points.map(|(&cost, accuracy)| (cost as f64, accuracy / 100.0)).collect(),
        });
    }
    Ok(curves)
}

fn told_json(study: &Study, judgements: &[Judgement], picture: &Path) -> serde_json::Value {
    let claims = claims::json_of(judgements);
    json!({ "experiment": study.name, "figure": study.plan.figure.name(), "picture": picture.display().to_string(), "claims": claims })
}
