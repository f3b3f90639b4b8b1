//! Rows of the anytime figure (Fig. 5) and of the ablation (Fig. 10).

use anyhow::Result;

use super::Study;
use crate::eval::anytime;
use crate::eval::combine::Combine;
use crate::eval::judge;
use crate::experiment::labels;
use crate::results::tables::Table;
use crate::runs::Split;

/// One row of `figure.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The point, with each image's answer for paired comparisons.
    pub judged: judge::Row,
    /// The exit, from 1.
    pub exit: usize,
    /// Test images answered rightly.
    pub correct: usize,
    /// How exits are combined.
    pub combine: Combine,
}

/// All rows: a curve for each way in which the exits of a network or the members of an ensemble
/// are combined. A network of one exit that is there for an ensemble alone is no curve;
/// `exits.csv` has its accuracy. Networks that are joined are one curve, in ensembles or not.
pub fn rows(study: &Study) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (named, place, seed) in study.entries()? {
        let own_exits = study.multiply_adds(&named.name).len();
        if labels::is_for_an_ensemble_alone(&study.plan.members, named, own_exits) {
            continue;
        }
        let (predictions, costs) = study.answers(named, place, Split::Test)?;
        // By it the best of several networks in one curve is chosen.
        let is_joined = study.curve_of(named) != named.name && study.data.validation > 0;
        let split = is_joined.then_some(Split::Validation);
        let hold_out = split.map(|split| study.answers(named, place, split)).transpose()?;
        for combine in labels::rules_of(study.plan.figure, named, predictions.exits) {
            let curve = labels::by_exit(study.curve_of(named), combine);
            let on_hold_out = match &hold_out {
                Some((predictions, _)) => anytime::points(predictions, combine, &costs)?,
                None => Vec::new(),
            };
            for (at, point) in anytime::points(&predictions, combine, &costs)?.iter().enumerate() {
                let x = point.multiply_adds as f64;
                let averaged = combine == Combine::Mean;
                let hold_out = on_hold_out.get(at).map(|point| point.accuracy);
                let plain = judge::Row::new(&curve, &named.name, seed, x, point.answered());
                let judged = judge::Row { averaged, hold_out, ..plain };
                rows.push(Row { judged, exit: point.exit, correct: point.correct, combine });
            }
        }
    }
    Ok(rows)
}

/// The rows as `figure.csv` has them.
pub fn table(rows: &[Row]) -> Table {
    Table::default()
        .text("curve", rows.iter().map(|r| &r.judged.curve))
        .text("network", rows.iter().map(|r| &r.judged.network))
        .count("seed", rows.iter().map(|r| r.judged.seed))
        .count("exit", rows.iter().map(|r| r.exit as u64))
        .count("multiply_adds", rows.iter().map(|r| r.judged.x as u64))
        .number("accuracy", rows.iter().map(|r| r.judged.answered.accuracy))
        .count("correct", rows.iter().map(|r| r.correct as u64))
        .count("images", rows.iter().map(|r| r.judged.answered.images as u64))
        .text("combine", rows.iter().map(|r| r.combine.name()))
}

/// The rows that the claims are about: single exits and their mean, of lines that are whole.
///
/// # Errors
/// Those of [`Study::whole`].
pub fn judged(study: &Study, rows: Vec<Row>) -> Result<judge::Measured> {
    let own = rows.into_iter().filter(|r| matches!(r.combine, Combine::Single | Combine::Mean));
    Ok(judge::Measured::Steps(study.whole(own.map(|row| row.judged))?))
}
