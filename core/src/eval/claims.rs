//! The paper's claims as data: what each says, where, and a rule that a program can check.

mod pattern;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::eval::figure::Figure;
use crate::named;
pub use pattern::Curves;

/// A claim of the paper: one number, the effect, which is 0 where nothing is to be seen.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Short name, unique.
    pub id: String,
    /// Whose results decide it.
    pub figure: Figure,
    /// What the paper says.
    pub text: String,
    /// Where it says so.
    pub source: String,
    /// What is asked of the effect.
    pub kind: Kind,
    /// How the effect is measured.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub rule: Rule,
    /// Unit of effect, margin and paper; exact claims have none.
    #[serde(default)]
    pub unit: Option<Unit>,
    /// How large an effect counts as none, above 0; exact claims have none.
    #[serde(default)]
    pub margin: Option<f64>,
    /// The paper's effect, where it gives one; of an exact claim its numbers.
    #[serde(default)]
    pub paper: Option<Paper>,
    /// Whether runs of one side were seen before the claim was made.
    #[serde(default)]
    pub exploratory: bool,
}

impl Claim {
    /// The paper's effect, where there is one.
    pub fn paper_effect(&self) -> Option<f64> {
        match &self.paper {
            Some(Paper::One(value)) => Some(*value),
            _ => None,
        }
    }
}

/// What is asked of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Above 0.
    Direction,
    /// Below the margin.
    Harmless,
    /// Within the margin on both sides of 0.
    Equal,
    /// Equal to the paper's numbers, to the unit or to their last digit.
    Exact,
}

/// Unit of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A difference of accuracies, a fraction.
    Accuracy,
    /// A difference of logarithms of accuracies.
    Ln,
}

named! { Unit, "unit": Accuracy = "accuracy", Ln = "ln" }

/// The paper's effect, or the numbers of an exact claim.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Paper {
    /// One.
    One(f64),
    /// Several, in the order in which they are counted.
    Several(Vec<f64>),
}

impl Paper {
    /// All numbers.
    pub fn all(&self) -> &[f64] {
        match self {
            Paper::One(value) => std::slice::from_ref(value),
            Paper::Several(values) => values,
        }
    }
}

/// An interval open where a limit is missing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Lower limit.
    pub at_least: Option<f64>,
    /// Upper limit.
    pub at_most: Option<f64>,
}

/// Which positions of figure 3 a loss is of. The first stage is up to a relative depth of 0.34,
/// late is from 0.74 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contrast {
    /// Mean loss of the first stage.
    First,
    /// Mean loss of the late positions.
    Late,
    /// Mean loss of the first stage minus that of the late positions.
    Fall,
    /// Mean loss of every position.
    All,
    /// Loss of the first position.
    Rise,
}

/// How an effect is measured.
///
/// In figure 3 the loss at a position p is `l(p) = ln(reference) - ln(accuracy at p)`, whose
/// reference is the network without an intermediate classifier (right) or the same curve's last
/// position (left). Elsewhere `a(x)` is the accuracy of `curve` at x multiply-adds and `b(x)` that of
/// `than` or of one of `others`, seed by seed; both have begun at `x0`, a ends at `xa` and b at `xb`.
///
/// A rule about several places or curves holds where each does.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// The mean of `l(p)` over positions of one family.
    Loss { curve: Curves, of: Contrast },
    /// The loss of `than` minus that of `curve`, which loses less.
    KeepsMore { curve: Curves, than: Curves, of: Contrast },
    /// The mean of `a(x) - b(x)` over x from `x0` to the smaller of `xa` and `xb`, or over a part of
    /// this range: 0 its start, 1 its end.
    MeanAbove {
        curve: Curves,
        others: Vec<Curves>,
        #[serde(default)]
        range: Range,
    },
    /// `b(x) - a(x)` from `x0` on, at every point x of both and on both sides of each x where the best of
    /// several networks changes.
    Below { curve: Curves, others: Vec<Curves> },
    /// `a(x0) - b(x0)`.
    AboveAtLowest { curve: Curves, others: Vec<Curves> },
    /// `b(xa) - a(xa)`.
    BelowAtEnd { curve: Curves, than: Curves },
    /// `b(xb) - a(fraction xb)`, the fraction above 0.
    BelowAtFraction { curve: Curves, than: Curves, fraction: f64 },
    /// `a(xa) - a(x)` with x at a part `from` of the curve's range: 0 its start, 1 its end.
    Gain { curve: Curves, from: f64 },
    /// At the last exit of a network: accuracy of the mean of the exits' answers minus that of its
    /// own.
    Averaged { curve: Curves },
    /// At this ratio of the sweep: accuracy of the images that leave at the first exit minus that of
    /// those that leave at the last one.
    EasierFirst { curve: Curves, ratio: f64 },
    /// At this ratio of the sweep, on the images that leave at the first exit: accuracy of the last
    /// exit minus that of the first.
    GainOfStaying { curve: Curves, ratio: f64 },
    /// Counts of networks of a shipped experiment; exact claims only.
    Count(Count),
}

/// Counts of networks of a shipped experiment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The experiment's name.
    pub experiment: String,
    /// Names of its networks.
    pub networks: Vec<String>,
    /// What is counted.
    pub column: Counted,
    /// Whether every exit is counted, or the last one alone.
    #[serde(default)]
    pub every_exit: bool,
    /// Counts are rounded to this unit before they are compared.
    pub to: f64,
}

/// What an exact claim counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Multiply-adds of exits 1..k.
    MultiplyAdds,
    /// Parameters of exits 1..k.
    Parameters,
    /// Multiply-adds of exits 1..k, and what the authors' PyTorch port counts beside them.
    Operations,
}

impl Rule {
    /// The patterns of curves that it names.
    pub fn patterns(&self) -> Vec<&Curves> {
        match self {
            Rule::Loss { curve, .. }
            | Rule::Gain { curve, .. }
            | Rule::Averaged { curve }
            | Rule::EasierFirst { curve, .. }
            | Rule::GainOfStaying { curve, .. } => vec![curve],
            Rule::KeepsMore { curve, than, .. }
            | Rule::BelowAtEnd { curve, than }
            | Rule::BelowAtFraction { curve, than, .. } => vec![curve, than],
            Rule::MeanAbove { curve, others, .. }
            | Rule::Below { curve, others }
            | Rule::AboveAtLowest { curve, others } => {
                std::iter::once(curve).chain(others).collect()
            }
            Rule::Count(_) => Vec::new(),
        }
    }

    fn unit(&self) -> Option<Unit> {
        match self {
            Rule::Loss { .. } | Rule::KeepsMore { .. } => Some(Unit::Ln),
            Rule::Count(_) => None,
            _ => Some(Unit::Accuracy),
        }
    }
}

/// Reads a list of claims.
///
/// # Errors
/// Names the claim and the key: an unknown key, kind or unit, an id used twice, a margin or a
/// paper's value that the kind needs and that is not there, a rule that says nothing.
pub fn parse(yaml: &str) -> Result<Vec<Claim>> {
    let entries: Vec<serde_yaml::Value> = serde_yaml::from_str(yaml).context("the claims")?;
    let mut claims: Vec<Claim> = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let id = entry.get("id").and_then(|id| id.as_str());
        let name = id.map_or_else(|| format!("claim {}", index + 1), |id| format!("claim `{id}`"));
        let claim: Claim = serde_yaml::from_value(entry).with_context(|| name.clone())?;
        ensure!(
            claims.iter().all(|earlier| earlier.id != claim.id),
            "two claims are called `{}`",
            claim.id
        );
        check(&claim).with_context(|| name)?;
        claims.push(claim);
    }
    Ok(claims)
}

fn check(claim: &Claim) -> Result<()> {
    check_rule(&claim.rule)?;
    let exact = claim.kind == Kind::Exact;
    ensure!(
        exact == matches!(claim.rule, Rule::Count(_)),
        "kind: `exact` and the rule `count` belong together"
    );
    ensure!(
        claim.unit == claim.rule.unit(),
        "unit: {} is expected by the rule",
        claim.rule.unit().map_or("none", Unit::name)
    );
    let numbers = claim.paper.iter().flat_map(Paper::all);
    ensure!(
        numbers.clone().all(|value| value.is_finite()),
        "paper: a value is not a finite number"
    );
    if exact {
        ensure!(numbers.count() > 0, "paper: an exact claim needs the paper's numbers");
        ensure!(claim.margin.is_none(), "margin: an exact claim has none");
        return Ok(());
    }
    ensure!(
        !matches!(claim.paper, Some(Paper::Several(_))),
        "paper: one number; only exact claims have several"
    );
    match claim.margin {
        Some(margin) if margin > 0.0 && margin.is_finite() => Ok(()),
        Some(margin) => bail!("margin: {margin} is out of range (above 0)"),
        None => bail!("margin: a claim of this kind needs one, above 0"),
    }
}

fn check_rule(rule: &Rule) -> Result<()> {
    match rule {
        Rule::MeanAbove { others, .. }
        | Rule::Below { others, .. }
        | Rule::AboveAtLowest { others, .. } => ensure!(!others.is_empty(), "`others` is empty"),
        Rule::BelowAtFraction { fraction, .. } => {
            ensure!(*fraction > 0.0, "`fraction` must be above 0");
        }
        Rule::EasierFirst { ratio, .. } | Rule::GainOfStaying { ratio, .. } => {
            ensure!(*ratio >= 0.0, "`ratio` must be 0 or more");
        }
        Rule::Count(count) => {
            ensure!(!count.networks.is_empty(), "`networks` is empty");
            ensure!(count.to > 0.0, "`to` must be above 0");
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
