//! The rules about lines, on points worked by hand.

use std::sync::Arc;

use super::{answered, claim, close, judged, row, three};
use crate::eval::judge::{Answered, Judgement, Leavers, Measured, Row, Verdict, judge};

fn mean(range: &str) -> String {
    format!("mean_above: {{curve: A, others: [B]{range}}}")
}

fn effect(judgement: &Judgement) -> f64 {
    judgement.effect.unwrap_or_else(|| panic!("{judgement:?}")).value
}

fn of(rule: &str, measured: &Measured) -> Judgement {
    judged(&claim("direction", 0.02, "", rule), measured)
}

fn two(first: &[(f64, usize)], second: &[(f64, usize)]) -> Vec<Row> {
    [three("A", first), three("B", second)].concat()
}

#[test]
fn straight_lines_are_compared_over_the_budgets_that_both_cover() {
    // Common: 2 to 3. A rises from .7 to .8, B from .5 to .55.
    let rows = two(&[(1.0, 600), (3.0, 800)], &[(2.0, 500), (4.0, 600)]);
    let judgement = of(&mean(""), &Measured::Straight(rows));
    close(effect(&judgement), 0.75 - 0.525);
    assert_eq!((judgement.verdict, judgement.seeds), (Some(Verdict::Holds), 3));
    assert!(judgement.note.contains("mean from 2.0000e0 to 3.0000e0"), "{}", judgement.note);
}

#[test]
fn the_papers_curves_are_averaged_over_our_budgets_as_far_as_they_have_begun() {
    // Ours: 2 to 3. There A is .7 throughout; B begins at 2.5 and rises from .5 to .6 at 3.
    let measured = Measured::Straight(two(&[(1.0, 600), (3.0, 800)], &[(2.0, 500), (4.0, 600)]));
    let claim = claim("direction", 0.02, "", &mean(""));
    let note = |begins: f64| {
        let papers = two(&[(1.0, 700), (9.0, 700)], &[(begins, 500), (3.0, 600)]);
        judge(std::slice::from_ref(&claim), claim.figure, &measured, &papers)[0].note.clone()
    };
    let own = "A against B, mean from 2.0000e0 to 3.0000e0";
    assert_eq!(note(2.5), format!("{own}, of the paper's curves from 2.5000e0 on 15.0 points"));
    assert_eq!(note(2.0), format!("{own}, of the paper's curves there 15.0 points"));
    // It begins where ours ends.
    assert_eq!(note(3.0), own);
}

#[test]
fn the_papers_curve_may_have_another_name_that_the_claim_selects_too() {
    let ours = |label: &str| {
        let rows = [three("A", &[(2.0, 600), (4.0, 600)]), three(label, &[(2.0, 500), (4.0, 500)])];
        Measured::Straight(rows.concat())
    };
    let claim = claim("direction", 0.02, "", "mean_above: {curve: A, others: [\"B (|B^MC\"]}");
    let note = |papers: &[&str]| {
        let line = |label: &&str| three(label, &[(1.0, 550), (9.0, 550)]);
        let papers: Vec<Row> = papers.iter().flat_map(line).collect();
        judge(std::slice::from_ref(&claim), claim.figure, &ours("B (7)"), &papers)[0].note.clone()
    };
    let own = "A against B (7), mean from 2.0000e0 to 4.0000e0";
    assert_eq!(note(&["A", "B^MC", "C"]), format!("{own}, of the paper's curves there 0.0 points"));
    // Two that it may be, or none.
    assert_eq!(note(&["A", "B^MC", "B^MC early"]), own);
    assert_eq!(note(&["A"]), own);
}

#[test]
fn a_mean_over_budgets_needs_more_than_one_budget() {
    // B ends where A begins; or it has one point.
    for second in [&[(1.0, 500), (2.0, 600)][..], &[(2.5, 500)]] {
        let rows = two(&[(2.0, 600), (3.0, 800)], second);
        let judgement = of(&mean(""), &Measured::Straight(rows));
        assert_eq!(judgement.verdict, Some(Verdict::NotMeasurable), "{judgement:?}");
        assert!(judgement.note.contains("no range of budgets"), "{}", judgement.note);
    }
}

#[test]
fn an_anytime_line_keeps_its_accuracy_until_the_next_step() {
    // Common: 2 to 5. A: .6 until 3, then .8; B: .5 until 4, then .7.
    let rows = two(&[(1.0, 600), (3.0, 800), (5.0, 900)], &[(2.0, 500), (4.0, 700), (9.0, 0)]);
    let judgement = of(&mean(""), &Measured::Steps(rows));
    close(effect(&judgement), ((0.6 - 0.5) + (0.8 - 0.5) + (0.8 - 0.7)) / 3.0);
}

#[test]
fn a_part_of_the_common_budgets_is_compared_alone() {
    let rows = two(&[(0.0, 600), (10.0, 600)], &[(0.0, 500), (6.0, 560), (10.0, 560)]);
    let measured = Measured::Steps(rows);
    close(effect(&of(&mean(", range: {at_least: 0.5}"), &measured)), (0.1 + 4.0 * 0.04) / 5.0);
    close(effect(&of(&mean(", range: {at_most: 0.5}"), &measured)), 0.1);
}

/// Static exits at 1 and 3; the dynamic line as the sweep with both limits gives it.
#[test]
fn a_dynamic_curve_is_compared_to_both_of_its_ends() {
    let dynamic = [(1.0, 500), (1.5, 560), (2.0, 620), (3.0, 600)];
    let rows = two(&dynamic, &[(1.0, 500), (3.0, 600)]);
    let measured = Measured::Straight(rows);
    // Static at 1.5 is .525, at 2 it is .55: gains of 0, .035, .07, 0 at 1, 1.5, 2, 3.
    let area = 0.5 * 0.035 / 2.0 + 0.5 * (0.035 + 0.07) / 2.0 + 0.07 / 2.0;
    close(effect(&of(&mean(""), &measured)), area / 2.0);
    // Pointwise it coincides at both ends, so `above at every budget` could never hold.
    let below = claim("harmless", 0.02, "", "below: {curve: A, others: [B]}");
    let judgement = judged(&below, &measured);
    assert_eq!((judgement.verdict, judgement.places), (Some(Verdict::Holds), 4));
    close(effect(&judgement), 0.0);
}

#[test]
fn a_budget_need_not_be_used_up() {
    // A ends at 2 with .7; B reaches .65 at 4 and .75 at 6.
    let rows = two(&[(1.0, 600), (2.0, 700)], &[(1.0, 400), (4.0, 650), (6.0, 750)]);
    let below = claim("harmless", 0.02, "", "below: {curve: A, others: [B]}");
    let judgement = judged(&below, &Measured::Straight(rows));
    close(effect(&judgement), 0.05);
    assert!(judgement.note.ends_with("at 6.0000e0 multiply-adds"), "{}", judgement.note);
}

#[test]
fn nothing_is_compared_before_every_network_has_begun() {
    // A's second network, by far the best, begins at 2; until then A is not compared.
    let mut rows = two(&[(1.0, 100), (4.0, 100)], &[(0.5, 500), (4.0, 500)]);
    for seed in 0..3 {
        for x in [2.0, 4.0] {
            rows.push(Row { network: "dear".to_owned(), ..row("A", seed, x, 600) });
        }
    }
    for row in &mut rows {
        row.hold_out = Some(row.answered.accuracy);
    }
    let measured = Measured::Straight(rows);
    close(effect(&of(&mean(""), &measured)), 0.1);
    let below = claim("harmless", 0.02, "", "below: {curve: A, others: [B]}");
    assert_eq!(judged(&below, &measured).places, 2);
}

/// Two networks of A: on test the second is better everywhere, on the hold-out only from 3 on.
fn best_of_two() -> Vec<Row> {
    let mut rows = three("B", &[(1.0, 500), (5.0, 500)]);
    for seed in 0..3 {
        for (network, x, correct, hold_out) in [
            ("first", 1.0, 520, 0.60),
            ("first", 5.0, 520, 0.60),
            ("second", 1.0, 550, 0.50),
            ("second", 5.0, 550, 0.70),
        ] {
            let point = row("A", seed, x, correct);
            rows.push(Row { network: network.to_owned(), hold_out: Some(hold_out), ..point });
        }
    }
    for row in rows.iter_mut().filter(|row| row.curve == "B") {
        row.hold_out = Some(0.0);
    }
    rows
}

#[test]
fn the_best_of_several_networks_is_chosen_on_the_hold_out_and_never_on_test() {
    let mut rows = best_of_two();
    // The hold-out's lines cross at 3: .02 until there, .05 from there on.
    close(effect(&of(&mean(""), &Measured::Straight(rows.clone()))), 0.035);
    rows.iter_mut().for_each(|row| row.hold_out = None);
    let judgement = of(&mean(""), &Measured::Straight(rows));
    assert_eq!(judgement.verdict, Some(Verdict::NotMeasurable));
    assert!(judgement.note.contains("chosen on the hold-out"), "{}", judgement.note);
}

#[test]
fn what_is_missing_where_another_network_becomes_the_best_counts() {
    let mut rows = best_of_two();
    for (row, correct) in
        rows.iter_mut().filter(|row| row.network == "second").zip([400, 700].into_iter().cycle())
    {
        row.answered = answered(correct, 1000);
    }
    // B is at .5. A's first network has .52. Its second goes from .4 to .7 and is taken from 3 on.
    let below = claim("harmless", 0.02, "", "below: {curve: A, others: [B]}");
    close(effect(&judged(&below, &Measured::Straight(rows.clone()))), -0.02);
    for row in rows.iter_mut().filter(|row| row.network == "second" && row.x == 1.0) {
        row.hold_out = Some(0.58);
    }
    let judgement = judged(&below, &Measured::Straight(rows));
    // Now it is taken from 1.667 on, where it has .45.
    assert_eq!((judgement.verdict, judgement.places), (Some(Verdict::Fails), 4));
    assert!((effect(&judgement) - 0.05).abs() < 1e-6, "{judgement:?}");
}

#[test]
fn networks_of_one_point_each_are_one_line() {
    let mut rows = two(&[(2.0, 650), (3.0, 700)], &[(1.0, 500), (3.0, 700)]);
    for row in rows.iter_mut().filter(|row| row.curve == "B") {
        row.network = format!("B at {}", row.x);
    }
    // At 2 B's line is at .6, at 3 at .7.
    close(effect(&of(&mean(""), &Measured::Straight(rows))), 0.025);
}

#[test]
fn the_lowest_common_budget_is_where_the_later_of_two_begins() {
    let rows = two(&[(1.0, 600), (3.0, 800)], &[(2.0, 590), (4.0, 600)]);
    let rule = "above_at_lowest: {curve: A, others: [B]}";
    let equal = claim("equal", 0.02, "", rule);
    let judgement = judged(&equal, &Measured::Steps(rows));
    close(effect(&judgement), 0.01);
}

#[test]
fn what_is_missing_at_a_curves_end_or_at_a_fraction_of_anothers_cost_is_measured_there() {
    let rows = two(&[(5.0, 600), (15.0, 800)], &[(10.0, 100), (100.0, 690)]);
    let measured = Measured::Straight(rows);
    let at = |rule: &str| judged(&claim("harmless", 0.02, "", rule), &measured);
    // A tenth of 100: A has .7 there, B .69 at its end.
    let tenth = at("below_at_fraction: {curve: A, than: B, fraction: 0.1}");
    close(effect(&tenth), -0.01);
    // A hundredth is cheaper than A's first point.
    let hundredth = at("below_at_fraction: {curve: A, than: B, fraction: 0.01}");
    assert_eq!((hundredth.verdict, hundredth.seeds), (Some(Verdict::NotMeasurable), 0));
    assert!(hundredth.note.contains("begins at 5.0000e0"), "{}", hundredth.note);
    // A ends at 15 with .8; B has .1 + 5 / 90 x .59 there.
    close(effect(&at("below_at_end: {curve: A, than: B}")), 0.1 + 0.59 / 18.0 - 0.8);
}

#[test]
fn a_saturated_curve_gains_little_in_its_second_half() {
    let rows = three("A", &[(0.0, 500), (9.0, 690), (20.0, 692)]);
    let gain = claim("harmless", 0.02, "", "gain: {curve: A, from: 0.5}");
    let judgement = judged(&gain, &Measured::Steps(rows));
    close(effect(&judgement), 0.002);
    assert_eq!(judgement.verdict, Some(Verdict::Holds));
}

#[test]
fn averaged_exits_are_compared_with_the_last_exits_own_answers() {
    let mut rows = three("A", &[(1.0, 500), (2.0, 600)]);
    for seed in 0..3 {
        for (x, correct) in [(1.0, 500), (2.0, 630)] {
            let averaged = row("A, averaged", seed, x, correct);
            rows.push(Row { network: "A".to_owned(), averaged: true, ..averaged });
        }
    }
    close(effect(&of("averaged: {curve: A}", &Measured::Steps(rows))), 0.03);
}

/// Ten images: six leave at once, five of them rightly; two leave last, one of them rightly.
fn with_leavers() -> Measured {
    let hits = [true, true, true, true, true, false, true, false, true, false];
    let at = |range: std::ops::Range<usize>| -> Arc<[bool]> {
        (0..10).map(|image| range.contains(&image)).collect()
    };
    let leavers = Leavers { first: at(0..6), last: at(8..10), last_hits: at(0..9) };
    let answered = Answered { accuracy: 0.7, images: 10, hits: Some(hits.into()) };
    let row = |seed| Row {
        answered: answered.clone(),
        ratio: Some(1.0),
        leavers: Some(leavers.clone()),
        ..row("A", seed, 1.0, 0)
    };
    Measured::Straight((0..3).map(row).collect())
}

#[test]
fn early_leavers_are_compared_with_late_ones_and_with_what_staying_would_bring() {
    let measured = with_leavers();
    let easier = of("easier_first: {curve: A, ratio: 1}", &measured);
    close(effect(&easier), 5.0 / 6.0 - 0.5);
    let staying = of("gain_of_staying: {curve: A, ratio: 1}", &measured);
    close(effect(&staying), 1.0 - 5.0 / 6.0);
    let elsewhere = of("easier_first: {curve: A, ratio: 2}", &measured);
    assert_eq!(elsewhere.verdict, Some(Verdict::NotMeasurable));
}

#[test]
fn the_noise_of_a_mean_over_budgets_is_that_of_the_answers_it_is_made_of() {
    // One stretch: the mean is a tenth of images 500 to 599, right with A alone, in every seed.
    let rows = two(&[(1.0, 600), (2.0, 600)], &[(1.0, 500), (2.0, 500)]);
    let judgement = of(&mean(""), &Measured::Straight(rows));
    let effect = judgement.effect.unwrap();
    // Shares of .1 in 1,000 images; the seeds agree, so the normal's quantile counts.
    let error = (0.1 * 0.9 / 999.0f64).sqrt();
    assert!((effect.high - 0.1 - 1.959_964 * error).abs() < 1e-6, "{effect:?}");
}

#[test]
fn seeds_that_only_one_curve_has_are_left_out() {
    let mut rows = two(&[(1.0, 600), (2.0, 600)], &[(1.0, 500), (2.0, 500)]);
    rows.retain(|row| row.curve == "A" || row.seed != 1);
    let judgement = of(&mean(""), &Measured::Straight(rows.clone()));
    assert_eq!(judgement.seeds, 2);
    assert!(judgement.note.ends_with("seed 1 left out: one side lacks it"), "{}", judgement.note);
    rows.retain(|row| row.curve == "A" || row.seed > 2);
    rows.push(row("B", 7, 1.0, 500));
    let judgement = of(&mean(""), &Measured::Straight(rows));
    assert!(judgement.note.contains("no seed that both have"), "{}", judgement.note);
}

#[test]
fn every_budget_is_judged_however_many_there_are() {
    let points: Vec<(f64, usize)> = (0..250).map(|x| (f64::from(x), 600)).collect();
    let mut worse = points.clone();
    worse[4].1 = 500;
    let below = claim("harmless", 0.02, "", "below: {curve: A, others: [B]}");
    let judgement = judged(&below, &Measured::Steps(two(&worse, &points)));
    assert_eq!((judgement.verdict, judgement.places), (Some(Verdict::Fails), 250));
    assert!(
        judgement.note.ends_with("A against B at 4.0000e0 multiply-adds"),
        "{}",
        judgement.note
    );
}

#[test]
fn without_answers_image_by_image_the_note_says_so() {
    let mut rows = two(&[(1.0, 600), (2.0, 600)], &[(1.0, 500), (2.0, 500)]);
    rows.iter_mut().for_each(|row| row.answered.hits = None);
    let judgement = of(&mean(""), &Measured::Straight(rows));
    assert!(judgement.note.contains("images' noise binomial"), "{}", judgement.note);
}
