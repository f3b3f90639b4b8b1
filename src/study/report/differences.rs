//! Differences from the paper-scale experiment of the same figure and data.

use anyhow::Result;

use crate::cost;
use crate::experiment::{BUILT_IN, Experiment, Plan};
use crate::runs::data::input_of;

/// A setting, as the paper-scale experiment has it and as it is here.
pub(super) struct Difference {
    pub setting: &'static str,
    pub paper: String,
    pub here: String,
}

/// The settings that differ; none where no paper-scale experiment of this figure and data is
/// shipped. `here` is the effective experiment.
pub(super) fn from_paper(here: &Experiment) -> Result<Vec<Difference>> {
    let Some(paper) = paper_scale(here)? else {
        return Ok(Vec::new());
    };
    let all = [
        ("networks, full cost", costs(&paper)?, costs(here)?),
        ("training images", images(&paper), images(here)),
        ("epochs", paper.training.epochs.to_string(), here.training.epochs.to_string()),
        ("learning rate", rate(&paper)?, rate(here)?),
        ("batch", paper.training.batch_size.to_string(), here.training.batch_size.to_string()),
        ("augmentation", augmentation(&paper), augmentation(here)),
        ("precision", text(&paper.training.precision)?, text(&here.training.precision)?),
        ("positions", positions(&paper)?, positions(here)?),
    ];
    let differing = all.into_iter().filter(|(_, paper, here)| paper != here);
    Ok(differing.map(|(setting, paper, here)| Difference { setting, paper, here }).collect())
}

pub(super) fn paper_scale(here: &Experiment) -> Result<Option<Experiment>> {
    let name = format!("{}-{}-paper", here.figure.name(), text(&here.dataset)?);
    let found = BUILT_IN.iter().find(|(built_in, _)| *built_in == name);
    Ok(found.map(|(_, yaml)| serde_yaml::from_str(yaml)).transpose()?)
}

fn text(value: &impl serde::Serialize) -> Result<String> {
    Ok(super::plain(&serde_json::to_value(value)?))
}

fn images(experiment: &Experiment) -> String {
    let held_out = experiment.validation.unwrap_or(0);
    match experiment.training_images {
        Some(images) => format!("{images}, {held_out} held out"),
        None => format!("all, {held_out} held out"),
    }
}

fn rate(experiment: &Experiment) -> Result<String> {
    let training = &experiment.training;
    let schedule = serde_json::to_string(&training.schedule)?;
    let schedule = schedule.replace(['{', '}', '"'], "").replace([':', ','], " ");
    Ok(format!("{}, {}", training.learning_rate, schedule.trim()))
}

fn augmentation(experiment: &Experiment) -> String {
    let augmentation = &experiment.training.augmentation;
    let crop = match augmentation.crop {
        0 => "no crop".to_string(),
        pixels => format!("crop after padding {pixels}"),
    };
    format!("{crop}, {}", if augmentation.flip { "flip" } else { "no flip" })
}

/// Multiply-adds of the cheapest and the dearest network, all exits.
fn costs(experiment: &Experiment) -> Result<String> {
    let (least, most) = full_costs(experiment)?;
    Ok(format!("{:.1} to {:.1} M multiply-adds", least / 1e6, most / 1e6))
}

/// The same as numbers.
pub(super) fn full_costs(experiment: &Experiment) -> Result<(f64, f64)> {
    let mut totals = Vec::new();
    let input = input_of(&experiment.dataset)?;
    for network in plan(experiment)?.networks {
        let exits = cost::table(&network.config.build(input)?);
        totals.extend(exits.last().map(|exit| exit.multiply_adds as f64));
    }
    let least = totals.iter().copied().fold(f64::INFINITY, f64::min);
    Ok((least, totals.iter().copied().fold(0.0, f64::max)))
}

/// How many places an intermediate classifier is tried at, in the network that has most.
fn positions(experiment: &Experiment) -> Result<String> {
    let plan = plan(experiment)?;
    let count = |curve: &str| {
        let of_curve = plan.networks.iter().filter(|n| n.curve == curve);
        of_curve.filter(|n| n.position.is_some()).count()
    };
    let most = plan.networks.iter().map(|n| count(&n.curve)).max();
    Ok(most.unwrap_or(0).to_string())
}

fn plan(experiment: &Experiment) -> Result<Plan> {
    let held_out = experiment.validation.unwrap_or(0);
    Plan::new(experiment, input_of(&experiment.dataset)?, held_out)
}
