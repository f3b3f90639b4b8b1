//! Rows of both figures by position (Fig. 3): the same runs, read in two ways.

use anyhow::Result;

use super::Study;
use crate::eval::anytime;
use crate::eval::combine::Combine;
use crate::eval::figure::Figure;
use crate::eval::judge::Network;
use crate::eval::named::unique;
use crate::eval::relative::RelativeRow;
use crate::experiment::Trained;
use crate::results::tables::Table;
use crate::runs::Split;

/// Every network of fig-intermediate or fig-final-degradation with each image's answer.
pub fn networks(study: &Study) -> Result<Vec<Network>> {
    let is_left = study.plan.figure == Figure::FigIntermediate;
    let mut networks = Vec::new();
    for network in &study.plan.networks {
        let costs = study.multiply_adds(&network.name);
        for (place, _) in study.runs_of(network) {
            let predictions = study.predictions(network, place, Split::Test)?;
            let points = anytime::points(&predictions, Combine::Single, &costs)?;
            let last = points.len() - 1;
            let answered = points[if is_left { 0 } else { last }].answered();
            networks.push(Network {
                curve: network.curve.clone(),
                network: network.name.clone(),
                seed: study.experiment.seeds[place],
                position: network.position.map(|position| position.depth),
                depth: network.position.map(|position| position.relative()),
                answered,
                own_final: is_left.then(|| points[last].answered()),
            });
        }
    }
    Ok(networks)
}

/// Leaves out the families whose reference is not trained with any seed, and tells each of them. On the left a
/// position before the last would otherwise be taken for it.
pub fn referred(study: &Study, networks: Vec<Network>) -> (Vec<Network>, Vec<String>) {
    let is_left = study.plan.figure == Figure::FigIntermediate;
    let last = |curve: &str| {
        let own = study.plan.networks.iter().filter(|network| network.curve == curve);
        own.filter_map(|network| network.position.map(|position| position.depth)).max()
    };
    let lacks = |network: &&Trained| {
        let position = network.position.map(|position| position.depth);
        let reference = if is_left { last(&network.curve) } else { None };
        position == reference && study.runs_of(network).is_empty()
    };
    let lacking: Vec<&Trained> = study.plan.networks.iter().filter(lacks).collect();
    let told = lacking.iter().map(|network| {
        format!("curve `{}`: its reference, {}, is not trained", network.curve, network.name)
    });
    let is_referred = |network: &Network| lacking.iter().all(|other| other.curve != network.curve);
    (networks.into_iter().filter(is_referred).collect(), told.collect())
}

/// Tells the families of which nothing but the network without an intermediate classifier is trained.
pub fn without_positions(networks: &[Network]) -> Vec<String> {
    let curves = unique(networks.iter().map(|network| &network.curve));
    let has_position = |curve: &&String| {
        networks.iter().any(|network| network.curve == **curve && network.position.is_some())
    };
    let lacking = curves.into_iter().filter(|curve| !has_position(curve));
    lacking
        .map(|curve| {
            format!("curve `{curve}`: no network with an intermediate classifier is trained")
        })
        .collect()
}

/// The networks that are judged: those of families of which every network is trained with some seed, since a
/// missing position would change what a mean over positions says. On the left only positions count. Tells
/// what is missing.
pub fn whole(study: &Study, networks: Vec<Network>) -> (Vec<Network>, Vec<String>) {
    let is_left = study.plan.figure == Figure::FigIntermediate;
    let counts = |network: &&Trained| network.position.is_some() || !is_left;
    let own = study.plan.networks.iter().filter(counts);
    let missing: Vec<&Trained> = own.filter(|n| study.runs_of(n).is_empty()).collect();
    let is_drawn = |network: &&&Trained| networks.iter().any(|other| other.curve == network.curve);
    let told = missing.iter().filter(is_drawn).map(|network| {
        format!("claims about `{}` are not judged: {} is not trained", network.curve, network.name)
    });
    let told = told.collect();
    let is_whole = |network: &Network| missing.iter().all(|other| other.curve != network.curve);
    (networks.into_iter().filter(is_whole).collect(), told)
}

/// The rows as `figure.csv` has them.
pub fn table(rows: &[RelativeRow]) -> Table {
    Table::default()
        .text("curve", rows.iter().map(|r| &r.network.curve))
        .text("network", rows.iter().map(|r| &r.network.network))
        .count("seed", rows.iter().map(|r| r.network.seed))
        .count("position", rows.iter().map(|r| r.position as u64))
        .number("relative_depth", rows.iter().map(|r| r.relative_depth))
        .number("accuracy", rows.iter().map(|r| r.network.answered.accuracy))
        .number("error", rows.iter().map(|r| 1.0 - r.network.answered.accuracy))
        .optional("reference_accuracy", rows.iter().map(|r| r.reference_accuracy))
        .optional("relative_accuracy", rows.iter().map(RelativeRow::relative_accuracy))
}
