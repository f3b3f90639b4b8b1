//! From the effect at each place to a verdict, its size beside the paper's, and the seeds that it
//! would take.
//!
//! | kind | holds | fails | else |
//! | --- | --- | --- | --- |
//! | direction | 95 % interval above 0 | below 0 | no-effect if the 90 % interval lies within the margin, else too-few-seeds |
//! | harmless | 95 % interval below the margin | above it | too-few-seeds |
//! | equal | 90 % interval within the margin | 95 % interval outside | too-few-seeds |
//! | exact | equal | not | |
//!
//! Of several places each must hold; one fails where its interval of level 1 - .05 / places lies
//! outside. Below three seeds there is no verdict.

use std::fmt;

use super::{Finding, Findings};
use crate::eval::claims::{Claim, Kind, Paper, Rule, Unit};
use crate::eval::named::unique;
use crate::eval::statistics::{Estimate, student};
use crate::named;

/// The note of a claim that was made when runs of one side had been seen.
pub const EXPLORATORY: &str = "exploratory";
/// Fewer seeds give no verdict.
const SEEDS_OF_A_VERDICT: usize = 3;
/// The most seeds that are asked for.
const MOST_SEEDS: usize = 1000;

/// What follows for a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// The effect is smaller than the margin.
    NoEffect,
    /// The interval is too wide to tell.
    TooFewSeeds,
    /// The curves are there, but no place to compare them at.
    NotMeasurable,
}

named! { Verdict, "verdict":
    Holds = "holds", Fails = "fails", NoEffect = "no-effect", TooFewSeeds = "too-few-seeds",
    NotMeasurable = "not-measurable",
}

/// The effect beside the paper's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Magnitude {
    /// The interval of their ratio contains 1 and not 0.
    AsPaper,
    /// It is below 1 and not below 0.
    Smaller,
    /// It is above 1.
    Larger,
    /// It is below 0.
    Opposite,
}

named! { Magnitude, "size":
    AsPaper = "as-paper", Smaller = "smaller", Larger = "larger", Opposite = "opposite",
}

impl Magnitude {
    fn of(low: f64, high: f64) -> Option<Magnitude> {
        match () {
            () if high < 0.0 => Some(Magnitude::Opposite),
            () if low > 1.0 => Some(Magnitude::Larger),
            () if high < 1.0 => Some(Magnitude::Smaller),
            () if low > 0.0 => Some(Magnitude::AsPaper),
            () => None,
        }
    }
}

/// Seeds that a verdict would take, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needed {
    /// This number.
    Seeds(usize),
    /// More than a thousand.
    TooMany,
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Needed::Seeds(seeds) => write!(f, "{seeds}"),
            Needed::TooMany => write!(f, ">{MOST_SEEDS}"),
        }
    }
}

/// A value with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The value.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A row of `claims.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The claim's id.
    pub claim: String,
    /// What follows; none below three seeds.
    pub verdict: Option<Verdict>,
    /// Its size beside the paper's.
    pub magnitude: Option<Magnitude>,
    /// The effect at the place that is nearest to the bound, pointwise; an exact claim's number has
    /// no interval.
    pub effect: Option<Spread>,
    /// Unit of effect, margin and paper.
    pub unit: Option<Unit>,
    /// How large an effect counts as none.
    pub margin: Option<f64>,
    /// The paper's effect.
    pub paper: Option<f64>,
    /// Effect by the paper's.
    pub ratio: Option<Spread>,
    /// Seeds behind it.
    pub seeds: usize,
    /// Seeds that a verdict would take.
    pub needed: Option<Needed>,
    /// Places at which it was measured.
    pub places: usize,
    /// What to keep in mind.
    pub note: String,
}

impl Judgement {
    fn of(claim: &Claim) -> Judgement {
        Judgement {
            claim: claim.id.clone(),
            verdict: None,
            magnitude: None,
            effect: None,
            unit: claim.unit,
            margin: claim.margin,
            paper: claim.paper_effect(),
            ratio: None,
            seeds: 0,
            needed: None,
            places: 0,
            note: String::new(),
        }
    }
}

/// The judgement of a claim on what was found.
pub(crate) fn conclude(claim: &Claim, findings: Findings) -> Judgement {
    let none =
        |note| Judgement { verdict: Some(Verdict::NotMeasurable), note, ..Judgement::of(claim) };
    let findings = match findings {
        Ok(findings) => findings,
        Err(why) => return none(why),
    };
    // A parsed claim has a margin.
    let bound = Bound { kind: claim.kind, margin: claim.margin.unwrap_or(f64::NAN) };
    let Some(nearest) = bound.nearest(&findings) else {
        return none("no place to measure it at".to_owned());
    };
    let estimate = &nearest.estimate;
    let (low, high) = estimate.interval(0.95);
    let effect = Spread { value: estimate.value, low, high };
    let seeds = findings.iter().map(|finding| finding.estimate.seeds).min().unwrap_or(0);
    let ratio = ratio(claim, effect);
    let judged = seeds >= SEEDS_OF_A_VERDICT;
    Judgement {
        verdict: judged.then(|| bound.verdict(&findings)),
        magnitude: ratio.filter(|_| judged).and_then(|r| Magnitude::of(r.low, r.high)),
        effect: Some(effect),
        ratio,
        seeds,
        needed: most_needed(claim, &bound, &findings),
        places: findings.len(),
        note: note(claim, &findings, nearest, seeds),
        ..Judgement::of(claim)
    }
}

fn note(claim: &Claim, findings: &[Finding], nearest: &Finding, seeds: usize) -> String {
    let mut notes = Vec::new();
    if claim.exploratory {
        notes.push(EXPLORATORY.to_owned());
    }
    match seeds {
        1 => notes.push("one seed: no verdict".to_owned()),
        2 => notes.push("two seeds: no verdict".to_owned()),
        _ => {}
    }
    match findings.len() {
        1 => notes.push(nearest.place.clone()),
        places => notes.push(format!("pointwise, of {places} places: {}", nearest.place)),
    }
    let left_out = findings.iter().map(|finding| finding.left_out.clone());
    notes.extend(unique(left_out.filter(|what| !what.is_empty())));
    if !nearest.estimate.paired {
        notes.push("images' noise binomial: no answers image by image".to_owned());
    }
    notes.join("; ")
}

/// Effect by the paper's, whose value counts as exact; none where the paper's effect is smaller than
/// the margin, and for equal.
fn ratio(claim: &Claim, effect: Spread) -> Option<Spread> {
    let paper = claim.paper_effect()?;
    let counts = matches!(claim.kind, Kind::Direction | Kind::Harmless);
    let margin = claim.margin.unwrap_or(f64::INFINITY);
    (counts && paper.abs() >= margin).then(|| {
        let ends = (effect.low / paper, effect.high / paper);
        Spread { value: effect.value / paper, low: ends.0.min(ends.1), high: ends.0.max(ends.1) }
    })
}

/// What a kind asks of an effect.
struct Bound {
    kind: Kind,
    margin: f64,
}

impl Bound {
    fn verdict(&self, findings: &[Finding]) -> Verdict {
        let level = 1.0 - 0.05 / findings.len() as f64;
        let all = |is_so: &dyn Fn(&Estimate) -> bool| findings.iter().all(|f| is_so(&f.estimate));
        if all(&|estimate| self.holds(estimate)) {
            Verdict::Holds
        } else if findings.iter().any(|finding| self.fails(&finding.estimate, level)) {
            Verdict::Fails
        } else if self.kind == Kind::Direction && all(&|estimate| self.is_none(estimate)) {
            Verdict::NoEffect
        } else {
            Verdict::TooFewSeeds
        }
    }

    fn holds(&self, estimate: &Estimate) -> bool {
        let (low, high) = estimate.interval(0.95);
        match self.kind {
            Kind::Direction => low > 0.0,
            Kind::Harmless => high < self.margin,
            Kind::Equal => self.is_none(estimate),
            Kind::Exact => false,
        }
    }

    fn fails(&self, estimate: &Estimate, level: f64) -> bool {
        let (low, high) = estimate.interval(level);
        match self.kind {
            Kind::Direction => high < 0.0,
            Kind::Harmless => low > self.margin,
            Kind::Equal => low > self.margin || high < -self.margin,
            Kind::Exact => false,
        }
    }

    /// Whether the 90 % interval lies within the margin.
    fn is_none(&self, estimate: &Estimate) -> bool {
        let (low, high) = estimate.interval(0.90);
        low > -self.margin && high < self.margin
    }

    /// How far within the bound the value is; below 0 beyond it.
    fn slack(&self, estimate: &Estimate) -> f64 {
        match self.kind {
            Kind::Direction => estimate.value,
            Kind::Harmless => self.margin - estimate.value,
            Kind::Equal | Kind::Exact => self.margin - estimate.value.abs(),
        }
    }

    /// The place nearest to the bound: of those that fail, else of those that do not hold, else of
    /// all.
    fn nearest<'f>(&self, findings: &'f [Finding]) -> Option<&'f Finding> {
        let level = 1.0 - 0.05 / findings.len() as f64;
        let rank = |finding: &Finding| {
            if self.fails(&finding.estimate, level) {
                0
            } else {
                1 + u8::from(self.holds(&finding.estimate))
            }
        };
        let ranked = findings.iter().map(|finding| (rank(finding), finding));
        let nearest = ranked.min_by(|(a, x), (b, y)| {
            let (x, y) = (self.slack(&x.estimate), self.slack(&y.estimate));
            a.cmp(b).then(x.total_cmp(&y))
        });
        nearest.map(|(_, finding)| finding)
    }
}

/// The most seeds that any place needs, since each must hold.
fn most_needed(claim: &Claim, bound: &Bound, findings: &[Finding]) -> Option<Needed> {
    findings.iter().filter_map(|finding| needed(claim, bound, &finding.estimate)).max()
}

/// The smallest number of seeds with which the verdict would come in four of five cases, were the
/// effect the paper's; none below two seeds, whose noise is not known.
fn needed(claim: &Claim, bound: &Bound, estimate: &Estimate) -> Option<Needed> {
    if estimate.seeds < 2 {
        return None;
    }
    let margin = bound.margin;
    let delta = match (claim.kind, claim.paper_effect()) {
        (_, None) => margin,
        (Kind::Direction, Some(paper)) => paper.abs(),
        (Kind::Harmless, Some(paper)) => margin - paper,
        (_, Some(paper)) => margin - paper.abs(),
    };
    let p = if claim.kind == Kind::Equal { 0.95 } else { 0.975 };
    let enough = |seeds: usize| {
        let then = estimate.with_seeds(seeds);
        let freedom = then.freedom();
        let error = (then.seed_variance() + then.image_variance).sqrt();
        delta >= (student(p, freedom) + student(0.8, freedom)) * error
    };
    if delta <= 0.0 || !enough(MOST_SEEDS) {
        return Some(Needed::TooMany);
    }
    // More seeds than enough are enough as well.
    let (mut fewest, mut most) = (SEEDS_OF_A_VERDICT, MOST_SEEDS);
    while fewest < most {
        let middle = usize::midpoint(fewest, most);
        (fewest, most) = if enough(middle) { (fewest, middle) } else { (middle + 1, most) };
    }
    Some(Needed::Seeds(fewest))
}

/// The judgement of an exact claim on the counts, in the order of the paper's numbers.
pub fn judge_exact(claim: &Claim, counts: &[f64]) -> Judgement {
    let to = match &claim.rule {
        Rule::Count(count) => count.to,
        _ => 1.0,
    };
    let paper = claim.paper.as_ref().map_or(&[][..], Paper::all);
    if counts.len() != paper.len() {
        return Judgement {
            verdict: Some(Verdict::Fails),
            note: format!("{} counts, and the paper gives {}", counts.len(), paper.len()),
            ..Judgement::of(claim)
        };
    }
    let apart = |(own, its): &(&f64, &f64)| ((*own / to).round() - (*its / to).round()).abs();
    let pairs: Vec<(&f64, &f64)> = counts.iter().zip(paper).collect();
    let off = pairs.iter().filter(|pair| apart(pair) > 0.0).count();
    // Of those that are as far apart to the last digit, the farthest before rounding.
    let exactly = |(own, its): &(&f64, &f64)| (*own - *its).abs();
    let by_distance = |a: &&(&f64, &f64), b: &&(&f64, &f64)| {
        apart(a).total_cmp(&apart(b)).then(exactly(a).total_cmp(&exactly(b)))
    };
    let farthest = pairs.iter().max_by(by_distance);
    Judgement {
        verdict: Some(if off == 0 { Verdict::Holds } else { Verdict::Fails }),
        effect: farthest.map(|(own, _)| Spread { value: **own, low: **own, high: **own }),
        paper: farthest.map(|(_, its)| **its),
        places: pairs.len(),
        note: if off == 0 { String::new() } else { format!("{off} of {} differ", pairs.len()) },
        ..Judgement::of(claim)
    }
}
