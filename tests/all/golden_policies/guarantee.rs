//! Certified thresholds.

use repro::eval::answers::Answers;
use repro::eval::budgeted::{BudgetedPoint, leaving};
use repro::eval::guarantee::{
    Method, Risk, Tolerance, bounds, choose, exits_at, losses, mean, thresholds,
};
use serde_json::Value;

use super::{all_near, count, golden_policies, list, mean_exit, near, same_counts};

#[test]
fn golden_guarantees_choose_the_same_thresholds_with_the_same_risks() {
    for golden in golden_policies() {
        let control = &golden.values["risk_control"];
        let grid = thresholds();
        all_near(&grid, &control["grid"], &golden.name);
        assert_eq!(control["loss_bound"].as_f64(), Some(1.0));
        let delta = control["delta"].as_f64().unwrap();
        let [hold_out, test] = golden.plain();
        for (name, set) in control.as_object().unwrap() {
            if !set.is_object() {
                continue;
            }
            let context = format!("{}, {name}", golden.name);
            let hold_out = first(&hold_out, count(&set["images"]));
            check_leaving(&hold_out, &golden.costs, &set["hold_out"], &context);
            check_leaving(&test, &golden.costs, &set["test"], &context);
            for (risk, values) in set["risks"].as_object().unwrap() {
                let context = format!("{context}, {risk}");
                let risk = risk.parse().unwrap();
                check_risk(risk, delta, &hold_out, &test, &golden.costs, values, &context);
            }
        }
    }
}

/// Answers on the first `images` images.
fn first(answers: &Answers, images: usize) -> Answers {
    Answers {
        confidence: answers.confidence.iter().map(|c| c[..images].to_vec()).collect(),
        predicted: answers.predicted.iter().map(|c| c[..images].to_vec()).collect(),
        labels: answers.labels[..images].to_vec(),
    }
}

fn at(answers: &Answers, threshold: f64, costs: &[u64]) -> BudgetedPoint {
    leaving(answers, &exits_at(answers, threshold).unwrap(), costs).unwrap()
}

/// What follows from each threshold of the grid.
fn check_leaving(answers: &Answers, costs: &[u64], golden: &Value, context: &str) {
    let points: Vec<_> = thresholds().into_iter().map(|t| at(answers, t, costs)).collect();
    let correct: Vec<usize> = points.iter().map(|point| point.correct).collect();
    same_counts(&correct, &golden["correct"], context);
    for (point, taken) in points.iter().zip(list(&golden["images_per_exit"])) {
        same_counts(&point.taken, taken, context);
    }
    all_near(&points.iter().map(mean_exit).collect::<Vec<_>>(), &golden["mean_exit"], context);
    let costs: Vec<f64> = points.iter().map(|point| point.multiply_adds).collect();
    all_near(&costs, &golden["mean_multiply_adds"], context);
}

fn check_risk(
    risk: Risk,
    delta: f64,
    hold_out: &Answers,
    test: &Answers,
    costs: &[u64],
    golden: &Value,
    context: &str,
) {
    let grid = thresholds();
    let [own, on_test] = [hold_out, test].map(|split| losses(split, risk, &grid).unwrap());
    let sums = |rows: &[Vec<i8>]| -> Vec<f64> {
        rows.iter().map(|row| row.iter().map(|&loss| f64::from(loss)).sum()).collect()
    };
    all_near(&sums(&own), &golden["loss_sum_hold_out"], context);
    all_near(&sums(&on_test), &golden["loss_sum_test"], context);
    let counts = own.iter().map(|row| row.iter().filter(|&&loss| loss > 0).count());
    let counts: Vec<usize> = counts.collect();
    same_counts(&counts, &golden["positive_loss_sum_hold_out"], context);
    for (row, bound) in own.iter().zip(list(&golden["ucb_wsr"])) {
        let bound = bound.as_f64().unwrap();
        assert!(bound >= 1.0 || bounds::betting_holds(row, bound + 1e-9, delta), "{context}");
        assert!(!bounds::betting_holds(row, bound - 1e-9, delta), "{context}");
    }
    for (eps, p_values) in golden["p_value"].as_object().unwrap() {
        let eps: f64 = eps.parse().unwrap();
        for (count, golden) in counts.iter().zip(list(p_values)) {
            let found = bounds::hoeffding_bentkus(*count, hold_out.images(), eps);
            let golden = golden.as_f64().unwrap();
            // Relative: most are far below 1e-9.
            assert!((found - golden).abs() <= 1e-9 * golden, "{context}: {found}, {golden}");
        }
    }
    for choice in list(&golden["chosen"]) {
        check_choice(choice, delta, [&own, &on_test], [hold_out, test], costs, context);
    }
}

fn check_choice(
    golden: &Value,
    delta: f64,
    losses: [&[Vec<i8>]; 2],
    [hold_out, test]: [&Answers; 2],
    costs: &[u64],
    context: &str,
) {
    let tolerance = Tolerance::new(golden["eps"].as_f64().unwrap(), 1.0 - delta).unwrap();
    let name = golden["method"].as_str().unwrap();
    let method = match name {
        "crc" => Method::Crc,
        "ucb-wsr" => Method::Betting,
        "ltt" => Method::Ltt,
        other => panic!("{context}: method {other}"),
    };
    let context = format!("{context}, {name} at {}", tolerance.at_most);
    let row_of = |value: &Value| value.as_u64().map(|row| row as usize);
    let chosen = choose(losses[0], method, &tolerance);
    let index = if method == Method::Crc {
        assert_eq!(chosen, row_of(&golden["index_if_all_before_must_pass"]), "{context}");
        losses[0].iter().rposition(|row| method.passes(row, &tolerance))
    } else {
        chosen
    };
    assert_eq!(index, row_of(&golden["index"]), "{context}");
    let threshold = index.map_or(f64::INFINITY, |row| thresholds()[row]);
    near(threshold.min(2.0), &golden["threshold"], &context);
    let risk = |rows: &[Vec<i8>]| index.map_or(0.0, |row| mean(&rows[row]));
    near(risk(losses[0]), &golden["hold_out_risk"], &context);
    near(risk(losses[1]), &golden["test_risk"], &context);
    let (own, on_test) = (at(hold_out, threshold, costs), at(test, threshold, costs));
    near(mean_exit(&own), &golden["hold_out_mean_exit"], &context);
    near(own.multiply_adds, &golden["hold_out_mean_multiply_adds"], &context);
    near(mean_exit(&on_test), &golden["test_mean_exit"], &context);
    near(on_test.multiply_adds, &golden["test_mean_multiply_adds"], &context);
    near(on_test.accuracy, &golden["test_accuracy"], &context);
}
