//! Verdicts, magnitudes and seeds needed of estimates given by hand.

use crate::eval::claims::{Claim, parse};
use crate::eval::judge::verdict::conclude;
use crate::eval::judge::{Finding, Judgement, Magnitude, Needed, Verdict, judge_exact};
use crate::eval::statistics::{Estimate, SeedNoise, student};

use super::{claim, close};

const RULE: &str = "mean_above: {curve: A, others: [B]}";

/// Three seeds; `half` is the half-width of the 95 % interval.
fn finding(value: f64, half: f64) -> Finding {
    let error = half / student(0.975, 2.0);
    Finding {
        place: format!("{value}"),
        estimate: Estimate {
            value,
            seeds: 3,
            seed_noise: vec![SeedNoise { variance: error * error, seeds: 3, freedom_per_seed: 1 }],
            image_variance: 0.0,
            paired: true,
        },
        left_out: String::new(),
    }
}

fn verdict(kind: &str, findings: &[(f64, f64)]) -> Verdict {
    let findings = findings.iter().map(|&(value, half)| finding(value, half)).collect();
    conclude(&claim(kind, 0.02, "", RULE), Ok(findings)).verdict.unwrap()
}

fn one(kind: &str, margin: f64, paper: &str, found: (f64, f64)) -> Judgement {
    conclude(&claim(kind, margin, paper, RULE), Ok(vec![finding(found.0, found.1)]))
}

#[test]
fn a_direction_holds_above_zero_and_has_no_effect_within_the_margin() {
    assert_eq!(verdict("direction", &[(0.03, 0.029)]), Verdict::Holds);
    assert_eq!(verdict("direction", &[(-0.03, 0.029)]), Verdict::Fails);
    assert_eq!(verdict("direction", &[(0.03, 0.031)]), Verdict::TooFewSeeds);
    // The 90 % interval is 2.920 / 4.303 as wide: 0.0278 becomes 0.0189.
    assert_eq!(verdict("direction", &[(0.001, 0.0278)]), Verdict::NoEffect);
    assert_eq!(verdict("direction", &[(0.002, 0.0278)]), Verdict::TooFewSeeds);
    // Above 0 and within the margin: `holds` wins.
    assert_eq!(verdict("direction", &[(0.01, 0.005)]), Verdict::Holds);
}

#[test]
fn what_is_harmless_stays_below_the_margin_however_good_it_is() {
    assert_eq!(verdict("harmless", &[(0.01, 0.009)]), Verdict::Holds);
    assert_eq!(verdict("harmless", &[(-0.5, 0.1)]), Verdict::Holds);
    assert_eq!(verdict("harmless", &[(0.03, 0.009)]), Verdict::Fails);
    assert_eq!(verdict("harmless", &[(0.015, 0.009)]), Verdict::TooFewSeeds);
}

#[test]
fn equality_is_judged_by_the_90_percent_interval_and_its_failure_by_the_95_percent_one() {
    assert_eq!(verdict("equal", &[(0.001, 0.0278)]), Verdict::Holds);
    assert_eq!(verdict("equal", &[(0.002, 0.0278)]), Verdict::TooFewSeeds);
    assert_eq!(verdict("equal", &[(-0.05, 0.029)]), Verdict::Fails);
    // The 90 % interval is outside, the 95 % one is not.
    assert_eq!(verdict("equal", &[(-0.05, 0.031)]), Verdict::TooFewSeeds);
}

#[test]
fn of_several_places_each_must_hold_and_one_fails_at_its_corrected_level() {
    assert_eq!(verdict("direction", &[(0.03, 0.02), (0.03, 0.029)]), Verdict::Holds);
    assert_eq!(verdict("direction", &[(0.03, 0.02), (0.03, 0.031)]), Verdict::TooFewSeeds);
    // With four places the interval of level .9875 is 8.860 / 4.303 = 2.06 times as wide.
    let sure = [(0.03, 0.01); 3];
    let with = |last| [sure.to_vec(), vec![last]].concat();
    assert_eq!(verdict("direction", &with((-0.03, 0.014))), Verdict::Fails);
    assert_eq!(verdict("direction", &with((-0.03, 0.015))), Verdict::TooFewSeeds);
    assert_eq!(verdict("direction", &[(0.0, 0.01), (0.001, 0.01)]), Verdict::NoEffect);
    assert_eq!(verdict("direction", &[(0.0, 0.01), (0.03, 0.01)]), Verdict::TooFewSeeds);
}

#[test]
fn the_place_nearest_to_its_bound_is_shown_with_its_own_interval() {
    let places = vec![finding(0.05, 0.01), finding(0.03, 0.01), finding(0.04, 0.01)];
    let judgement = conclude(&claim("direction", 0.02, "", RULE), Ok(places.clone()));
    let effect = judgement.effect.unwrap();
    close(effect.value, 0.03);
    close(effect.low, 0.02);
    close(effect.high, 0.04);
    assert_eq!(judgement.places, 3);
    assert_eq!(judgement.note, "pointwise, of 3 places: 0.03");
    let harmless = conclude(&claim("harmless", 0.02, "", RULE), Ok(places));
    close(harmless.effect.unwrap().value, 0.05);
}

#[test]
fn one_and_two_seeds_give_an_interval_and_no_verdict() {
    for (seeds, note) in [(1, "one seed: no verdict"), (2, "two seeds: no verdict")] {
        let mut found = finding(0.5, 0.01);
        found.estimate.seeds = seeds;
        found.estimate.image_variance = 1e-6;
        if seeds == 1 {
            found.estimate.seed_noise.clear();
        }
        let judgement = conclude(&claim("direction", 0.02, "0.04", RULE), Ok(vec![found]));
        assert_eq!((judgement.verdict, judgement.magnitude), (None, None));
        assert!(judgement.note.starts_with(note), "{}", judgement.note);
        assert!(judgement.effect.is_some() && judgement.ratio.is_some());
        assert_eq!(judgement.needed.is_none(), seeds == 1);
    }
}

#[test]
fn a_size_is_told_from_the_interval_of_the_ratio_to_the_papers() {
    let size = |value, half| one("direction", 0.05, "0.1", (value, half)).magnitude;
    assert_eq!(size(0.11, 0.05), Some(Magnitude::AsPaper));
    assert_eq!(size(0.2, 0.05), Some(Magnitude::Larger));
    assert_eq!(size(0.05, 0.04), Some(Magnitude::Smaller));
    assert_eq!(size(0.01, 0.04), Some(Magnitude::Smaller));
    assert_eq!(size(-0.1, 0.05), Some(Magnitude::Opposite));
    assert_eq!(size(0.05, 0.06), None);
    // The paper's effect is smaller than the margin, or there is none, or the kind is `equal`.
    assert_eq!(one("harmless", 0.02, "0.01", (0.01, 0.001)).magnitude, None);
    assert_eq!(one("direction", 0.02, "", (0.01, 0.001)).magnitude, None);
    assert_eq!(one("equal", 0.02, "0.1", (0.1, 0.001)).magnitude, None);
}

#[test]
fn a_ratio_to_a_negative_value_has_its_ends_in_order() {
    let ratio = one("harmless", 0.02, "-0.05", (-0.1, 0.02)).ratio.unwrap();
    close(ratio.value, 2.0);
    close(ratio.low, 1.6);
    close(ratio.high, 2.4);
}

/// One seed's error is `single`.
fn needed(kind: &str, margin: f64, paper: &str, single: f64, images: f64) -> Needed {
    let mut found = finding(0.0, 1.0);
    found.estimate.seed_noise[0].variance = single * single / 3.0;
    found.estimate.image_variance = images;
    conclude(&claim(kind, margin, paper, RULE), Ok(vec![found])).needed.unwrap()
}

#[test]
fn the_seeds_needed_are_the_fewest_with_which_the_papers_effect_would_be_seen() {
    // n = 3: (4.303 + 1.061) / sqrt(3) = 3.0968; n = 4: (3.182 + .978) / 2 = 2.0804.
    assert_eq!(needed("direction", 0.05, "3.1", 1.0, 0.0), Needed::Seeds(3));
    assert_eq!(needed("direction", 0.05, "3.09", 1.0, 0.0), Needed::Seeds(4));
    assert_eq!(needed("direction", 0.05, "-2.09", 1.0, 0.0), Needed::Seeds(4));
    assert_eq!(needed("direction", 0.05, "2.07", 1.0, 0.0), Needed::Seeds(5));
    // Without the paper's value the margin counts.
    assert_eq!(needed("direction", 3.1, "", 1.0, 0.0), Needed::Seeds(3));
    assert_eq!(needed("harmless", 4.1, "1", 1.0, 0.0), Needed::Seeds(3));
    assert_eq!(needed("harmless", 4.1, "-1", 1.0, 0.0), Needed::Seeds(3));
    // equal: (2.920 + 1.061) / sqrt(3) = 2.2982 at n = 3.
    assert_eq!(needed("equal", 2.4, "-0.1", 1.0, 0.0), Needed::Seeds(3));
    assert_eq!(needed("equal", 2.4, "0.2", 1.0, 0.0), Needed::Seeds(4));
    // The images' noise does not fall with seeds: 2.8 x 1 at best.
    assert_eq!(needed("direction", 0.05, "2.7", 1.0, 1.0), Needed::TooMany);
    assert_eq!(needed("harmless", 0.02, "0.03", 1.0, 0.0), Needed::TooMany);
    assert_eq!(Needed::TooMany.to_string(), ">1000");
}

#[test]
fn seeds_needed_in_the_pooled_model_have_more_degrees_of_freedom() {
    let mut found = finding(0.0, 1.0);
    found.estimate.seed_noise[0] = SeedNoise { variance: 1.0 / 3.0, seeds: 3, freedom_per_seed: 4 };
    // n = 3, 8 degrees of freedom: (2.306 + .889) / sqrt(3) = 1.8446.
    let needed = |paper: &str, found: &Finding| {
        conclude(&claim("direction", 0.05, paper, RULE), Ok(vec![found.clone()])).needed.unwrap()
    };
    assert_eq!(needed("1.85", &found), Needed::Seeds(3));
    assert_eq!(needed("1.84", &found), Needed::Seeds(4));
    found.estimate.seed_noise[0].freedom_per_seed = 1;
    assert_eq!(needed("1.85", &found), Needed::Seeds(5));
}

#[test]
fn of_several_places_the_one_that_needs_most_seeds_counts() {
    let needed = |findings: &[(f64, f64)]| {
        let findings = findings.iter().map(|&(value, half)| finding(value, half)).collect();
        conclude(&claim("direction", 0.05, "1", RULE), Ok(findings)).needed.unwrap()
    };
    let (nearest, widest) = ((0.1, 0.5), (5.0, 4.0));
    assert_eq!(needed(&[nearest]), Needed::Seeds(3));
    assert!(needed(&[widest]) > Needed::Seeds(3));
    assert_eq!(needed(&[nearest, widest]), needed(&[widest]));
}

#[test]
fn a_claim_that_cannot_be_measured_says_why() {
    let judgement = conclude(&claim("direction", 0.02, "0.04", RULE), Err("no budget".to_owned()));
    assert_eq!(judgement.verdict, Some(Verdict::NotMeasurable));
    assert_eq!((judgement.note.as_str(), judgement.places), ("no budget", 0));
    assert_eq!((judgement.effect, judgement.needed), (None, None));
}

fn exact(to: f64) -> Claim {
    let yaml = format!(
        "- {{id: e, figure: anytime, text: t, source: s, kind: exact, paper: [505, 1340], rule: {{count: {{experiment: x, networks: [A], column: multiply_adds, to: {to}}}}}}}"
    );
    parse(&yaml).unwrap().remove(0)
}

#[test]
fn an_exact_claim_is_equal_to_the_papers_last_digit_at_every_count() {
    let judgement = judge_exact(&exact(1.0), &[505.4, 1339.6]);
    assert_eq!((judgement.verdict, judgement.places), (Some(Verdict::Holds), 2));
    let judgement = judge_exact(&exact(1.0), &[505.0, 1342.0]);
    assert_eq!(judgement.verdict, Some(Verdict::Fails));
    assert_eq!((judgement.effect.unwrap().value, judgement.paper), (1342.0, Some(1340.0)));
    assert_eq!(judgement.note, "1 of 2 differ");
    assert_eq!(judge_exact(&exact(10.0), &[505.0, 1342.0]).verdict, Some(Verdict::Holds));
    assert_eq!(judge_exact(&exact(1.0), &[505.0]).verdict, Some(Verdict::Fails));
}
