//! The pictures of the page: all claims, their trend, how the families learned.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::super::kinds::{KINDS, Kind as Figure};
use super::claims::{Decided, Judged};
use super::differences::{self, CONVOLUTIONAL, classifiers};
use super::load::{Shown, training_images};
use super::rows::ClaimRow;
use crate::eval::claims::Kind;
use crate::eval::named::unique;
use crate::experiment::{Entry, Experiment};
use crate::figures::forest::{self, Claim as Drawn, Outcome};
use crate::figures::learning::{self, FAMILIES, Table};
use crate::figures::trend::{self, Trend};

/// Draws what there is something to draw for. A picture of an earlier report stays until its successor is
/// written, so that a failure takes none away; one that has no successor goes.
pub(super) fn draw(out: &Path, figures: &[Shown], judged: &Judged) -> Result<()> {
    let place = |name: &str| [out.join(format!("{name}.svg")), out.join(format!("{name}.png"))];
    let group = |kind: &Figure| {
        let own = judged.effects().filter(|decided| decided.claim.figure == kind.figure);
        (kind.in_the_paper.to_string(), own.filter_map(drawn).collect())
    };
    let groups: Vec<(String, Vec<Drawn>)> = KINDS.iter().map(group).collect();
    let panels = trends(figures)?;
    let [svg, png] = place("learning");
    if !learning::draw(&learning_tables(figures), &svg, &png)? {
        remove([svg, png])?;
    }
    let [svg, png] = place("claims");
    if groups.iter().any(|(_, claims)| !claims.is_empty()) {
        forest::draw(&groups, &svg, &png)?;
    } else {
        remove([svg, png])?;
    }
    let [svg, png] = place("trend");
    if panels.is_empty() { remove([svg, png]) } else { trend::draw(&panels, &svg, &png) }
}

/// Removes the pictures of an earlier report that this one does not draw.
fn remove(pictures: [PathBuf; 2]) -> Result<()> {
    for picture in pictures.iter().filter(|picture| picture.is_file()) {
        std::fs::remove_file(picture).with_context(|| picture.display().to_string())?;
    }
    Ok(())
}

/// The tables of learning curves.
fn learning_tables(figures: &[Shown]) -> Vec<Table> {
    let data_sets = unique(figures.iter().map(|figure| &figure.experiment.dataset)).len();
    let table = |figure: &Shown| {
        let experiment = &figure.experiment;
        let mut apart = String::new();
        if experiment.figure.is_positional() {
            apart.push_str(", Fig. 3");
        }
        if classifiers(experiment) == CONVOLUTIONAL {
            apart.push_str(", convolutional classifiers");
        }
        if data_sets > 1 {
            apart.push_str(&format!(", {}", experiment.dataset));
        }
        Table { path: figure.folder.join("learning.csv"), apart, families: families(experiment) }
    };
    figures.iter().map(table).filter(|table| table.path.is_file()).collect()
}

/// The paper's families, by the names of an experiment's networks.
fn families(experiment: &Experiment) -> BTreeMap<String, &'static str> {
    let family = |entry: &Entry| {
        let is_one = [entry.msdnet.is_some(), entry.resnet.is_some(), entry.densenet.is_some()];
        let place = is_one.into_iter().position(|is_it| is_it)?;
        Some((entry.name.clone(), FAMILIES[place]))
    };
    experiment.networks.iter().filter_map(family).collect()
}

/// What the pictures take as 1: the paper's effect, or twice the margin where the margin is larger. It is below
/// 0 where the paper's effect is: less than no harm.
fn unit(row: &ClaimRow) -> Option<f64> {
    let margin = row.margin?;
    let paper = row.paper.filter(|paper| paper.abs() >= margin);
    Some(paper.unwrap_or(2.0 * margin))
}

/// The claim in that unit.
fn drawn(decided: &Decided) -> Option<Drawn> {
    let row = &decided.row;
    let (value, low, high, margin) = (row.value?, row.low?, row.high?, row.margin?);
    let unit = unit(row)?;
    let scaled = |x: f64| x / unit;
    let within = |a: f64, b: f64| (scaled(a).min(scaled(b)), scaled(a).max(scaled(b)));
    Some(Drawn {
        label: decided.claim.id.clone(),
        verdict: decided.verdict(),
        outcome: match row.verdict.as_str() {
            "holds" => Outcome::Holds,
            "fails" => Outcome::Fails,
            _ => Outcome::Open,
        },
        value: scaled(value),
        interval: within(low, high),
        paper: row.paper.map(scaled),
        margin: match decided.claim.kind {
            Kind::Harmless => within(f64::NEG_INFINITY, margin),
            _ => within(-margin, margin),
        },
    })
}

/// A panel for each figure that was trained for several lengths: one that stands beside no other, and those that
/// stand beside it with the same data and classifiers.
fn trends(figures: &[Shown]) -> Result<Vec<(String, Vec<Trend>, f64)>> {
    let mut panels = Vec::new();
    for judge in figures.iter().filter(|figure| figure.experiment.beside.is_none()) {
        let is_point = |shown: &&Shown| {
            let (own, other) = (&judge.experiment, &shown.experiment);
            let is_beside = other.beside.as_ref() == Some(&judge.name) || shown.name == judge.name;
            is_beside && own.dataset == other.dataset && classifiers(own) == classifiers(other)
        };
        let own: Vec<&Shown> = figures.iter().filter(is_point).collect();
        let Some(paper) = papers_passes(&own)? else {
            continue;
        };
        let claims = judge.claims.iter().filter(|row| row.is_measured());
        let trends: Vec<Trend> = claims.filter_map(|row| trend_of(row, &own)).collect();
        if !trends.is_empty() {
            panels.push((judge.place(figures), trends, paper));
        }
    }
    Ok(panels)
}

fn papers_passes(figures: &[&Shown]) -> Result<Option<f64>> {
    for figure in figures {
        if let Some(paper) = differences::paper_scale(&figure.experiment)? {
            let images = training_images(&paper).map(|n| n as f64);
            return Ok(images.map(|images| images * f64::from(paper.training.epochs)));
        }
    }
    Ok(None)
}

/// A claim's effects in the figures that have it, in the unit of the figure that judges it; none where fewer
/// than two have it.
pub(super) fn trend_of(judged: &ClaimRow, figures: &[&Shown]) -> Option<Trend> {
    let unit = unit(judged)?;
    let point = |figure: &&Shown| {
        let row = figure.claims.iter().find(|row| row.claim == judged.claim)?;
        let half = (row.high? - row.low?) / 2.0;
        Some((figure.image_passes()?, row.value? / unit, half / unit.abs(), row.seeds as usize))
    };
    let points: Vec<_> = figures.iter().filter_map(point).collect();
    let paper = judged.paper.map(|paper| paper / unit);
    (points.len() > 1).then(|| Trend { label: judged.claim.clone(), points, paper })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_effect_is_1_also_where_it_is_below_0() {
        let row = |paper| ClaimRow { margin: Some(0.02), paper, ..ClaimRow::default() };
        assert_eq!(unit(&row(Some(-0.05))), Some(-0.05));
        assert_eq!(unit(&row(Some(0.05))), Some(0.05));
        assert_eq!(unit(&row(Some(-0.01))), Some(0.04));
        assert_eq!(unit(&row(None)), Some(0.04));
    }
}
