//! The rules about lines of accuracy by multiply-adds.

use std::collections::{BTreeMap, BTreeSet};

use super::leaving;
use super::lines::{Lines, Shape, crossings, distinct, mean_difference};
use super::{Finding, Findings, Row, seeds_left_out};
use crate::eval::claims::{Curves, Range, Rule};
use crate::eval::named::unique;
use crate::eval::statistics::{Sample, estimate};

/// The effect of a rule.
pub(super) fn find(rule: &Rule, rows: &[Row], papers: &[Row], shape: Shape) -> Findings {
    let plain = Curve { rows, shape };
    let papers = Curve { rows: papers, shape };
    match rule {
        Rule::MeanAbove { curve, others, range } => plain.against(curve, others, |pair| {
            let own = papers.one_of(pair.labels[0], std::slice::from_ref(curve));
            let papers = own.zip(papers.one_of(pair.labels[1], others));
            mean_above(pair, range, papers.as_ref())
        }),
        Rule::Below { curve, others } => plain.against(curve, others, below),
        Rule::AboveAtLowest { curve, others } => plain.against(curve, others, above_at_lowest),
        Rule::BelowAtEnd { curve, than } => {
            plain.against(curve, std::slice::from_ref(than), below_at_end)
        }
        Rule::BelowAtFraction { curve, than, fraction } => {
            plain.against(curve, std::slice::from_ref(than), |pair| {
                below_at_fraction(pair, *fraction)
            })
        }
        Rule::Gain { curve, from } => plain.gain(curve, *from),
        Rule::Averaged { curve } => averaged(rows, curve),
        Rule::EasierFirst { curve, ratio } => leaving::easier_first(rows, curve, *ratio),
        Rule::GainOfStaying { curve, ratio } => leaving::gain_of_staying(rows, curve, *ratio),
        Rule::Loss { .. } | Rule::KeepsMore { .. } | Rule::Count(_) => {
            Err("the rule is not about lines of accuracy by multiply-adds".to_owned())
        }
    }
}

struct Curve<'a> {
    rows: &'a [Row],
    shape: Shape,
}

/// Two curves, seed by seed, for the seeds that both have.
struct Pair<'a> {
    labels: [&'a str; 2],
    seeds: Vec<(Lines<'a>, Lines<'a>)>,
}

/// Notes what is left out with the first finding.
fn noted(mut findings: Vec<Finding>, left_out: String) -> Vec<Finding> {
    if let Some(finding) = findings.first_mut().filter(|_| !left_out.is_empty()) {
        finding.left_out = left_out;
    }
    findings
}

impl<'a> Curve<'a> {
    /// The rows of single exits.
    fn rows(&self) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(|row| !row.averaged)
    }

    fn labels(&self, curves: &Curves) -> Vec<&'a str> {
        unique(self.rows().map(|row| &*row.curve).filter(|label| curves.matches(label)))
    }

    /// Its lines by seed, in ascending order of the seeds.
    fn lines(&self, label: &str) -> Result<Vec<(u64, Lines<'a>)>, String> {
        let mut seeds: BTreeMap<u64, Vec<&Row>> = BTreeMap::new();
        for row in self.rows().filter(|row| row.curve == label) {
            seeds.entry(row.seed).or_default().push(row);
        }
        let of_seed = |(seed, rows)| Ok((seed, Lines::of(rows, self.shape)?));
        seeds.into_iter().map(of_seed).collect()
    }

    /// The line that stands for a label of other results: that label's own, or else the only one that
    /// the same selections have here.
    fn one_of(&self, label: &str, selected: &[Curves]) -> Option<Lines<'a>> {
        let labels = unique(selected.iter().flat_map(|curves| self.labels(curves)));
        let own = labels.iter().find(|own| **own == label);
        let only = || labels.first().filter(|_| labels.len() == 1);
        Some(self.lines(own.or_else(only)?).ok()?.pop()?.1)
    }

    /// The findings of every pair of a selected curve and another.
    fn against(
        &self,
        curve: &Curves,
        others: &[Curves],
        measure: impl Fn(&Pair<'a>) -> Findings,
    ) -> Findings {
        let mut findings = Vec::new();
        for label in self.labels(curve) {
            for other in others.iter().flat_map(|other| self.labels(other)) {
                if label == other {
                    continue;
                }
                let mut theirs = self.lines(other)?;
                let (mut seeds, mut alone) = (Vec::new(), Vec::new());
                for (seed, own) in self.lines(label)? {
                    match theirs.iter().position(|(s, _)| *s == seed) {
                        Some(at) => seeds.push((own, theirs.swap_remove(at).1)),
                        None => alone.push(seed),
                    }
                }
                alone.extend(theirs.iter().map(|(seed, _)| seed));
                alone.sort_unstable();
                let pair = Pair { labels: [label, other], seeds };
                if pair.seeds.is_empty() {
                    return pair.none("no seed that both have");
                }
                let left_out = seeds_left_out(&alone, "one side lacks it");
                findings.extend(noted(measure(&pair)?, left_out));
            }
        }
        Ok(findings)
    }

    fn gain(&self, curve: &Curves, part: f64) -> Findings {
        let mut findings = Vec::new();
        for label in self.labels(curve) {
            let lines = self.lines(label)?;
            if lines.iter().any(|(_, line)| line.begun() >= line.end()) {
                return Err(format!("{label}: a line of one point has no range of budgets"));
            }
            let gained = |(_, line): &(u64, Lines<'a>)| {
                let (from, to) = (line.begun(), line.end());
                Some(line.at(to)?.minus(line.at(from + part * (to - from))?))
            };
            findings.push(finding(label.to_owned(), lines.iter().map(gained))?);
        }
        Ok(findings)
    }
}

impl Pair<'_> {
    /// From where every network of both sides has begun, in every seed, to where the earlier of the two
    /// sides ends in any seed.
    fn common(&self) -> (f64, f64) {
        let from = self.seeds.iter().map(|(a, b)| a.begun().max(b.begun()));
        let to = self.seeds.iter().map(|(a, b)| a.end().min(b.end()));
        (from.fold(f64::NEG_INFINITY, f64::max), to.fold(f64::INFINITY, f64::min))
    }

    fn names(&self) -> String {
        self.labels.join(" against ")
    }

    fn place(&self, x: f64) -> String {
        format!("{} at {x:.4e} multiply-adds", self.names())
    }

    fn none(&self, why: &str) -> Findings {
        Err(format!("{}: {why}", self.names()))
    }
}

/// The estimate over the seeds' samples, where every seed has one.
fn finding<'a>(
    place: String,
    samples: impl Iterator<Item = Option<Sample<'a>>>,
) -> Result<Finding, String> {
    let samples: Option<Vec<Sample>> = samples.collect();
    match samples.and_then(|samples| estimate(&samples)) {
        Some(estimate) => Ok(Finding { place, estimate, left_out: String::new() }),
        None => Err(format!("{place}: a curve has not begun there")),
    }
}

fn mean_above(pair: &Pair, range: &Range, papers: Option<&(Lines, Lines)>) -> Findings {
    let (from, to) = pair.common();
    let part = |fraction: f64| from + fraction * (to - from);
    let ends = (part(range.at_least.unwrap_or(0.0)), part(range.at_most.unwrap_or(1.0)));
    if ends.0 >= ends.1 {
        return pair.none("no range of budgets that both cover");
    }
    let samples = pair.seeds.iter().map(|(own, its)| mean_difference(own, its, ends));
    let there = papers.and_then(|papers| papers_mean(papers, ends)).unwrap_or_default();
    let place = format!("{}, mean from {:.4e} to {:.4e}{there}", pair.names(), ends.0, ends.1);
    Ok(vec![finding(place, samples)?])
}

/// The same mean of the paper's curves, as far as both have begun, for people: the paper's own is over
/// another range.
fn papers_mean((own, its): &(Lines, Lines), (from, to): (f64, f64)) -> Option<String> {
    let begun = own.begun().max(its.begun());
    let mean = mean_difference(own, its, (from.max(begun), to)).filter(|_| begun < to)?;
    let since = if begun > from { format!("from {begun:.4e} on") } else { "there".to_owned() };
    Some(format!(", of the paper's curves {since} {:.1} points", 100.0 * mean.value))
}

/// How far beside a crossing a line is read, as a share of the multiply-adds there.
const SIDE: f64 = 1e-6;

/// What is missing at every point of either curve, and where one goes on with another network.
fn below(pair: &Pair) -> Findings {
    let (from, _) = pair.common();
    let points = pair.seeds.iter().flat_map(|(own, its)| own.xs().chain(its.xs()));
    let points = distinct(points.filter(|&x| x >= from).chain([from]));
    let crossings = pair.seeds.iter().flat_map(|(own, its)| crossings([own, its], &points));
    // There a line jumps from one network to another: both of its sides count.
    let sides = crossings.flat_map(|x| [x * (1.0 - SIDE), x * (1.0 + SIDE)]);
    let all = distinct(sides.filter(|&x| x >= from).chain(points.iter().copied()));
    let missing = |x| {
        let samples = pair.seeds.iter().map(|(own, its)| Some(its.at(x)?.minus(own.at(x)?)));
        finding(pair.place(x), samples)
    };
    all.into_iter().map(missing).collect()
}

fn above_at_lowest(pair: &Pair) -> Findings {
    let (x, _) = pair.common();
    let samples = pair.seeds.iter().map(|(own, its)| Some(own.at(x)?.minus(its.at(x)?)));
    Ok(vec![finding(pair.place(x), samples)?])
}

fn below_at_end(pair: &Pair) -> Findings {
    let missing = |(own, its): &(Lines<'_>, Lines<'_>)| {
        let x = own.end();
        (x >= its.begun()).then_some(x)
    };
    let Some(ends) = pair.seeds.iter().map(missing).collect::<Option<Vec<f64>>>() else {
        return pair.none("the other curve begins beyond the end");
    };
    let samples =
        pair.seeds.iter().zip(&ends).map(|((own, its), &x)| Some(its.at(x)?.minus(own.at(x)?)));
    Ok(vec![finding(pair.place(ends[0]), samples)?])
}

fn below_at_fraction(pair: &Pair, fraction: f64) -> Findings {
    let place = |its: &Lines| fraction * its.end();
    if let Some((own, its)) = pair.seeds.iter().find(|(own, its)| place(its) < own.begun()) {
        let (x, begun) = (place(its), own.begun());
        return pair.none(&format!(
            "{fraction} of the dearest costs {x:.4e} multiply-adds, and the curve begins at {begun:.4e}"
        ));
    }
    let samples =
        pair.seeds.iter().map(|(own, its)| Some(its.at(its.end())?.minus(own.at(place(its))?)));
    Ok(vec![finding(pair.place(place(&pair.seeds[0].1)), samples)?])
}

/// At the last exit of each selected network.
fn averaged(rows: &[Row], curve: &Curves) -> Findings {
    let of = |network: &str, averaged: bool| {
        let own = rows.iter().filter(|row| row.network == network && row.averaged == averaged);
        own.collect::<Vec<_>>()
    };
    let names = rows.iter().filter(|row| row.averaged).map(|row| row.network.as_str());
    let networks = unique(names.filter(|name| curve.matches(name)));
    if networks.is_empty() {
        return Err("no network has a curve of averaged exits".to_owned());
    }
    let of_network = |network: &str| {
        let (means, singles) = (of(network, true), of(network, false));
        let seeds: BTreeSet<u64> = means.iter().map(|row| row.seed).collect();
        let samples =
            seeds.iter().map(|&seed| Some(dearest(&means, seed)?.minus(dearest(&singles, seed)?)));
        finding(format!("{network} at its last exit"), samples)
    };
    networks.into_iter().map(of_network).collect()
}

/// The dearest of the rows of a seed.
fn dearest<'a>(rows: &[&'a Row], seed: u64) -> Option<Sample<'a>> {
    let own = rows.iter().copied().filter(|row| row.seed == seed);
    own.max_by(|a, b| a.x.total_cmp(&b.x)).map(plain)
}

fn plain(row: &Row) -> Sample<'_> {
    Sample { value: row.answered.accuracy, terms: vec![row.answered.term(1.0)] }
}
