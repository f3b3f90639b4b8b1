//! The page's beginning: contents, all claims together, the opponents, what made them.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use super::super::claims::PAPERS_DATA;
use super::super::kinds::{KINDS, kind};
use super::claims::{Decided, Judged, effect, papers_and_margin};
use super::differences::CONVOLUTIONAL;
use super::load::{Shown, training_images};
use super::rows::ClaimRow;
use super::{cell, control, differences, stages};
use crate::eval::claims::Kind;
use crate::experiment::Experiment;
use crate::figures::learning::original;
use crate::results::markdown;

/// Everything before the figures' sections.
pub(super) fn page(out: &Path, figures: &[Shown], judged: &Judged) -> Result<String> {
    let mut page = String::from(
        "# Results\n\nMade by `repro report` from the tables beside it. Only the remarks on claims and counts are written by hand.\n\n",
    );
    contents(&mut page, figures, judged)?;
    effects(&mut page, judged)?;
    counts(&mut page, judged);
    if figures.is_empty() {
        return Ok(page);
    }
    control::write(&mut page, figures)?;
    if out.join("trend.svg").is_file() {
        page.push_str(
            "\n## With longer training\n\n![Each claim's effect against the images seen in training](trend.svg)\n\n\
             Effects are in units of the paper's; where the paper's effect is smaller in size than the margin, or it has no number, the unit is twice the margin. The \
             hollow marks are the paper's (of `anytime-averaged-above-single` a public run's), with other networks and schedules, in \
             Fig. 3 also at other positions. So no line leads to them. Points of one line may differ in seeds and in images held out; the figures' sections say how.\n",
        );
    }
    if out.join("learning.svg").is_file() {
        page.push_str(
            "\n## Learning curves\n\n![Accuracy on the hold-out by epoch, a panel a family](learning.svg)\n\n\
             Each thin line is a run. Each thick line is the mean of the runs with the same name and number of epochs; in Fig. 3 \
             all positions have one name. Runs without a hold-out are not drawn.\n",
        );
    }
    opponents(&mut page, figures)?;
    stages::write(&mut page, out, figures)?;
    Ok(page)
}

/// A row a figure: how far it is from the paper's scale, and how its claims came out.
fn contents(page: &mut String, figures: &[Shown], judged: &Judged) -> Result<()> {
    if figures.is_empty() {
        writeln!(page, "No figure is in yet.")?;
        return Ok(());
    }
    page.push_str(
        "The table has the images seen in training and the cost of the largest network of the paper's families (MSDNet, \
         ResNet, DenseNet), each as a share of what the same figure's `-paper` experiment has. At this scale the verdicts are about the sign of an effect, the order of networks, and whether a harm stays below a margin. \
         Shares of the paper's effects are described (larger, smaller) and do not enter the verdict. Accuracies are not compared \
         with the paper's.\n\n",
    );
    let mut rows = Vec::new();
    for figure in figures {
        let Experiment { dataset, training, seeds, .. } = &figure.experiment;
        let [passes, cost] = shares(figure)?;
        let [hold, fail, no_effect, undecided, none] = outcomes(figure, judged);
        let (epochs, seeds) = (training.epochs.to_string(), seeds.len().to_string());
        let (name, data) = (markdown::heading_link(&figure.name), cell(&dataset.to_string()));
        rows.push([
            name, data, epochs, passes, cost, seeds, hold, fail, no_effect, undecided, none,
        ]);
    }
    let head = "figure | data | epochs | images seen | largest network | seeds | hold | fail | no effect | undecided | no verdict";
    page.push_str(&markdown::table(head, rows));
    Ok(())
}

/// Whether a page was made by [`page`]; an empty one is nobody's.
pub(super) fn is_own(page: &str) -> bool {
    page.trim().is_empty() || page.contains("Made by `repro report`")
}

/// Images seen in training, and the cost of the largest network, as shares of those of the
/// experiment at the paper's scale.
pub(super) fn shares(figure: &Shown) -> Result<[String; 2]> {
    let Some(paper) = differences::paper_scale(&figure.experiment)? else {
        return Ok(["-", "-"].map(String::from));
    };
    let percent = |share: f64| match 100.0 * share {
        percent if percent < 10.0 => format!("{percent:.1} %"),
        percent => format!("{percent:.0} %"),
    };
    let whole = training_images(&paper).map(|n| n as f64 * f64::from(paper.training.epochs));
    let passes = figure.image_passes().zip(whole).map(|(here, paper)| here / paper);
    let cost = differences::costs(figure)?.1 / differences::paper_costs(&paper)?.1;
    let [passes, cost] = [passes, Some(cost).filter(|&cost| cost > 0.0)];
    Ok([passes, cost].map(|share| share.map_or("-".to_string(), percent)))
}

/// How many claims that it decides have each verdict; of a figure that stands beside another, none.
fn outcomes(figure: &Shown, judged: &Judged) -> [String; 5] {
    let decides = |row: &&ClaimRow| judged.is_decided_by(&row.claim, &figure.name);
    let own = || figure.claims.iter().filter(decides);
    let of = |verdict: &str| own().filter(|row| row.verdict == verdict).count();
    ["holds", "fails", "no-effect", "too-few-seeds", ""].map(|verdict| {
        match figure.experiment.beside {
            Some(_) => "-".to_string(),
            None => of(verdict).to_string(),
        }
    })
}

fn effects(page: &mut String, judged: &Judged) -> Result<()> {
    writeln!(page, "\n## The paper's claims\n")?;
    if judged.effects().next().is_some() {
        introduction(page, judged)?;
        let head = "claim | what it says | paper | here [95 %] | margin | share of the paper's | verdict | seeds | seeds for 80 %";
        page.push_str(&markdown::table(head, judged.effects().map(effect_row)));
        for remark in judged.remarks() {
            writeln!(page, "\n{remark}")?;
        }
    }
    not_judged(page, judged)
}

/// The picture, and how its claims and the table's are judged.
fn introduction(page: &mut String, judged: &Judged) -> Result<()> {
    let with_verdict = || judged.effects().filter(|d| !d.row.verdict.is_empty());
    let directions = with_verdict().filter(|d| d.claim.kind == Kind::Direction).count();
    writeln!(
        page,
        "![Every claim's effect in units of the paper's, with its 95 % interval](claims.svg)\n\n\
         The picture shows effects in units of the paper's: 0 is none, 1 the paper's, -1 as large the other way. Where \
         the paper's effect is smaller in size than the margin, or it has no number, the unit is twice the margin. So a gain where \
         a harm is judged lies on the right if the paper's is a gain beyond the margin, and else on the left. What lies beyond the \
         axis stands at its edge, with its number. `ln` is a difference of logarithms of \
         accuracies: 0.065 ln is 6.3 % of the accuracy. A claim that several figures measure is shown once. A figure \
         that stands beside another, trained for longer or otherwise, never decides it. Of the others one on {PAPERS_DATA} does before one on other \
         data, then one with more seeds (three are enough), then one with longer training. A line that joins \
         several networks is judged at the seeds for which all of them are trained. A mean over budgets is over those \
         that both of our curves cover (of several networks: to the end of the longest), the paper's over those that both of its curves cover; the notes below each figure \
         have our range, and what the paper's curves give over it, as far as they reach.\n\n\
         A direction holds where the interval lies above 0 and fails where it lies below. Harmlessness holds where the \
         interval lies below the margin and fails where it lies above; its number is the harm, so below 0 it is a gain. Equality holds where the 90 % interval lies \
         within the margin on both sides of 0, and fails where the 95 % interval lies outside. All else is undecided, \
         except a direction whose 90 % interval lies within the margin: that is no effect. The share of the paper's effect is left out where \
         the paper has no number or one smaller in size than the margin; 'may be the paper's' says that the share's interval holds 1. Words such as 'much' and \
         percentages are the paper's and are not judged. The last column says with how many seeds the power is \
         80 % for an undecided claim, if the effect is the paper's (without a number in the paper: a direction at its \
         margin, a harm of 0). If that many are trained already, the effect here is nearer its bound (0 or the margin), \
         and more are needed.\n\n\
         {}\n\n\
         {} effects are measured with three seeds or more, with no correction for their number. Were every effect 0, \
         {:.1} of the {directions} directions among them would hold by chance. Effects share networks, so they do not come out independently.\n\n\
         Claims and margins stood in the source before the runs that judge them began (the table 'What made them' says \
         where they did not). `experiments/claims.yaml` says what had been seen by then, including a pilot with the \
         same seeds.\n",
        judged.intervals(),
        with_verdict().count(),
        0.025 * directions as f64
    )?;
    Ok(())
}

/// The claims that no figure measures.
fn not_judged(page: &mut String, judged: &Judged) -> Result<()> {
    let list = |names: Vec<String>| names.join(", ");
    if !judged.not_measurable.is_empty() {
        let named = judged.not_measurable.iter();
        let named = named.map(|(claim, why)| format!("{} ({why})", claim.id));
        writeln!(page, "\nNot measurable: {}.", list(named.collect()))?;
    }
    for kind in &KINDS {
        let own = judged.absent.iter().filter(|claim| claim.figure == kind.figure);
        let own: Vec<String> = own.map(|claim| claim.id.clone()).collect();
        if !own.is_empty() {
            writeln!(page, "\nNot judged yet, {}: {}.", kind.in_the_paper, list(own))?;
        }
    }
    Ok(())
}

fn effect_row(decided: &Decided) -> [String; 9] {
    let Decided { claim, row, .. } = decided;
    let says = format!("{} ({})", claim.text, claim.source);
    let [paper, margin] = papers_and_margin(row);
    let verdict = format!("**{}**", decided.verdict());
    let (seeds, needed) = (row.seeds.to_string(), row.needed.clone());
    let needed = if row.verdict == "too-few-seeds" { needed } else { String::new() };
    [cell(&claim.id), cell(&says), paper, effect(row), margin, share(row), verdict, seeds, needed]
}

/// Claims that need no run.
fn counts(page: &mut String, judged: &Judged) {
    page.push_str(
        "\n## Counts\n\nCounts need no training. They must agree to the last digit that is given. The five numbers for \
         ImageNet are a separate count: the code's rules, applied only to the layers that an exit needs. The code prints its \
         count without that saving.\n\n",
    );
    let rows = judged.counts().map(|decided| {
        let Decided { claim, row, .. } = decided;
        let reason = decided.remark().map_or(String::new(), cell);
        let [paper, _] = papers_and_margin(row);
        let numbers = claim.paper.as_ref().map_or(1, |paper| paper.all().len());
        let which = if numbers > 1 {
            format!("the farthest of {numbers} numbers: ")
        } else {
            String::new()
        };
        let says = format!("{} ({})", claim.text, claim.source);
        let verdict = format!("**{}**", decided.verdict());
        [cell(&says), format!("{which}{paper}"), effect(row), verdict, reason]
    });
    page.push_str(&markdown::table(
        "what is counted | there | here | verdict | likely reason",
        rows,
    ));
}

/// The effect as a share of the paper's, and what its interval says.
fn share(row: &ClaimRow) -> String {
    let (Some(ratio), Some(low), Some(high)) = (row.ratio, row.ratio_low, row.ratio_high) else {
        return String::new();
    };
    let words = match row.magnitude.as_str() {
        "as-paper" => "may be the paper's".to_string(),
        magnitude => magnitude.replace('-', " "),
    };
    format!("{ratio:.2} [{low:.2}, {high:.2}] {words}").trim_end().to_string()
}

/// Parameters beside multiply-adds.
fn opponents(page: &mut String, figures: &[Shown]) -> Result<()> {
    let mut seen = Vec::new();
    let (mut rows, mut with_one) = (Vec::new(), Vec::new());
    let millions = |n: f64| format!("{:.2} M", n / 1e6);
    for figure in figures {
        let names: Vec<&str> = figure.costs.column("network").collect();
        let costs = figure.costs.numbers("multiply_adds")?;
        let parameters = figure.costs.numbers("parameters")?;
        for i in (0..names.len()).filter(|&i| figure.is_trained(names[i])) {
            let is_last = names.get(i + 1) != Some(&names[i]);
            let is_positional = figure.experiment.figure.is_positional();
            let entry = (names[i], costs[i], parameters[i]);
            if let (true, true, Some((curve, _))) =
                (is_positional, is_last, names[i].rsplit_once(" at "))
            {
                let is_control = differences::classifiers(&figure.experiment) == CONVOLUTIONAL;
                if is_control || figure.experiment.beside.is_none() {
                    let which = if is_control { "convolutional " } else { "" };
                    let name = format!("{curve}, one {which}intermediate classifier");
                    widen(&mut with_one, &name, [costs[i], parameters[i]]);
                }
                continue;
            }
            if !is_last || seen.contains(&entry) || original(names[i]) != names[i] {
                continue;
            }
            let place = match is_positional {
                true => "Fig. 3".to_string(),
                false => kind(figure.experiment.figure).in_the_paper.to_string(),
            };
            // `ResNet without` in the tables.
            let name = match names[i].strip_suffix(" without").filter(|_| is_positional) {
                Some(family) => format!("{family}, no intermediate classifier"),
                None => names[i].to_string(),
            };
            rows.push([cell(&name), millions(costs[i]), millions(parameters[i]), place]);
            seen.push(entry);
        }
    }
    for (name, ranges) in with_one {
        let [cost, parameters] = ranges.map(|(least, most)| match [least, most].map(millions) {
            [least, most] if least == most => least,
            [least, most] => format!("{} to {most}", least.trim_end_matches(" M")),
        });
        rows.push([cell(&name), cost, parameters, "Fig. 3".to_string()]);
    }
    page.push_str(
        "\n## The networks\n\nThe opponents are unequal in cost and in parameters. Both are of the last exit.\n\n",
    );
    page.push_str(&markdown::table("network | multiply-adds | parameters | in", rows));
    Ok(())
}

/// The networks of a curve of Fig. 3 with the least and the most multiply-adds and parameters of its positions.
type Ranges = (String, [(f64, f64); 2]);

fn widen(known: &mut Vec<Ranges>, name: &str, numbers: [f64; 2]) {
    match known.iter_mut().find(|(of, _)| of == name) {
        Some((_, ranges)) => {
            for (range, number) in ranges.iter_mut().zip(numbers) {
                *range = (range.0.min(number), range.1.max(number));
            }
        }
        None => known.push((name.to_string(), numbers.map(|number| (number, number)))),
    }
}
