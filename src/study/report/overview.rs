//! The page's beginning: scope, contents, all claims together, the opponents, what made them.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use super::super::kinds::kind;
use super::claims::{Decided, Judged, effect, papers, verdict};
use super::load::{Shown, training_images};
use super::{cell, differences, stages};
use crate::eval::claims::Kind;
use crate::experiment::Experiment;
use crate::results::markdown;

/// Everything before the figures' sections.
pub(super) fn page(out: &Path, figures: &[Shown], judged: &Judged) -> Result<String> {
    let mut page = String::from(
        "# Results\n\nMade by `repro report` from the tables beside it; nothing here is typed by hand.\n\n",
    );
    scope(&mut page, figures)?;
    contents(&mut page, figures);
    claims(&mut page, judged)?;
    if figures.is_empty() {
        return Ok(page);
    }
    if out.join("trend.svg").is_file() {
        page.push_str(
            "\n## With longer training\n\n![Each claim's effect against the images seen in training](trend.svg)\n\n\
             Effects in units of the paper's, whose own training is the last point. Claims whose paper's effect is below \
             their margin are left out.\n",
        );
    }
    if out.join("learning.svg").is_file() {
        page.push_str(
            "\n## Learning curves\n\n![Accuracy on the hold-out by epoch, a panel a family](learning.svg)\n",
        );
    }
    opponents(&mut page, figures)?;
    stages::write(&mut page, out, figures)?;
    Ok(page)
}

/// How far the results are from the paper's own.
fn scope(page: &mut String, figures: &[Shown]) -> Result<()> {
    let mut passes = Vec::new();
    let mut costs = Vec::new();
    for figure in figures {
        let Some(paper) = differences::paper_scale(&figure.experiment)? else {
            continue;
        };
        let whole = training_images(&paper).map(|n| n as f64 * f64::from(paper.training.epochs));
        passes.extend(figure.image_passes().zip(whole).map(|(here, paper)| here / paper));
        costs.push(
            differences::full_costs(&figure.experiment)?.1 / differences::full_costs(&paper)?.1,
        );
    }
    if passes.is_empty() {
        writeln!(page, "No figure is in yet.")?;
        return Ok(());
    }
    writeln!(
        page,
        "The networks were trained on {} of the images that the paper's were shown, and the largest of a figure costs {} of \
         the paper's largest. So order and sign are compared, and sizes only as a share of the paper's; accuracies \
         themselves are lower than the paper's and are not judged.",
        percent_range(&passes),
        percent_range(&costs)
    )?;
    Ok(())
}

/// `3 to 20 %`, or one number.
fn percent_range(shares: &[f64]) -> String {
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
    let most = shares.iter().copied().fold(0.0, f64::max);
    let text = |share: f64| {
        let percent = 100.0 * share;
        if percent < 10.0 { format!("{percent:.1}") } else { format!("{percent:.0}") }
    };
    let (least, most) = (text(least), text(most));
    if least == most { format!("{least} %") } else { format!("{least} to {most} %") }
}

fn contents(page: &mut String, figures: &[Shown]) {
    if figures.is_empty() {
        return;
    }
    let rows = figures.iter().map(|figure| {
        let of = |verdict: &str| figure.claims.iter().filter(|r| r.verdict == verdict).count();
        let [hold, fail, no_effect, too_few] =
            ["holds", "fails", "no-effect", "too-few-seeds"].map(|v| of(v).to_string());
        let Experiment { dataset, training, seeds, .. } = &figure.experiment;
        let (epochs, seeds) = (training.epochs.to_string(), seeds.len().to_string());
        let name = markdown::heading_link(&figure.name);
        [name, cell(&dataset.to_string()), epochs, seeds, hold, fail, no_effect, too_few]
    });
    let head = "figure | data | epochs | seeds | hold | fail | no effect | too few seeds";
    page.push('\n');
    page.push_str(&markdown::table(head, rows));
}

fn claims(page: &mut String, judged: &Judged) -> Result<()> {
    writeln!(page, "\n## The paper's claims\n")?;
    if judged.effects().next().is_some() {
        let (directions, effects) = (directions(judged), judged.effects().count());
        writeln!(
            page,
            "![Every claim's effect in units of the paper's, with its 95 % interval](claims.svg)\n\n\
             In units of the paper's effect (0 none, 1 the paper's); claims whose paper's effect is below their margin in \
             units of twice the margin. A claim that several figures measure is shown once, by the one with most seeds and \
             images.\n\n\
             {effects} claims are judged with no correction for their number: were every effect 0, about {:.1} of the \
             {directions} directions would hold and as many fail by chance.\n\n\
             Each claim was committed, with its margin and the model, before the runs that judge it (the table at the end \
             says where that is not so); none was changed after a result on CIFAR was seen.\n",
            0.025 * directions as f64
        )?;
    }
    let head = "the paper says | source | paper | here [95 %] | share of the paper's | verdict | seeds | needed";
    let rows = judged.decided.iter().map(|decided| {
        let Decided { claim, row, .. } = decided;
        let reason = decided.reason().map_or(String::new(), |why| format!(" ({why})"));
        let verdict = format!("**{}**{}", verdict(row), cell(&reason));
        let (text, source) = (cell(&claim.text), cell(&claim.source));
        let (seeds, needed) = (row.seeds.to_string(), row.needed.clone());
        [text, source, papers(row), effect(row), share(row), verdict, seeds, needed]
    });
    page.push_str(&markdown::table(head, rows));
    if !judged.not_measurable.is_empty() {
        let names: Vec<String> = judged
            .not_measurable
            .iter()
            .map(|(claim, why)| format!("{} ({why})", claim.id))
            .collect();
        writeln!(page, "\nNot measurable: {}.", names.join("; "))?;
    }
    if !judged.absent.is_empty() {
        let names: Vec<&str> = judged.absent.iter().map(|claim| claim.id.as_str()).collect();
        writeln!(page, "\nNo figure here has the curves of: {}.", names.join(", "))?;
    }
    Ok(())
}

fn directions(judged: &Judged) -> usize {
    judged.effects().filter(|decided| decided.claim.kind == Kind::Direction).count()
}

/// The effect as a share of the paper's, and what its interval says.
fn share(row: &super::load::ClaimRow) -> String {
    let (Some(ratio), Some(low), Some(high)) = (row.ratio, row.ratio_low, row.ratio_high) else {
        return String::new();
    };
    let words = row.magnitude.replace('-', " ");
    format!("{ratio:.2} [{low:.2}, {high:.2}] {words}").trim_end().to_string()
}

/// Parameters beside multiply-adds.
fn opponents(page: &mut String, figures: &[Shown]) -> Result<()> {
    let mut seen = Vec::new();
    let mut rows = Vec::new();
    for figure in figures {
        let names: Vec<&str> = figure.costs.column("network").collect();
        let costs = figure.costs.numbers("multiply_adds")?;
        let parameters = figure.costs.numbers("parameters")?;
        for i in 0..names.len() {
            let is_last = names.get(i + 1) != Some(&names[i]);
            // Of the networks of Fig. 3 the one without an intermediate classifier stands for all.
            let stands = !names[i].contains(" at ");
            let entry = (names[i], costs[i], parameters[i]);
            if !is_last || !stands || seen.contains(&entry) {
                continue;
            }
            let millions = |n: f64| format!("{:.2} M", n / 1e6);
            let place = kind(figure.experiment.figure).in_the_paper.to_string();
            rows.push([cell(names[i]), millions(costs[i]), millions(parameters[i]), place]);
            seen.push(entry);
        }
    }
    page.push_str(
        "\n## The networks\n\nThe opponents are unequal: networks of like cost differ in their parameters. Of the last exit:\n\n",
    );
    page.push_str(&markdown::table("network | multiply-adds | parameters | in", rows));
    Ok(())
}
