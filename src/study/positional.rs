//! Rows of both figures by position (Fig. 3): the same runs, read in two ways.

use anyhow::Result;

use super::Study;
use crate::eval::anytime;
use crate::eval::combine::Combine;
use crate::eval::figure::Figure;
use crate::eval::judge::Network;
use crate::eval::relative::{Reference, RelativeRow, Trained, relate};
use crate::results::tables::Table;
use crate::runs::Split;

/// Rows of the figure, and what is judged.
pub struct Positional {
    /// The rows.
    pub rows: Vec<RelativeRow>,
    /// Curves and seeds without a reference, a sentence each.
    pub left_out: Vec<String>,
    /// Every network with each image's answer.
    pub networks: Vec<Network>,
}

/// Rows of fig-intermediate or fig-final-degradation.
pub fn rows(study: &Study) -> Result<Positional> {
    let is_left = study.plan.figure == Figure::FigIntermediate;
    let mut trained = Vec::new();
    let mut networks = Vec::new();
    for network in &study.plan.networks {
        let costs = study.multiply_adds(&network.name);
        for (place, run) in study.runs_of(network) {
            let predictions = study.predictions(network, place, Split::Test)?;
            let points = anytime::points(&predictions, Combine::Single, &costs)?;
            let last = points.len() - 1;
            let answered = points[if is_left { 0 } else { last }].answered();
            trained.push(Trained {
                curve: network.curve.clone(),
                network: network.name.clone(),
                seed: run.seed,
                position: network.position.map(|p| p.depth),
                depth: network.position.map_or(network.config.depth()?, |p| p.of),
                accuracy: answered.accuracy,
            });
            networks.push(Network {
                curve: network.curve.clone(),
                seed: run.seed,
                depth: network.position.map(|position| position.relative()),
                answered,
                own_final: is_left.then(|| points[last].answered()),
            });
        }
    }
    let reference = if is_left { Reference::LastPosition } else { Reference::NoClassifier };
    let (rows, left_out) = relate(&trained, reference)?;
    Ok(Positional { rows, left_out, networks })
}

/// The rows as `figure.csv` has them.
pub fn table(rows: &[RelativeRow]) -> Table {
    Table::default()
        .text("curve", rows.iter().map(|r| &r.trained.curve))
        .text("network", rows.iter().map(|r| &r.trained.network))
        .count("seed", rows.iter().map(|r| r.trained.seed))
        .count("position", rows.iter().map(|r| r.position as u64))
        .number("relative_depth", rows.iter().map(|r| r.relative_depth))
        .number("accuracy", rows.iter().map(|r| r.trained.accuracy))
        .number("error", rows.iter().map(|r| 1.0 - r.trained.accuracy))
        .number("reference_accuracy", rows.iter().map(|r| r.reference_accuracy))
        .number("relative_accuracy", rows.iter().map(|r| r.trained.accuracy / r.reference_accuracy))
}
