//! Rows of the budgeted-batch figure (Fig. 7).

use std::sync::Arc;

use anyhow::{Context, Result};

use super::Study;
use crate::eval::anytime;
use crate::eval::budgeted::{BudgetedPoint, Network, Setting, Sweep, sweep};
use crate::eval::combine::{self, Combine};
use crate::eval::judge::{self, Answered, Leavers};
use crate::eval::policy::{Knobs, Policy};
use crate::eval::temperature;
use crate::experiment::{Named, labels};
use crate::results::tables::Table;
use crate::runs::{Split, tell};

/// One row of `figure.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The point, with each image's answer for paired comparisons; which images left where only
    /// under the paper's policy.
    pub judged: judge::Row,
    /// When an image leaves; none where no image leaves early.
    pub policy: Option<Policy>,
    /// How exits are combined before they are asked.
    pub combine: Combine,
    /// Temperature of each exit, as text.
    pub temperature: String,
    /// Thresholds, and the images that left at each exit.
    pub taken: Option<(Vec<f64>, Vec<usize>)>,
}

impl Row {
    /// The policy as tables have it; `none` where no image leaves early.
    fn policy_name(&self) -> &'static str {
        self.policy.map_or("none", Policy::name)
    }
}

/// All rows: early exit of every network and ensemble with more than one exit, where `fixed` asks
/// for it also without dynamic evaluation, and networks of one exit as points.
pub fn rows(study: &Study) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (named, place, seed) in study.entries()? {
        let of_entry = of_entry(study, named, place, seed);
        rows.extend(of_entry.with_context(|| format!("{}, seed {seed}", named.name))?);
    }
    Ok(rows)
}

fn of_entry(study: &Study, named: &Named, place: usize, seed: u64) -> Result<Vec<Row>> {
    let (hold_out, multiply_adds) = study.answers(named, place, Split::Validation)?;
    let (test, _) = study.answers(named, place, Split::Test)?;
    let both = Network { hold_out: &hold_out, test: &test, multiply_adds: &multiply_adds };
    let curve = study.curve_of(named);
    let network = named.name.as_str();
    if multiply_adds.len() == 1 {
        return fixed_points(curve, network, seed, &both);
    }
    let dynamic = labels::dynamic(curve, named.fixed);
    let mut rows = Vec::new();
    for setting in settings(study, named) {
        rows.extend(swept(&dynamic, network, seed, &both, &setting)?);
    }
    if named.fixed {
        let without = labels::without_dynamic(curve);
        rows.extend(fixed_points(&without, network, seed, &both)?);
    }
    Ok(rows)
}

/// A setting for each policy, way to combine exits, and choice of temperatures.
fn settings(study: &Study, named: &Named) -> Vec<Setting> {
    let asked = study.experiment.budgeted.clone().unwrap_or_default();
    let usual = Setting::paper().knobs;
    let or = |given: Vec<f64>, usual| if given.is_empty() { usual } else { given };
    let knobs = Knobs {
        ratios: or(with_limits(asked.ratios), usual.ratios),
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
                    settings.push(Setting { policy, combine, scale_temperature, knobs });
                }
            }
        }
    }
    settings
}

/// Ratios, if any, with their limits: all images leave at the first exit, and at the last.
fn with_limits(mut ratios: Vec<f64>) -> Vec<f64> {
    if !ratios.is_empty() {
        ratios.insert(0, 0.0);
        ratios.push(f64::INFINITY);
    }
    ratios
}

/// Whether the claims are about curves of this kind.
fn is_judged(policy: Option<Policy>, combine: Combine, is_scaled: bool) -> bool {
    policy.is_none_or(|policy| policy == Policy::PAPER) && combine == Combine::Single && !is_scaled
}

fn swept(
    curve: &str,
    network: &str,
    seed: u64,
    both: &Network,
    setting: &Setting,
) -> Result<Vec<Row>> {
    let Sweep { temperatures, points } = sweep(both, setting)?;
    let policy = setting.policy;
    if let Some(told) = temperature::at_bounds(&temperatures) {
        tell(format!("warning: {network}, seed {seed}, {}: {told}", policy.name()));
    }
    let last = both.test.exits - 1;
    let last_hits: Option<Arc<[bool]>> =
        match is_judged(Some(policy), setting.combine, setting.scale_temperature) {
            true => Some(combine::plain(both.test)?.right().swap_remove(last).into()),
            false => None,
        };
    let leavers = |point: &BudgetedPoint, last_hits: &Arc<[bool]>| {
        let at = |exit: usize| point.left.iter().map(|&own| usize::from(own) == exit).collect();
        Leavers { first: at(0), last: at(last), last_hits: last_hits.clone() }
    };
    let row = |point: BudgetedPoint| {
        let leavers = last_hits.as_ref().map(|hits| leavers(&point, hits));
        let BudgetedPoint { accuracy, images, ratio, hold_out, .. } = point;
        let answered = Answered { accuracy, images, hits: Some(point.hits) };
        let plain = judge::Row::new(curve, network, seed, point.multiply_adds, answered);
        Row {
            judged: judge::Row { hold_out, ratio, leavers, ..plain },
            policy: Some(policy),
            combine: setting.combine,
            temperature: temperature::label(&temperatures),
            taken: Some((point.thresholds, point.taken)),
        }
    };
    Ok(points.into_iter().map(row).collect())
}

/// Every image leaves at the same exit.
fn fixed_points(curve: &str, network: &str, seed: u64, both: &Network) -> Result<Vec<Row>> {
    let on = |split| anytime::points(split, Combine::Single, both.multiply_adds);
    let row = |(point, on_hold_out): (anytime::AnytimePoint, anytime::AnytimePoint)| {
        let x = point.multiply_adds as f64;
        let plain = judge::Row::new(curve, network, seed, x, point.answered());
        Row {
            judged: judge::Row { hold_out: Some(on_hold_out.accuracy), ..plain },
            policy: None,
            combine: Combine::Single,
            temperature: "1".to_string(),
            taken: None,
        }
    };
    Ok(on(both.test)?.into_iter().zip(on(both.hold_out)?).map(row).collect())
}

/// The rows that the claims are about: those of the paper's policy with single exits, and those
/// without dynamic evaluation, of lines that are whole.
///
/// # Errors
/// Those of [`Study::whole`].
pub fn judged(study: &Study, rows: Vec<Row>) -> Result<judge::Measured> {
    let own = rows.into_iter().filter(|r| is_judged(r.policy, r.combine, r.temperature != "1"));
    Ok(judge::Measured::Straight(study.whole(own.map(|row| row.judged))?))
}

/// The rows as `figure.csv` has them.
pub fn table(rows: &[Row]) -> Table {
    Table::default()
        .text("curve", rows.iter().map(|r| &r.judged.curve))
        .text("network", rows.iter().map(|r| &r.judged.network))
        .count("seed", rows.iter().map(|r| r.judged.seed))
        .text("policy", rows.iter().map(Row::policy_name))
        .text("temperature", rows.iter().map(|r| &r.temperature))
        .text("ratio", rows.iter().map(|r| ratio_text(r.judged.ratio)))
        .number("multiply_adds", rows.iter().map(|r| r.judged.x))
        .number("accuracy", rows.iter().map(|r| r.judged.answered.accuracy))
        .count("images", rows.iter().map(|r| r.judged.answered.images as u64))
        .text("combine", rows.iter().map(|r| r.combine.name()))
        .optional("accuracy_holdout", rows.iter().map(|r| r.judged.hold_out))
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
        .text("curve", flat.iter().map(|f| &f.0.judged.curve))
        .text("network", flat.iter().map(|f| &f.0.judged.network))
        .count("seed", flat.iter().map(|f| f.0.judged.seed))
        .text("policy", flat.iter().map(|f| f.0.policy_name()))
        .text("ratio", flat.iter().map(|f| ratio_text(f.0.judged.ratio)))
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
