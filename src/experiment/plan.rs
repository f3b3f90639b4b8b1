//! From an experiment to its runs: one run is one network x data set x split x training x seed.

use std::collections::HashSet;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::entry::{Member, Named};
use super::file::{Experiment, Figure};
use super::training::Training;
use crate::data::catalog::Dataset;
use crate::data::hex;
use crate::models::{Input, NetworkConfig};

/// Raised when a change to the program changes the numbers that a run gives: results of another
/// format are never taken for this one's.
pub const FORMAT: u32 = 3;

/// What is trained: everything that its weights depend on, and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The network.
    pub network: NetworkConfig,
    /// The data set.
    pub dataset: Dataset,
    /// Images held out of the training set.
    pub validation: usize,
    /// Number of the remaining training images to train on; all if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub training_images: Option<usize>,
    /// How it is trained; none for weights brought in from elsewhere, which stand in for any
    /// training.
    pub training: Option<Training>,
    /// Initialisation, batch order, augmentation.
    pub seed: u64,
}

impl Run {
    /// Digest of everything that the weights depend on, the program's [`FORMAT`] included: 16
    /// hexadecimal digits.
    pub fn digest(&self) -> String {
        let text = match &self.training {
            Some(_) => serde_json::to_string(&(FORMAT, self)),
            // Imported weights depend on no training and no hold-out.
            None => serde_json::to_string(&(
                FORMAT,
                "imported",
                &self.network,
                &self.dataset,
                self.seed,
            )),
        };
        let text = text.expect("a run is plain data");
        hex(&Sha256::digest(text))[..16].to_string()
    }

    /// Name of the run's folder: for people, then for the program.
    pub fn folder_name(&self) -> String {
        let origin = match &self.training {
            Some(_) => format!("seed{}", self.seed),
            None => "imported".to_string(),
        };
        let dataset =
            self.dataset.to_string().replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
        let dataset: String = dataset.chars().take(40).collect();
        format!("{}-{dataset}-{origin}-{}", self.network.short_name(), self.digest())
    }

    /// The run of weights brought in from elsewhere.
    ///
    /// # Errors
    /// Returns an error naming the invalid key of the network.
    pub fn of_weights(network: &NetworkConfig, dataset: &Dataset, seed: u64) -> Result<Run> {
        Ok(Run {
            network: network.canonical()?,
            dataset: dataset.clone(),
            validation: 0,
            training_images: None,
            training: None,
            seed,
        })
    }

    /// The imported run that may stand in for this one.
    pub fn imported(&self) -> Run {
        Run { training: None, ..self.clone() }
    }
}

/// Where a network's one intermediate classifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Layers, blocks or composite layers before it.
    pub depth: usize,
    /// The network's depth in the same unit.
    pub of: usize,
}

impl Position {
    /// Depth relative to the network's.
    pub fn relative(self) -> f64 {
        self.depth as f64 / self.of as f64
    }
}

/// A network of an experiment with its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The entry's name.
    pub name: String,
    /// Label of the curve that it belongs to.
    pub curve: String,
    /// Its configuration.
    pub config: NetworkConfig,
    /// In a figure by position: where its intermediate classifier is; none = the reference.
    pub position: Option<Position>,
    /// One run a seed, in the order of the experiment's seeds.
    pub runs: Vec<Run>,
}

/// All that an experiment needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The figure it feeds.
    pub figure: Figure,
    /// All entries, ensembles and joined curves included.
    pub members: Vec<Named>,
    /// The networks among them.
    pub networks: Vec<Trained>,
}

impl Plan {
    /// Expands an experiment on data of `input`, whose hold-out is `validation` images.
    ///
    /// # Errors
    /// Returns an error naming the invalid network or key.
    pub fn new(experiment: &Experiment, input: Input, validation: usize) -> Result<Plan> {
        let members = experiment.members()?;
        let mut networks = Vec::new();
        for named in &members {
            let Some(config) = named.network() else {
                continue;
            };
            let context = || format!("networks: \"{}\"", named.name);
            let exits = config.build(input).with_context(context)?.exits().len();
            if experiment.figure == Figure::BudgetedBatch {
                ensure!(
                    validation >= exits,
                    "validation: a hold-out of {validation} is smaller than the {exits} exits of \"{}\", whose \
                     thresholds it has to give",
                    named.name
                );
            }
            let position = if experiment.figure.is_positional() {
                single_position(config).with_context(context)?
            } else {
                None
            };
            let runs = experiment.seeds.iter().map(|&seed| {
                let own = seed.checked_add(named.seed_offset);
                let own = own.context("seed_offset: its sum with a seed is 2^64 or more")?;
                run(experiment, config, validation, own)
            });
            networks.push(Trained {
                name: named.name.clone(),
                curve: named.name.clone(),
                config: config.clone(),
                position,
                runs: runs.collect::<Result<_>>().with_context(context)?,
            });
        }
        if experiment.figure.is_positional() {
            group_by_position(&mut networks, experiment.figure)?;
        }
        if experiment.figure == Figure::BudgetedBatch {
            for named in &members {
                check_budgeted(named, &members, validation)
                    .with_context(|| format!("networks: \"{}\"", named.name))?;
            }
        }
        Ok(Plan { figure: experiment.figure, members, networks })
    }

    /// Every run once, with the name of the first network that needs it; seed by seed, so that the first
    /// seed's figure is whole first.
    pub fn named_runs(&self) -> impl Iterator<Item = (&str, &Run)> {
        let mut seen = HashSet::new();
        let seeds = self.networks.iter().map(|n| n.runs.len()).max().unwrap_or(0);
        let of_seed = |seed: usize| {
            self.networks.iter().filter_map(move |n| Some((n.name.as_str(), n.runs.get(seed)?)))
        };
        (0..seeds).flat_map(of_seed).filter(move |(_, run)| seen.insert(run.digest()))
    }

    /// The runs of [`Plan::named_runs`].
    pub fn runs(&self) -> Vec<&Run> {
        self.named_runs().map(|(_, run)| run).collect()
    }
}

fn run(
    experiment: &Experiment,
    config: &NetworkConfig,
    validation: usize,
    seed: u64,
) -> Result<Run> {
    Ok(Run {
        network: config.canonical()?,
        dataset: experiment.dataset.clone(),
        validation,
        training_images: experiment.training_images,
        training: Some(experiment.training.clone()),
        seed,
    })
}

/// What an ensemble or a joined line of budgeted-batch must be beside its networks: the hold-out gives an ensemble's
/// thresholds too, and a line is of one kind of curve.
fn check_budgeted(named: &Named, members: &[Named], validation: usize) -> Result<()> {
    match &named.member {
        Member::Network(_) => {}
        Member::Ensemble(names) => ensure!(
            validation >= names.len(),
            "ensemble: a hold-out of {validation} images is smaller than its {} networks, whose thresholds it has to \
             give",
            names.len()
        ),
        Member::Joined(names) => {
            let own = || members.iter().filter(|member| names.contains(&member.name));
            let kind = |member: &Named| -> Result<(bool, bool)> {
                let exits = member.network().map_or(Ok(Vec::new()), NetworkConfig::exits)?;
                Ok((!exits.is_empty(), !exits.is_empty() && member.fixed))
            };
            let kinds: Vec<(bool, bool)> = own().map(kind).collect::<Result<_>>()?;
            ensure!(
                kinds.windows(2).all(|pair| pair[0].0 == pair[1].0),
                "joined: networks of one exit and of several are not one curve; make a line of each kind"
            );
            ensure!(
                kinds.windows(2).all(|pair| pair[0].1 == pair[1].1),
                "joined: `fixed` is true for some of its networks and false for others; give all the same"
            );
        }
    }
    Ok(())
}

fn single_position(config: &NetworkConfig) -> Result<Option<Position>> {
    let depths = config.exits()?;
    match depths[..] {
        [] => Ok(None),
        [depth] => Ok(Some(Position { depth, of: config.depth()? })),
        _ => bail!(
            "{} intermediate classifiers; in this figure a network has one or none. \
             Give an entry for each position, or one entry with `positions: {depths:?}`",
            depths.len()
        ),
    }
}

/// Networks that differ in their exits alone make one curve.
fn group_by_position(networks: &mut [Trained], figure: Figure) -> Result<()> {
    let mut curves: Vec<(String, Vec<usize>)> = Vec::new();
    for (place, network) in networks.iter().enumerate() {
        // Not the canonical form: networks of either classifier have a curve each.
        let base = serde_json::to_string(&network.config.with_single_exit(None)?)?;
        match curves.iter_mut().find(|(known, _)| *known == base) {
            Some((_, places)) => places.push(place),
            None => curves.push((base, vec![place])),
        }
    }
    let mut labels: Vec<String> = Vec::new();
    for (_, places) in curves {
        let members: Vec<&Trained> = places.iter().map(|&place| &networks[place]).collect();
        let names: Vec<&str> = members.iter().map(|network| network.name.as_str()).collect();
        let mut label = common_label(&names, members[0].config.family());
        while labels.contains(&label) {
            label.push('\'');
        }
        check_curve(&members, &label, figure)?;
        for place in places {
            networks[place].curve.clone_from(&label);
        }
        labels.push(label);
    }
    Ok(())
}

fn check_curve(members: &[&Trained], label: &str, figure: Figure) -> Result<()> {
    let depths: Vec<usize> =
        members.iter().filter_map(|network| network.position.map(|p| p.depth)).collect();
    let references = members.len() - depths.len();
    let unique: HashSet<&usize> = depths.iter().collect();
    ensure!(
        unique.len() == depths.len(),
        "networks: \"{label}\" has two networks for one position"
    );
    ensure!(
        references < 2,
        "networks: \"{label}\" has two networks without an intermediate classifier"
    );
    ensure!(!depths.is_empty(), "networks: \"{label}\" has no intermediate classifier anywhere");
    ensure!(
        references == 1 || figure != Figure::FigFinalDegradation,
        "networks: \"{label}\" needs the same network without an intermediate classifier as its reference \
         (`exits_after: []`, or for MSDNet `exits: [L]` with L its last layer); `positions:` adds it by itself"
    );
    Ok(())
}

/// What the names of one curve's networks begin with, cut at a word; else the family.
fn common_label(names: &[&str], family: &str) -> String {
    let first = names[0];
    let shared = first
        .char_indices()
        .map(|(i, c)| i + c.len_utf8())
        .take_while(|&end| names.iter().all(|n| n.starts_with(&first[..end])))
        .last()
        .unwrap_or(0);
    let at_word =
        |n: &str| n.len() == shared || n[shared..].starts_with(|c: char| !c.is_alphanumeric());
    let end = if names.iter().all(|n| at_word(n)) {
        shared
    } else {
        first[..shared].rfind(|c: char| !c.is_alphanumeric()).unwrap_or(0)
    };
    let label = first[..end].trim_matches(|c: char| !c.is_alphanumeric() && c != ')');
    let label = label.strip_suffix(" at").unwrap_or(label);
    if label.is_empty() { family.to_string() } else { label.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_called_by_what_its_networks_names_share() {
        assert_eq!(
            common_label(&["ResNet at 4", "ResNet at 8", "ResNet without"], "ResNet"),
            "ResNet"
        );
        assert_eq!(common_label(&["a4", "b8"], "MSDNet"), "MSDNet");
        assert_eq!(common_label(&["msd-3", "msd-33"], "MSDNet"), "msd");
        assert_eq!(
            common_label(&["MSDNet (wide) at 3", "MSDNet (wide) at 6"], "MSDNet"),
            "MSDNet (wide)"
        );
    }

    #[test]
    fn a_reference_is_one_run_whatever_its_intermediate_classifiers_would_be() {
        let run = |family: &str, exits: &[usize], classifier: &str| {
            let mut config = serde_json::json!({ "exits_after": exits, "classifier": classifier });
            let sizes = match family {
                "resnet" => serde_json::json!({ "blocks_per_stage": 1 }),
                _ => serde_json::json!({ "layers_per_block": 1, "growth": 4 }),
            };
            config.as_object_mut().unwrap().extend(sizes.as_object().unwrap().clone());
            let network = serde_json::from_value(serde_json::json!({ family: config })).unwrap();
            Run::of_weights(&network, &"cifar100".parse().unwrap(), 0).unwrap().digest()
        };
        for family in ["resnet", "densenet"] {
            assert_eq!(run(family, &[], "pooled"), run(family, &[], "convolutional"));
            assert_ne!(run(family, &[1], "pooled"), run(family, &[1], "convolutional"));
        }
    }

    /// What is said against the plan of a budgeted-batch experiment with these networks.
    fn said(validation: usize, networks: &str) -> String {
        let text = format!(
            "figure: budgeted-batch\ndataset: synthetic\ntraining: {{ epochs: 1 }}\nnetworks:\n{networks}"
        );
        let experiment: Experiment = serde_yaml::from_str(&text).unwrap();
        let input = Input { channels: 3, side: 32, classes: 10 };
        match Plan::new(&experiment, input, validation) {
            Ok(_) => String::new(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn a_line_joins_networks_of_one_kind_and_an_ensemble_needs_a_hold_out_of_its_size() {
        let networks = "\
- { name: One, resnet: { blocks_per_stage: 1 } }
- { name: Two, resnet: { blocks_per_stage: 1, exits_after: [1] } }
- { name: Both, resnet: { blocks_per_stage: 1, exits_after: [2] }, fixed: true }
";
        let with = |entry: &str| said(2, &format!("{networks}- {{ name: Line, {entry} }}\n"));
        assert_eq!(with("joined: [Two]"), "");
        assert!(with("joined: [One, Two]").contains("joined: networks of one exit and of several"));
        assert!(with("joined: [Two, Both]").contains("joined: `fixed` is true for some"));
        assert_eq!(with("ensemble: [One, Two]"), "");
        let three = with("ensemble: [One, Two, Both]");
        assert!(three.starts_with("networks: \"Line\": ensemble: a hold-out of 2"), "{three}");
    }
}
