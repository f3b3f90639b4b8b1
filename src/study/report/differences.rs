//! Differences from the paper-scale experiment of the same figure and data.

use anyhow::Result;

use super::load::{Shown, images, plan};
use crate::cost;
use crate::experiment::{BUILT_IN, Entry, Experiment, RateSchedule, Trained};
use crate::models::{Classifier, NetworkConfig};
use crate::runs::data::input_of;

/// A setting, as the paper-scale experiment has it and as it is here.
pub(super) struct Difference {
    pub setting: &'static str,
    pub paper: String,
    pub here: String,
}

/// The settings that differ; none where no paper-scale experiment of this figure and data is
/// shipped.
pub(super) fn from_paper(figure: &Shown) -> Result<Vec<Difference>> {
    let here = &figure.experiment;
    let Some(paper) = paper_scale(here)? else {
        return Ok(Vec::new());
    };
    let all = [
        (
            "MSDNets, ResNets, DenseNets: full cost",
            range(paper_costs(&paper)?),
            range(costs(figure)?),
        ),
        ("training images", images(&paper), images(here)),
        ("epochs", paper.training.epochs.to_string(), here.training.epochs.to_string()),
        ("learning rate", rate(&paper), rate(here)),
        ("batch", paper.training.batch_size.to_string(), here.training.batch_size.to_string()),
        ("augmentation", augmentation(&paper), augmentation(here)),
        ("precision", text(&paper.training.precision)?, text(&here.training.precision)?),
        (
            "positions",
            positions(&paper, |_| true)?,
            positions(here, |name| figure.is_trained(name))?,
        ),
        (
            "the baselines' intermediate classifiers",
            papers_classifiers(&paper, here),
            classifiers(here).to_string(),
        ),
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

fn rate(experiment: &Experiment) -> String {
    let schedule = match &experiment.training.schedule {
        RateSchedule::Step { at, factor } => {
            let at: Vec<String> = at.iter().map(f64::to_string).collect();
            format!("times {factor} after {} of the epochs", at.join(" and "))
        }
        RateSchedule::Cosine { warm_up: 0.0 } => "falling to 0 along a cosine".to_string(),
        RateSchedule::Cosine { warm_up } => {
            format!("falling to 0 along a cosine after {warm_up} epochs of warm-up")
        }
    };
    format!("{}, {schedule}", experiment.training.learning_rate)
}

/// MSDNet's classifiers, which baselines may have as well.
pub(super) const CONVOLUTIONAL: &str = "convolutional";

/// What the baselines' intermediate classifiers are.
pub(super) fn classifiers(experiment: &Experiment) -> &'static str {
    let own = |entry: &Entry| {
        let resnet = entry.resnet.as_ref().map(|config| config.classifier);
        [resnet, entry.densenet.as_ref().map(|config| config.classifier)]
    };
    let mut all = experiment.networks.iter().flat_map(own).flatten();
    let is_convolutional = all.any(|classifier| classifier == Classifier::Convolutional);
    if is_convolutional { CONVOLUTIONAL } else { "pooled, linear" }
}

/// The paper does not say what they are. Said where `here` has others than its `-paper` experiment.
fn papers_classifiers(paper: &Experiment, here: &Experiment) -> String {
    match classifiers(paper) {
        own if own == classifiers(here) => own.to_string(),
        own => format!("not said; taken as {own}"),
    }
}

fn augmentation(experiment: &Experiment) -> String {
    let augmentation = &experiment.training.augmentation;
    let crop = match augmentation.crop {
        0 => "no crop".to_string(),
        pixels => format!("crop after padding {pixels}"),
    };
    format!("{crop}, {}", if augmentation.flip { "flip" } else { "no flip" })
}

/// Multiply-adds of the smallest and the largest network, all exits.
fn range((least, most): (f64, f64)) -> String {
    if most == 0.0 {
        return "none".to_string();
    }
    let millions = |n: f64| format!("{:.1}", n / 1e6);
    let (least, most) = (millions(least), millions(most));
    let range = if least == most { most } else { format!("{least} to {most}") };
    format!("{range} M multiply-adds")
}

/// The same as numbers, of the networks that are trained; infinity and 0 for none.
pub(super) fn costs(figure: &Shown) -> Result<(f64, f64)> {
    full_costs(&figure.experiment, |name| figure.is_trained(name))
}

/// Those of the paper's networks.
pub(super) fn paper_costs(paper: &Experiment) -> Result<(f64, f64)> {
    full_costs(paper, |_| true)
}

/// Whether the paper plots networks of this family: small static networks stand beside them.
fn is_papers(network: &NetworkConfig) -> bool {
    use NetworkConfig::{Densenet, Msdnet, Resnet};
    matches!(network, Msdnet(_) | Resnet(_) | Densenet(_))
}

fn full_costs(experiment: &Experiment, counts: impl Fn(&str) -> bool) -> Result<(f64, f64)> {
    let mut totals = Vec::new();
    let input = input_of(&experiment.dataset)?;
    let networks = plan(experiment)?.networks;
    let counted = |network: &&Trained| counts(&network.name) && is_papers(&network.config);
    for network in networks.iter().filter(counted) {
        let exits = cost::table(&network.config.build(input)?);
        totals.extend(exits.last().map(|exit| exit.multiply_adds as f64));
    }
    let least = totals.iter().copied().fold(f64::INFINITY, f64::min);
    Ok((least, totals.iter().copied().fold(0.0, f64::max)))
}

/// How many places an intermediate classifier is tried at, in the network that has most, and the least
/// and the greatest relative depth of all networks' places.
fn positions(experiment: &Experiment, counts: impl Fn(&str) -> bool) -> Result<String> {
    let mut networks = plan(experiment)?.networks;
    networks.retain(|network| counts(&network.name) && network.position.is_some());
    let count = |curve: &str| networks.iter().filter(|n| n.curve == curve).count();
    let most = networks.iter().map(|n| count(&n.curve)).max().unwrap_or(0);
    let depths = networks.iter().filter_map(|n| Some(n.position?.relative()));
    let (least, greatest) = depths.fold((1.0_f64, 0.0_f64), |(least, greatest), depth| {
        (least.min(depth), greatest.max(depth))
    });
    Ok(match most {
        0 => "none".to_string(),
        _ => format!("{most}, at {least:.2} to {greatest:.2} of the depth"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_static_networks_are_not_the_papers() {
        let (_, yaml) =
            BUILT_IN.iter().find(|(name, _)| *name == "anytime-cifar100-paper").unwrap();
        assert!(yaml.contains("mobilenet_v2:"));
        // From ResNet-8 to the ResNet with seven classifiers.
        let costs = paper_costs(&serde_yaml::from_str(yaml).unwrap()).unwrap();
        assert_eq!(costs, (12_245_248.0, 139_669_632.0));
        assert_eq!(range((f64::INFINITY, 0.0)), "none");
    }
}
