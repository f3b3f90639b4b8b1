//! What a guarantee promises, by simulation: hold-outs are drawn anew from a population whose
//! risk is known, and the risk of each certified threshold is looked up.
//!
//! The population is all images of the golden predictions; a hold-out is 1,000 of them, drawn
//! with replacement, so that its images are independent.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use repro::eval::answers::Answers;
use repro::eval::guarantee::{Method, Risk, Tolerance, choose, losses, mean, thresholds};

use super::{own_hold_out, own_test};

const HOLD_OUTS: usize = 500;
const IMAGES: usize = 1000;
const CONFIDENCE: f64 = 0.9;
/// Shares of broken promises that chance allows above 0.1: 2.3 standard errors of 500 trials.
const CHANCE: f64 = 0.031;

/// Answers on all images of the golden predictions.
fn population() -> Answers {
    let (mut all, more) = (own_hold_out(), own_test());
    for (exit, more) in all.confidence.iter_mut().zip(more.confidence) {
        exit.extend(more);
    }
    for (exit, more) in all.predicted.iter_mut().zip(more.predicted) {
        exit.extend(more);
    }
    all.labels.extend(more.labels);
    all
}

/// Risks in the population of the thresholds that `method` certifies on each hold-out.
fn risks(
    population: &[Vec<i8>],
    hold_outs: &[Vec<Vec<i8>>],
    method: Method,
    tolerance: &Tolerance,
) -> Vec<f64> {
    let known: Vec<f64> = population.iter().map(|row| mean(row)).collect();
    let chosen = hold_outs.iter().map(|rows| choose(rows, method, tolerance));
    // Where no threshold passes nobody leaves early, which costs nothing.
    chosen.map(|row| row.map_or(0.0, |row| known[row])).collect()
}

#[test]
fn promises_on_500_redrawn_hold_outs_are_kept_as_often_as_promised() {
    let answers = population();
    let grid = thresholds();
    for risk in Risk::ALL {
        let population = losses(&answers, risk, &grid).unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let hold_outs: Vec<Vec<Vec<i8>>> = (0..HOLD_OUTS)
            .map(|_| {
                let images = answers.images();
                let drawn: Vec<usize> =
                    (0..IMAGES).map(|_| random.random_range(0..images)).collect();
                let row = |row: &Vec<i8>| drawn.iter().map(|&image| row[image]).collect();
                population.iter().map(row).collect()
            })
            .collect();
        for at_most in [0.01, 0.02, 0.05] {
            let tolerance = Tolerance::new(at_most, CONFIDENCE).unwrap();
            for method in Method::ALL {
                let found = risks(&population, &hold_outs, method, &tolerance);
                check(risk, method, at_most, &found);
            }
        }
    }
}

fn check(risk: Risk, method: Method, at_most: f64, risks: &[f64]) {
    let n = risks.len() as f64;
    let broken = risks.iter().filter(|&&risk| risk > at_most).count() as f64 / n;
    let mean = risks.iter().sum::<f64>() / n;
    let variance = risks.iter().map(|risk| (risk - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let error = (variance / n).sqrt();
    println!("{risk:11} {method:7} {at_most:4}: broken {broken:.3}, mean risk {mean:.4}");
    match method {
        Method::Crc => assert!(
            mean <= at_most + 2.0 * error,
            "{risk}, {method}: a mean risk of {mean} +- {error} against {at_most}"
        ),
        Method::Betting | Method::Ltt => assert!(
            broken <= 1.0 - CONFIDENCE + CHANCE,
            "{risk}, {method}: {broken} of the risks are above {at_most}"
        ),
    }
}
