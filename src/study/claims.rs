//! The paper's claims for a figure, judged on its rows.

use std::fmt::Write;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::standing;
use crate::cost;
use crate::data::Dataset;
use crate::eval::claims::{self, Claim, Count, Counted, Kind, Rule, Unit};
use crate::eval::judge::pooled::PositionLoss;
use crate::eval::judge::{Judgement, Measured, Row, Verdict, judge, judge_exact};
use crate::experiment::{Figure, Plan, claims_yaml, load};
use crate::results::tables::Table;
use crate::runs::data::input_of;

/// Judges the claims of `figure` on what it measured, beside the points of the paper's curves.
/// Of other data than the paper's nothing is relative to the paper's effects.
pub fn judgements(
    figure: Figure,
    dataset: &Dataset,
    measured: &Measured,
    papers: &[Row],
) -> Result<Vec<Judgement>> {
    let mut claims = claims::parse(claims_yaml())?;
    let mut judged = judge(&claims, figure, measured, papers);
    if *dataset == PAPERS_DATA {
        return Ok(judged);
    }
    claims.iter_mut().for_each(|claim| claim.paper = None);
    note_other_data(&mut judged, &judge(&claims, figure, measured, papers));
    Ok(judged)
}

/// Takes the verdicts away where claims are judged by another experiment and here only measured.
pub fn leave_to(judge: &str, judgements: &mut [Judgement]) {
    for judgement in judgements.iter_mut().filter(|j| j.verdict != Some(Verdict::NotMeasurable)) {
        judgement.verdict = None;
        judgement.magnitude = None;
        standing::note(judgement, &format!("judged by {judge}"));
    }
}

/// The data set that the paper's effects in `claims.yaml` are of.
pub const PAPERS_DATA: Dataset = Dataset::Cifar100;

/// Takes away what is relative to the paper's effects; `alone` are the judgements without them.
fn note_other_data(judgements: &mut [Judgement], alone: &[Judgement]) {
    for (judgement, alone) in judgements.iter_mut().zip(alone).filter(|(j, _)| j.paper.is_some()) {
        (judgement.magnitude, judgement.ratio) = (None, None);
        judgement.needed = alone.needed;
        standing::note(judgement, &format!("the paper's value is of {PAPERS_DATA}"));
    }
}

/// Judges the exact claims, which need no run.
pub fn exact_judgements() -> Result<Vec<Judgement>> {
    let claims = claims::parse(claims_yaml())?;
    let exact = claims.iter().filter(|claim| claim.kind == Kind::Exact);
    let judged = |claim: &Claim| {
        let Rule::Count(count) = &claim.rule else {
            bail!("its rule counts nothing");
        };
        Ok(judge_exact(claim, &counts(count)?))
    };
    exact.map(|claim| judged(claim).with_context(|| format!("claim `{}`", claim.id))).collect()
}

/// The counts in the order of the networks and, where every exit counts, of their exits.
fn counts(count: &Count) -> Result<Vec<f64>> {
    let (_, experiment) = load(&count.experiment, &[])?;
    let input = input_of(&experiment.dataset)?;
    let plan = Plan::new(&experiment, input, experiment.validation.unwrap_or(0))?;
    let mut counts = Vec::new();
    for name in &count.networks {
        let found = plan.networks.iter().find(|network| network.name == *name);
        let found = found.with_context(|| format!("{} has no network {name}", count.experiment))?;
        let network = found.config.build(input)?;
        let costs = cost::table(&network);
        let from = if count.every_exit { 0 } else { costs.len() - 1 };
        counts.extend((from..costs.len()).map(|exit| match count.column {
            Counted::MultiplyAdds => costs[exit].multiply_adds as f64,
            Counted::Parameters => costs[exit].parameters as f64,
            Counted::Operations => cost::port_operations(&network, exit) as f64,
        }));
    }
    Ok(counts)
}

/// The judgements as `claims.csv` has them.
pub fn table(judgements: &[Judgement]) -> Table {
    let each = || judgements.iter();
    Table::default()
        .text("claim", each().map(|j| &j.claim))
        .text("verdict", each().map(|j| verdict(j)))
        .text("magnitude", each().map(|j| j.magnitude.map_or("", |m| m.name())))
        .optional("value", each().map(|j| j.effect.map(|e| e.value)))
        .optional("low", each().map(|j| j.effect.map(|e| e.low)))
        .optional("high", each().map(|j| j.effect.map(|e| e.high)))
        .text("unit", each().map(|j| j.unit.map_or("", Unit::name)))
        .optional("margin", each().map(|j| j.margin))
        .optional("paper", each().map(|j| j.paper))
        .optional("ratio", each().map(|j| j.ratio.map(|r| r.value)))
        .optional("ratio_low", each().map(|j| j.ratio.map(|r| r.low)))
        .optional("ratio_high", each().map(|j| j.ratio.map(|r| r.high)))
        .count("seeds", each().map(|j| j.seeds as u64))
        .text("needed", each().map(needed))
        .count("places", each().map(|j| j.places as u64))
        .text("note", each().map(|j| &j.note))
}

fn verdict(judgement: &Judgement) -> &'static str {
    judgement.verdict.map_or("", Verdict::name)
}

fn needed(judgement: &Judgement) -> String {
    judgement.needed.map_or(String::new(), |needed| needed.to_string())
}

/// The loss at each position of Fig. 3, pointwise and without a verdict, as `positions.csv` has it.
pub fn positions_table(losses: &[PositionLoss]) -> Table {
    let intervals: Vec<_> = losses.iter().map(|loss| loss.estimate.interval(0.95)).collect();
    Table::default()
        .text("curve", losses.iter().map(|loss| &loss.curve))
        .number("relative_depth", losses.iter().map(|loss| loss.depth))
        .text("reference", losses.iter().map(|loss| loss.reference))
        .number("loss", losses.iter().map(|loss| loss.estimate.value))
        .number("low", intervals.iter().map(|interval| interval.0))
        .number("high", intervals.iter().map(|interval| interval.1))
        .count("seeds", losses.iter().map(|loss| loss.estimate.seeds as u64))
}

/// The judgements as `--json` prints them.
pub fn json_of(judgements: &[Judgement]) -> Value {
    let one = |j: &Judgement| {
        json!({
            "claim": j.claim, "verdict": verdict(j), "magnitude": j.magnitude.map(|m| m.name()),
            "value": j.effect.map(|e| e.value), "low": j.effect.map(|e| e.low),
            "high": j.effect.map(|e| e.high), "unit": j.unit.map(Unit::name),
            "margin": j.margin, "paper": j.paper, "ratio": j.ratio.map(|r| r.value),
            "seeds": j.seeds, "needed": needed(j), "places": j.places, "note": j.note,
        })
    };
    judgements.iter().map(one).collect()
}

/// The judgements for a person at a terminal; those that cannot be measured are one line.
pub fn describe(judgements: &[Judgement]) -> String {
    let (absent, shown): (Vec<&Judgement>, Vec<&Judgement>) =
        judgements.iter().partition(|j| j.verdict == Some(Verdict::NotMeasurable));
    let mut text = String::new();
    if !shown.is_empty() {
        let width = shown.iter().map(|j| j.claim.len()).max().unwrap_or(5);
        let _ = writeln!(
            text,
            "{:width$}  {:13}  {:>7}  {:>18}  {:>8}  {:8}  seeds  needed",
            "claim", "verdict", "effect", "95 % interval", "paper", "unit"
        );
        for j in &shown {
            let number = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{x:.4}"));
            let interval =
                j.effect.map_or(String::new(), |e| format!("[{:.4}, {:.4}]", e.low, e.high));
            let _ = writeln!(
                text,
                "{:width$}  {:13}  {:>7}  {interval:>18}  {:>8}  {:8}  {:5}  {}",
                j.claim,
                if verdict(j).is_empty() { "-" } else { verdict(j) },
                number(j.effect.map(|e| e.value)),
                number(j.paper),
                j.unit.map_or("", Unit::name),
                j.seeds,
                needed(j)
            );
        }
    }
    let few = shown.iter().filter(|j| j.seeds < 3).map(|j| j.claim.as_str());
    let few: Vec<&str> = few.collect();
    if !few.is_empty() {
        let which = if few.len() == shown.len() {
            String::new()
        } else {
            format!(" on {}", few.join(", "))
        };
        let _ = writeln!(text, "fewer than three seeds: no verdict{which}");
    }
    if !absent.is_empty() {
        let names: Vec<&str> = absent.iter().map(|j| j.claim.as_str()).collect();
        let _ = writeln!(text, "not measurable (claims.csv says why): {}", names.join(", "));
    }
    text
}

/// The claims that fail, by name.
pub fn failed(judgements: &[Judgement]) -> Vec<&str> {
    let failed = judgements.iter().filter(|j| j.verdict == Some(Verdict::Fails));
    failed.map(|j| j.claim.as_str()).collect()
}

#[cfg(test)]
mod tests;
