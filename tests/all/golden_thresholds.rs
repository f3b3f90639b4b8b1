//! Thresholds, exits, costs and accuracies against the reference port's own output.
//!
//! Every pair `NAME.json`, `NAME.safetensors` of this kind in `tests/golden`, or in the folder
//! that `REPRO_GOLDEN` names, is checked, and within it every set of ratios: `ties` searches the
//! same probabilities rounded down to multiples of 1/32.
//!
//! The port's convention is not ours, and lives here alone. It counts in single precision, rounds
//! the images of each exit down by itself, and takes the confidence of the least sure image that is
//! to leave, with which all images of that confidence leave. Where no confidences are equal, our
//! search lets the same hold-out images leave for the same counts.

use std::path::Path;

use repro::eval::answers::Answers;
use repro::eval::budgeted::{BudgetedPoint, leaving};
use repro::eval::thresholds::{HoldOut, Thresholds, search_shares, shares};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use super::golden::{counted, json_files};

#[test]
fn golden_thresholds_counts_costs_and_accuracies_are_the_ports_to_the_last_digit() {
    let mut checked = [0; 2];
    for (file, golden) in json_files() {
        if golden.get("exits").is_some() && golden.get("flops").is_some() {
            check_file(&file, &golden, &mut checked);
        }
    }
    counted("ratios", checked[0]);
    counted("ratios of our own search", checked[1]);
}

/// Counts the ratios, and those of which our own search was compared.
fn check_file(file: &Path, golden: &Value, checked: &mut [usize; 2]) {
    let bytes = std::fs::read(file.with_extension("safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let costs: Vec<u64> = numbers(&golden["flops"]).iter().map(|&cost| cost as u64).collect();
    for (name, rows) in golden.as_object().unwrap() {
        let Some(rows) = rows.as_array().filter(|rows| rows.iter().all(Value::is_object)) else {
            continue;
        };
        let step = (name == "ties").then_some(32.0);
        let hold_out = HoldOut::new(answers(&tensors, "val", step)).unwrap();
        let test = answers(&tensors, "test", step);
        for row in rows {
            let context = format!("{} {name}", file.display());
            checked[1] += usize::from(check_row(row, &hold_out, &test, &costs, &context));
        }
        checked[0] += rows.len();
    }
}

/// Whether our own search was compared, which needs confidences without ties.
fn check_row(
    row: &Value,
    hold_out: &HoldOut,
    test: &Answers,
    costs: &[u64],
    context: &str,
) -> bool {
    let ratio = row["q"].as_f64().unwrap();
    let context = format!("{context}, ratio {ratio}");
    let images = hold_out.answers().images();
    let single = port_shares(ratio, costs.len());
    for (share, golden) in single.iter().zip(numbers(&row["probs"])) {
        // The port's vectorised logarithm rounds differently in the last place.
        assert!((f64::from(*share) - golden).abs() <= 1e-6 * golden, "{context}: {share}");
    }
    for (share, golden) in shares(ratio, costs.len()).unwrap().iter().zip(numbers(&row["probs"])) {
        // Ours have double precision, the port's have single.
        assert!((share - golden).abs() <= 1e-5 * golden, "{context}: {share}");
    }
    let wanted: Vec<usize> =
        single.iter().map(|share| (images as f32 * share).floor() as usize).collect();
    let golden: Vec<usize> = numbers(&row["wanted"]).iter().map(|&n| n as usize).collect();
    assert_eq!(wanted, golden, "{context}");

    let port = port_thresholds(hold_out.answers(), &wanted);
    let mut with_last = port.clone();
    with_last.push(-NOBODY);
    assert_eq!(singles(&with_last), singles(&numbers(&row["thresholds"])), "{context}");

    // A confidence of at least t is one above the number before t.
    let before = port.iter().map(|t| t.next_down()).collect();
    let thresholds = Thresholds::by_hand(before, costs.len()).unwrap();
    let exits = thresholds.exits_of(hold_out.answers()).unwrap();
    let on = |answers: &Answers| {
        leaving(answers, &thresholds.exits_of(answers).unwrap(), costs).unwrap()
    };
    check_point(&on(hold_out.answers()), row, "val", costs, &context);
    let point = on(test);
    check_point(&point, row, "test", costs, &context);
    let taken: Vec<f64> = point.taken.iter().map(|&n| n as f64).collect();
    assert_eq!(taken, numbers(&row["test_exit_counts"]), "{context}");

    let mut meant: Vec<f64> = wanted.iter().map(|&n| n as f64 / images as f64).collect();
    let rest: f64 = meant[..meant.len() - 1].iter().sum();
    *meant.last_mut().unwrap() = 1.0 - rest;
    let ours = search_shares(hold_out, &meant).unwrap();
    let is_compared = !has_ties(hold_out.answers());
    if is_compared {
        assert_eq!(ours.exits_of(hold_out.answers()).unwrap(), exits, "{context}");
    }
    is_compared
}

/// The port's threshold of an exit that nobody may take.
const NOBODY: f64 = 1e8;

/// The share of images that the port wants to leave at each exit: `ratio^k`, normalised.
fn port_shares(ratio: f64, exits: usize) -> Vec<f32> {
    let log = f64::from(ratio as f32).ln() as f32;
    let power = |k: usize| f64::from(log * k as f32).exp() as f32;
    let powers: Vec<f32> = (1..=exits).map(power).collect();
    // Every fourth number first, then the four sums, as the port's library adds.
    let mut lanes = [0f32; 4];
    powers.iter().enumerate().for_each(|(k, power)| lanes[k % 4] += power);
    let sum: f32 = lanes.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// At each exit the confidence of the least sure image that is to leave.
fn port_thresholds(answers: &Answers, wanted: &[usize]) -> Vec<f64> {
    let mut staying: Vec<usize> = (0..answers.images()).collect();
    let mut thresholds = Vec::new();
    for (confidence, &wanted) in answers.confidence.iter().zip(wanted).take(wanted.len() - 1) {
        staying.sort_by(|&a, &b| confidence[b].total_cmp(&confidence[a]));
        let least = wanted.checked_sub(1).and_then(|last| staying.get(last));
        let threshold = least.map_or(NOBODY, |&image| confidence[image]);
        staying.retain(|&image| confidence[image] < threshold);
        thresholds.push(threshold);
    }
    thresholds
}

fn has_ties(answers: &Answers) -> bool {
    answers.confidence.iter().any(|confidence| {
        let mut sorted = confidence.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.windows(2).any(|pair| pair[0] == pair[1])
    })
}

/// The port's mean cost: shares of images times costs, exit by exit.
fn port_cost(taken: &[usize], costs: &[u64]) -> f32 {
    let images: usize = taken.iter().sum();
    let share = |n: usize| n as f32 / images as f32;
    taken.iter().zip(costs).fold(0.0, |sum, (&n, &cost)| sum + share(n) * cost as f32)
}

fn check_point(point: &BudgetedPoint, row: &Value, split: &str, costs: &[u64], context: &str) {
    let golden = |what: &str| row[&format!("{split}_{what}")].as_f64().unwrap();
    let (found, flops) = (point.multiply_adds, golden("flops"));
    assert_eq!(port_cost(&point.taken, costs), flops as f32, "{context}, {split}");
    // Ours is exact, the port's has single precision.
    assert!((found - flops).abs() <= 1e-6 * flops, "{context}, {split}: {found}, {flops}");
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
