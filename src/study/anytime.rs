//! Rows of the anytime figure (Fig. 5) and of the ablation (Fig. 10).

use anyhow::Result;

use super::Study;
use super::budgeted::ensemble;
use crate::eval::anytime::{self, AnytimePoint};
use crate::experiment::Member;
use crate::models::NetworkConfig;
use crate::results::tables::Table;
use crate::runs::predictions::Split;

/// One row of `figure.csv`, with each image's answer for paired comparisons.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Label of the curve.
    pub curve: String,
    /// The entry's name.
    pub network: String,
    /// Seed of the run.
    pub seed: u64,
    /// The point.
    pub point: AnytimePoint,
}

/// All rows: single exits of every network, averaged softmax of every MSDNet (the paper does not
/// say which of the two it plots), and ensembles. A network of one exit that is there for an ensemble
/// alone is no curve; `exits.csv` has its accuracy.
///
/// # Errors
/// When predictions cannot be had.
pub fn rows(study: &Study) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for named in &study.plan.members {
        if serves_an_ensemble(study, &named.name) {
            continue;
        }
        for (place, seed) in study.seeds_of(named)? {
            let curves = match &named.member {
                Member::Network(config) => of_network(study, &named.name, config, place)?,
                Member::Ensemble(members) => {
                    vec![(named.name.clone(), of_ensemble(study, members, place)?)]
                }
                Member::Joined(_) => continue,
            };
            for (curve, points) in curves {
                let row =
                    |point| Row { curve: curve.clone(), network: named.name.clone(), seed, point };
                rows.extend(points.into_iter().map(row));
            }
        }
    }
    Ok(rows)
}

fn serves_an_ensemble(study: &Study, name: &str) -> bool {
    let mut members = study.plan.members.iter().map(|named| &named.member);
    study.multiply_adds(name).len() == 1
        && members.any(
            |member| matches!(member, Member::Ensemble(names) if names.iter().any(|n| n == name)),
        )
}

fn of_network(
    study: &Study,
    name: &str,
    config: &NetworkConfig,
    seed: usize,
) -> Result<Vec<(String, Vec<AnytimePoint>)>> {
    let predictions = study.predictions(study.network(name)?, seed, Split::Test)?;
    let costs = study.multiply_adds(name);
    let mut curves = vec![(name.to_string(), anytime::single_exit(&predictions, &costs)?)];
    if matches!(config, NetworkConfig::Msdnet(_)) && predictions.exits > 1 {
        curves
            .push((format!("{name}, averaged"), anytime::averaged_softmax(&predictions, &costs)?));
    }
    Ok(curves)
}

fn of_ensemble(study: &Study, members: &[String], seed: usize) -> Result<Vec<AnytimePoint>> {
    let (predictions, costs) = ensemble(study, members, seed, Split::Test)?;
    anytime::single_exit(&predictions, &costs)
}

/// The rows as `figure.csv` has them.
pub fn table(rows: &[Row]) -> Table {
    Table::default()
        .text("curve", rows.iter().map(|r| &r.curve))
        .text("network", rows.iter().map(|r| &r.network))
        .count("seed", rows.iter().map(|r| r.seed))
        .count("exit", rows.iter().map(|r| r.point.exit as u64))
        .count("multiply_adds", rows.iter().map(|r| r.point.multiply_adds))
        .number("accuracy", rows.iter().map(|r| r.point.accuracy))
        .count("correct", rows.iter().map(|r| r.point.correct as u64))
        .count("images", rows.iter().map(|r| r.point.images as u64))
}
