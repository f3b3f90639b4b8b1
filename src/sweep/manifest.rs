//! The manifest: JSON lines, one run a line.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::estimate::{Job, Speed};
use crate::cost;
use crate::data::verify::training_images;
use crate::experiment::{Experiment, Plan, Run, load, read_text};
use crate::runs::{DataSets, Known, Settings, Task};

/// One line of a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Place in the manifest, from 0.
    pub index: usize,
    /// Name of the run's folder: the same wherever the same run is planned.
    pub id: String,
    /// The network's name in the first experiment that needs it.
    pub name: String,
    /// The experiments that need it, as they were asked for.
    pub experiments: Vec<String>,
    /// Changes to those experiments, `key=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// The resolved configuration.
    pub run: Run,
    /// Multiply-adds of one image through all exits.
    pub multiply_adds: u64,
    /// Weights and biases.
    pub parameters: u64,
    /// Estimated seconds of training, or what it took where it is finished.
    pub seconds: f64,
}

impl Line {
    /// The run with its name.
    pub fn task(&self) -> Task {
        Task { name: self.name.clone(), run: self.run.clone() }
    }
}

/// The runs of `experiments` with `changes`, each once.
///
/// # Errors
/// Names the experiment, and the network or key that cannot be.
pub fn manifest(
    experiments: &[String],
    changes: &[String],
    settings: &Settings,
) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut named: HashMap<String, (&str, Experiment)> = HashMap::new();
    let data_sets = DataSets::new(settings);
    for which in experiments {
        let (name, experiment) = load(which, changes)?;
        match named.get(&name) {
            None => drop(named.insert(name.clone(), (which, experiment.clone()))),
            // Whatever it is called, it says the same, and one figure is enough.
            Some((_, same)) if *same == experiment => continue,
            Some((other, _)) => bail!(
                "{other} and {which} are both called {name}, and their results would share a folder; \
                 rename one of the two files, or plan them apart"
            ),
        }
        let data = data_sets.of_experiment(&experiment)?;
        let plan = Plan::new(&experiment, data.input, data.validation)
            .with_context(|| format!("in experiment {name}"))?;
        for task in Task::all(&plan) {
            let id = task.run.folder_name();
            if let Some(&place) = places.get(&id) {
                let line = &mut lines[place];
                if !line.experiments.contains(which) {
                    line.experiments.push(which.clone());
                }
                continue;
            }
            places.insert(id.clone(), lines.len());
            let costs = cost::table(&task.run.network.build(data.input)?);
            let cost = costs.last().context("a network without exits")?;
            lines.push(Line {
                index: lines.len(),
                id,
                name: task.name,
                experiments: vec![which.clone()],
                changes: changes.to_vec(),
                run: task.run,
                multiply_adds: cost.multiply_adds,
                parameters: cost.parameters,
                seconds: 0.0,
            });
        }
    }
    estimate(&mut lines, settings)?;
    Ok(lines)
}

fn estimate(lines: &mut [Line], settings: &Settings) -> Result<()> {
    let mut images = HashMap::new();
    let mut jobs = Vec::new();
    for line in lines.iter() {
        let dataset = &line.run.dataset;
        if !images.contains_key(dataset) {
            images.insert(dataset.clone(), training_images(dataset)?);
        }
        jobs.push(Job::of(line, images[dataset]));
    }
    let speed = Speed::measured(lines, settings);
    for (line, job) in lines.iter_mut().zip(&jobs) {
        line.seconds = speed.seconds(line, job, settings);
    }
    Ok(())
}

/// The lines as JSON.
///
/// # Errors
/// When a line cannot be written.
pub fn manifest_text(lines: &[Line]) -> Result<String> {
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    Ok(text)
}

/// Reads a manifest; `-` is standard input.
///
/// # Errors
/// Names the file and the line that cannot be read.
pub fn read_manifest(path: &str) -> Result<Vec<Line>> {
    parse(&read_text(path)?).with_context(|| format!("in the manifest {path}"))
}

/// The runs that have a folder under the settings' runs, as if they were a manifest without costs.
///
/// # Errors
/// When the folder cannot be read.
pub fn lines_of_runs(settings: &Settings) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for known in Known::all(&settings.places.runs)? {
        let run = known.run;
        lines.push(Line {
            index: lines.len(),
            id: run.folder_name(),
            name: run.network.short_name(),
            experiments: Vec::new(),
            changes: Vec::new(),
            run,
            multiply_adds: 0,
            parameters: 0,
            seconds: 0.0,
        });
    }
    Ok(lines)
}

fn parse(text: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(line).with_context(|| format!("line {number}"))?;
        ensure!(
            line.index == lines.len(),
            "line {number}: index {}, expected {}; a manifest is not to be cut or sorted",
            line.index,
            lines.len()
        );
        ensure!(
            line.id == line.run.folder_name(),
            "line {number}: {} is not the id of its run, which is {}; plan it again with this program",
            line.id,
            line.run.folder_name()
        );
        lines.push(line);
    }
    if lines.is_empty() {
        bail!("it holds no run; `repro sweep plan EXPERIMENT > FILE` writes one");
    }
    Ok(lines)
}
