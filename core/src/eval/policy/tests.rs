//! Policies on answers made up for them.

use super::*;
use crate::eval::Predictions;
use crate::eval::answers::Answers;
use crate::eval::combine;
use crate::eval::thresholds::HoldOut;

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
    let held_out = HeldOut { hold_out: &hold_out, multiply_adds: &COSTS, knob, target_bound: None };
    Ok((policy.gate(&held_out)?, answers))
}

#[test]
fn a_running_network_lets_images_go_where_the_replay_does_under_every_policy() {
    let predictions = predictions();
    for (policy, knob) in [
        (Policy::MaxSoftmax, 0.8),
        (Policy::Margin, 1.2),
        (Policy::Entropy, 0.9),
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
        (Policy::Margin, -1.0, "ratio"),
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
