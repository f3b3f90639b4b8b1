//! Rows of both figures by position (Fig. 3): the same runs, read in two ways.

use anyhow::Result;

use super::Study;
use crate::eval::exits::{hits, score};
use crate::eval::judge::{Answered, Network};
use crate::eval::relative::{self, Relative, RelativeRow, Trained};
use crate::experiment::Figure;
use crate::results::tables::Table;
use crate::runs::Split;

/// Rows of the figure, and what is judged.
pub struct Positional {
    /// Rows, and what was left out.
    pub relative: Relative,
    /// Every network with each image's answer.
    pub networks: Vec<Network>,
}

/// Rows of fig-intermediate or fig-final-degradation.
///
/// # Errors
/// When predictions cannot be had.
pub fn rows(study: &Study) -> Result<Positional> {
    let is_left = study.plan.figure == Figure::FigIntermediate;
    let mut trained = Vec::new();
    let mut networks = Vec::new();
    for network in &study.plan.networks {
        for (place, run) in study.runs_of(network) {
            let predictions = study.predictions(network, place, Split::Test)?;
            let scores = score(&predictions)?;
            let hits = hits(&predictions);
            let last = scores.len() - 1;
            let answered = |exit: usize| Answered {
                accuracy: scores[exit].top1,
                images: hits[exit].len(),
                hits: Some(hits[exit].as_slice().into()),
            };
            networks.push(Network {
                curve: network.curve.clone(),
                seed: run.seed,
                depth: network.position.map(|position| position.relative()),
                answered: answered(if is_left { 0 } else { last }),
                own_final: is_left.then(|| answered(last)),
            });
            trained.push(Trained {
                curve: network.curve.clone(),
                network: network.name.clone(),
                seed: run.seed,
                position: network.position.map(|p| p.depth),
                depth: network.position.map_or(network.config.depth()?, |p| p.of),
                intermediate: scores[0].top1,
                final_accuracy: scores[last].top1,
            });
        }
    }
    let relative = if is_left {
        relative::intermediate(&trained)?
    } else {
        relative::final_degradation(&trained)?
    };
    Ok(Positional { relative, networks })
}

/// The rows as `figure.csv` has them.
pub fn table(rows: &[RelativeRow]) -> Table {
    Table::default()
        .text("curve", rows.iter().map(|r| &r.curve))
        .text("network", rows.iter().map(|r| &r.network))
        .count("seed", rows.iter().map(|r| r.seed))
        .count("position", rows.iter().map(|r| r.position as u64))
        .number("relative_depth", rows.iter().map(|r| r.relative_depth))
        .number("accuracy", rows.iter().map(|r| r.accuracy))
        .number("error", rows.iter().map(|r| r.error))
        .number("reference_accuracy", rows.iter().map(|r| r.reference_accuracy))
        .number("relative_accuracy", rows.iter().map(|r| r.relative_accuracy))
}
