//! The findings that a README shows between its markers.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::super::kinds::{KINDS, Kind};
use super::claims::{Decided, Judged, effect, papers_and_margin};
use super::load::Shown;
use super::{cell, control, overview, plain};
use crate::data::plural;
use crate::eval::claims::{self, Claim};
use crate::eval::named::unique;
use crate::experiment::claims_yaml;
use crate::results::markdown;

const BEGIN: &str = "<!-- findings -->";
const END: &str = "<!-- /findings -->";

const HOLD: &str = "hold";
const FAIL: &str = "fail";

/// What a list of counts calls a verdict.
const VERDICTS: [(&str, &str); 5] = [
    ("holds", HOLD),
    ("fails", FAIL),
    ("no-effect", "without an effect as large as the margin"),
    ("too-few-seeds", "undecided"),
    ("", "without a verdict, for lack of three seeds"),
];

/// The paragraph and, where something is decided, the tables.
pub(super) fn text(figures: &[Shown], judged: &Judged) -> Result<String> {
    let mut text = String::new();
    let measured = judged.effects().count();
    if measured == 0 {
        writeln!(
            text,
            "No effect is measured yet; `repro fig-final-degradation fig-final-degradation-cifar100-cpu` trains one figure.\n{}",
            counts(judged)
        )?;
        return Ok(text);
    }
    let claims = claims::parse(claims_yaml()).context("claims.yaml")?;
    let beyond = claims.iter().filter(|claim| is_beyond(claim)).count();
    let all = claims.iter().filter(|claim| claim.kind != claims::Kind::Exact).count();
    let verb = if measured == 1 { "is" } else { "are" };
    writeln!(
        text,
        "Of {all} effects ({beyond} of them beyond the paper), {measured} {verb} measured so far: {}. {}\n{}\n{}{}\n\
         {} No correction is made for the number of verdicts. `ln` is a difference of logarithms of accuracies:\n\
         0.065 ln is 6.3 % of the accuracy. Words such as 'much' and percentages are the paper's. What is judged is the sign, or\n\
         that a harm stays below its margin; a harm below 0 is a gain. Our means over budgets are over those that both of our\n\
         curves cover, the paper's over those that both of its curves cover. `results/README.md` also has the paper's over ours,\n\
         where its curves reach.\n",
        verdicts(judged),
        not_measured(&claims, judged),
        scale(figures, judged)?,
        counts(judged),
        not_trained(figures),
        judged.intervals(),
    )?;
    if judges(figures).any(|figure| figure.experiment.figure.is_positional()) {
        writeln!(text, "{}\n", control::confounded(figures)?)?;
        if let Some(table) = control::first_places(figures)? {
            writeln!(
                text,
                "Loss in ln [95 %] and number of seeds at the first position (`results/README.md` has the others):\n\n{table}"
            )?;
        }
    }
    effects(&mut text, judged)?;
    Ok(text)
}

/// How many effects have each verdict.
fn verdicts(judged: &Judged) -> String {
    let of = |verdict: &str| judged.effects().filter(|d| d.row.verdict == verdict).count();
    let parts = VERDICTS.iter().map(|(verdict, words)| (of(verdict), words));
    let parts: Vec<String> = parts
        .filter(|(count, words)| *count > 0 || [HOLD, FAIL].contains(*words))
        .map(|(count, words)| match (count, *words) {
            (1, HOLD | FAIL) => format!("1 {words}s"),
            _ => format!("{count} {words}"),
        })
        .collect();
    parts.join(", ")
}

/// The table of effects, the remarks on them, and the list of those that are not in the table.
fn effects(text: &mut String, judged: &Judged) -> Result<()> {
    let shown = judged.effects().filter(|decided| is_shown(decided)).map(|decided| {
        let [paper, _] = papers_and_margin(&decided.row);
        let Claim { id, text, .. } = &decided.claim;
        let whose = if is_beyond(&decided.claim) { " (beyond the paper)" } else { "" };
        let (id, says) = (cell(id), cell(&format!("{text}{whose}")));
        [id, says, paper, effect(&decided.row), decided.verdict()]
    });
    text.push_str(&markdown::table("claim | what it says | paper | here | verdict", shown));
    for remark in judged.remarks() {
        writeln!(text, "\n{remark}")?;
    }
    let rest = judged.effects().filter(|decided| !is_shown(decided));
    let told = |decided: &Decided| format!("`{}` ({})", decided.claim.id, effect(&decided.row));
    let rest: Vec<String> = rest.map(told).collect();
    if !rest.is_empty() {
        writeln!(text, "\nNo harm or no difference beyond the margin: {}.", rest.join(", "))?;
    }
    Ok(())
}

/// Whether the paper does not make the claim.
fn is_beyond(claim: &Claim) -> bool {
    claim.id.starts_with("beyond-")
}

/// How many counts agree.
fn counts(judged: &Judged) -> String {
    let agree = judged.counts().filter(|decided| decided.row.verdict == "holds").count();
    let all = judged.counts().count();
    let others = match all - agree {
        0 => String::new(),
        others => format!(" and {others} do not (`results/README.md` has the reasons)"),
    };
    format!(
        "Of {all} counts (from the paper, from its code, or made by its code's rules), {agree} agree{others}."
    )
}

/// How many runs the figures lack, and how many of them are trained; empty where they lack none.
fn not_trained(figures: &[Shown]) -> String {
    let there = unique(judges(figures).flat_map(|f| f.listed("runs")).map(plain));
    let of = |figure: &'_ Shown| {
        let lacking =
            figure.missing().into_iter().map(|run| (figure.published(&run).is_some(), run));
        lacking.collect::<Vec<_>>()
    };
    // A figure that was drawn before another may lack what the other has.
    let missing = unique(judges(figures).flat_map(of));
    let missing: Vec<_> = missing.iter().filter(|(_, run)| !there.contains(run)).collect();
    let kept = missing.iter().filter(|(is_kept, _)| *is_kept).count();
    let drawn = match kept {
        0 => String::new(),
        1 => "; 1 more is trained but not yet in the figures".to_string(),
        kept => format!("; {kept} more are trained but not yet in the figures"),
    };
    match missing.len() {
        0 => String::new(),
        all => format!(
            "\nRuns of these figures not trained yet: {} of {}{drawn} (`results/README.md` names them).",
            all - kept,
            all + there.len()
        ),
    }
}

/// How far the figures that decide a claim are from the paper's scale.
fn scale(figures: &[Shown], judged: &Judged) -> Result<String> {
    let decides = |figure: &&Shown| {
        judged.effects().any(|decided| decided.figure.as_ref() == Some(&figure.name))
    };
    let judges = || judges(figures).filter(decides);
    let runs = unique(judges().map(|figure| {
        let epochs = figure.experiment.training.epochs as usize;
        format!("{}, {}", figure.experiment.dataset, plural(epochs, "epoch"))
    }));
    let mut shares: Vec<([String; 2], Vec<String>)> = Vec::new();
    for figure in judges() {
        let (own, name) = (overview::shares(figure)?, figure.place(figures));
        if own == ["-", "-"] {
            continue;
        }
        match shares.iter_mut().find(|(known, _)| *known == own) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => shares.push((own, vec![name])),
        }
    }
    let shares = shares
        .iter()
        .map(|([passes, cost], names)| format!("{passes} and {cost} ({})", names.join("; ")));
    let shares: Vec<String> = shares.collect();
    let runs = format!("Runs that are judged: {}.", runs.join("; "));
    if shares.is_empty() {
        return Ok(runs);
    }
    Ok(format!(
        "{runs} Their scale as shares of that of the `-paper` experiments, first images seen in training, then the cost of the largest MSDNet, ResNet or DenseNet: {}.",
        shares.join("; ")
    ))
}

/// Names the paper's figures of which effects are not measured yet, and how many of those that are
/// measured in part.
fn not_measured(all: &[Claim], judged: &Judged) -> String {
    let lacking = |kind: &Kind| {
        let own = |claims: &mut dyn Iterator<Item = &Claim>| {
            claims.filter(|c| c.figure == kind.figure && c.kind != claims::Kind::Exact).count()
        };
        let mut absent = judged.absent.iter().chain(judged.not_measurable.iter().map(|(c, _)| c));
        let (absent, all) = (own(&mut absent), own(&mut all.iter()));
        match all - absent {
            _ if absent == 0 => None,
            0 => Some(kind.in_the_paper.to_string()),
            _ => Some(format!("{absent} of {all} effects of {}", kind.in_the_paper)),
        }
    };
    let lacking: Vec<String> = KINDS.iter().filter_map(lacking).collect();
    match lacking.is_empty() {
        true => String::new(),
        false => format!("Not measured yet: {}.", lacking.join("; ")),
    }
}

fn judges(figures: &[Shown]) -> impl Iterator<Item = &Shown> {
    figures.iter().filter(|figure| figure.experiment.beside.is_none())
}

/// All but the harmless and the equal that hold as the paper has them.
fn is_shown(decided: &Decided) -> bool {
    let row = &decided.row;
    let papers_harm = row.paper.zip(row.margin).is_some_and(|(paper, margin)| paper > margin);
    let is_direction = decided.claim.kind == claims::Kind::Direction;
    is_direction || papers_harm || decided.verdict() != "holds"
}

/// The README with `text` between its markers; none where it has none.
pub(super) fn replace(readme: &str, text: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    // With the README's own line ends.
    let line_end = if rest.starts_with("\r\n") { "\r\n" } else { "\n" };
    let text = text.replace('\n', line_end);
    Some(format!("{before}{BEGIN}{line_end}{text}{END}{after}"))
}
