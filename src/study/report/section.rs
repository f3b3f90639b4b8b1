//! A figure's own section of the page.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};

use super::claims::{Judged, effect, papers_and_margin, verdict};
use super::load::{Loss, Shown, images};
use super::rows::ClaimRow;
use super::{cell, differences, plain, published, stages, summary};
use crate::data::plural;
use crate::eval::figure::Figure;
use crate::eval::named::unique;
use crate::eval::policy::Policy;
use crate::results::markdown::{self, table};
use crate::results::tables::Rows;

/// Settings, what differs from the paper, curves, positions, claims.
pub(super) fn write(
    page: &mut String,
    figure: &Shown,
    figures: &[Shown],
    judged: &Judged,
) -> Result<()> {
    let experiment = &figure.experiment;
    let picture = markdown::target(&format!("{}/figure.png", figure.name));
    writeln!(page, "\n## {}\n\n![{0}]({picture})\n", cell(&figure.name))?;
    let seeds: Vec<String> = experiment.seeds.iter().map(u64::to_string).collect();
    writeln!(
        page,
        "{} on {}: training images {}; {}, batch {}, seeds {}.\n",
        experiment.figure.name(),
        cell(&experiment.dataset.to_string()),
        images(experiment),
        plural(experiment.training.epochs as usize, "epoch"),
        experiment.training.batch_size,
        seeds.join(", ")
    )?;
    writeln!(
        page,
        "Made by {} with LibTorch {}, {}; {}; trainings {:.1} h. `{}` makes it again and trains what is missing.\n",
        plain(&figure.run["program"]),
        plain(&figure.run["libtorch"]),
        plain(&figure.run["ended"]),
        stages::machine(figure),
        figure.hours(),
        figure.command()
    )?;
    let lacking = figure.lacking();
    if !lacking.is_empty() {
        writeln!(page, "**{}.**\n", cell(&lacking))?;
    }
    difference_table(page, figure)?;
    if experiment.figure.is_positional() {
        accuracy_table(page, figure)?;
        position_table(page, figure)?;
    } else {
        curve_table(page, figure)?;
        published::write(page, figure)?;
    }
    if let Some(rows) = &figure.summary {
        summary::table(page, rows)?;
    }
    match &experiment.beside {
        Some(judge) => {
            beside(page, figure, figures.iter().any(|other| other.name == *judge), judge)
        }
        None => claim_table(page, figure, judged),
    }
}

/// What must be borne in mind when numbers are compared with the paper's.
fn difference_table(page: &mut String, figure: &Shown) -> Result<()> {
    let all = differences::from_paper(figure).context("experiment.yaml")?;
    if all.is_empty() {
        return Ok(());
    }
    let rows = all.iter().map(|d| [d.setting.to_string(), cell(&d.paper), cell(&d.here)]);
    page.push_str(&table("what differs | the paper | here", rows));
    page.push('\n');
    Ok(())
}

/// Accuracies of Fig. 3's networks, mean over seeds, and of those without an intermediate classifier.
fn accuracy_table(page: &mut String, figure: &Shown) -> Result<()> {
    let text = |name| figure.curves.text(name);
    let (curves, seeds) = (text("curve")?, text("seed")?);
    let number = |name| figure.curves.numbers(name);
    let (depths, accuracy) = (number("relative_depth")?, number("accuracy")?);
    let has_reference = figure.experiment.figure == Figure::FigFinalDegradation;
    let reference = if has_reference { number("reference_accuracy")? } else { Vec::new() };
    // Curve and depth, seed, accuracy; every position repeats its reference.
    let mut all: Vec<([String; 2], &str, f64)> = Vec::new();
    for i in 0..curves.len() {
        let own = (format!("{:.2}", depths[i]), accuracy[i]);
        let reference = has_reference.then(|| ("none".to_string(), reference[i]));
        for (depth, accuracy) in reference.into_iter().chain([own]) {
            all.push(([curves[i].clone(), depth], &seeds[i], accuracy));
        }
    }
    let all = unique(all);
    let rows = unique(all.iter().map(|(place, ..)| place)).into_iter().map(|place| {
        let own: Vec<f64> = all.iter().filter(|one| one.0 == *place).map(|one| one.2).collect();
        let mean = own.iter().sum::<f64>() / own.len() as f64;
        let [curve, depth] = place.clone();
        [cell(&curve), depth, format!("{:.1} %", 100.0 * mean), own.len().to_string()]
    });
    let whose = if has_reference { "final" } else { "intermediate" };
    let head = format!(
        "curve | intermediate classifier at depth | accuracy of the {whose} classifier, mean over seeds | seeds"
    );
    page.push_str(&table(&head, rows));
    page.push('\n');
    Ok(())
}

/// Which rows are of the paper's rule, or of a network without one: no other policy, no fitted temperature and
/// no exits combined in budgeted-batch. The oracle, of all, sees the labels. In anytime each curve has its own name.
fn papers_rule(curves: &Rows) -> Result<Vec<bool>> {
    if !curves.has("policy") {
        return Ok(vec![true; curves.count()]);
    }
    let usual: [(&str, &[&str]); 3] = [
        ("policy", &["none", "", Policy::PAPER.name()]),
        ("temperature", &["", "1"]),
        ("combine", &["", "single"]),
    ];
    let mut is_papers = vec![true; curves.count()];
    for (column, usual) in usual.iter().filter(|(column, _)| curves.has(column)) {
        for (is_papers, cell) in is_papers.iter_mut().zip(curves.text(column)?) {
            *is_papers &= usual.contains(&cell.as_str());
        }
    }
    Ok(is_papers)
}

/// The highest point of every network on its curve, mean over seeds, by the paper's rule alone. A seed may
/// lack a network of a curve that joins several, so the curve itself has no mean.
fn curve_table(page: &mut String, figure: &Shown) -> Result<()> {
    let (curves, networks) = (figure.curves.text("curve")?, figure.curves.text("network")?);
    let seeds = figure.curves.text("seed")?;
    let accuracies = figure.curves.numbers("accuracy")?;
    let is_papers = papers_rule(&figure.curves)?;
    let places: Vec<(&str, &str)> =
        curves.iter().zip(&networks).map(|(c, n)| (c.as_str(), n.as_str())).collect();
    let lines = unique((0..places.len()).filter(|&i| is_papers[i]).map(|i| places[i]));
    let mut means = Vec::new();
    for line in &lines {
        let mut best: BTreeMap<&str, f64> = BTreeMap::new();
        for i in (0..places.len()).filter(|&i| places[i] == *line && is_papers[i]) {
            let found = best.entry(&seeds[i]).or_insert(accuracies[i]);
            *found = found.max(accuracies[i]);
        }
        let mean = best.values().sum::<f64>() / best.len() as f64;
        let (curve, network) = *line;
        let is_joined = lines.iter().filter(|(other, _)| *other == curve).count() > 1;
        let name = if is_joined { format!("{curve}: {network}") } else { curve.to_string() };
        means.push([cell(&name), format!("{:.1} %", 100.0 * mean), best.len().to_string()]);
    }
    let rule = if figure.curves.has("policy") { " by the paper's rule" } else { "" };
    let head =
        format!("curve | its highest point{rule} on the test images, mean over seeds | seeds");
    page.push_str(&table(&head, means));
    page.push_str(
        "\nOf a curve with several points the highest is chosen on the test images, so it is somewhat high.\n\n",
    );
    Ok(())
}

/// The loss at each position of Fig. 3, pointwise and without a verdict.
fn position_table(page: &mut String, figure: &Shown) -> Result<()> {
    if figure.positions.is_none() {
        return Ok(());
    }
    let rows = figure.losses()?.into_iter().map(|Loss { place, loss, seeds }| {
        let [curve, depth, reference] = place;
        [cell(&curve), depth, reference, loss, seeds]
    });
    let model = match figure.experiment.beside {
        Some(_) => "these intervals",
        None => "the verdicts and these intervals",
    };
    writeln!(
        page,
        "Loss at each position in ln, pointwise and without a verdict. One model over all positions gives {model}, \
         except those relative to the own final classifier. Those, and the bars of the picture, are from one position \
         alone; the bars leave out the noise of the test images.\n"
    )?;
    page.push_str(&table("curve | relative depth | relative to | loss [95 %] | seeds", rows));
    page.push('\n');
    Ok(())
}

/// What a figure that judges nothing stands beside.
fn beside(page: &mut String, figure: &Shown, is_here: bool, judge: &str) -> Result<()> {
    let judge = match is_here {
        true => markdown::heading_link(judge),
        false => format!("{}, which is not among these results", cell(judge)),
    };
    let effects = match figure.claims.iter().any(ClaimRow::is_measured) {
        true => "Effects measured here are in claims.csv.",
        false => "No claim's effect can be measured here (claims.csv says why).",
    };
    writeln!(page, "This figure stands beside {judge} and judges no claim. {effects}")?;
    Ok(())
}

/// The figure's claims; what cannot be measured is one line. A claim that another figure decides
/// has its value and no verdict here.
fn claim_table(page: &mut String, figure: &Shown, judged: &Judged) -> Result<()> {
    let (shown, absent): (Vec<_>, Vec<_>) = figure.claims.iter().partition(|row| row.is_measured());
    let line = |row: &&ClaimRow| {
        let decides = judged.is_decided_by(&row.claim, &figure.name);
        let verdict = if decides { verdict(row) } else { "judged elsewhere".to_string() };
        let ([paper, _], note) = (papers_and_margin(row), cell(&row.note));
        [row.claim.clone(), paper, effect(row), verdict, row.seeds.to_string(), note]
    };
    if !shown.is_empty() {
        let head = "claim | paper | here [95 %] | verdict | seeds | note";
        page.push_str(&table(head, shown.iter().map(line)));
    }
    if !absent.is_empty() {
        let names: Vec<&str> = absent.iter().map(|row| row.claim.as_str()).collect();
        writeln!(page, "\nNot measurable here (claims.csv says why): {}.", names.join(", "))?;
    }
    Ok(())
}
