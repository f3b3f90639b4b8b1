//! Combined exits, guarantees, optimised thresholds and the summary against golden values.
//!
//! Every pair `NAME.json`, `NAME.safetensors` of this kind in `tests/golden`, or in the folder
//! that `REPRO_GOLDEN` names, is checked: measures to 1e-9, thresholds to 1e-12, choices and
//! outcomes exactly.

mod combine;
mod guarantee;
mod optimise;
mod promises;
mod summary;

use std::path::Path;

use repro::eval::Predictions;
use repro::eval::answers::Answers;
use repro::eval::budgeted::BudgetedPoint;
use repro::eval::combine::plain;
use safetensors::SafeTensors;
use serde_json::Value;

use super::golden::{counted, json_files};

/// One golden file and the predictions beside it.
struct Golden {
    name: String,
    values: Value,
    hold_out: Predictions,
    test: Predictions,
    costs: Vec<u64>,
}

fn golden_policies() -> Vec<Golden> {
    let is_of_this_kind =
        |value: &Value| value.get("combine").is_some() && value.get("risk_control").is_some();
    let files = json_files().into_iter().filter(|(_, value)| is_of_this_kind(value));
    let files: Vec<Golden> = files.map(|(file, values)| open(&file, values)).collect();
    counted("policies", files.len());
    files
}

/// Answers on the hold-out of the project's own golden file.
fn own_hold_out() -> Answers {
    plain(&own().hold_out).unwrap()
}

/// Answers on its test split.
fn own_test() -> Answers {
    plain(&own().test).unwrap()
}

fn own() -> Golden {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/policies.json");
    open(&file, Value::Null)
}

fn open(file: &Path, values: Value) -> Golden {
    let bytes = std::fs::read(file.with_extension("safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let longs = |name: &str| -> Vec<u64> {
        let bytes = tensors.tensor(name).unwrap().data().chunks_exact(8);
        bytes.map(|b| i64::from_le_bytes(b.try_into().unwrap()) as u64).collect()
    };
    let split = |split: &str| {
        let logits = tensors.tensor(&format!("logits_{split}")).unwrap();
        let [exits, images, classes] = logits.shape()[..] else { panic!("not [K, N, C]") };
        let floats = logits.data().chunks_exact(4);
        Predictions {
            exits,
            classes,
            images: (0..images as u32).collect(),
            labels: longs(&format!("labels_{split}")).iter().map(|&label| label as u32).collect(),
            logits: floats.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
        }
    };
    Golden {
        name: file.display().to_string(),
        values,
        hold_out: split("validation"),
        test: split("test"),
        costs: longs("costs"),
    }
}

impl Golden {
    /// A golden split's name and predictions.
    fn splits(&self) -> [(&'static str, &Predictions); 2] {
        [("hold_out", &self.hold_out), ("test", &self.test)]
    }

    fn plain(&self) -> [Answers; 2] {
        [&self.hold_out, &self.test].map(|split| plain(split).unwrap())
    }
}

#[track_caller]
fn near(found: f64, golden: &Value, context: &str) {
    let golden = golden.as_f64().unwrap_or_else(|| panic!("{context}: {golden} is no number"));
    let tolerance = 1e-9 * golden.abs().max(1.0);
    assert!((found - golden).abs() <= tolerance, "{context}: {found} instead of {golden}");
}

/// A measure that is not defined, or not finite, is null.
#[track_caller]
fn near_or_none(found: Option<f64>, golden: &Value, context: &str) {
    match found.filter(|found| found.is_finite()) {
        Some(found) => near(found, golden, context),
        None => assert!(golden.is_null(), "{context}: nothing instead of {golden}"),
    }
}

#[track_caller]
fn all_near(found: &[f64], golden: &Value, context: &str) {
    let golden = list(golden);
    assert_eq!(found.len(), golden.len(), "{context}");
    for (found, golden) in found.iter().zip(golden) {
        near(*found, golden, context);
    }
}

#[track_caller]
fn same_counts(found: &[usize], golden: &Value, context: &str) {
    let golden: Vec<usize> = list(golden).iter().map(count).collect();
    assert_eq!(found, golden, "{context}");
}

/// 2 and -1 stand for the infinities.
#[track_caller]
fn same_thresholds(found: &[f64], golden: &Value, context: &str) {
    let golden: Vec<f64> = list(golden).iter().map(|t| t.as_f64().unwrap()).collect();
    assert_eq!(found.len(), golden.len(), "{context}");
    for (found, golden) in found.iter().zip(golden) {
        let found = found.clamp(-1.0, 2.0);
        assert!((found - golden).abs() <= 1e-12, "{context}: {found} instead of {golden}");
    }
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

fn count(value: &Value) -> usize {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count")) as usize
}

fn mean_exit(point: &BudgetedPoint) -> f64 {
    let exits = point.taken.iter().enumerate().map(|(exit, n)| (exit + 1) * n);
    exits.sum::<usize>() as f64 / point.images as f64
}

/// An outcome: counts exactly, means to 1e-9.
#[track_caller]
fn same_outcome(point: &BudgetedPoint, golden: &Value, context: &str) {
    assert_eq!(point.correct, count(&golden["correct"]), "{context}");
    same_counts(&point.taken, &golden["images_per_exit"], context);
    near(point.accuracy, &golden["accuracy"], context);
    near(point.multiply_adds, &golden["mean_multiply_adds"], context);
    near(mean_exit(point), &golden["mean_exit"], context);
}
