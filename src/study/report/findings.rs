//! The findings that a README shows between its markers.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::cell;
use super::claims::{Decided, Judged, effect, papers_and_margin, verdict};
use super::load::Shown;
use crate::eval::claims::{self, Kind};
use crate::eval::named::unique;
use crate::experiment::claims_yaml;
use crate::results::markdown;

const BEGIN: &str = "<!-- findings -->\n";
const END: &str = "<!-- /findings -->";

/// What intervals are.
pub(super) const INTERVALS: &str = "Intervals are of 95 % over seeds and test images. Where a side has one seed, its \
     part covers test images alone, and the interval is too narrow.";

/// What is shown of a verdict in a sentence about effects.
const VERDICTS: [(&str, &str); 5] = [
    ("holds", "hold"),
    ("fails", "fail"),
    ("no-effect", "show no effect as large as their margin"),
    ("too-few-seeds", "are undecided"),
    ("", "have fewer than three seeds and no verdict"),
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
    let all = claims::parse(claims_yaml()).context("claims.yaml")?;
    let all = all.iter().filter(|claim| claim.kind != Kind::Exact).count();
    let of = |verdict: &str| judged.effects().filter(|d| d.row.verdict == verdict).count();
    let parts = VERDICTS.iter().map(|(verdict, words)| (of(verdict), words));
    let parts: Vec<String> = parts
        .filter(|(count, words)| *count > 0 || matches!(**words, "hold" | "fail"))
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    writeln!(
        text,
        "Of {all} effects, {measured} are measured so far: {}.\n{}{}\n\
         {INTERVALS}\n\
         Verdicts on effects are about networks of this size and this length of training. `ln` is a difference of\n\
         logarithms of accuracies: 0.065 ln is 6.3 % of the accuracy.\n\
         The table has the directions that are not undecided, and every other effect that fails.\n",
        parts.join(", "),
        counts(judged),
        not_trained(figures),
    )?;
    let rows = judged.effects().filter(|decided| is_shown(decided)).map(|decided| {
        let [paper, _] = papers_and_margin(&decided.row);
        [cell(&decided.claim.text), paper, effect(&decided.row), verdict(&decided.row)]
    });
    text.push_str(&markdown::table("the paper says | paper | here | verdict", rows));
    Ok(text)
}

/// How many counts agree.
fn counts(judged: &Judged) -> String {
    let agree = judged.counts().filter(|decided| decided.row.verdict == "holds").count();
    let all = judged.counts().count();
    let others =
        if agree < all { " (`results/README.md` has the others, with reasons)" } else { "" };
    format!("Of {all} counts of the paper or its code {agree} agree{others}.")
}

/// Names what the figures lack; empty where they lack nothing.
fn not_trained(figures: &[Shown]) -> String {
    let own = figures.iter().filter(|figure| figure.experiment.beside.is_none());
    let lacking = unique(own.map(Shown::not_trained).filter(|text| !text.is_empty()));
    match lacking.is_empty() {
        true => String::new(),
        false => format!("\nNot trained yet: {}.", lacking.join(", ")),
    }
}

/// Directions that are decided or still below three seeds, and whatever fails.
fn is_shown(decided: &Decided) -> bool {
    let verdict = decided.row.verdict.as_str();
    let is_direction = decided.claim.kind == Kind::Direction;
    verdict == "fails" || (is_direction && matches!(verdict, "holds" | "no-effect" | ""))
}

/// The README with `text` between its markers; none where it has none.
pub(super) fn replace(readme: &str, text: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{text}{END}{after}"))
}
