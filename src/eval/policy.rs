//! When an image leaves: the table of policies, and what each becomes on the hold-out.
//!
//! | policy | an image leaves at the first exit | swept by `ratio` in figure.csv |
//! | --- | --- | --- |
//! | max-softmax, margin, entropy | that is surer than its threshold | ratio of the exits' shares, [`thresholds`](crate::eval::thresholds) |
//! | patience | that completes P exits in a row of the same class | P, from 1 to K |
//! | target-accuracy | whose accuracy at this confidence, counted on the hold-out, or a lower bound on it, reaches a target | the target, [`target`](crate::eval::target) |
//! | coordinate-ascent, dynamic-programme | that is surer than its threshold | lambda, the price of cost in accuracy, [`optimise`] |
//! | oracle | at which being right is worth its cost | lambda |
//!
//! Whoever is left leaves at the last exit. The oracle sees the label, so it bounds the others and
//! serves nobody. The others look at the hold-out alone and become a [`Gate`], which decides image
//! by image, on cached answers and in a running network alike.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail, ensure};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::eval::answers::Answers;
use crate::eval::bins::Bins;
use crate::eval::combine::{Combine, Combiner};
use crate::eval::optimise::{self, Price, coordinate_ascent, dynamic_programme};
use crate::eval::probabilities::{Certainty, certainty_of, largest};
use crate::eval::target::calibrate;
use crate::eval::thresholds::{HoldOut, Thresholds, search};

/// When an image leaves; see the module's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Policy {
    /// Certainty above a threshold, by the paper's rule of one ratio; the paper's is max-softmax.
    Threshold(Certainty),
    /// Several exits in a row agree (Zhou et al., 2020).
    Patience,
    /// Calibrated accuracy reaches a target.
    TargetAccuracy,
    /// Thresholds by coordinate ascent.
    CoordinateAscent,
    /// Thresholds by dynamic programming over binned confidences.
    DynamicProgramme,
    /// The best exit for those who see the label: what no policy can exceed.
    Oracle,
}

impl Policy {
    /// The paper's policy.
    pub const PAPER: Policy = Policy::Threshold(Certainty::MaxSoftmax);

    /// Every policy, in the order of the documentation.
    pub const ALL: [Policy; 8] = [
        Policy::Threshold(Certainty::MaxSoftmax),
        Policy::Threshold(Certainty::Margin),
        Policy::Threshold(Certainty::NegativeEntropy),
        Policy::Patience,
        Policy::Oracle,
        Policy::TargetAccuracy,
        Policy::CoordinateAscent,
        Policy::DynamicProgramme,
    ];

    /// Its name in options and tables.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Threshold(Certainty::MaxSoftmax) => "max-softmax",
            Policy::Threshold(Certainty::Margin) => "margin",
            Policy::Threshold(Certainty::NegativeEntropy) => "entropy",
            Policy::Patience => "patience",
            Policy::TargetAccuracy => "target-accuracy",
            Policy::CoordinateAscent => "coordinate-ascent",
            Policy::DynamicProgramme => "dynamic-programme",
            Policy::Oracle => "oracle",
        }
    }

    /// What it is swept by, for people.
    pub fn knob(self) -> &'static str {
        match self {
            Policy::Threshold(_) => "ratio",
            Policy::Patience => "exits that agree",
            Policy::TargetAccuracy => "target",
            Policy::CoordinateAscent | Policy::DynamicProgramme | Policy::Oracle => "lambda",
        }
    }

    /// The certainty that it asks exits for; none where only their classes count.
    pub fn certainty(self) -> Option<Certainty> {
        match self {
            Policy::Threshold(kind) => Some(kind),
            Policy::TargetAccuracy | Policy::CoordinateAscent | Policy::DynamicProgramme => {
                Some(Certainty::MaxSoftmax)
            }
            Policy::Patience | Policy::Oracle => None,
        }
    }

    /// Refuses to combine exits under a policy that counts exits which agree: combined exits
    /// repeat each other.
    ///
    /// # Errors
    /// For patience with any rule but single.
    pub fn check_combine(self, rule: Combine) -> Result<()> {
        ensure!(
            self != Policy::Patience || rule == Combine::Single,
            "patience counts exits that agree by themselves, so exits cannot be combined by \
             `{rule}` under it; leave out one of the two"
        );
        Ok(())
    }

    /// The values that it is swept over.
    pub fn knobs(self, knobs: &Knobs, multiply_adds: &[u64]) -> Vec<f64> {
        match self {
            Policy::Threshold(_) => knobs.ratios.clone(),
            Policy::Patience => (1..=multiply_adds.len()).map(|p| p as f64).collect(),
            Policy::TargetAccuracy => knobs.targets.clone(),
            Policy::CoordinateAscent | Policy::DynamicProgramme => knobs.lambdas.clone(),
            Policy::Oracle => optimise::oracle_lambdas(multiply_adds),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Policy::ALL.map(|policy| format!("`{}`", policy.name())).join(", ");
        let policy = Policy::ALL.into_iter().find(|policy| policy.name() == name);
        policy.with_context(|| format!("unknown policy `{name}`: one of {known}"))
    }
}

impl TryFrom<String> for Policy {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

impl From<Policy> for &'static str {
    fn from(policy: Policy) -> &'static str {
        policy.name()
    }
}

impl JsonSchema for Policy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Policy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "When an image leaves.",
            "type": "string",
            "enum": Policy::ALL.map(Policy::name),
        })
    }
}

/// Values that policies are swept over.
#[derive(Debug, Clone, PartialEq)]
pub struct Knobs {
    /// Ratios of the exits' shares, from 0 to infinity.
    pub ratios: Vec<f64>,
    /// Target accuracies, 0 to 1.
    pub targets: Vec<f64>,
    /// Prices of the last exit's cost in accuracy, from 0.
    pub lambdas: Vec<f64>,
    /// Whether a lower bound on a bin's accuracy has to reach the target, and how sure it is:
    /// above 0, below 1.
    pub target_bound: Option<f64>,
}

/// Targets from 0 (everybody leaves at once) to 1, close together where accuracies are high.
pub fn default_targets() -> Vec<f64> {
    let mut targets: Vec<f64> = (0..20).map(|p| f64::from(p) / 20.0).collect();
    targets.extend([0.96, 0.97, 0.98, 0.99, 0.995, 1.0]);
    targets
}

/// Prices from 0 (only accuracy counts) to 10 (nearly only cost does).
pub fn default_lambdas() -> Vec<f64> {
    vec![
        0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6,
        0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0,
    ]
}

/// A policy that the hold-out has made ready.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    /// Exit k lets an image go whose certainty exceeds its threshold.
    Thresholds(Thresholds),
    /// Exit k lets an image go whose confidence lies in one of these bins; K-1 entries.
    Bins(Vec<(Bins, Vec<bool>)>),
    /// The exit that is the P-th in a row to say the same class lets an image go; P is 1 or more.
    Patience(usize),
}

impl Gate {
    /// What `policy` becomes with `knob` on the hold-out's answers.
    ///
    /// # Errors
    /// For the oracle, and when the knob is out of range.
    pub fn new(
        policy: Policy,
        hold_out: &HoldOut,
        multiply_adds: &[u64],
        knob: f64,
        target_bound: Option<f64>,
    ) -> Result<Gate> {
        let answers = hold_out.answers();
        let price = || Price::new(multiply_adds, knob);
        Ok(match policy {
            Policy::Threshold(_) => Gate::Thresholds(search(hold_out, knob)?),
            Policy::Patience => Gate::Patience(patience(knob, answers.exits())?),
            Policy::TargetAccuracy => {
                ensure!((0.0..=1.0).contains(&knob), "target: {knob} is out of range (0 to 1)");
                let exits = calibrate(answers, target_bound)?.into_iter();
                Gate::Bins(exits.map(|exit| (exit.bins.clone(), exit.reach(knob))).collect())
            }
            Policy::CoordinateAscent => Gate::Thresholds(ascend(answers, &price()?)?),
            Policy::DynamicProgramme => Gate::Thresholds(programme(answers, &price()?)?),
            Policy::Oracle => bail!(
                "the oracle sees the label, so it bounds policies and is none to leave by; choose \
                 another policy"
            ),
        })
    }

    /// Before the first exit of an image.
    pub fn visit(&self) -> Visit<'_> {
        Visit { gate: self, exit: 0, said: None, agreed: 0 }
    }

    /// The exit (from 0) that each image leaves at, N.
    ///
    /// # Errors
    /// When the answers are of another number of exits.
    pub fn exits_of(&self, answers: &Answers) -> Result<Vec<usize>> {
        self.check(answers.exits())?;
        let last = answers.exits() - 1;
        let leaves = |image: usize| {
            let mut visit = self.visit();
            let mut exits = (0..last).filter(|&exit| {
                visit.leaves(answers.confidence[exit][image], answers.predicted[exit][image])
            });
            exits.next().unwrap_or(last)
        };
        Ok((0..answers.images()).map(leaves).collect())
    }

    /// Refuses networks of another number of exits.
    ///
    /// # Errors
    /// Says both numbers.
    pub fn check(&self, exits: usize) -> Result<()> {
        let own = match self {
            Gate::Thresholds(thresholds) => thresholds.values.len() + 1,
            Gate::Bins(bins) => bins.len() + 1,
            Gate::Patience(_) => exits,
        };
        ensure!(own == exits, "a rule for {own} exits, but {exits} exits");
        Ok(())
    }

    /// K-1 thresholds, infinite where nobody or everybody leaves; none of rules without.
    pub fn thresholds(&self) -> Vec<f64> {
        match self {
            Gate::Thresholds(thresholds) => thresholds.values.clone(),
            Gate::Bins(_) | Gate::Patience(_) => Vec::new(),
        }
    }
}

fn patience(knob: f64, exits: usize) -> Result<usize> {
    ensure!(
        knob.fract() == 0.0 && (1.0..=exits as f64).contains(&knob),
        "patience: {knob} is out of range (a whole number of exits that agree, 1 to {exits})"
    );
    Ok(knob as usize)
}

/// The better of the two optima that are reached from where nobody leaves and from the dynamic
/// programme.
fn ascend(answers: &Answers, price: &Price) -> Result<Thresholds> {
    let exits = answers.exits();
    let nobody = Thresholds::by_hand(vec![f64::INFINITY; exits - 1], exits)?;
    let first = coordinate_ascent(answers, price, &nobody)?;
    let second = coordinate_ascent(answers, price, &programme(answers, price)?)?;
    let better = if second.objective > first.objective { second } else { first };
    Ok(better.thresholds)
}

fn programme(answers: &Answers, price: &Price) -> Result<Thresholds> {
    Thresholds::by_hand(dynamic_programme(answers, price)?.thresholds, answers.exits())
}

/// One image on its way from exit to exit.
#[derive(Debug, Clone)]
pub struct Visit<'a> {
    gate: &'a Gate,
    exit: usize,
    /// What the exit before said.
    said: Option<u32>,
    /// How many exits in a row said so.
    agreed: usize,
}

impl Visit<'_> {
    /// Whether the image leaves at the next exit, which is this sure of this class. At the last
    /// exit nobody stays, whatever this says.
    pub fn leaves(&mut self, certainty: f64, class: u32) -> bool {
        let exit = self.exit;
        self.exit += 1;
        self.agreed = if self.said == Some(class) { self.agreed + 1 } else { 1 };
        self.said = Some(class);
        match self.gate {
            Gate::Thresholds(thresholds) => thresholds.leaves(exit, certainty),
            Gate::Bins(exits) => {
                exits.get(exit).is_none_or(|(bins, leaves)| leaves[bins.bin(certainty)])
            }
            Gate::Patience(patience) => self.agreed >= *patience,
        }
    }
}

/// All that a running network needs to let images go as a replay of its logits does.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// How exits are combined before they are asked.
    pub combine: Combine,
    /// What they are asked for.
    pub certainty: Certainty,
    /// Multiply-adds of exits 1..k, K numbers.
    pub multiply_adds: Vec<u64>,
    /// When an image leaves.
    pub gate: Gate,
}

/// What an exit says of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    /// The class.
    pub class: u32,
    /// Its probability.
    pub confidence: f64,
    /// Whether the image leaves here.
    pub leaves: bool,
}

/// One image on its way through a network.
#[derive(Debug, Clone)]
pub struct Passage<'a> {
    rule: &'a Rule,
    combiner: Combiner<'a>,
    visit: Visit<'a>,
}

impl Rule {
    /// Largest softmax of single exits against thresholds.
    pub fn plain(thresholds: Thresholds, multiply_adds: &[u64]) -> Rule {
        Rule {
            combine: Combine::Single,
            certainty: Certainty::MaxSoftmax,
            multiply_adds: multiply_adds.to_vec(),
            gate: Gate::Thresholds(thresholds),
        }
    }

    /// The thresholds, if it is the largest softmax of single exits against them.
    pub fn plain_thresholds(&self) -> Option<&Thresholds> {
        match &self.gate {
            Gate::Thresholds(thresholds)
                if self.combine == Combine::Single && self.certainty == Certainty::MaxSoftmax =>
            {
                Some(thresholds)
            }
            _ => None,
        }
    }

    /// Before the first exit of an image.
    pub fn passage(&self) -> Passage<'_> {
        let combiner = Combiner::new(self.combine, &self.multiply_adds);
        Passage { rule: self, combiner, visit: self.gate.visit() }
    }

    /// Refuses networks of another number of exits.
    ///
    /// # Errors
    /// Says both numbers.
    pub fn check(&self, exits: usize) -> Result<()> {
        let own = self.multiply_adds.len();
        ensure!(own == exits, "a rule for {own} exits, but a network of {exits}");
        self.gate.check(exits)
    }
}

impl Passage<'_> {
    /// Takes in the C logits of the next exit.
    pub fn next(&mut self, logits: &[f32]) -> Said {
        let logs = self.combiner.next(logits, 1.0);
        let class = largest(&logs);
        Said {
            class,
            confidence: logs[class as usize].exp(),
            leaves: self.visit.leaves(certainty_of(&logs, self.rule.certainty), class),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Predictions;
    use crate::eval::combine;

    #[test]
    fn policies_are_read_by_the_name_they_are_written_with() {
        for policy in Policy::ALL {
            assert_eq!(policy.to_string().parse::<Policy>().unwrap(), policy);
            let written = serde_json::to_string(&policy).unwrap();
            assert_eq!(serde_json::from_str::<Policy>(&written).unwrap(), policy);
        }
        let error = "softmax".parse::<Policy>().unwrap_err().to_string();
        assert!(error.contains("`max-softmax`, `margin`"), "{error}");
    }

    fn answers(predicted: &[u32]) -> Answers {
        Answers {
            confidence: vec![vec![0.5]; predicted.len()],
            predicted: predicted.iter().map(|&class| vec![class]).collect(),
            labels: vec![0],
        }
    }

    #[test]
    fn patience_counts_exits_in_a_row() {
        let left = |patience| Gate::Patience(patience).exits_of(&answers(&[1, 2, 2, 2])).unwrap();
        assert_eq!([1, 2, 3, 4].map(left), [[0], [2], [3], [3]].map(Vec::from));
    }

    /// Predictions of three exits on 60 images of three classes, without order.
    fn predictions() -> Predictions {
        let images = 60;
        Predictions {
            exits: 3,
            classes: 3,
            images: (0..images).collect(),
            labels: (0..images).map(|i| i % 3).collect(),
            logits: (0..u64::from(9 * images))
                .map(|i| (i * 2_654_435_761 % 1013) as f32 / 300.0)
                .collect(),
        }
    }

    const COSTS: [u64; 3] = [10, 25, 60];

    fn gate(policy: Policy, rule: Combine, knob: f64) -> Result<(Gate, Answers)> {
        let kind = policy.certainty().unwrap_or(Certainty::MaxSoftmax);
        let answers = combine::answers(&predictions(), rule, &COSTS, kind)?;
        let hold_out = HoldOut::new(answers.clone())?;
        Ok((Gate::new(policy, &hold_out, &COSTS, knob, None)?, answers))
    }

    #[test]
    fn a_running_network_lets_images_go_where_the_replay_does_under_every_policy() {
        let predictions = predictions();
        for (policy, knob) in [
            (Policy::Threshold(Certainty::MaxSoftmax), 0.8),
            (Policy::Threshold(Certainty::Margin), 1.2),
            (Policy::Threshold(Certainty::NegativeEntropy), 0.9),
            (Policy::Patience, 2.0),
            (Policy::TargetAccuracy, 0.4),
            (Policy::CoordinateAscent, 0.2),
            (Policy::DynamicProgramme, 0.2),
        ] {
            for combine in Combine::ALL {
                let (gate, answers) = gate(policy, combine, knob).unwrap();
                let replay = gate.exits_of(&answers).unwrap();
                let certainty = policy.certainty().unwrap_or(Certainty::MaxSoftmax);
                let rule = Rule { combine, certainty, multiply_adds: COSTS.to_vec(), gate };
                for (image, &expected) in replay.iter().enumerate() {
                    let mut passage = rule.passage();
                    let mut exits = (0..3).map(|k| passage.next(predictions.logits_of(k, image)));
                    let left = exits.position(|said| said.leaves).unwrap_or(2);
                    assert_eq!(left, expected, "{policy}, {combine}, image {image}");
                }
            }
        }
    }

    #[test]
    fn knobs_out_of_range_are_refused_by_name() {
        for (policy, knob, expected) in [
            (Policy::Threshold(Certainty::Margin), -1.0, "ratio"),
            (Policy::Patience, 1.5, "whole number of exits that agree, 1 to 3"),
            (Policy::Patience, 4.0, "1 to 3"),
            (Policy::TargetAccuracy, 1.1, "target: 1.1 is out of range (0 to 1)"),
            (Policy::CoordinateAscent, -0.1, "lambda: -0.1 is out of range (0 or more)"),
            (Policy::DynamicProgramme, f64::NAN, "lambda: NaN is out of range"),
            (Policy::Oracle, 1.0, "sees the label"),
        ] {
            let error = gate(policy, Combine::Single, knob).unwrap_err().to_string();
            assert!(error.contains(expected), "{policy}: {error}");
        }
    }

    #[test]
    fn patience_refuses_combined_exits() {
        for policy in Policy::ALL {
            assert!(policy.check_combine(Combine::Single).is_ok());
            let refused = policy.check_combine(Combine::Mean).is_err();
            assert_eq!(refused, policy == Policy::Patience, "{policy}");
        }
    }

    #[test]
    fn the_ends_of_each_knob_are_the_first_and_the_last_exit() {
        let first = |policy, knob| {
            let (gate, answers) = gate(policy, Combine::Single, knob).unwrap();
            gate.exits_of(&answers).unwrap()
        };
        for policy in [Policy::CoordinateAscent, Policy::DynamicProgramme] {
            assert_eq!(first(policy, 1e6), vec![0; 60], "{policy}");
        }
        assert_eq!(first(Policy::TargetAccuracy, 0.0), vec![0; 60]);
        assert_eq!(first(Policy::Patience, 1.0), vec![0; 60]);
    }
}
