//! From experiments to a manifest.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

use super::estimate::Speed;
use super::manifest::Line;
use crate::cost;
use crate::experiment::{Experiment, Plan, load};
use crate::runs::{DataSets, Settings, Task};

/// The runs of `experiments` with `changes`, each once.
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
        let data = data_sets.of_experiment(&experiment, false)?;
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
    let speed = Speed::measured(lines, settings);
    let mut images = HashMap::new();
    for line in lines {
        let dataset = &line.run.dataset;
        if !images.contains_key(dataset) {
            images.insert(dataset.clone(), dataset.training_images()?);
        }
        line.seconds = speed.seconds(line, images[dataset], settings);
    }
    Ok(())
}
