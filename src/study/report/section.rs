//! A figure's own section of the page.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::claims::{Judged, effect, papers, verdict};
use super::load::Shown;
use super::{cell, differences, plain, stages, summary};
use crate::eval::named::unique;
use crate::results::markdown;

/// Settings, what differs from the paper, curves, positions, claims.
///
/// # Errors
/// Names the file whose content cannot be shown.
pub(super) fn write(page: &mut String, figure: &Shown, judged: &Judged) -> Result<()> {
    let experiment = &figure.experiment;
    let picture = markdown::target(&format!("{}/figure.png", figure.name));
    writeln!(page, "\n## {}\n\n![{0}]({picture})\n", cell(&figure.name))?;
    let images = match experiment.training_images {
        Some(n) => format!("{n} training images"),
        None => "all training images".to_string(),
    };
    let seeds: Vec<String> = experiment.seeds.iter().map(u64::to_string).collect();
    writeln!(
        page,
        "{} on {}: {images}, {} held out, {} epochs, batch {}, seeds {}.\n",
        experiment.figure.name(),
        cell(&experiment.dataset.to_string()),
        experiment.validation.unwrap_or(0),
        experiment.training.epochs,
        experiment.training.batch_size,
        seeds.join(", ")
    )?;
    writeln!(
        page,
        "Made by {} with LibTorch {}, {}; {}; trainings {:.1} h. `{}` makes it again.\n",
        plain(&figure.run["program"]),
        plain(&figure.run["libtorch"]),
        plain(&figure.run["ended"]),
        stages::machine(figure),
        figure.run["training_seconds"].as_f64().unwrap_or(0.0) / 3600.0,
        figure.command()
    )?;
    difference_table(page, figure)?;
    curve_table(page, figure)?;
    position_table(page, figure)?;
    if let Some(rows) = &figure.summary {
        summary::table(page, rows)?;
    }
    claim_table(page, figure, judged)
}

/// What must be borne in mind when numbers are compared with the paper's.
fn difference_table(page: &mut String, figure: &Shown) -> Result<()> {
    let all = differences::from_paper(&figure.experiment).context("experiment.yaml")?;
    if all.is_empty() {
        return Ok(());
    }
    writeln!(page, "| what differs | the paper | here |\n| --- | --- | --- |")?;
    for d in all {
        writeln!(page, "| {} | {} | {} |", d.setting, cell(&d.paper), cell(&d.here))?;
    }
    writeln!(page)?;
    Ok(())
}

/// Best accuracy of every curve, mean over seeds.
fn curve_table(page: &mut String, figure: &Shown) -> Result<()> {
    writeln!(page, "| curve | best accuracy, mean over seeds | seeds |\n| --- | --- | --- |")?;
    let curves = &figure.curves;
    for label in unique(curves.column("curve")) {
        let mut best: Vec<(&str, f64)> = Vec::new();
        let rows = curves.column("curve").zip(curves.column("seed"));
        for ((curve, seed), accuracy) in rows.zip(curves.column("accuracy")) {
            let accuracy: f64 =
                accuracy.parse().with_context(|| format!("figure.csv: accuracy {accuracy}"))?;
            match best.iter_mut().find(|(s, _)| *s == seed) {
                _ if curve != label => {}
                Some((_, found)) => *found = found.max(accuracy),
                None => best.push((seed, accuracy)),
            }
        }
        let mean = best.iter().map(|(_, a)| a).sum::<f64>() / best.len() as f64;
        writeln!(page, "| {} | {:.1} % | {} |", cell(label), 100.0 * mean, best.len())?;
    }
    writeln!(page)?;
    Ok(())
}

/// The loss at each position of Fig. 3, pointwise and without a verdict.
fn position_table(page: &mut String, figure: &Shown) -> Result<()> {
    let Some(positions) = &figure.positions else {
        return Ok(());
    };
    writeln!(
        page,
        "Loss at each position in ln, pointwise and without a verdict:\n\n\
         | curve | relative depth | relative to | loss [95 %] | seeds |\n| --- | --- | --- | --- | --- |"
    )?;
    let column = |name: &str| positions.column(name).collect::<Vec<_>>();
    let [curve, depth, reference, loss, low, high, seeds] =
        ["curve", "relative_depth", "reference", "loss", "low", "high", "seeds"].map(column);
    for i in 0..curve.len() {
        let number = |text: &str| -> Result<f64> {
            text.parse().with_context(|| format!("positions.csv: {text}"))
        };
        writeln!(
            page,
            "| {} | {:.2} | {} | {:.3} [{:.3}, {:.3}] | {} |",
            cell(curve[i]),
            number(depth[i])?,
            reference[i],
            number(loss[i])?,
            number(low[i])?,
            number(high[i])?,
            seeds[i]
        )?;
    }
    writeln!(page)?;
    Ok(())
}

/// The figure's claims; what cannot be measured is one line. A claim that another figure decides
/// has its value and no verdict here.
fn claim_table(page: &mut String, figure: &Shown, judged: &Judged) -> Result<()> {
    let (shown, absent): (Vec<_>, Vec<_>) = figure.claims.iter().partition(|row| row.is_measured());
    if !shown.is_empty() {
        writeln!(
            page,
            "| claim | paper | here [95 %] | verdict | seeds | needed | note |\n\
             | --- | --- | --- | --- | --- | --- | --- |"
        )?;
    }
    for row in &shown {
        let decides = judged.is_decided_by(&row.claim, &figure.name);
        writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.claim,
            papers(row),
            effect(row),
            if decides { verdict(row) } else { "judged elsewhere".to_string() },
            row.seeds,
            row.needed,
            cell(&row.note)
        )?;
    }
    if !absent.is_empty() {
        let names: Vec<&str> = absent.iter().map(|row| row.claim.as_str()).collect();
        writeln!(page, "\nNot measurable here (claims.csv says why): {}.", names.join(", "))?;
    }
    Ok(())
}
