//! Rows of both figures by position (Fig. 3): the same runs, read in two ways.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;

use super::Study;
use crate::eval::exits::{hits, score};
use crate::eval::judge::{Reference, Row as Judged};
use crate::eval::relative::{self, Relative, RelativeRow, Trained};
use crate::experiment::Figure;
use crate::results::tables::Table;
use crate::runs::predictions::Split;

/// Rows of the figure, and what is judged.
pub struct Positional {
    /// Rows, and what was left out.
    pub relative: Relative,
    /// The same with each image's answer.
    pub judged: Vec<Judged>,
}

/// Whether each test image was answered rightly, by the network's name and seed.
type Hits = HashMap<(String, u64), Arc<[bool]>>;

/// Rows of fig-intermediate or fig-final-degradation.
///
/// # Errors
/// When predictions cannot be had.
pub fn rows(study: &Study) -> Result<Positional> {
    let is_left = study.plan.figure == Figure::FigIntermediate;
    let mut trained = Vec::new();
    let mut answers = Hits::new();
    for network in &study.plan.networks {
        for (place, run) in study.runs_of(network) {
            let predictions = study.predictions(network, place, Split::Test)?;
            let scores = score(&predictions)?;
            let last = scores.len() - 1;
            let exit = if is_left { 0 } else { last };
            let own: Arc<[bool]> = hits(&predictions).swap_remove(exit).into();
            answers.insert((network.name.clone(), run.seed), own);
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
    let judged = relative.rows.iter().map(|row| judged(row, &answers)).collect();
    Ok(Positional { relative, judged })
}

fn judged(row: &RelativeRow, answers: &Hits) -> Judged {
    let hits_of = |network: &String| answers.get(&(network.clone(), row.seed)).cloned();
    let own = hits_of(&row.network);
    Judged {
        curve: row.curve.clone(),
        network: row.network.clone(),
        seed: row.seed,
        x: row.relative_depth,
        accuracy: row.accuracy,
        images: own.as_ref().map_or(0, |hits| hits.len()),
        hits: own,
        reference: Some(Reference {
            accuracy: row.reference_accuracy,
            hits: hits_of(&row.reference),
        }),
    }
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
