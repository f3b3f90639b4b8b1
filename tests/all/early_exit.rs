//! Early exit in a running network leaves where the replay of its logits does.

use repro::engine::Engine;
use repro::eval::Predictions;
use repro::eval::budgeted::{Setting, rule};
use repro::eval::combine::{self, Combine};
use repro::eval::policy::{Policy, Rule};
use repro::eval::thresholds::{HoldOut, Thresholds, search};
use repro::nn::Precision;
use repro::predict::{Verdict, early_exit, early_exit_one};

use super::families::{floats, images, moved_weights, networks};

/// The engine of a small MSDNet, and `count` images for it.
fn ready(count: u32) -> (Engine, Vec<f32>) {
    let (config, input) = networks().swap_remove(0);
    let network = config.build(input).unwrap();
    let weights = moved_weights(&network, input);
    let engine = Engine::new(&network, &weights, Some(Precision::Fp32)).unwrap();
    (engine, floats(&images(input, count.into())))
}

/// What it says of them at every exit.
fn predict(engine: &Engine, images: &[f32], count: u32) -> Predictions {
    Predictions {
        exits: engine.exits(),
        classes: engine.classes(),
        images: (0..count).collect(),
        labels: (0..count).map(|image| image % 3).collect(),
        logits: engine.logits(images, 1).unwrap().concat(),
    }
}

#[test]
fn early_exit_in_a_batch_and_alone_is_the_replayed_decision() {
    let (engine, images) = ready(70);
    let answers = combine::plain(&predict(&engine, &images, 70)).unwrap();
    let hold_out = HoldOut::new(answers.clone()).unwrap();
    let costs: Vec<u64> = (1..=engine.exits() as u64).collect();
    for ratio in [0.0, 0.4, 1.0, 3.0] {
        let thresholds = search(&hold_out, ratio).unwrap();
        let replayed = thresholds.exits_of(&answers).unwrap();
        let rule = Rule::plain(thresholds, &costs);
        let size = images.len() / 70;
        for threads in [1, 2] {
            let verdicts = early_exit(&engine, &images, &rule, threads).unwrap();
            for (image, verdict) in verdicts.iter().enumerate() {
                let exit = replayed[image];
                let expected = Verdict {
                    exit,
                    predicted: answers.predicted[exit][image],
                    confidence: answers.confidence[exit][image],
                };
                assert_eq!(*verdict, expected, "image {image}, ratio {ratio}");
                let alone = &images[image * size..][..size];
                let alone = early_exit_one(&engine, alone, &rule).unwrap();
                assert_eq!(alone, expected, "image {image}, ratio {ratio}");
            }
        }
    }
    let few = Rule::plain(Thresholds::by_hand(vec![0.5], 2).unwrap(), &[1, 2]);
    assert!(early_exit(&engine, &images, &few, 1).is_err());
}

#[test]
fn every_policy_with_combined_exits_leaves_in_a_batch_and_alone_where_the_replay_does() {
    let (engine, images) = ready(40);
    let (exits, size) = (engine.exits(), images.len() / 40);
    let predictions = predict(&engine, &images, 40);
    let costs: Vec<u64> = (1..=exits as u64).map(|k| k * k).collect();
    for (policy, knob) in [
        (Policy::Margin, 1.0),
        (Policy::Patience, 2.0),
        (Policy::TargetAccuracy, 0.3),
        (Policy::CoordinateAscent, 0.1),
        (Policy::DynamicProgramme, 0.1),
    ] {
        for combine in Combine::ALL {
            if policy.check_combine(combine).is_err() {
                continue;
            }
            let setting = Setting { policy, combine, ..Setting::paper() };
            let rule = rule(&predictions, &costs, &setting, knob).unwrap();
            let kind = rule.certainty;
            let answers = combine::answers(&predictions, combine, &costs, kind).unwrap();
            let replayed = rule.gate.exits_of(&answers).unwrap();
            let verdicts = early_exit(&engine, &images, &rule, 2).unwrap();
            for (image, verdict) in verdicts.iter().enumerate() {
                let context = format!("{policy}, {combine}, image {image}");
                let exit = replayed[image];
                assert_eq!(verdict.exit, exit, "{context}");
                assert_eq!(verdict.predicted, answers.predicted[exit][image], "{context}");
                let alone = &images[image * size..][..size];
                assert_eq!(early_exit_one(&engine, alone, &rule).unwrap(), *verdict, "{context}");
            }
        }
    }
}
