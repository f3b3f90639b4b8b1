//! Checks of an experiment that its types cannot express.

use anyhow::{Context, Result, ensure};

use super::combines::Combines;
use super::entry::{Entry, Member, Named};
use super::file::{Budgeted, Experiment, Figure};
use crate::data::{Dataset, nearest};
use crate::eval::optimise::check_lambda;
use crate::eval::policy::Policy;
use crate::eval::policy::target::check_confidence;

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
        self.validate_training()?;
        self.check_counts()?;
        let members = self.members()?;
        self.check_names(&members)?;
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
        Ok(())
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
        ensure!(!rules.is_empty(), "combine: an empty list; leave the key out for the default");
        once("combine", rules)?;
        let policies = self.budgeted.iter().flat_map(|budgeted| &budgeted.policies);
        for (policy, rule) in policies.flat_map(|policy| rules.iter().map(move |r| (policy, r))) {
            policy.check_combine(*rule).context("combine")?;
        }
        Ok(())
    }

    fn validate_training(&self) -> Result<()> {
        let t = &self.training;
        ensure!(t.epochs > 0, "training.epochs: 0 trains nothing");
        ensure!(
            t.batch_size > 1,
            "training.batch_size: batch normalisation needs at least 2 images"
        );
        let positive = |key: &str, n: f64| -> Result<()> {
            ensure!(n > 0.0 && n.is_finite(), "training.{key}: {n} is not a positive number");
            Ok(())
        };
        positive("learning_rate", t.learning_rate)?;
        ensure!(
            (0.0..1.0).contains(&t.momentum),
            "training.momentum: {} is not in 0 to below 1",
            t.momentum
        );
        ensure!(
            t.weight_decay >= 0.0 && t.weight_decay.is_finite(),
            "training.weight_decay: {} is not a number from 0",
            t.weight_decay
        );
        ensure!(
            !(t.nesterov && t.momentum == 0.0),
            "training.nesterov: needs a momentum above 0; set nesterov: false"
        );
        t.schedule.validate(f64::from(t.epochs))
    }

    /// Names are unique; what an ensemble names is a network of this file.
    fn check_names(&self, members: &[Named]) -> Result<()> {
        for (i, a) in members.iter().enumerate() {
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
            once(kind, names).with_context(|| format!("networks: \"{}\"", a.name))?;
            for name in names {
                let networks = members.iter().filter(|m| m.network().is_some());
                let known = networks.clone().any(|m| m.name == *name);
                let near = nearest(name, networks.map(|m| m.name.as_str()));
                let hint = near.map_or(String::new(), |n| format!("; did you mean \"{n}\"?"));
                ensure!(
                    known,
                    "networks: \"{}\": {kind}: no network is called \"{name}\"{hint}",
                    a.name
                );
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

/// Refuses a value that occurs twice.
fn once<T: PartialEq + std::fmt::Display>(key: &str, values: &[T]) -> Result<()> {
    for (i, value) in values.iter().enumerate() {
        ensure!(!values[..i].contains(value), "{key}: {value} occurs twice");
    }
    Ok(())
}
