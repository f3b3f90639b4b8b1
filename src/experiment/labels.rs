//! The labels of an experiment's curves: the name of an entry, and what the program puts behind it.

use anyhow::{Result, bail};

use super::entry::{Member, Named};
use super::file::{Experiment, Figure};
use crate::eval::combine::Combine;

/// What the labels of an entry's curves begin with: the name of the line that joins it with others,
/// or its own.
pub fn curve_of<'n>(members: &'n [Named], named: &'n Named) -> &'n str {
    let joins = |other: &&Named| match &other.member {
        Member::Joined(names) => names.contains(&named.name),
        _ => false,
    };
    &members.iter().find(joins).unwrap_or(named).name
}

/// Whether a network of `exits` exits is there for an ensemble alone, and so has no curve in a figure
/// by exit. One that is joined with others is a point of their line.
pub fn is_for_an_ensemble_alone(members: &[Named], named: &Named, exits: usize) -> bool {
    let mut ensembles = members.iter().filter_map(|other| match &other.member {
        Member::Ensemble(names) => Some(names),
        _ => None,
    });
    exits == 1
        && curve_of(members, named) == named.name
        && ensembles.any(|names| names.contains(&named.name))
}

/// The ways to combine exits that an entry of `exits` exits has a curve for in a figure by exit.
pub fn rules_of(figure: Figure, named: &Named, exits: usize) -> Vec<Combine> {
    let for_early_exit = figure == Figure::Anytime
        && named.network().is_some_and(|config| config.is_for_early_exit());
    match &named.combine {
        _ if exits == 1 => vec![Combine::Single],
        Some(rules) => rules.clone(),
        // The paper does not say which of the two it plots.
        None if for_early_exit => vec![Combine::Single, Combine::Mean],
        None => vec![Combine::Single],
    }
}

/// The label of a curve in a figure by exit, which says how exits are combined.
pub fn by_exit(curve: &str, rule: Combine) -> String {
    match rule {
        Combine::Single => curve.to_string(),
        Combine::Mean => format!("{curve}, averaged"),
        other => format!("{curve}, {other}"),
    }
}

/// The label of a curve on which images leave early; `fixed` where the one on which none does is
/// drawn as well.
pub fn dynamic(curve: &str, fixed: bool) -> String {
    if fixed { format!("{curve} with dynamic evaluation") } else { curve.to_string() }
}

/// The label of a curve on which no image leaves early.
pub fn without_dynamic(curve: &str) -> String {
    format!("{curve} without dynamic evaluation")
}

/// Refuses an experiment of which two curves would have one label: tables would take them for one. What
/// pictures add to a label, such as the policy, is not looked at: tables have it in columns of its own.
pub(super) fn check(experiment: &Experiment, members: &[Named]) -> Result<()> {
    // In a figure by position the plan makes the labels differ (`group_by_position`).
    if experiment.figure.is_positional() {
        return Ok(());
    }
    let mut known: Vec<(String, &str)> = Vec::new();
    for named in members {
        let curve = curve_of(members, named);
        for label in labels_of(experiment, members, named) {
            // Networks of one line share its labels.
            let twin = known.iter().find(|(other, of)| *other == label && *of != curve);
            if let Some((_, other)) = twin {
                bail!(
                    "networks: \"{other}\" and \"{curve}\" would both have a curve called \"{label}\"; \
                     rename one of the two"
                );
            }
            known.push((label, curve));
        }
    }
    Ok(())
}

/// The labels of an entry's curves in the figure's table.
fn labels_of(experiment: &Experiment, members: &[Named], named: &Named) -> Vec<String> {
    let Some(exits) = exits_of(named) else {
        return Vec::new();
    };
    let curve = curve_of(members, named);
    if experiment.figure == Figure::BudgetedBatch {
        return by_budget(named, curve, exits);
    }
    if is_for_an_ensemble_alone(members, named, exits) {
        return Vec::new();
    }
    rules_of(experiment.figure, named, exits).into_iter().map(|rule| by_exit(curve, rule)).collect()
}

/// Exits of an entry; none for a joined line, whose curves are those of its networks, and for a
/// wrong network, which is reported when it is built.
fn exits_of(named: &Named) -> Option<usize> {
    match &named.member {
        Member::Network(config) => Some(config.exits().ok()?.len() + 1),
        Member::Ensemble(names) => Some(names.len()),
        Member::Joined(_) => None,
    }
}

fn by_budget(named: &Named, curve: &str, exits: usize) -> Vec<String> {
    match (exits, named.fixed) {
        (1, _) => vec![curve.to_string()],
        (_, false) => vec![dynamic(curve, false)],
        (_, true) => vec![dynamic(curve, true), without_dynamic(curve)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_EXIT: &str = "resnet: { blocks_per_stage: 1 }";
    const MSDNET: &str =
        "msdnet: { channels: 4, growth: 2, scale_growth: [1, 2], bottleneck: [1, 1], exits: 2 }";
    const TWO_EXITS: &str = "resnet: { blocks_per_stage: 1, exits_after: [1] }";

    /// An experiment with these keys and entries.
    fn experiment(keys: &str, entries: &[String]) -> Experiment {
        let entries: String = entries.iter().map(|entry| format!("  - {{ {entry} }}\n")).collect();
        let head = "dataset: synthetic\ntraining: { epochs: 1 }";
        serde_yaml::from_str(&format!("{keys}\n{head}\nnetworks:\n{entries}")).unwrap()
    }

    /// What is said against two networks, the second called `name`.
    fn said(keys: &str, first: &str, name: &str) -> String {
        let second = format!("name: \"{name}\", {ONE_EXIT}");
        let experiment = experiment(keys, &[format!("name: A, {first}"), second]);
        let members = experiment.members().unwrap();
        check(&experiment, &members).err().map_or(String::new(), |error| error.to_string())
    }

    #[test]
    fn a_network_that_is_joined_keeps_its_point_though_an_ensemble_has_it_too() {
        let entries = [
            format!("name: A, {ONE_EXIT}"),
            format!("name: B, {ONE_EXIT}"),
            "name: Line, joined: [A]".to_string(),
            "name: Team, ensemble: [A, B]".to_string(),
        ];
        let members = experiment("figure: anytime", &entries).members().unwrap();
        let alone = |at: usize, exits| is_for_an_ensemble_alone(&members, &members[at], exits);
        assert_eq!(
            [alone(0, 1), alone(1, 1), alone(1, 2), alone(3, 2)],
            [false, true, false, false]
        );
        assert_eq!(curve_of(&members, &members[0]), "Line");
        assert_eq!(curve_of(&members, &members[1]), "B");
    }

    #[test]
    fn only_an_anytime_figure_averages_exits_unasked() {
        let rules = |figure: Figure, named: &str| {
            let experiment = experiment("figure: anytime", &[format!("name: A, {named}")]);
            rules_of(figure, &experiment.members().unwrap()[0], 2)
        };
        assert_eq!(rules(Figure::Anytime, MSDNET), [Combine::Single, Combine::Mean]);
        assert_eq!(rules(Figure::Ablation, MSDNET), [Combine::Single]);
        assert_eq!(rules(Figure::Anytime, TWO_EXITS), [Combine::Single]);
    }

    #[test]
    fn two_curves_of_one_label_are_refused_by_the_names_of_both() {
        let averaged = format!("{TWO_EXITS}, combine: [single, mean]");
        let fixed = format!("{TWO_EXITS}, fixed: true");
        let cases = [
            ("figure: anytime", averaged.as_str(), "A, averaged"),
            ("figure: budgeted-batch", fixed.as_str(), "A with dynamic evaluation"),
            ("figure: budgeted-batch", fixed.as_str(), "A without dynamic evaluation"),
        ];
        for (keys, first, name) in cases {
            let expected =
                format!("\"A\" and \"{name}\" would both have a curve called \"{name}\"");
            let said = said(keys, first, name);
            assert!(said.contains(&expected), "{keys}: {said}");
        }
    }

    #[test]
    fn a_name_like_a_label_that_no_curve_has_is_fine() {
        let one_exit = format!("{ONE_EXIT}, combine: [single, mean]");
        let cases = [
            ("figure: anytime", one_exit.as_str(), "A, averaged"),
            ("figure: anytime", TWO_EXITS, "A, averaged"),
            ("figure: budgeted-batch", TWO_EXITS, "A with dynamic evaluation"),
            ("figure: budgeted-batch", TWO_EXITS, "A (max-softmax)"),
        ];
        for (keys, first, name) in cases {
            assert_eq!(said(keys, first, name), "", "{keys}: {name}");
        }
    }
}
