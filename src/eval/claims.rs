//! The paper's claims as data: what each says, where, and a rule that a program can check.

use std::fmt;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// A claim of the paper.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Short name, unique.
    pub id: String,
    /// The figure whose results decide it.
    pub figure: ClaimFigure,
    /// What the paper says.
    pub text: String,
    /// Where it says so.
    pub source: String,
    /// What is expected, with the paper's numbers, for the table.
    pub expected: String,
    /// How it is checked.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub rule: Rule,
}

/// The figures, by the names of their commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimFigure {
    /// Figure 5.
    Anytime,
    /// Figure 7.
    BudgetedBatch,
    /// Figure 3, left.
    FigIntermediate,
    /// Figure 3, right.
    FigFinalDegradation,
    /// Figure 10.
    Ablation,
}

/// What is measured of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of test images answered rightly.
    #[default]
    Accuracy,
    /// Accuracy by its reference's.
    RelativeAccuracy,
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

impl Range {
    /// Whether a number lies within the limits.
    pub fn contains(&self, x: f64) -> bool {
        self.at_least.is_none_or(|low| x >= low) && self.at_most.is_none_or(|high| x <= high)
    }
}

/// Selects curves by their labels: alternatives separated by `|`, each a beginning of the label in
/// which `*` stands for anything, or a whole label where it ends in `$`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Curves(pub String);

impl Curves {
    /// Whether a label is selected.
    pub fn matches(&self, label: &str) -> bool {
        self.0.split('|').any(|pattern| begins(label, pattern.trim()))
    }
}

fn begins(label: &str, pattern: &str) -> bool {
    if let Some(whole) = pattern.strip_suffix('$') {
        return label == whole;
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = label.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// A rule; `x` is the relative depth in both fig-* figures and multiply-adds elsewhere.
///
/// A rule about several places or curves holds where each does.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// At every common depth below the limit each curve lies above the next.
    Order {
        /// From the highest to the lowest.
        curves: Vec<Curves>,
        /// The limit.
        below_depth: f64,
        /// Of what.
        value: Measure,
    },
    /// 1 - relative accuracy, at each of the curve's own positions in the range.
    Loss {
        /// The curve.
        curve: Curves,
        /// Where.
        #[serde(default)]
        depth: Range,
        /// What the loss should be.
        between: Range,
    },
    /// The value at each of the curve's own positions in the range.
    Level {
        /// The curve.
        curve: Curves,
        /// Where.
        #[serde(default)]
        depth: Range,
        /// Of what.
        value: Measure,
        /// What it should be.
        between: Range,
    },
    /// The value at the curve's last point exceeds the one at its first.
    Rises {
        /// The curve.
        curve: Curves,
        /// Of what.
        value: Measure,
        /// By at least this much.
        #[serde(default)]
        by: f64,
    },
    /// At every budget that both cover, accuracy is higher than each other curve's.
    Above {
        /// The curve; of several the best at each budget.
        curve: Curves,
        /// Each of these is compared.
        others: Vec<Curves>,
        /// Parts of the common range of budgets, 0 its start and 1 its end.
        #[serde(default)]
        range_fraction: Range,
    },
    /// As accurate as the other's dearest point, at a fraction of that point's cost.
    Cheaper {
        /// The curve; of several the best at each budget.
        curve: Curves,
        /// The other.
        than: Curves,
        /// The fraction.
        cost_fraction: f64,
        /// Accuracy that may be missing.
        #[serde(default)]
        tolerance: f64,
    },
    /// Accuracy gained from part of the curve's range of budgets to its end.
    Gain {
        /// The curve.
        curve: Curves,
        /// The part: 0 the curve's start, 1 its end.
        from_fraction: f64,
        /// What the gain should be.
        between: Range,
    },
}

/// Reads a list of claims; fails on unknown keys, on an id used twice and on rules that say
/// nothing.
pub fn parse(yaml: &str) -> Result<Vec<Claim>> {
    let claims: Vec<Claim> = serde_yaml::from_str(yaml).context("the claims")?;
    for (index, claim) in claims.iter().enumerate() {
        ensure!(
            claims[..index].iter().all(|earlier| earlier.id != claim.id),
            "two claims are called `{}`",
            claim.id
        );
        check(&claim.rule).with_context(|| format!("claim `{}`", claim.id))?;
    }
    Ok(claims)
}

fn check(rule: &Rule) -> Result<()> {
    match rule {
        Rule::Order { curves, .. } => {
            ensure!(curves.len() >= 2, "an order needs at least two curves");
        }
        Rule::Loss { between, .. } | Rule::Level { between, .. } | Rule::Gain { between, .. } => {
            ensure!(*between != Range::default(), "`between` needs at_least or at_most");
        }
        Rule::Above { others, .. } => ensure!(!others.is_empty(), "`others` is empty"),
        Rule::Cheaper { cost_fraction, .. } => {
            ensure!(*cost_fraction > 0.0, "`cost_fraction` must be above 0");
        }
        Rule::Rises { .. } => {}
    }
    Ok(())
}

/// Whether a claim holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The whole 95 % interval is within the bound.
    Yes,
    /// The whole interval is outside.
    No,
    /// The interval crosses the bound, or the curves are not there.
    Undecided,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Verdict::Yes => "yes",
            Verdict::No => "no",
            Verdict::Undecided => "undecided",
        })
    }
}

/// A row of `claims.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The claim's id.
    pub claim: String,
    /// Whether it holds.
    pub holds: Verdict,
    /// The value that decided it, its 95 % interval and where; empty where nothing was measured.
    pub measured: String,
    /// The claim's expectation.
    pub expected: String,
    /// Number of seeds behind it.
    pub seeds: usize,
    /// What to keep in mind.
    pub note: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_beginning_with_gaps_and_alternatives() {
        let matches = |pattern: &str, label| Curves(pattern.to_owned()).matches(label);
        assert!(matches("MSDNet", "MSDNet with dynamic evaluation"));
        assert!(!matches("Net", "MSDNet"));
        assert!(matches("MSDNet$", "MSDNet") && !matches("MSDNet$", "MSDNet without"));
        assert!(matches("Ensemble*ResNet*shallow", "Ensemble of ResNets (all shallow)"));
        assert!(!matches("Ensemble*ResNet*shallow", "Ensemble of DenseNets (all shallow)"));
        assert!(matches("ResNet^MC | ResNet (", "ResNet (6 classifiers)"));
    }

    #[test]
    fn the_projects_claims_cover_every_figure() {
        let claims = parse(include_str!("../../experiments/claims.yaml")).unwrap();
        assert!(claims.len() >= 12);
        for figure in [
            ClaimFigure::Anytime,
            ClaimFigure::BudgetedBatch,
            ClaimFigure::FigIntermediate,
            ClaimFigure::FigFinalDegradation,
            ClaimFigure::Ablation,
        ] {
            assert!(claims.iter().any(|claim| claim.figure == figure), "{figure:?}");
        }
    }

    #[test]
    fn unknown_keys_and_double_ids_are_refused() {
        let claim = "- {id: a, figure: anytime, text: t, source: s, expected: e, \
                     rule: {rises: {curve: A, value: accuracy}}}\n";
        assert_eq!(parse(claim).unwrap().len(), 1);
        assert!(parse(&claim.repeat(2)).unwrap_err().to_string().contains("`a`"));
        assert!(parse(&claim.replace("value:", "valeu:")).is_err());
        assert!(parse(&claim.replace("text:", "txt:")).is_err());
    }
}
