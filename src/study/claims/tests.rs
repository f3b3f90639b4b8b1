use super::*;
use crate::eval::judge::verdict::Spread;
use crate::eval::judge::{Magnitude, Needed};
use crate::experiment::{BUILT_IN, Member};

/// Labels of the curves that an experiment draws.
fn labels(name: &str) -> (Figure, Vec<String>) {
    let (_, experiment) = load(name, &[]).unwrap();
    let input = input_of(&experiment.dataset).unwrap();
    let plan = Plan::new(&experiment, input, experiment.validation.unwrap_or(0)).unwrap();
    if plan.figure.is_positional() {
        return (plan.figure, plan.networks.into_iter().map(|network| network.curve).collect());
    }
    let mut labels = Vec::new();
    for named in &plan.members {
        labels.push(named.name.clone());
        let is_fixed = |name: &String| plan.members.iter().any(|m| m.name == *name && m.fixed);
        let dynamic = match &named.member {
            Member::Joined(names) => names.iter().any(is_fixed),
            _ => named.fixed,
        };
        if plan.figure == Figure::BudgetedBatch && dynamic {
            labels.push(format!("{} with dynamic evaluation", named.name));
            labels.push(format!("{} without dynamic evaluation", named.name));
        }
    }
    (plan.figure, labels)
}

#[test]
fn every_pattern_of_every_claim_selects_a_curve_of_a_shipped_experiment() {
    let all: Vec<_> = BUILT_IN.iter().map(|(name, _)| labels(name)).collect();
    for claim in claims::parse(claims_yaml()).unwrap() {
        for curves in claim.rule.patterns() {
            let mut own = all.iter().filter(|(figure, _)| *figure == claim.figure);
            let found = own.any(|(_, labels)| labels.iter().any(|label| curves.matches(label)));
            assert!(found, "claim `{}`: no curve is called `{}`", claim.id, curves.0);
        }
    }
}

#[test]
fn exact_claims_are_judged_without_a_run() {
    let judged = exact_judgements().unwrap();
    let verdict = |id: &str| judged.iter().find(|j| j.claim == id).unwrap().verdict;
    for id in ["exact-imagenet-costs", "exact-port-parameters"] {
        assert_eq!(verdict(id), Some(Verdict::Holds), "{id}: {judged:?}");
    }
    // ResNet-62 counts 1.397e8, the DenseNet 1.06e8, and one network of the ablation 3.05e8. These are
    // what --require-claims would fail on.
    let expected = [
        "exact-resnet-classifiers-cost",
        "exact-densenet-classifiers-cost",
        "exact-ablation-costs",
    ];
    assert_eq!(failed(&judged), expected);
}

#[test]
fn the_table_has_the_columns_in_order_and_empty_cells_for_what_is_not_known() {
    let csv = String::from_utf8(table(&exact_judgements().unwrap()).to_csv().unwrap()).unwrap();
    let mut lines = csv.lines();
    let columns = "claim,verdict,magnitude,value,low,high,unit,margin,paper,ratio,ratio_low,\
                   ratio_high,seeds,needed,places,note";
    assert_eq!(lines.next().unwrap(), columns);
    let first = lines.next().unwrap();
    assert!(first.starts_with("exact-imagenet-costs,holds,,"), "{first}");
}

#[test]
fn on_other_data_nothing_is_relative_to_the_papers_effect() {
    let mut one = exact_judgements().unwrap().remove(0);
    (one.paper, one.magnitude) = (Some(0.1), Some(Magnitude::AsPaper));
    one.ratio = Some(Spread { value: 1.0, low: 0.9, high: 1.1 });
    let without = Judgement { paper: None, note: String::new(), ..one.clone() };
    let before = [one, without];
    let mut judged = before.clone();
    let of_margin = Judgement { needed: Some(Needed::Seeds(4)), ..before[1].clone() };
    note_other_data(&mut judged, &[of_margin, before[1].clone()]);
    assert_eq!(judged[0].needed, Some(Needed::Seeds(4)));
    assert_eq!((judged[0].magnitude, judged[0].ratio, judged[0].paper), (None, None, Some(0.1)));
    assert!(judged[0].note.ends_with("the paper's value is of cifar100"), "{}", judged[0].note);
    assert_eq!(judged[1], before[1]);
}

#[test]
fn what_is_not_measurable_is_one_line_on_the_screen_and_one_seed_is_said_once() {
    let mut judged = exact_judgements().unwrap();
    judged[0].verdict = Some(Verdict::NotMeasurable);
    judged[1].verdict = Some(Verdict::NotMeasurable);
    judged.iter_mut().for_each(|judgement| judgement.seeds = 1);
    let text = describe(&judged);
    assert!(text.contains("fewer than three seeds: no verdict\n"), "{text}");
    judged[2].seeds = 3;
    let but_one = format!("fewer than three seeds: no verdict on {}", judged[3].claim);
    assert!(describe(&judged).contains(&but_one), "{but_one}");
    let line = "not measurable (claims.csv says why): exact-imagenet-costs, exact-resnet-";
    assert!(text.contains(line), "{text}");
    assert_eq!(text.lines().count(), 1 + (judged.len() - 2) + 2);
}
