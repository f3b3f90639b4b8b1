//! The paper's claims for a figure, judged on its rows.

use anyhow::Result;

use super::{anytime, budgeted};
use crate::eval::claims::{self, ClaimFigure, Judgement};
use crate::eval::judge::{Row, judge};
use crate::experiment::{Figure, claims_yaml};
use crate::results::tables::Table;

/// Judges the claims of `figure` on `rows`.
///
/// # Errors
/// When the claims cannot be read.
pub fn judgements(figure: Figure, rows: &[Row]) -> Result<Vec<Judgement>> {
    let figure = match figure {
        Figure::Anytime => ClaimFigure::Anytime,
        Figure::BudgetedBatch => ClaimFigure::BudgetedBatch,
        Figure::FigIntermediate => ClaimFigure::FigIntermediate,
        Figure::FigFinalDegradation => ClaimFigure::FigFinalDegradation,
        Figure::Ablation => ClaimFigure::Ablation,
    };
    Ok(judge(&claims::parse(claims_yaml())?, figure, rows))
}

/// Rows of an anytime figure as the judge reads them; the averaged curves are another estimate of
/// the same networks and are not judged.
pub fn of_anytime(rows: &[anytime::Row]) -> Vec<Row> {
    let single = rows.iter().filter(|row| row.curve == row.network);
    single
        .map(|row| Row {
            curve: row.curve.clone(),
            network: row.network.clone(),
            seed: row.seed,
            x: row.point.multiply_adds as f64,
            accuracy: row.point.accuracy,
            images: row.point.images,
            hits: Some(row.point.hits.clone()),
            reference: None,
        })
        .collect()
}

/// Rows of a budgeted-batch figure as the judge reads them: the paper's policy alone.
pub fn of_budgeted(rows: &[budgeted::Row]) -> Vec<Row> {
    let papers = rows
        .iter()
        .filter(|r| r.policy == "none" || (r.policy == "max-softmax" && r.temperature == "1"));
    papers
        .map(|row| Row {
            curve: row.curve.clone(),
            network: row.network.clone(),
            seed: row.seed,
            x: row.multiply_adds,
            accuracy: row.accuracy,
            images: row.images,
            hits: Some(row.hits.clone()),
            reference: None,
        })
        .collect()
}

/// The judgements as `claims.csv` has them.
pub fn table(judgements: &[Judgement]) -> Table {
    Table::default()
        .text("claim", judgements.iter().map(|j| &j.claim))
        .text("holds", judgements.iter().map(|j| j.holds.to_string()))
        .text("measured", judgements.iter().map(|j| &j.measured))
        .text("expected", judgements.iter().map(|j| &j.expected))
        .count("seeds", judgements.iter().map(|j| j.seeds as u64))
        .text("note", judgements.iter().map(|j| &j.note))
}

/// The judgements for a person at a terminal.
pub fn describe(judgements: &[Judgement]) -> String {
    if judgements.is_empty() {
        return String::new();
    }
    let width = judgements.iter().map(|j| j.claim.len()).max().unwrap_or(5);
    let mut text = format!("{:width$}  holds      measured (the paper: expected)\n", "claim");
    for j in judgements {
        let measured = if j.measured.is_empty() { &j.note } else { &j.measured };
        text.push_str(&format!(
            "{:width$}  {:9}  {measured} ({})\n",
            j.claim,
            j.holds.to_string(),
            j.expected
        ));
    }
    text
}

/// The claims that do not hold, by name.
pub fn failed(judgements: &[Judgement]) -> Vec<&str> {
    judgements.iter().filter(|j| j.holds == claims::Verdict::No).map(|j| j.claim.as_str()).collect()
}
