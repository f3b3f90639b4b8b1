//! The threshold search against the reference port's own output, to the last digit.
//!
//! Every pair `NAME.json`, `NAME.safetensors` of this kind in `tests/golden`, or in the folder
//! that `REPRO_GOLDEN` names, is checked, and within it every set of ratios: `ties` searches the
//! same probabilities rounded down to multiples of 1/32.

use std::path::Path;

use repro::eval::answers::Answers;
use repro::eval::budgeted::{BudgetedPoint, evaluate};
use repro::eval::thresholds::{Convention, HoldOut, Thresholds, port_shares, port_wanted, search};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use super::golden::json_files;

#[test]
fn golden_thresholds_counts_costs_and_accuracies_are_the_ports_to_the_last_digit() {
    let mut checked = 0;
    for (file, golden) in json_files() {
        if golden.get("exits").is_some() && golden.get("flops").is_some() {
            checked += check_file(&file, &golden);
        }
    }
    if checked == 0 {
        println!("skipped: no golden thresholds in the folder");
    } else {
        println!("{checked} ratios checked");
    }
}

fn check_file(file: &Path, golden: &Value) -> usize {
    let bytes = std::fs::read(file.with_extension("safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let costs: Vec<u64> = numbers(&golden["flops"]).iter().map(|&cost| cost as u64).collect();
    let mut checked = 0;
    for (name, rows) in golden.as_object().unwrap() {
        let Some(rows) = rows.as_array().filter(|rows| rows.iter().all(Value::is_object)) else {
            continue;
        };
        let step = (name == "ties").then_some(32.0);
        let hold_out = HoldOut::new(answers(&tensors, "val", step)).unwrap();
        let test = answers(&tensors, "test", step);
        for row in rows {
            check_row(row, &hold_out, &test, &costs, &format!("{} {name}", file.display()));
        }
        checked += rows.len();
    }
    checked
}

fn check_row(row: &Value, hold_out: &HoldOut, test: &Answers, costs: &[u64], context: &str) {
    let ratio = row["q"].as_f64().unwrap();
    let context = format!("{context}, ratio {ratio}");
    let shares = port_shares(ratio, costs.len()).unwrap();
    let wanted: Vec<f64> =
        port_wanted(&shares, hold_out.answers().images()).iter().map(|&n| n as f64).collect();
    assert_eq!(wanted, numbers(&row["wanted"]), "{context}");
    for (share, golden) in shares.iter().zip(numbers(&row["probs"])) {
        // The port's vectorised logarithm rounds differently in the last place.
        assert!((f64::from(*share) - golden).abs() <= 1e-6 * golden, "{context}: {share}");
    }

    let thresholds = search(hold_out, ratio, Convention::Port).unwrap();
    let mut with_last = thresholds.values.clone();
    with_last.push(-1e8);
    assert_eq!(singles(&with_last), singles(&numbers(&row["thresholds"])), "{context}");

    let on = |answers| evaluate(answers, &thresholds, costs, Convention::Port).unwrap();
    check_point(&on(hold_out.answers()), row, "val", &context);
    let point = on(test);
    check_point(&point, row, "test", &context);
    let taken: Vec<f64> = point.taken.iter().map(|&n| n as f64).collect();
    assert_eq!(taken, numbers(&row["test_exit_counts"]), "{context}");
    check_against_exits(&thresholds, test, &point, &context);
}

/// The counts follow from the exit of each image.
fn check_against_exits(
    thresholds: &Thresholds,
    test: &Answers,
    point: &BudgetedPoint,
    context: &str,
) {
    let exits = thresholds.exits_of(test).unwrap();
    for (exit, &taken) in point.taken.iter().enumerate() {
        assert_eq!(exits.iter().filter(|&&e| e == exit).count(), taken, "{context}");
    }
}

fn check_point(point: &BudgetedPoint, row: &Value, split: &str, context: &str) {
    let golden = |what: &str| row[&format!("{split}_{what}")].as_f64().unwrap();
    assert_eq!(point.multiply_adds as f32, golden("flops") as f32, "{context}, {split}");
    let correct = golden("acc") * point.images as f64 / 100.0;
    assert!((point.correct as f64 - correct).abs() < 1e-6, "{context}, {split}: {correct}");
}

/// The port's single-precision values, which JSON carries as longer decimals.
fn singles(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Probabilities `[K, N, C]` of a split, rounded down to multiples of 1/`step` if there is one.
fn answers(tensors: &SafeTensors, split: &str, step: Option<f32>) -> Answers {
    let probabilities = tensors.tensor(&format!("{split}_pred")).unwrap();
    assert_eq!(probabilities.dtype(), Dtype::F32);
    let [exits, images, classes] = probabilities.shape()[..] else { panic!("not [K, N, C]") };
    let values: Vec<f32> = probabilities
        .data()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .map(|p| step.map_or(p, |step| (p * step).floor() / step))
        .collect();
    let rows: Vec<&[f32]> = values.chunks_exact(classes).collect();
    let split_by_exit = |f: fn(&[f32]) -> (u32, f32)| -> Vec<Vec<(u32, f32)>> {
        (0..exits)
            .map(|k| rows[k * images..][..images].iter().map(|row| f(row)).collect())
            .collect()
    };
    let best = split_by_exit(first_largest);
    let labels = tensors.tensor(&format!("{split}_target")).unwrap();
    assert_eq!(labels.dtype(), Dtype::U8);
    Answers {
        confidence: best
            .iter()
            .map(|exit| exit.iter().map(|&(_, confidence)| confidence.into()).collect())
            .collect(),
        predicted: best.iter().map(|exit| exit.iter().map(|&(class, _)| class).collect()).collect(),
        labels: labels.data().iter().map(|&label| label.into()).collect(),
    }
}

fn first_largest(row: &[f32]) -> (u32, f32) {
    let mut best = 0;
    for (class, &value) in row.iter().enumerate() {
        if value > row[best] {
            best = class;
        }
    }
    (best as u32, row[best])
}
