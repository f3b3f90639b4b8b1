use super::*;
use crate::eval::claims::parse;

/// A row whose first `correct` images of `images` are right.
fn row(curve: &str, seed: u64, x: f64, correct: usize, images: usize) -> Row {
    Row {
        curve: curve.to_owned(),
        network: curve.to_owned(),
        seed,
        x,
        accuracy: correct as f64 / images as f64,
        images,
        hits: Some((0..images).map(|image| image < correct).collect()),
        reference: None,
    }
}

fn relative(curve: &str, seed: u64, x: f64, correct: usize, reference: usize) -> Row {
    let of = row(curve, seed, x, reference, 10_000);
    let reference = Some(Reference { accuracy: of.accuracy, hits: of.hits });
    Row { reference, ..row(curve, seed, x, correct, 10_000) }
}

fn judged(figure: &str, rule: &str, rows: &[Row]) -> Judgement {
    let yaml =
        format!("- {{id: c, figure: {figure}, text: t, source: s, expected: e, rule: {{{rule}}}}}");
    let claims = parse(&yaml).unwrap();
    judge(&claims, claims[0].figure, rows).remove(0)
}

#[test]
fn a_curve_that_is_above_at_every_budget_is_above() {
    let rule = "above: {curve: A, others: [B]}";
    let mut rows = vec![
        row("A", 0, 1.0, 600, 1000),
        row("A", 0, 3.0, 800, 1000),
        row("B", 0, 2.0, 500, 1000),
        row("B", 0, 4.0, 600, 1000),
    ];
    let judgement = judged("anytime", rule, &rows);
    assert_eq!(judgement.holds, Verdict::Yes);
    assert_eq!(judgement.seeds, 1);
    // At 2: 0.7 - 0.5; at 3: 0.8 - 0.55.
    assert!(judgement.measured.starts_with("A minus B at 2.000e0"), "{}", judgement.measured);
    assert!(judgement.note.contains("one seed"), "{}", judgement.note);

    rows.push(row("B", 0, 2.5, 900, 1000));
    let judgement = judged("anytime", rule, &rows);
    assert_eq!(judgement.holds, Verdict::No);
    assert!(judgement.measured.contains("-0.1500"), "{}", judgement.measured);
}

#[test]
fn a_difference_within_the_noise_is_undecided() {
    // Ten more images right of 1,000, on images of its own: about one standard error.
    let mut first = row("A", 0, 1.0, 510, 1000);
    first.hits = Some((0..1000).map(|image| image >= 490).collect());
    let rows = [first, row("B", 0, 1.0, 500, 1000)];
    let judgement = judged("anytime", "above: {curve: A, others: [B]}", &rows);
    assert_eq!(judgement.holds, Verdict::Undecided);
}

#[test]
fn a_claim_about_a_curve_that_is_not_there_is_undecided_and_says_so() {
    let rows = [row("A", 0, 1.0, 500, 1000)];
    let judgement = judged("anytime", "above: {curve: A, others: [B]}", &rows);
    assert_eq!(judgement.holds, Verdict::Undecided);
    assert_eq!(judgement.note, "not in this experiment: B");
    let other = judged("anytime", "above: {curve: A, others: [A]}", &rows);
    assert_eq!(other.note, "no place to measure it at in this experiment");
}

#[test]
fn claims_of_other_figures_are_not_judged() {
    let yaml = "[{id: c, figure: ablation, text: t, source: s, expected: e, \
                rule: {rises: {curve: A, value: accuracy}}}]";
    assert_eq!(judge(&parse(yaml).unwrap(), ClaimFigure::Anytime, &[]), vec![]);
}

#[test]
fn an_order_is_compared_between_positions_below_the_limit_only() {
    let rule = "order: {curves: [A, B], below_depth: 0.6, value: relative_accuracy}";
    let rows = [
        relative("A", 0, 0.1, 5000, 6000),
        relative("A", 0, 0.9, 6000, 6000),
        relative("B", 0, 0.2, 3000, 6000),
        relative("B", 0, 0.8, 6100, 6000),
    ];
    // At 0.8, beyond the limit, B is above.
    let judgement = judged("fig-intermediate", rule, &rows);
    assert_eq!(judgement.holds, Verdict::Yes);
    // At 0.2 A has 5/6 + 1/8 of 1/6 = 0.854; B has 0.5.
    assert!(judgement.measured.contains("0.3542"), "{}", judgement.measured);
    let everywhere = rule.replace("0.6", "1.0");
    assert_eq!(judged("fig-intermediate", &everywhere, &rows).holds, Verdict::No);
}

#[test]
fn a_loss_is_judged_at_each_position_of_the_range() {
    let rule = "loss: {curve: A, depth: {at_most: 0.3}, between: {at_least: 0.04, at_most: 0.08}}";
    let mut rows = vec![
        relative("A", 0, 0.1, 6580, 7000),
        relative("A", 0, 0.3, 6600, 7000),
        relative("A", 0, 0.9, 7000, 7000),
    ];
    assert_eq!(judged("fig-final-degradation", rule, &rows).holds, Verdict::Yes);
    rows[1] = relative("A", 0, 0.3, 7000, 7000);
    let judgement = judged("fig-final-degradation", rule, &rows);
    assert_eq!(judgement.holds, Verdict::No);
    assert_eq!(judgement.measured, "1 - relative accuracy of A at 0.300: 0.0000 [0.0000, 0.0000]");
}

#[test]
fn two_seeds_that_disagree_leave_a_claim_undecided() {
    let rule = "loss: {curve: A, between: {at_most: 0.02}}";
    let rows = [relative("A", 0, 0.1, 7000, 7000), relative("A", 1, 0.1, 6930, 7000)];
    let judgement = judged("fig-final-degradation", rule, &rows);
    assert_eq!((judgement.holds, judgement.seeds), (Verdict::Undecided, 2));
}

#[test]
fn a_rise_is_from_the_first_position_to_the_last() {
    let rows = [relative("A", 0, 0.9, 6000, 6000), relative("A", 0, 0.1, 3000, 6000)];
    let rule = |by: f64| format!("rises: {{curve: A, value: relative_accuracy, by: {by}}}");
    assert_eq!(judged("fig-intermediate", &rule(0.4), &rows).holds, Verdict::Yes);
    assert_eq!(judged("fig-intermediate", &rule(0.6), &rows).holds, Verdict::No);
}

#[test]
fn single_networks_of_one_label_are_joined_and_sweeps_of_several_are_not() {
    let mut rows = vec![
        row("ResNets", 0, 1.0, 500, 1000),
        row("ResNets", 0, 3.0, 700, 1000),
        row("A", 0, 2.0, 650, 1000),
        row("A", 0, 2.5, 700, 1000),
    ];
    rows[1].network = "ResNet-20".to_owned();
    let joined = judged("budgeted-batch", "above: {curve: A, others: [ResNets]}", &rows);
    assert_eq!(joined.holds, Verdict::Yes);
    assert!(joined.measured.contains(": 0.0500"), "{}", joined.measured);

    // A second, worse network under A's label changes nothing: the best counts.
    for (x, correct) in [(2.0, 300), (2.5, 300)] {
        rows.push(Row { network: "small".to_owned(), ..row("A", 0, x, correct, 1000) });
    }
    let best = judged("budgeted-batch", "above: {curve: A, others: [ResNets]}", &rows);
    assert_eq!(best.measured, joined.measured);
}

#[test]
fn a_cheaper_curve_is_compared_at_a_fraction_of_the_others_dearest_cost() {
    let rows = [
        row("A", 0, 5.0, 600, 1000),
        row("A", 0, 15.0, 800, 1000),
        row("B", 0, 10.0, 100, 1000),
        row("B", 0, 100.0, 690, 1000),
    ];
    let rule = |fraction: f64| format!("cheaper: {{curve: A, than: B, cost_fraction: {fraction}}}");
    let tenth = judged("budgeted-batch", &rule(0.1), &rows);
    assert!(tenth.measured.contains(": 0.0100"), "{}", tenth.measured);
    // A has no point as cheap as 1.
    let hundredth = judged("budgeted-batch", &rule(0.01), &rows);
    assert_eq!((hundredth.holds, hundredth.seeds), (Verdict::Undecided, 0));
}

#[test]
fn a_saturated_curve_gains_little_in_its_second_half() {
    let rows =
        [row("A", 0, 0.0, 500, 1000), row("A", 0, 10.0, 690, 1000), row("A", 0, 20.0, 692, 1000)];
    let rule = "gain: {curve: A, from_fraction: 0.5, between: {at_most: 0.02}}";
    let judgement = judged("anytime", rule, &rows);
    assert_eq!(judgement.holds, Verdict::Yes);
    assert!(judgement.measured.contains(": 0.0020"), "{}", judgement.measured);
}

/// The paper's own curves, were they measured: every claim that they can decide should hold.
#[test]
fn the_papers_own_curves_fulfil_the_papers_claims() {
    use crate::eval::paper;
    let points = paper::parse(include_str!("../../../experiments/paper-curves.csv")).unwrap();
    let claims = parse(include_str!("../../../experiments/claims.yaml")).unwrap();
    for (panel, figure) in [
        ("3-left", ClaimFigure::FigIntermediate),
        ("3-right", ClaimFigure::FigFinalDegradation),
        ("5-right", ClaimFigure::Anytime),
        ("7-right", ClaimFigure::BudgetedBatch),
    ] {
        let own = points.iter().filter(|p| p.figure == panel && p.dataset == "cifar100");
        let rows: Vec<Row> = own
            .map(|p| Row {
                curve: p.curve.clone(),
                network: p.curve.clone(),
                seed: 0,
                x: p.x,
                accuracy: p.y,
                // Unknown, so that only the plotted values are judged.
                images: 0,
                hits: None,
                reference: Some(Reference { accuracy: 1.0, hits: None }),
            })
            .collect();
        for judgement in judge(&claims, figure, &rows) {
            assert_eq!(judgement.holds, Verdict::Yes, "{judgement:?}");
        }
    }
}
