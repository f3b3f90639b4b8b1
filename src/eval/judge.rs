//! Judges the paper's claims on a figure's rows.
//!
//! Every rule comes down to quantities made of accuracies, each with a 95 % interval over seeds
//! and test images ([`statistics`](crate::eval::statistics)), and a bound: yes where the whole
//! interval is within it, no where it is all outside, undecided where it crosses. A rule about
//! several places holds where each does, and fails where one fails. A claim whose curves are not
//! among the rows is undecided, with the note "not in this experiment".
//!
//! Between points curves are straight, over the range that both cover. A curve of several
//! networks is their best at each x; where each of them is a single point, they are joined. Costs
//! count as exact.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::eval::claims::{Claim, ClaimFigure, Curves, Judgement, Measure, Range, Rule, Verdict};
use crate::eval::curve::bracket;
use crate::eval::statistics::{Estimate, Sample, Term, estimate};

/// A row of a figure's table, with the answers behind it where they are at hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The curve's label.
    pub curve: String,
    /// The network's own name.
    pub network: String,
    /// Its seed.
    pub seed: u64,
    /// Relative depth or multiply-adds.
    pub x: f64,
    /// Accuracy on test, 0 to 1.
    pub accuracy: f64,
    /// Test images; 0 = unknown.
    pub images: usize,
    /// Whether each test image was answered rightly.
    pub hits: Option<Arc<[bool]>>,
    /// What relative accuracy is relative to.
    pub reference: Option<Reference>,
}

/// The accuracy that another is relative to: same seed, same test images.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Accuracy on test, above 0.
    pub accuracy: f64,
    /// Whether each test image was answered rightly.
    pub hits: Option<Arc<[bool]>>,
}

/// Judges the claims of one figure, in their order.
pub fn judge(claims: &[Claim], figure: ClaimFigure, rows: &[Row]) -> Vec<Judgement> {
    let own = claims.iter().filter(|claim| claim.figure == figure);
    own.map(|claim| judge_claim(claim, rows)).collect()
}

/// Places at which two curves are compared at most; evenly picked where there are more.
const PLACES: usize = 200;

/// A quantity and where it should be.
struct Finding {
    what: String,
    estimate: Estimate,
    bound: Range,
}

/// Findings, or why there is none.
type Findings = Result<Vec<Finding>, String>;

fn judge_claim(claim: &Claim, rows: &[Row]) -> Judgement {
    let findings = match &claim.rule {
        Rule::Order { curves, below_depth, value } => order(rows, curves, *below_depth, *value),
        Rule::Loss { curve, depth, between } => at_own_positions(rows, curve, depth, between, loss),
        Rule::Level { curve, depth, value, between } => {
            at_own_positions(rows, curve, depth, between, |row| {
                Some((sample(row, *value)?, name(*value)))
            })
        }
        Rule::Rises { curve, value, by } => rises(rows, curve, *value, *by),
        Rule::Above { curve, others, range_fraction } => above(rows, curve, others, range_fraction),
        Rule::Cheaper { curve, than, cost_fraction, tolerance } => {
            cheaper(rows, curve, than, *cost_fraction, *tolerance)
        }
        Rule::Gain { curve, from_fraction, between } => gain(rows, curve, *from_fraction, between),
    };
    match findings {
        Ok(findings) if !findings.is_empty() => conclude(claim, &findings),
        Ok(_) => undecided(claim, "no place to measure it at in this experiment".to_owned()),
        Err(why) => undecided(claim, why),
    }
}

fn undecided(claim: &Claim, note: String) -> Judgement {
    Judgement {
        claim: claim.id.clone(),
        holds: Verdict::Undecided,
        measured: String::new(),
        expected: claim.expected.clone(),
        seeds: 0,
        note,
    }
}

/// The worst finding speaks for all.
fn conclude(claim: &Claim, findings: &[Finding]) -> Judgement {
    let severity = |finding: &Finding| match verdict(&finding.estimate, &finding.bound) {
        Verdict::No => 0,
        Verdict::Undecided => 1,
        Verdict::Yes => 2,
    };
    let slack = |finding: &Finding| {
        let value = finding.estimate.value;
        let below = finding.bound.at_least.map_or(f64::INFINITY, |low| value - low);
        let above = finding.bound.at_most.map_or(f64::INFINITY, |high| high - value);
        below.min(above)
    };
    let worst = findings
        .iter()
        .min_by(|a, b| severity(a).cmp(&severity(b)).then(slack(a).total_cmp(&slack(b))));
    let Some(worst) = worst else {
        return undecided(claim, String::new());
    };
    let Estimate { value, low, high, seeds, paired } = worst.estimate;
    let mut notes = Vec::new();
    if findings.len() > 1 {
        notes.push(format!("the worst of {} places", findings.len()));
    }
    if seeds == 1 {
        notes.push("one seed: the interval is of test images alone".to_owned());
    }
    if !paired {
        notes.push("test images not paired".to_owned());
    }
    Judgement {
        claim: claim.id.clone(),
        holds: verdict(&worst.estimate, &worst.bound),
        measured: format!("{}: {value:.4} [{low:.4}, {high:.4}]", worst.what),
        expected: claim.expected.clone(),
        seeds,
        note: notes.join("; "),
    }
}

/// Yes where the interval is within the bound, no where it is outside, undecided otherwise.
pub fn verdict(estimate: &Estimate, bound: &Range) -> Verdict {
    let (low, high) = (estimate.low, estimate.high);
    if bound.at_least.is_some_and(|limit| high < limit)
        || bound.at_most.is_some_and(|limit| low > limit)
    {
        Verdict::No
    } else if bound.at_least.is_none_or(|limit| low > limit)
        && bound.at_most.is_none_or(|limit| high < limit)
    {
        Verdict::Yes
    } else {
        Verdict::Undecided
    }
}

fn order(rows: &[Row], curves: &[Curves], below: f64, value: Measure) -> Findings {
    let mut findings = Vec::new();
    for pair in curves.windows(2) {
        let higher = select(rows, &pair[0])?;
        let lower = select(rows, &pair[1])?;
        let (name_a, name_b) = (&pair[0].0, &pair[1].0);
        let kept = |x: f64, _: f64, _: f64| x < below;
        findings.extend(differences(&higher, &lower, value, kept).map(|(x, estimate)| Finding {
            what: format!("{} of {name_a} minus {name_b} at depth {x:.3}", name(value)),
            estimate,
            bound: at_least(0.0),
        }));
    }
    Ok(findings)
}

fn above(rows: &[Row], curve: &Curves, others: &[Curves], fraction: &Range) -> Findings {
    let own = select(rows, curve)?;
    let mut findings = Vec::new();
    for other in others {
        for (label, lower) in by_label(&select(rows, other)?) {
            // A label that both patterns select is not compared with itself.
            let higher: Vec<&Row> = own.iter().copied().filter(|row| row.curve != label).collect();
            let kept = |x: f64, from: f64, to: f64| {
                to <= from || fraction.contains((x - from) / (to - from))
            };
            let found = differences(&higher, &lower, Measure::Accuracy, kept);
            findings.extend(found.map(|(x, estimate)| Finding {
                what: format!("{} minus {label} at {x:.3e} multiply-adds", curve.0),
                estimate,
                bound: at_least(0.0),
            }));
        }
    }
    Ok(findings)
}

fn at_own_positions<'a>(
    rows: &'a [Row],
    curve: &Curves,
    depth: &Range,
    between: &Range,
    measure: impl Fn(&'a Row) -> Option<(Sample<'a>, &'static str)>,
) -> Findings {
    let mut findings = Vec::new();
    for (label, own) in by_label(&select(rows, curve)?) {
        for x in places(own.iter().map(|row| row.x)).filter(|&x| depth.contains(x)) {
            let here = own.iter().filter(|row| row.x == x);
            let (samples, names): (Vec<_>, Vec<_>) = here.filter_map(|row| measure(row)).unzip();
            let (Some(estimate), Some(name)) = (estimate(&samples), names.first()) else {
                continue;
            };
            let what = format!("{name} of {label} at {x:.3}");
            findings.push(Finding { what, estimate, bound: *between });
        }
    }
    Ok(findings)
}

fn loss(row: &Row) -> Option<(Sample<'_>, &'static str)> {
    let kept = sample(row, Measure::RelativeAccuracy)?;
    Some((kept.subtracted_from(1.0), "1 - relative accuracy"))
}

fn rises(rows: &[Row], curve: &Curves, value: Measure, by: f64) -> Findings {
    let mut findings = Vec::new();
    for (label, own) in by_label(&select(rows, curve)?) {
        let rise = |seed| {
            let line = ascending(own.iter().copied().filter(|row| row.seed == seed).collect());
            let (first, last) = (line.first()?, line.last()?);
            (first.x < last.x).then_some(())?;
            Some(sample(last, value)?.minus(sample(first, value)?))
        };
        let samples: Vec<_> = seeds(&own).into_iter().filter_map(rise).collect();
        findings.extend(estimate(&samples).map(|estimate| Finding {
            what: format!("{} of {label}, last minus first", name(value)),
            estimate,
            bound: at_least(by),
        }));
    }
    Ok(findings)
}

fn cheaper(
    rows: &[Row],
    curve: &Curves,
    than: &Curves,
    cost_fraction: f64,
    tolerance: f64,
) -> Findings {
    let own = select(rows, curve)?;
    let mut findings = Vec::new();
    for (label, other) in by_label(&select(rows, than)?) {
        let difference = |seed| {
            let its = other.iter().filter(|row| row.seed == seed);
            let dearest = its.max_by(|a, b| a.x.total_cmp(&b.x))?;
            let here = at(&lines(&own, seed), Measure::Accuracy, cost_fraction * dearest.x)?;
            Some(here.minus(sample(dearest, Measure::Accuracy)?))
        };
        let samples: Vec<_> = seeds(&other).into_iter().filter_map(difference).collect();
        findings.extend(estimate(&samples).map(|estimate| Finding {
            what: format!("{} at {cost_fraction} of the cost, minus {label}", curve.0),
            estimate,
            bound: at_least(-tolerance),
        }));
    }
    Ok(findings)
}

fn gain(rows: &[Row], curve: &Curves, from_fraction: f64, between: &Range) -> Findings {
    let mut findings = Vec::new();
    for (label, own) in by_label(&select(rows, curve)?) {
        let gained = |seed| {
            let lines = lines(&own, seed);
            let (from, to) = extent(&lines)?;
            let start = at(&lines, Measure::Accuracy, from + from_fraction * (to - from))?;
            (from < to).then_some(at(&lines, Measure::Accuracy, to)?.minus(start))
        };
        let samples: Vec<_> = seeds(&own).into_iter().filter_map(gained).collect();
        findings.extend(estimate(&samples).map(|estimate| Finding {
            what: format!("accuracy that {label} gains"),
            estimate,
            bound: *between,
        }));
    }
    Ok(findings)
}

fn at_least(limit: f64) -> Range {
    Range { at_least: Some(limit), at_most: None }
}

fn name(value: Measure) -> &'static str {
    match value {
        Measure::Accuracy => "accuracy",
        Measure::RelativeAccuracy => "relative accuracy",
    }
}

/// Rows whose label is selected, or the note that there is none.
fn select<'a>(rows: &'a [Row], curves: &Curves) -> Result<Vec<&'a Row>, String> {
    let selected: Vec<&Row> = rows.iter().filter(|row| curves.matches(&row.curve)).collect();
    if selected.is_empty() {
        return Err(format!("not in this experiment: {}", curves.0));
    }
    Ok(selected)
}

fn by_label<'a>(rows: &[&'a Row]) -> BTreeMap<&'a str, Vec<&'a Row>> {
    let mut labels: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        labels.entry(&row.curve).or_default().push(row);
    }
    labels
}

fn seeds(rows: &[&Row]) -> Vec<u64> {
    let mut seeds: Vec<u64> = rows.iter().map(|row| row.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    seeds
}

/// The curves of a seed, each of ascending x: one a network, or all joined where every network is
/// a single point.
fn lines<'a>(rows: &[&'a Row], seed: u64) -> Vec<Vec<&'a Row>> {
    let mut networks: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.seed == seed) {
        networks.entry((&row.curve, &row.network)).or_default().push(row);
    }
    if networks.values().all(|line| line.len() == 1) {
        return vec![ascending(networks.into_values().flatten().collect())];
    }
    networks.into_values().map(ascending).collect()
}

fn ascending(mut line: Vec<&Row>) -> Vec<&Row> {
    line.sort_by(|a, b| a.x.total_cmp(&b.x));
    line
}

fn extent(lines: &[Vec<&Row>]) -> Option<(f64, f64)> {
    let all = || lines.iter().flatten().map(|row| row.x);
    Some((all().min_by(f64::total_cmp)?, all().max_by(f64::total_cmp)?))
}

/// First curve minus second at every point of either, within what both cover for every seed and
/// where `kept(x, from, to)` says so.
fn differences<'a>(
    first: &[&'a Row],
    second: &[&'a Row],
    value: Measure,
    kept: impl Fn(f64, f64, f64) -> bool,
) -> impl Iterator<Item = (f64, Estimate)> {
    let others = seeds(second);
    let common = seeds(first).into_iter().filter(|seed| others.contains(seed));
    let pairs: Vec<_> = common.map(|seed| (lines(first, seed), lines(second, seed))).collect();
    let extents = pairs.iter().flat_map(|(a, b)| [extent(a), extent(b)]).flatten();
    let (mut from, mut to) = (f64::NEG_INFINITY, f64::INFINITY);
    for extent in extents {
        (from, to) = (from.max(extent.0), to.min(extent.1));
    }
    let points = pairs.iter().flat_map(|(a, b)| a.iter().chain(b)).flatten().map(|row| row.x);
    let inside = places(points.chain([from, to]))
        .filter(|&x| x.is_finite() && x >= from && x <= to && kept(x, from, to))
        .collect();
    let difference = |x| {
        let of_seed = |(a, b): &(Vec<Vec<&'a Row>>, Vec<Vec<&'a Row>>)| {
            Some(at(a, value, x)?.minus(at(b, value, x)?))
        };
        let samples: Vec<_> = pairs.iter().filter_map(of_seed).collect();
        Some((x, estimate(&samples)?))
    };
    let found: Vec<_> = thinned(inside).into_iter().filter_map(difference).collect();
    found.into_iter()
}

/// Distinct x in ascending order.
fn places(xs: impl Iterator<Item = f64>) -> impl Iterator<Item = f64> {
    let mut xs: Vec<f64> = xs.collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    xs.into_iter()
}

fn thinned(places: Vec<f64>) -> Vec<f64> {
    if places.len() <= PLACES {
        return places;
    }
    let last = places.len() - 1;
    (0..PLACES).map(|i| places[i * last / (PLACES - 1)]).collect()
}

/// The best of the curves at `x`, by linear interpolation.
fn at<'a>(lines: &[Vec<&'a Row>], value: Measure, x: f64) -> Option<Sample<'a>> {
    let interpolated = lines.iter().filter_map(|line| {
        let (left, right, weight) = bracket(line, |row| row.x, x)?;
        let start = sample(line[left], value)?;
        if weight == 0.0 {
            return Some(start);
        }
        Some(start.scaled(1.0 - weight).plus(sample(line[right], value)?.scaled(weight)))
    });
    interpolated.max_by(|a, b| a.value.total_cmp(&b.value))
}

/// A row's accuracy, or its relative accuracy where there is a reference.
fn sample(row: &Row, value: Measure) -> Option<Sample<'_>> {
    let term = |gradient, accuracy, hits| Term { gradient, accuracy, images: row.images, hits };
    let hits = row.hits.as_deref();
    match value {
        Measure::Accuracy => {
            Some(Sample { value: row.accuracy, terms: vec![term(1.0, row.accuracy, hits)] })
        }
        Measure::RelativeAccuracy => {
            let reference = row.reference.as_ref()?;
            let relative = row.accuracy / reference.accuracy;
            let terms = vec![
                term(1.0 / reference.accuracy, row.accuracy, hits),
                term(-relative / reference.accuracy, reference.accuracy, reference.hits.as_deref()),
            ];
            Some(Sample { value: relative, terms })
        }
    }
}

impl Sample<'_> {
    fn scaled(mut self, factor: f64) -> Self {
        self.value *= factor;
        self.terms.iter_mut().for_each(|term| term.gradient *= factor);
        self
    }

    fn plus(mut self, other: Self) -> Self {
        self.value += other.value;
        self.terms.extend(other.terms);
        self
    }

    fn minus(self, other: Self) -> Self {
        self.plus(other.scaled(-1.0))
    }

    fn subtracted_from(self, constant: f64) -> Self {
        let mut negative = self.scaled(-1.0);
        negative.value += constant;
        negative
    }
}

#[cfg(test)]
mod tests;
