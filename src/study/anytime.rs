//! Rows of the anytime figure (Fig. 5) and of the ablation (Fig. 10).

use anyhow::Result;

use super::Study;
use super::budgeted::ensemble;
use crate::eval::anytime::{self, AnytimePoint};
use crate::eval::combine::Combine;
use crate::experiment::{Member, Named};
use crate::models::NetworkConfig;
use crate::results::tables::Table;
use crate::runs::Split;

/// One row of `figure.csv`, with each image's answer for paired comparisons.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Label of the curve.
    pub curve: String,
    /// The entry's name.
    pub network: String,
    /// Seed of the run.
    pub seed: u64,
    /// How exits are combined.
    pub combine: Combine,
    /// The point.
    pub point: AnytimePoint,
}

/// All rows: a curve for each way in which the exits of a network or the members of an ensemble
/// are combined. A network of one exit that is there for an ensemble alone is no curve;
/// `exits.csv` has its accuracy. Networks that are joined are one curve.
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
            let (predictions, costs) = match &named.member {
                Member::Network(_) => {
                    let network = study.network(&named.name)?;
                    let predictions = study.predictions(network, place, Split::Test)?;
                    (predictions, study.multiply_adds(&named.name))
                }
                Member::Ensemble(members) => ensemble(study, members, place, Split::Test)?,
                Member::Joined(_) => continue,
            };
            for combine in combines(named, predictions.exits) {
                let network = &named.name;
                let curve = label(study.joined(network).unwrap_or(network), combine);
                let points = anytime::combined(&predictions, combine, &costs)?;
                rows.extend(points.into_iter().map(|point| Row {
                    curve: curve.clone(),
                    network: network.clone(),
                    seed,
                    combine,
                    point,
                }));
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

/// The ways to combine exits that an entry's curves are drawn with.
fn combines(named: &Named, exits: usize) -> Vec<Combine> {
    match (&named.combine, &named.member) {
        _ if exits == 1 => vec![Combine::Single],
        (Some(rules), _) => rules.clone(),
        // The paper does not say which of the two it plots.
        (None, Member::Network(NetworkConfig::Msdnet(_))) => vec![Combine::Single, Combine::Mean],
        (None, _) => vec![Combine::Single],
    }
}

/// The curve's name, which says how exits are combined.
fn label(name: &str, rule: Combine) -> String {
    match rule {
        Combine::Single => name.to_string(),
        Combine::Mean => format!("{name}, averaged"),
        other => format!("{name}, {other}"),
    }
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
        .text("combine", rows.iter().map(|r| r.combine.name()))
}
