//! Checks of an experiment that its types cannot express.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::combines::Combines;
use super::entry::{Entry, Member, Named};
use super::file::{Budgeted, Experiment, Figure};
use super::labels;
use crate::data::{Dataset, did_you_mean};
use crate::eval::combine::Combine;
use crate::eval::optimise::check_lambda;
use crate::eval::policy::Policy;
use crate::eval::policy::target::check_confidence;
use crate::models::NetworkConfig;

impl Experiment {
    /// All entries, those by position expanded.
    ///
    /// # Errors
    /// Returns an error naming the invalid entry.
    pub fn members(&self) -> Result<Vec<Named>> {
        let mut named = Vec::new();
        for entry in &self.networks {
            ensure!(
                entry.positions.is_none() || self.figure.is_positional(),
                "networks: \"{}\": positions belong to fig-intermediate and fig-final-degradation",
                entry.name
            );
            if let Some(positions) = &entry.positions {
                once("positions", positions)
                    .with_context(|| format!("networks: \"{}\"", entry.name))?;
            }
            named.extend(entry.expand()?);
        }
        Ok(named)
    }

    /// Checks what a type cannot say.
    ///
    /// # Errors
    /// Returns an error naming the invalid key.
    pub fn validate(&self) -> Result<()> {
        ensure!(!self.seeds.is_empty(), "seeds: none; give at least one, such as [0]");
        once("seeds", &self.seeds)?;
        ensure!(!self.networks.is_empty(), "networks: none");
        ensure!(self.training_images != Some(0), "training_images: 0 leaves nothing to train on");
        ensure!(
            self.beside.as_deref().is_none_or(|name| !name.trim().is_empty()),
            "beside: it is empty; name the experiment that judges the claims, or leave the key out"
        );
        self.training.validate()?;
        self.check_crop()?;
        self.check_counts()?;
        let members = self.members()?;
        self.check_names(&members)?;
        check_lines(&members)?;
        check_copies(&members, &self.seeds)?;
        if self.figure == Figure::BudgetedBatch {
            ensure!(
                self.validation != Some(0),
                "validation: 0 holds out no image, but budgeted-batch finds its thresholds on held-out images; \
                 give a number such as 5000"
            );
        }
        ensure!(
            self.budgeted.is_none() || self.figure == Figure::BudgetedBatch,
            "budgeted: belongs to a budgeted-batch figure"
        );
        if let Some(budgeted) = &self.budgeted {
            budgeted.validate()?;
        }
        for entry in &self.networks {
            self.validate_curves(entry).with_context(|| format!("networks: \"{}\"", entry.name))?;
        }
        labels::check(self, &members)
    }

    /// The crop fits the images. Those of an image folder are cut in another way, whatever the number.
    fn check_crop(&self) -> Result<()> {
        // Whether it is a folder does not depend on where the data lie.
        if self.dataset.image_folder(Path::new("")).is_some() {
            return Ok(());
        }
        let side = self.dataset.facts()?.side;
        self.training.augmentation.check(side, side).context("training.augmentation")
    }

    /// The data set, where its size is known, has as many training images as are asked for. Of a folder the
    /// files are counted; what is wrong with the folder itself is told by the command that reads it.
    fn check_counts(&self) -> Result<()> {
        let is_folder = matches!(self.dataset, Dataset::Folder(_));
        let all = match self.dataset.training_images() {
            Err(_) | Ok(0) if is_folder => return Ok(()),
            all => all?,
        };
        let held_out = match self.validation {
            Some(held_out) => held_out,
            None => self.dataset.facts()?.default_validation,
        };
        ensure!(
            held_out < all,
            "validation: {held_out} images cannot be held out of {all} training images; at most {} can",
            all.saturating_sub(1)
        );
        let left = all - held_out;
        let asked = self.training_images.unwrap_or(left);
        ensure!(
            asked <= left,
            "training_images: {asked} are more than the {left} that {} has beside its hold-out",
            self.dataset
        );
        Ok(())
    }

    /// The keys of an entry that say which curves are drawn of it.
    fn validate_curves(&self, entry: &Entry) -> Result<()> {
        ensure!(
            entry.fixed.is_none() || self.figure == Figure::BudgetedBatch,
            "fixed: belongs to a budgeted-batch figure"
        );
        ensure!(
            entry.seed_offset == 0 || (entry.ensemble.is_none() && entry.joined.is_none()),
            "seed_offset: belongs to a network"
        );
        ensure!(
            entry.fixed.is_none() || entry.joined.is_none(),
            "fixed: belongs to the networks that are joined"
        );
        let Some(Combines(rules)) = &entry.combine else {
            return Ok(());
        };
        ensure!(
            matches!(self.figure, Figure::Anytime | Figure::BudgetedBatch),
            "combine: belongs to an anytime or a budgeted-batch figure"
        );
        ensure!(entry.joined.is_none(), "combine: belongs to the networks that are joined");
        ensure!(
            entry.ensemble.is_none() || *rules == [Combine::Single],
            "combine: an ensemble combines its members already; leave the key out"
        );
        ensure!(!rules.is_empty(), "combine: an empty list; leave the key out for the default");
        once("combine", rules)?;
        let policies = self.budgeted.iter().flat_map(|budgeted| &budgeted.policies);
        for (policy, rule) in policies.flat_map(|policy| rules.iter().map(move |r| (policy, r))) {
            policy.check_combine(*rule).context("combine")?;
        }
        Ok(())
    }

    /// Names are unique; what an ensemble names is a network of this file.
    fn check_names(&self, members: &[Named]) -> Result<()> {
        for (i, a) in members.iter().enumerate() {
            ensure!(
                !a.name.trim().is_empty() && !a.name.contains(['\n', '\r']),
                "networks: \"{}\": a name is one line, and not empty",
                a.name.escape_debug()
            );
            let twin = members[..i].iter().find(|b| b.name == a.name);
            ensure!(twin.is_none(), "networks: two entries are called \"{}\"", a.name);
            let (kind, names) = match &a.member {
                Member::Network(_) => continue,
                Member::Ensemble(names) => ("ensemble", names),
                Member::Joined(names) => ("joined", names),
            };
            ensure!(
                !self.figure.is_positional(),
                "networks: \"{}\": a figure by position has no {kind}",
                a.name
            );
            ensure!(!names.is_empty(), "networks: \"{}\": {kind}: names no network", a.name);
            let context = || format!("networks: \"{}\"", a.name);
            once(kind, names).with_context(context)?;
            for name in names {
                check_member(name, members).context(kind).with_context(context)?;
            }
        }
        Ok(())
    }
}

impl Budgeted {
    fn validate(&self) -> Result<()> {
        for &ratio in &self.ratios {
            ensure!(
                ratio > 0.0 && ratio.is_finite(),
                "budgeted.ratios: {ratio} is not a positive number"
            );
        }
        for target in &self.targets {
            let range = 0.0..=1.0;
            ensure!(range.contains(target), "budgeted.targets: {target} is out of range (0 to 1)");
        }
        if let Some(bound) = self.target_bound {
            check_confidence(bound).context("budgeted.target_bound")?;
            ensure!(
                self.policies.contains(&Policy::TargetAccuracy),
                "budgeted.target_bound: belongs to the policy target-accuracy, which budgeted.policies lacks"
            );
        }
        for &lambda in &self.lambdas {
            check_lambda(lambda).context("budgeted.lambdas")?;
        }
        once("budgeted.ratios", &self.ratios)?;
        once("budgeted.targets", &self.targets)?;
        once("budgeted.lambdas", &self.lambdas)?;
        once("budgeted.policies", &self.policies)?;
        let scalable = |policy: &Policy| policy.certainty().is_some();
        ensure!(
            !self.temperature || self.policies.is_empty() || self.policies.iter().any(scalable),
            "budgeted.temperature: none of the policies asks how sure an exit is, so there is nothing to scale; \
             add max-softmax, margin or entropy"
        );
        Ok(())
    }
}

/// What an ensemble or a joined line names is a network of this file.
fn check_member(name: &str, members: &[Named]) -> Result<()> {
    let what = match members.iter().find(|named| named.name == name).map(|named| &named.member) {
        Some(Member::Network(_)) => return Ok(()),
        Some(Member::Ensemble(_)) => "an ensemble",
        Some(Member::Joined(_)) => "a joined line",
        None => {
            let networks = members.iter().filter(|named| named.network().is_some());
            let hint = did_you_mean(name, networks.map(|named| named.name.as_str()));
            bail!("no network is called \"{name}\"{hint}");
        }
    };
    bail!("\"{name}\" is {what}, and only networks can be members; name its networks instead")
}

/// A network belongs to one joined line: the label of its points can say no more than one.
fn check_lines(members: &[Named]) -> Result<()> {
    let mut known: Vec<(&str, &str)> = Vec::new();
    for line in members {
        let Member::Joined(names) = &line.member else {
            continue;
        };
        for name in names {
            if let Some((_, other)) = known.iter().find(|(joined, _)| *joined == name.as_str()) {
                bail!(
                    "networks: \"{name}\" is in two joined lines, \"{other}\" and \"{}\"; \
                     a network belongs to one",
                    line.name
                );
            }
            known.push((name.as_str(), line.name.as_str()));
        }
    }
    Ok(())
}

/// The members of an ensemble are runs of their own: one that is averaged with itself would count twice, and
/// so would its cost. Nor do ensembles of two seeds share a run: they would count as two.
fn check_copies(members: &[Named], seeds: &[u64]) -> Result<()> {
    for ensemble in members {
        let Member::Ensemble(names) = &ensemble.member else {
            continue;
        };
        let mut known: Vec<(&Named, NetworkConfig)> = Vec::new();
        for named in members.iter().filter(|named| names.contains(&named.name)) {
            // A wrong network is reported when it is built.
            let Some(Ok(config)) = named.network().map(NetworkConfig::canonical) else {
                continue;
            };
            let is_same = |other: &Named, of: &NetworkConfig| {
                *of == config && other.seed_offset == named.seed_offset
            };
            let shares = |other: &Named| {
                let own = |seed: &u64| seed.saturating_add(named.seed_offset);
                let of_other = |seed: &u64| seed.saturating_add(other.seed_offset);
                seeds.iter().any(|a| seeds.iter().any(|b| own(a) == of_other(b)))
            };
            if let Some((other, _)) = known.iter().find(|(other, of)| is_same(other, of)) {
                bail!(
                    "networks: \"{}\": ensemble: \"{}\" and \"{}\" are one network with the same seeds, so \
                     one and the same run; give one of the two a seed_offset, such as 100",
                    ensemble.name,
                    other.name,
                    named.name
                );
            }
            if let Some((other, _)) =
                known.iter().find(|(other, of)| *of == config && shares(other))
            {
                bail!(
                    "networks: \"{}\": ensemble: \"{}\" and \"{}\" are one network, and with a seed_offset of {} and \
                     {} they share runs at different seeds; give one of the two a larger one, such as 100",
                    ensemble.name,
                    other.name,
                    named.name,
                    other.seed_offset,
                    named.seed_offset
                );
            }
            known.push((named, config));
        }
    }
    Ok(())
}

/// Refuses a value that occurs twice.
fn once<T: PartialEq + std::fmt::Display>(key: &str, values: &[T]) -> Result<()> {
    for (i, value) in values.iter().enumerate() {
        ensure!(!values[..i].contains(value), "{key}: {value} occurs twice");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESNETS: &str = "\
- { name: A, resnet: { blocks_per_stage: 1 } }
- { name: B, resnet: { blocks_per_stage: 2 } }
";

    /// What is said against an anytime experiment with these networks.
    fn said_of(networks: &str) -> String {
        said(&format!(
            "figure: anytime\ndataset: synthetic\ntraining: {{ epochs: 1 }}\nnetworks:\n{networks}"
        ))
    }

    /// What is said against an experiment; nothing where it is right.
    fn said(text: &str) -> String {
        let experiment: Experiment = serde_yaml::from_str(text).unwrap();
        experiment.validate().err().map_or(String::new(), |error| format!("{error:#}"))
    }

    #[test]
    fn an_ensemble_has_no_way_to_combine_but_its_own() {
        let with = |rule: &str| {
            said_of(&format!("{RESNETS}- {{ name: Team, ensemble: [A, B], combine: {rule} }}\n"))
        };
        assert_eq!(with("single"), "");
        assert!(
            with("product")
                .ends_with("an ensemble combines its members already; leave the key out")
        );
    }

    #[test]
    fn a_network_is_in_one_joined_line() {
        let one = format!("{RESNETS}- {{ name: One, joined: [A] }}\n");
        assert_eq!(said_of(&one), "");
        let two = said_of(&format!("{one}- {{ name: Two, joined: [B, A] }}\n"));
        assert!(two.contains("\"A\" is in two joined lines, \"One\" and \"Two\""), "{two}");
    }

    #[test]
    fn only_networks_are_members_and_what_else_is_named_is_told() {
        let team = format!("{RESNETS}- {{ name: Team, ensemble: [A, B] }}\n");
        let of_team = said_of(&format!("{team}- {{ name: Both, ensemble: [A, Team] }}\n"));
        let expected = "networks: \"Both\": ensemble: \"Team\" is an ensemble, and only networks";
        assert!(of_team.starts_with(expected), "{of_team}");
        let line = format!("{RESNETS}- {{ name: Line, joined: [A, Line] }}\n");
        assert!(said_of(&line).contains("joined: \"Line\" is a joined line"), "{}", said_of(&line));
        let none = said_of(&format!("{RESNETS}- {{ name: Line, joined: [C] }}\n"));
        assert!(
            none.starts_with("networks: \"Line\": joined: no network is called \"C\""),
            "{none}"
        );
    }

    #[test]
    fn members_of_an_ensemble_are_runs_of_their_own() {
        let copy = |keys: &str| {
            let copy = format!("- {{ name: Copy, resnet: {{ blocks_per_stage: 1 }}{keys} }}\n");
            said_of(&format!("{RESNETS}{copy}- {{ name: Team, ensemble: [A, Copy] }}\n"))
        };
        assert_eq!(copy(", seed_offset: 100"), "");
        let same = copy("");
        let expected = "\"Team\": ensemble: \"A\" and \"Copy\" are one network";
        assert!(same.contains(expected) && same.contains("seed_offset"), "{same}");
    }

    #[test]
    fn names_with_white_space_at_an_end_are_refused() {
        for name in ["A ", " A", "A\t"] {
            let entry = format!("- {{ name: {name:?}, resnet: {{ blocks_per_stage: 1 }} }}\n");
            let said = said_of(&format!("{RESNETS}{entry}"));
            assert!(said.contains("begins or ends with white space"), "{said}");
        }
    }

    #[test]
    fn a_position_occurs_once() {
        let said = said(
            "figure: fig-intermediate\ndataset: synthetic\ntraining: { epochs: 1 }\nnetworks:\n\
             - { name: R, resnet: { blocks_per_stage: 1 }, positions: [1, 1] }\n",
        );
        assert_eq!(said, "networks: \"R\": positions: 1 occurs twice");
    }

    #[test]
    fn a_crop_fits_the_images_where_they_are_no_folder() {
        let crop = |dataset: &str, crop: usize| {
            let training = format!("training: {{ epochs: 1, augmentation: {{ crop: {crop} }} }}");
            said(&format!("figure: anytime\ndataset: {dataset}\n{training}\nnetworks:\n{RESNETS}"))
        };
        assert_eq!(crop("synthetic", 32), "");
        assert_eq!(
            crop("synthetic", 33),
            "training.augmentation: crop: 33 pixels of padding around images of 32x32; at most 32 fit"
        );
        assert_eq!(crop("imagenet", 1000), "");
        assert_eq!(crop("{ folder: no/such }", 1000), "");
    }

    #[test]
    fn an_experiment_beside_nothing_is_refused() {
        let said = said(&format!(
            "figure: anytime\nbeside: \" \"\ndataset: synthetic\ntraining: {{ epochs: 1 }}\nnetworks:\n{RESNETS}"
        ));
        assert!(said.starts_with("beside: it is empty"), "{said}");
    }
}
