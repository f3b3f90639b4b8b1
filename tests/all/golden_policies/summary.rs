//! The paper's rule and the summary.

use repro::eval::budgeted::{Network, default_ratios, leaving};
use repro::eval::combine::{Combine, true_class};
use repro::eval::curve::{area_under, first_cost, interpolate};
use repro::eval::summary;
use repro::eval::thresholds::{HoldOut, search};
use serde_json::Value;

use super::{
    Golden, all_near, golden_policies, list, near, near_or_none, same_outcome, same_thresholds,
};

#[test]
fn golden_summaries_are_the_same() {
    for golden in golden_policies() {
        let Golden { name, values, hold_out, test, costs } = &golden;
        let network = Network { hold_out, test, multiply_adds: costs };
        let values = &values["summary"];
        check_geometric_rule(&golden, &values["geometric_rule"]);
        let line = summary::curve(&network, Combine::Single).unwrap();
        check_percents(&golden, Combine::Single, &values["accuracy_at_percent_of_full_cost"]);
        let combined = &values["accuracy_at_percent_of_full_cost_combined"];
        for (rule, golden_values) in combined.as_object().unwrap() {
            check_percents(&golden, rule.parse().unwrap(), golden_values);
        }
        let last = line.last().unwrap().1;
        let costs_at = [
            (last, "multiply_adds_at_equal_accuracy"),
            (last - 0.01, "multiply_adds_at_one_point_less"),
        ];
        for (accuracy, key) in costs_at {
            near_or_none(first_cost(&line, accuracy), &values[key], &format!("{name}, {key}"));
        }
        near_or_none(area_under(&line), &values["area_under_curve"], name);
        check_exits(&golden, values);
        for (rule, falls) in values["falls_by_more_than"].as_object().unwrap() {
            let probability = true_class(test, rule.parse().unwrap(), costs).unwrap();
            for (fall, share) in falls.as_object().unwrap() {
                let found = summary::falls_by_more_than(&probability, fall.parse().unwrap());
                near(found, share, &format!("{name}, {rule} falls by {fall}"));
            }
        }
    }
}

fn check_geometric_rule(golden: &Golden, rows: &Value) {
    let [hold_out, test] = golden.plain();
    let hold_out = HoldOut::new(hold_out).unwrap();
    for row in list(rows) {
        let ratio = row["ratio"].as_f64().unwrap_or(f64::INFINITY);
        let context = format!("{}, ratio {ratio}", golden.name);
        let thresholds = search(&hold_out, ratio).unwrap();
        same_thresholds(&thresholds.values, &row["thresholds"], &context);
        let left = thresholds.exits_of(&test).unwrap();
        same_outcome(&leaving(&test, &left, &golden.costs).unwrap(), row, &context);
    }
    let ratios: Vec<f64> =
        list(rows).iter().map(|row| row["ratio"].as_f64().unwrap_or(f64::INFINITY)).collect();
    assert_eq!(default_ratios(), ratios, "{}", golden.name);
}

fn check_percents(golden: &Golden, rule: Combine, values: &Value) {
    let network =
        Network { hold_out: &golden.hold_out, test: &golden.test, multiply_adds: &golden.costs };
    let line = summary::curve(&network, rule).unwrap();
    let full = *golden.costs.last().unwrap() as f64;
    for (percent, value) in values.as_object().unwrap() {
        let cost = full * percent.parse::<f64>().unwrap() / 100.0;
        let found = interpolate(&line, cost);
        near_or_none(found, value, &format!("{}, {rule} at {percent} %", golden.name));
    }
}

fn check_exits(golden: &Golden, values: &Value) {
    let [_, test] = golden.plain();
    let name = &golden.name;
    let right = test.right();
    for (exit, value) in list(&values["auroc"]).iter().enumerate() {
        let found = summary::auroc(&test.confidence[exit], &right[exit]);
        near_or_none(found, value, &format!("{name}, auroc of exit {}", exit + 1));
    }
    let hindsight = summary::hindsight_improvability(&right);
    all_near(&hindsight, &values["hindsight_improvability"], name);
    let found = summary::overthinking(&right, &golden.costs);
    all_near(&found.cumulative_accuracy, &values["cumulative_accuracy"], name);
    near(found.destructive, &values["destructive"], name);
    near(found.wasteful, &values["wasteful"], name);
    near(found.destructive + found.wasteful, &values["right_before_last"], name);
    near(found.cost_to_first_right, &values["cost_to_first_right"], name);
}
