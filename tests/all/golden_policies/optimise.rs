//! Optimised thresholds and the oracle.

use repro::eval::answers::Answers;
use repro::eval::budgeted::{BudgetedPoint, leaving};
use repro::eval::optimise::{Price, coordinate_ascent, dynamic_programme, oracle};
use repro::eval::policy::bins::{BINS, Bins};
use repro::eval::thresholds::Thresholds;
use serde_json::Value;

use super::{count, golden_policies, list, near, same_outcome, same_thresholds};

#[test]
fn golden_optimised_thresholds_and_the_oracle_are_the_same() {
    for golden in golden_policies() {
        let [hold_out, test] = golden.plain();
        let optimised = &golden.values["optimised"];
        assert_eq!(count(&optimised["bins"]), BINS, "{}", golden.name);
        for (exit, tops) in list(&optimised["bin_tops"]).iter().enumerate() {
            let found = Bins::of(&hold_out.confidence[exit]).tops;
            same_thresholds(&found[..list(tops).len()], tops, &golden.name);
        }
        // The form `bins`, where any bins may leave, is none that a policy has.
        let programmes = list(&optimised["dynamic_programme"]).iter();
        for row in programmes.filter(|row| row["form"] == "thresholds") {
            check_programme(row, &hold_out, &test, &golden.costs, &golden.name);
        }
        for row in list(&optimised["coordinate_ascent"]) {
            check_ascent(row, &hold_out, &test, &golden.costs, &golden.name);
        }
        for row in list(&optimised["oracle"]) {
            let price = Price::new(&golden.costs, row["lambda"].as_f64().unwrap()).unwrap();
            for (split, answers) in [("hold_out", &hold_out), ("test", &test)] {
                let left = oracle(answers, &price).unwrap();
                let point = leaving(answers, &left, &golden.costs).unwrap();
                let context = format!("{}, oracle at {}, {split}", golden.name, price.lambda);
                same_outcome(&point, &row[split], &context);
            }
        }
    }
}

fn objective(point: &BudgetedPoint, price: &Price) -> f64 {
    let full = *price.multiply_adds.last().unwrap() as f64;
    point.accuracy - price.lambda * point.multiply_adds / full
}

fn check_programme(
    golden: &Value,
    hold_out: &Answers,
    test: &Answers,
    costs: &[u64],
    context: &str,
) {
    let price = Price::new(costs, golden["lambda"].as_f64().unwrap()).unwrap();
    let context = format!("{context}, dynamic programme at {}", price.lambda);
    let found = dynamic_programme(hold_out, &price).unwrap();
    near(found.expected_loss, &golden["expected_loss"], &context);
    same_thresholds(&found.thresholds, &golden["thresholds"], &context);
    let rule = Thresholds::by_hand(found.thresholds, costs.len()).unwrap();
    let on = |answers| leaving(answers, &rule.exits_of(answers).unwrap(), costs).unwrap();
    let own = on(hold_out);
    near(objective(&own, &price), &golden["objective_hold_out"], &context);
    same_outcome(&own, &golden["hold_out"], &context);
    same_outcome(&on(test), &golden["test"], &context);
}

fn check_ascent(golden: &Value, hold_out: &Answers, test: &Answers, costs: &[u64], context: &str) {
    let price = Price::new(costs, golden["lambda"].as_f64().unwrap()).unwrap();
    let start = golden["start"].as_str().unwrap();
    let context = format!("{context}, coordinate ascent from `{start}` at {}", price.lambda);
    let values = match start {
        "nobody leaves" => vec![f64::INFINITY; costs.len() - 1],
        "dynamic programme" => dynamic_programme(hold_out, &price).unwrap().thresholds,
        other => panic!("{context}: {other}"),
    };
    let start = Thresholds::by_hand(values, costs.len()).unwrap();
    let found = coordinate_ascent(hold_out, &price, &start).unwrap();
    same_thresholds(&found.thresholds.values, &golden["thresholds"], &context);
    assert_eq!(found.sweeps, count(&golden["sweeps"]), "{context}");
    near(found.objective, &golden["objective_hold_out"], &context);
    let on =
        |answers| leaving(answers, &found.thresholds.exits_of(answers).unwrap(), costs).unwrap();
    let own = on(hold_out);
    near(objective(&own, &price), &golden["objective_hold_out"], &context);
    same_outcome(&own, &golden["hold_out"], &context);
    same_outcome(&on(test), &golden["test"], &context);
}
