//! The pooled model of figure 3, on accuracies worked by hand.

use super::{answered, claim, close};
use crate::eval::claims::Claim;
use crate::eval::figure::Figure;
use crate::eval::judge::{Answered, Judgement, Measured, Network, Verdict, judge, pooled};
use crate::eval::statistics::student;

fn network(curve: &str, seed: u64, depth: Option<f64>, ln: f64) -> Network {
    Network {
        curve: curve.to_owned(),
        network: String::new(),
        seed,
        position: None,
        depth,
        answered: Answered { accuracy: ln.exp(), images: 0, hits: None },
        own_final: None,
    }
}

/// ln accuracies `[network][seed]`, the reference first, then positions at .1, .3, .5 and .8.
fn family(curve: &str, logs: [[f64; 3]; 5]) -> Vec<Network> {
    let depths = [None, Some(0.1), Some(0.3), Some(0.5), Some(0.8)];
    let of_depth = |(depth, seeds): (Option<f64>, [f64; 3])| {
        seeds.into_iter().enumerate().map(move |(s, ln)| network(curve, s as u64, depth, ln))
    };
    depths.into_iter().zip(logs).flat_map(of_depth).collect()
}

/// Losses of .08, .06, .03 and .01; seeds .02 apart. Seed 0 is off by +.01 at the reference and
/// by -.01 at .1; seed 1 the other way round.
fn resnet() -> Vec<Network> {
    let base = [-0.5, -0.58, -0.56, -0.53, -0.51];
    let mut logs = base.map(|mean| [mean - 0.02, mean, mean + 0.02]);
    for (network, sign) in [(0, 1.0), (1, -1.0)] {
        logs[network][0] += sign * 0.01;
        logs[network][1] -= sign * 0.01;
    }
    family("ResNet", logs)
}

fn judged(claim: &Claim, figure: Figure, networks: &[Network]) -> Judgement {
    let claim = Claim { figure, ..claim.clone() };
    judge(&[claim], figure, &Measured::Positions(networks.to_vec()), &[]).remove(0)
}

fn right(rule: &str, networks: &[Network]) -> Judgement {
    let claim = claim("direction", 0.01, "0.02", rule);
    judged(&claim, Figure::FigFinalDegradation, networks)
}

#[test]
fn losses_are_differences_of_logarithms_to_the_network_without_a_classifier() {
    let value = |of: &str| {
        let rule = format!("loss: {{curve: ResNet, of: {of}}}");
        right(&rule, &resnet()).effect.unwrap().value
    };
    close(value("first"), 0.07);
    close(value("late"), 0.01);
    close(value("fall"), 0.06);
    close(value("all"), 0.045);
    close(value("rise"), 0.08);
}

#[test]
fn the_error_of_a_contrast_comes_from_the_residuals_of_all_networks() {
    let judgement = right("loss: {curve: ResNet, of: first}", &resnet());
    // Residuals: the four cells of .01; 4 positions and 3 seeds leave 8 degrees of freedom.
    let square = 4.0 * 0.01f64.powi(2) / 8.0;
    // c = (1, -1/2, -1/2, 0, 0): 1.5, by three seeds.
    let half = student(0.975, 8.0) * (square * 1.5 / 3.0).sqrt();
    let effect = judgement.effect.unwrap();
    close(effect.high - effect.value, half);
    assert_eq!((judgement.verdict, judgement.seeds), (Some(Verdict::Holds), 3));
}

#[test]
fn two_families_are_compared_with_their_variances_added() {
    let mut networks = resnet();
    let mut other = resnet();
    for network in &mut other {
        network.curve = "MSDNet".to_owned();
        if network.depth.is_some_and(|depth| depth <= 0.34) {
            network.answered.accuracy *= 0.05f64.exp();
        }
    }
    networks.extend(other);
    let judgement = right("keeps_more: {curve: MSDNet, than: ResNet, of: first}", &networks);
    let square = 4.0 * 0.01f64.powi(2) / 8.0;
    let half = student(0.975, 16.0) * (2.0 * square * 1.5 / 3.0).sqrt();
    let effect = judgement.effect.unwrap();
    close(effect.value, 0.05);
    close(effect.high - effect.value, half);
}

#[test]
fn on_the_left_the_reference_is_the_curves_last_position() {
    let networks: Vec<Network> = resnet().into_iter().filter(|n| n.depth.is_some()).collect();
    let claim = claim("direction", 0.01, "", "loss: {curve: ResNet, of: first}");
    let judgement = judged(&claim, Figure::FigIntermediate, &networks);
    close(judgement.effect.unwrap().value, 0.06);
    // The one with no intermediate classifier has no part in it.
    assert_eq!(judged(&claim, Figure::FigIntermediate, &resnet()), judgement);
}

#[test]
fn on_the_left_nothing_is_relative_to_a_position_in_the_first_stage() {
    let mut networks: Vec<Network> =
        resnet().into_iter().filter(|n| n.depth.is_some_and(|depth| depth < 0.4)).collect();
    for network in &mut networks {
        network.own_final = Some(network.answered.clone());
    }
    let claim = claim("direction", 0.01, "", "loss: {curve: ResNet, of: first}");
    let judgement = judged(&claim, Figure::FigIntermediate, &networks);
    assert_eq!(judgement.verdict, Some(Verdict::NotMeasurable), "{judgement:?}");
    assert!(judgement.note.contains("beyond the first stage"), "{}", judgement.note);
    let losses = pooled::positions(&networks, Figure::FigIntermediate);
    let references: Vec<&str> = losses.iter().map(|loss| loss.reference).collect();
    assert_eq!(references, ["own final classifier"; 2]);
}

#[test]
fn images_noise_enters_by_the_influences_of_each_answer() {
    let network = |depth, seed, correct| Network {
        answered: answered(correct, 1000),
        ..network("ResNet", seed, depth, 0.0)
    };
    let networks: Vec<Network> =
        (0..3).flat_map(|s| [network(None, s, 500), network(Some(0.1), s, 400)]).collect();
    let effect = right("loss: {curve: ResNet, of: first}", &networks).effect.unwrap();
    close(effect.value, 1.25f64.ln());
    // Influence of an image: 1/.5 - 1/.4 = -.5 of the first 400, 2 of the next 100, else 0.
    let (mean, square) = (0.0, 0.4 * 0.25 + 0.1 * 4.0);
    let error = ((square - mean * mean) / 999.0f64).sqrt();
    assert!((effect.high - effect.value - 1.959_964 * error).abs() < 1e-6, "{effect:?}");
}

#[test]
fn a_family_without_its_reference_or_its_places_is_not_measurable() {
    let note = |networks: &[Network], of: &str| {
        let rule = format!("loss: {{curve: ResNet, of: {of}}}");
        let judgement = right(&rule, networks);
        assert_eq!(judgement.verdict, Some(Verdict::NotMeasurable));
        judgement.note
    };
    let mut networks = resnet();
    networks.retain(|network| network.depth.is_none_or(|depth| depth < 0.6));
    assert_eq!(note(&networks, "late"), "ResNet: no position late");
    networks.retain(|network| network.depth.is_some());
    assert!(note(&networks, "first").contains("without an intermediate classifier is not there"));
    let mut never = resnet();
    never.iter_mut().filter(|n| n.depth == Some(0.1)).for_each(|n| n.answered.accuracy = 0.0);
    assert!(note(&never, "first").contains("no seed has every network"), "a logarithm of 0");
}

#[test]
fn seeds_that_a_network_lacks_are_left_out_of_the_whole_family() {
    let mut networks = resnet();
    networks.retain(|network| network.depth != Some(0.8) || network.seed != 2);
    let judgement = right("loss: {curve: ResNet, of: first}", &networks);
    assert_eq!((judgement.seeds, judgement.verdict), (2, None));
    let why = "seed 2 left out: a network of ResNet is missing or answers nothing right";
    assert!(judgement.note.contains(why), "{}", judgement.note);
    networks.retain(|network| network.seed == 0);
    let one = right("loss: {curve: ResNet, of: first}", &networks);
    assert!(one.note.starts_with("one seed: no verdict"), "{}", one.note);
}

#[test]
fn positions_are_listed_pointwise_and_on_the_left_against_the_same_runs_final_classifier() {
    let mut networks = resnet();
    for network in &mut networks {
        let own_final = Answered { accuracy: 1.0, images: 0, hits: None };
        network.own_final = Some(own_final);
    }
    let right = pooled::positions(&resnet(), Figure::FigFinalDegradation);
    assert_eq!(right.len(), 4);
    close(right[1].estimate.value, 0.06);
    let left = pooled::positions(&networks, Figure::FigIntermediate);
    let told: Vec<_> = left.iter().map(|loss| (loss.depth, loss.reference)).collect();
    assert_eq!(told.len(), 3 + 4);
    assert_eq!(told[6], (0.8, "own final classifier"));
    close(left[6].estimate.value, 0.51);
}
