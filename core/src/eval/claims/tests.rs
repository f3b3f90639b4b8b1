use super::*;

const CLAIM: &str = "- {id: a, figure: anytime, text: t, source: s, kind: direction, unit: accuracy, margin: 0.01, paper: 0.02, rule: {mean_above: {curve: A, others: [B]}}}\n";
const EXACT: &str = "- {id: e, figure: anytime, text: t, source: s, kind: exact, paper: [1, 2], rule: {count: {experiment: x, networks: [A], column: multiply_adds, to: 1}}}\n";

fn error(yaml: &str) -> String {
    format!("{:#}", parse(yaml).unwrap_err())
}

#[test]
fn the_projects_claims_cover_every_figure_with_few_exact_ones() {
    let claims = parse(include_str!("../../../../experiments/claims.yaml")).unwrap();
    let exact = claims.iter().filter(|claim| claim.kind == Kind::Exact).count();
    assert!(claims.len() - exact >= 25 && exact <= 6, "{} claims", claims.len());
    for figure in [
        Figure::Anytime,
        Figure::BudgetedBatch,
        Figure::FigIntermediate,
        Figure::FigFinalDegradation,
        Figure::Ablation,
    ] {
        assert!(claims.iter().any(|claim| claim.figure == figure), "{figure:?}");
    }
}

#[test]
fn margins_follow_the_rules_for_their_kinds() {
    for claim in parse(include_str!("../../../../experiments/claims.yaml")).unwrap() {
        let margin = claim.margin.unwrap_or(0.0);
        match (claim.kind, claim.paper_effect(), claim.unit) {
            (Kind::Direction, Some(paper), _) => {
                assert!((margin / paper - 0.5).abs() < 0.005, "{}: {margin}", claim.id);
            }
            (Kind::Harmless, _, Some(Unit::Ln)) => assert_eq!(margin, 0.033, "{}", claim.id),
            (Kind::Exact, ..) => {}
            _ => assert_eq!(margin, 0.02, "{}", claim.id),
        }
    }
}

#[test]
fn unknown_keys_kinds_and_units_and_double_ids_are_refused() {
    assert_eq!(parse(&[CLAIM, EXACT].concat()).unwrap().len(), 2);
    assert!(error(&CLAIM.repeat(2)).contains("`a`"));
    for (right, wrong, named) in [
        ("curve:", "curv:", "curv"),
        ("text:", "txt:", "txt"),
        ("kind: direction", "kind: likely", "likely"),
        ("unit: accuracy", "unit: percent", "percent"),
        ("mean_above", "median_above", "median_above"),
    ] {
        let error = error(&CLAIM.replace(right, wrong));
        assert!(error.contains(named) && error.contains("claim `a`"), "{error}");
    }
}

#[test]
fn what_a_kind_needs_is_asked_for_by_name() {
    let cases = [
        (CLAIM, "margin: 0.01, ", "", "claim `a`: margin: a claim of this kind needs one"),
        (CLAIM, "margin: 0.01", "margin: 0", "margin: 0 is out of range"),
        (CLAIM, "margin: 0.01", "margin: .nan", "margin: NaN is out of range"),
        (CLAIM, "paper: 0.02", "paper: .inf", "paper: a value is not a finite number"),
        (CLAIM, "paper: 0.02", "paper: [1, 2]", "paper: one number"),
        (CLAIM, "unit: accuracy, ", "", "unit: accuracy is expected"),
        (CLAIM, "unit: accuracy", "unit: ln", "unit: accuracy is expected"),
        (CLAIM, "kind: direction", "kind: exact", "`exact` and the rule `count`"),
        (CLAIM, "[B]", "[]", "`others` is empty"),
        (EXACT, "paper: [1, 2], ", "", "claim `e`: paper: an exact claim needs"),
        (EXACT, "paper: [1, 2]", "margin: 1, paper: 1", "margin: an exact claim has none"),
        (EXACT, "to: 1", "to: 0", "`to` must be above 0"),
    ];
    for (yaml, right, wrong, expected) in cases {
        let error = error(&yaml.replace(right, wrong));
        assert!(error.contains(expected), "{error}");
    }
    let without_paper = CLAIM.replace("paper: 0.02, ", "");
    assert_eq!(parse(&without_paper).unwrap()[0].paper, None);
}
