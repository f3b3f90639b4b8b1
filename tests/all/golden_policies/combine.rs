//! Combined exits.

use repro::eval::Predictions;
use repro::eval::combine::{Combine, Combiner, answers as combined, true_class};
use repro::eval::probabilities::{Certainty, log_softmax};
use serde_json::Value;

use super::{count, golden_policies, list, near, near_or_none};

#[test]
fn golden_combined_exits_answer_as_the_formulas_say() {
    for golden in golden_policies() {
        for (rule, splits) in golden.values["combine"].as_object().unwrap() {
            let rule: Combine = rule.parse().unwrap();
            for (split, predictions) in golden.splits() {
                let context = format!("{}, {rule}, {split}", golden.name);
                check_combined(predictions, rule, &golden.costs, &splits[split], &context);
            }
        }
    }
}

fn check_combined(
    predictions: &Predictions,
    rule: Combine,
    costs: &[u64],
    rows: &Value,
    context: &str,
) {
    let answers = combined(predictions, rule, costs, Certainty::MaxSoftmax).unwrap();
    let probability = true_class(predictions, rule, costs).unwrap();
    let right = answers.right();
    let images = predictions.len() as f64;
    let rows = list(rows);
    assert_eq!(rows.len(), predictions.exits, "{context}");
    for row in rows {
        let exit = count(&row["exit"]) - 1;
        let context = format!("{context}, exit {}", exit + 1);
        let correct = right[exit].iter().filter(|&&hit| hit).count();
        assert_eq!(correct, count(&row["correct"]), "{context}");
        near(correct as f64 / images, &row["accuracy"], &context);
        let confidence: f64 = answers.confidence[exit].iter().sum();
        near(confidence / images, &row["mean_confidence"], &context);
        let possible = probability[exit].iter().filter(|&&p| p > 0.0);
        let (count_possible, sum) =
            (possible.clone().count(), possible.map(|p| -p.ln()).sum::<f64>());
        let impossible = predictions.len() - count_possible;
        assert_eq!(impossible, count(&row["zero_probability"]), "{context}");
        near_or_none((impossible == 0).then_some(sum / images), &row["nll"], &context);
        near(sum / count_possible as f64, &row["nll_of_the_others"], &context);
        if let Some(fell_back) = row.get("fell_back_to_softmax") {
            assert_eq!(fallen_back(predictions, rule, costs, exit), count(fell_back), "{context}");
        }
    }
}

fn fallen_back(predictions: &Predictions, rule: Combine, costs: &[u64], exit: usize) -> usize {
    let falls_back = |&image: &usize| {
        let mut combiner = Combiner::new(rule, costs);
        let says = (0..=exit).map(|k| combiner.next(predictions.logits_of(k, image), 1.0));
        says.last() == Some(log_softmax(predictions.logits_of(exit, image), 1.0))
    };
    (0..predictions.len()).filter(falls_back).count()
}
