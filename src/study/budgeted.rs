//! Rows of the budgeted-batch figure (Fig. 7).

use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result};

use super::Study;
use crate::eval::anytime::{self, Member as Evaluated};
use crate::eval::budgeted::{BudgetedPoint, Network, Setting, Sweep, hold_out_accuracies, sweep};
use crate::eval::combine::Combine;
use crate::eval::exits;
use crate::eval::judge::Leavers;
use crate::eval::policy::{Knobs, Policy};
use crate::eval::{Predictions, temperature};
use crate::experiment::{Member, Named};
use crate::models::NetworkConfig;
use crate::results::tables::Table;
use crate::runs::{Split, tell};

/// One row of `figure.csv`, with each image's answer for paired comparisons.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Label of the curve.
    pub curve: String,
    /// The entry's name.
    pub network: String,
    /// Seed of the run.
    pub seed: u64,
    /// When an image leaves; none where no image leaves early.
    pub policy: Option<Policy>,
    /// How exits are combined before they are asked.
    pub combine: Combine,
    /// Temperature of each exit, as text.
    pub temperature: String,
    /// What the policy is swept by.
    pub ratio: Option<f64>,
    /// Mean over the test images of what each has cost.
    pub multiply_adds: f64,
    /// Share of test images answered rightly.
    pub accuracy: f64,
    /// Test images.
    pub images: usize,
    /// Whether each test image was answered rightly.
    pub hits: Arc<[bool]>,
    /// Thresholds, and the images that left at each exit.
    pub taken: Option<(Vec<f64>, Vec<usize>)>,
    /// Accuracy on the hold-out; of the paper's policy and of points without dynamic evaluation.
    pub hold_out: Option<f64>,
    /// Which images left where; of the paper's policy.
    pub leavers: Option<Leavers>,
}

impl Row {
    /// The policy as tables have it; `none` where no image leaves early.
    fn policy_name(&self) -> &'static str {
        self.policy.map_or("none", Policy::name)
    }
}

/// A network's or an ensemble's answers on both splits.
struct Answered {
    hold_out: Rc<Predictions>,
    test: Rc<Predictions>,
    multiply_adds: Vec<u64>,
}

/// All rows: early exit of every network and ensemble with more than one exit, MSDNet without
/// dynamic evaluation, and single networks as points.
///
/// # Errors
/// When predictions cannot be had, or the hold-out is too small.
pub fn rows(study: &Study) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for named in &study.plan.members {
        for (place, seed) in study.seeds_of(named)? {
            let context = || format!("{}, seed {seed}", named.name);
            if let Some(answered) = answers(study, named, place).with_context(context)? {
                let label = Label::of(study, named);
                let settings = settings(study, named);
                rows.extend(
                    of_entry(&label, &named.name, seed, &answered, &settings)
                        .with_context(context)?,
                );
            }
        }
    }
    Ok(rows)
}

/// A setting for each policy, way to combine exits, and choice of temperatures.
fn settings(study: &Study, named: &Named) -> Vec<Setting> {
    let asked = study.experiment.budgeted.clone().unwrap_or_default();
    let usual = Setting::paper().knobs;
    let or = |given: Vec<f64>, usual| if given.is_empty() { usual } else { given };
    let knobs = Knobs {
        ratios: or(asked.ratios, usual.ratios),
        targets: or(asked.targets, usual.targets),
        lambdas: or(asked.lambdas, usual.lambdas),
        target_bound: asked.target_bound,
    };
    let policies = if asked.policies.is_empty() { vec![Policy::PAPER] } else { asked.policies };
    let scalings: &[bool] = if asked.temperature { &[false, true] } else { &[false] };
    let single = vec![Combine::Single];
    let mut settings = Vec::new();
    for &combine in named.combine.as_ref().unwrap_or(&single) {
        for &policy in &policies {
            for &scale_temperature in scalings {
                if policy.certainty().is_some() || !scale_temperature {
                    let knobs = knobs.clone();
                    let setting =
                        Setting { policy, combine, scale_temperature, knobs, ..Setting::paper() };
                    settings.push(setting);
                }
            }
        }
    }
    settings
}

/// How an entry's curves are called.
struct Label {
    /// The joined curve's name, or the entry's own.
    base: String,
    /// Whether its curve without dynamic evaluation is drawn as well.
    fixed: bool,
}

impl Label {
    fn of(study: &Study, named: &Named) -> Label {
        let is_msdnet = matches!(named.network(), Some(NetworkConfig::Msdnet(_)));
        Label {
            base: study.joined(&named.name).unwrap_or(&named.name).to_string(),
            fixed: named.fixed.unwrap_or(is_msdnet),
        }
    }

    fn dynamic(&self) -> String {
        if self.fixed {
            format!("{} with dynamic evaluation", self.base)
        } else {
            self.base.clone()
        }
    }

    fn without(&self) -> String {
        format!("{} without dynamic evaluation", self.base)
    }
}

fn answers(study: &Study, named: &Named, seed: usize) -> Result<Option<Answered>> {
    match &named.member {
        Member::Network(_) => {
            let network = study.network(&named.name)?;
            Ok(Some(Answered {
                hold_out: study.predictions(network, seed, Split::Validation)?,
                test: study.predictions(network, seed, Split::Test)?,
                multiply_adds: study.multiply_adds(&named.name),
            }))
        }
        Member::Ensemble(names) => {
            let (hold_out, _) = ensemble(study, names, seed, Split::Validation)?;
            let (test, multiply_adds) = ensemble(study, names, seed, Split::Test)?;
            Ok(Some(Answered { hold_out, test, multiply_adds }))
        }
        Member::Joined(_) => Ok(None),
    }
}

/// An ensemble as if it were one network with an exit a member.
///
/// # Errors
/// When a member's predictions cannot be had.
pub fn ensemble(
    study: &Study,
    names: &[String],
    seed: usize,
    split: Split,
) -> Result<(Rc<Predictions>, Vec<u64>)> {
    let mut all = Vec::new();
    for name in names {
        let cost =
            *study.multiply_adds(name).last().with_context(|| format!("{name} has no exit"))?;
        all.push((name, cost, study.predictions(study.network(name)?, seed, split)?));
    }
    let members: Vec<Evaluated> = all
        .iter()
        .map(|(name, multiply_adds, predictions)| Evaluated {
            name,
            multiply_adds: *multiply_adds,
            predictions,
        })
        .collect();
    let (predictions, multiply_adds) = anytime::ensemble(&members)?;
    Ok((Rc::new(predictions), multiply_adds))
}

fn of_entry(
    label: &Label,
    network: &str,
    seed: u64,
    answered: &Answered,
    settings: &[Setting],
) -> Result<Vec<Row>> {
    if answered.multiply_adds.len() == 1 {
        return fixed_points(&label.base, network, seed, answered);
    }
    let mut rows = Vec::new();
    let both = Network {
        hold_out: &answered.hold_out,
        test: &answered.test,
        multiply_adds: &answered.multiply_adds,
    };
    for setting in settings {
        let curve = sweep(&both, setting)?;
        let mut found = swept(&label.dynamic(), network, seed, setting.combine, &curve);
        if *setting == (Setting { knobs: setting.knobs.clone(), ..Setting::paper() }) {
            add_evidence(&mut found, &both, setting, &curve)?;
        }
        rows.extend(found);
    }
    if label.fixed {
        rows.extend(fixed_points(&label.without(), network, seed, answered)?);
    }
    Ok(rows)
}

/// What the judge needs beside the points.
fn add_evidence(rows: &mut [Row], both: &Network, setting: &Setting, sweep: &Sweep) -> Result<()> {
    let last = both.test.exits - 1;
    let last_hits: Arc<[bool]> = exits::hits(both.test).swap_remove(last).into();
    let hold_out = hold_out_accuracies(both, setting, &sweep.points)?;
    for ((row, point), accuracy) in rows.iter_mut().zip(&sweep.points).zip(hold_out) {
        let leave_at =
            |exit: usize| point.left.iter().map(|&own| usize::from(own) == exit).collect();
        row.hold_out = Some(accuracy);
        row.leavers = Some(Leavers {
            first: leave_at(0),
            last: leave_at(last),
            last_hits: last_hits.clone(),
        });
    }
    Ok(())
}

fn swept(curve: &str, network: &str, seed: u64, combine: Combine, sweep: &Sweep) -> Vec<Row> {
    if let Some(told) = temperature::at_bounds(&sweep.temperatures) {
        tell(format!("warning: {network}, seed {seed}, {}: {told}", sweep.policy.name()));
    }
    let temperature = temperature::label(&sweep.temperatures);
    let policy = Some(sweep.policy);
    let row = |point: &BudgetedPoint| Row {
        curve: curve.to_string(),
        network: network.to_string(),
        seed,
        policy,
        combine,
        temperature: temperature.clone(),
        ratio: point.ratio,
        multiply_adds: point.multiply_adds,
        accuracy: point.accuracy,
        images: point.images,
        hits: point.hits.clone(),
        taken: Some((point.thresholds.clone(), point.taken.clone())),
        hold_out: None,
        leavers: None,
    };
    sweep.points.iter().map(row).collect()
}

/// Every image leaves at the same exit.
fn fixed_points(curve: &str, network: &str, seed: u64, answered: &Answered) -> Result<Vec<Row>> {
    let points = anytime::single_exit(&answered.test, &answered.multiply_adds)?;
    let hold_out = exits::score(&answered.hold_out)?;
    let row = |(point, on_hold_out): (anytime::AnytimePoint, exits::ExitScore)| Row {
        curve: curve.to_string(),
        network: network.to_string(),
        seed,
        policy: None,
        combine: Combine::Single,
        temperature: "1".to_string(),
        ratio: None,
        multiply_adds: point.multiply_adds as f64,
        accuracy: point.accuracy,
        images: point.images,
        hits: point.hits,
        taken: None,
        hold_out: Some(on_hold_out.top1),
        leavers: None,
    };
    Ok(points.into_iter().zip(hold_out).map(row).collect())
}

/// The rows as `figure.csv` has them.
pub fn table(rows: &[Row]) -> Table {
    Table::default()
        .text("curve", rows.iter().map(|r| &r.curve))
        .text("network", rows.iter().map(|r| &r.network))
        .count("seed", rows.iter().map(|r| r.seed))
        .text("policy", rows.iter().map(Row::policy_name))
        .text("temperature", rows.iter().map(|r| &r.temperature))
        .text("ratio", rows.iter().map(|r| ratio_text(r.ratio)))
        .number("multiply_adds", rows.iter().map(|r| r.multiply_adds))
        .number("accuracy", rows.iter().map(|r| r.accuracy))
        .count("images", rows.iter().map(|r| r.images as u64))
        .text("combine", rows.iter().map(|r| r.combine.name()))
}

/// `0` and `inf` are the limits; empty where the policy sweeps nothing.
fn ratio_text(ratio: Option<f64>) -> String {
    ratio.map_or(String::new(), |ratio| ratio.to_string())
}

/// The rows of `exits_taken.csv`: which exits the images of each point took. The last exit has no
/// threshold. Where temperatures were fitted, or exits combined, a last column each tells their rows
/// from the others.
pub fn taken_table(rows: &[Row]) -> Table {
    let mut flat = Vec::new();
    for row in rows {
        let Some((thresholds, taken)) = &row.taken else {
            continue;
        };
        for (exit, &images) in taken.iter().enumerate() {
            flat.push((row, exit + 1, thresholds.get(exit).copied(), images));
        }
    }
    let table = Table::default()
        .text("curve", flat.iter().map(|f| &f.0.curve))
        .text("network", flat.iter().map(|f| &f.0.network))
        .count("seed", flat.iter().map(|f| f.0.seed))
        .text("policy", flat.iter().map(|f| f.0.policy_name()))
        .text("ratio", flat.iter().map(|f| ratio_text(f.0.ratio)))
        .count("exit", flat.iter().map(|f| f.1 as u64))
        .optional("threshold", flat.iter().map(|f| f.2))
        .count("images", flat.iter().map(|f| f.3 as u64));
    let table = if flat.iter().all(|f| f.0.temperature == "1") {
        table
    } else {
        table.text("temperature", flat.iter().map(|f| &f.0.temperature))
    };
    if flat.iter().all(|f| f.0.combine == Combine::Single) {
        return table;
    }
    table.text("combine", flat.iter().map(|f| f.0.combine.name()))
}
