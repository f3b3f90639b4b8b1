//! An experiment carried out: its plan, its trainings, its predictions, its figure. Every step's
//! result is a file, and a step whose file is there for the same inputs is skipped.

mod anytime;
mod budgeted;
mod claims;
mod collect;
mod figure;
mod kinds;
mod origin;
mod outputs;
mod plan;
mod positional;
mod report;
mod standing;
mod summary;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};

use crate::eval::Predictions;
use crate::eval::anytime::{Member as Evaluated, ensemble};
use crate::eval::figure::Figure;
use crate::eval::judge;
use crate::experiment::{Experiment, Member, Named, Plan, Run, Trained, labels};
use crate::runs::Split;
use crate::runs::costs::{CostRow, cost_rows};
use crate::runs::workers::train_tasks;
use crate::runs::{Data, DataSets, IMPORTED_DOUBT, Known, Settings, State, Task};

pub use collect::collect_figures;
pub use figure::{Ask, ClaimFailed, make_figure};
pub use origin::Origin;
pub use report::{findings, write_report};

/// Folders of results that are no figure's.
const TAKEN: [&str; 5] = ["exact", "examples", "guarantee", "runs", "speed"];

/// An experiment with its plan, data and costs: all that is known before anything is trained.
pub struct Study<'a> {
    /// Its name: the file's.
    pub name: String,
    /// The experiment.
    pub experiment: Experiment,
    /// Its runs.
    pub plan: Plan,
    /// Its data.
    pub data: Data<'a>,
    data_sets: DataSets<'a>,
    /// The runs that were asked for their predictions, by digest.
    known: RefCell<HashMap<String, Rc<Known>>>,
    /// Costs of all its networks.
    pub costs: Vec<CostRow>,
    /// How to compute.
    pub settings: &'a Settings,
    /// Digests of runs that are left out because they are not finished.
    left_out: HashSet<String>,
}

impl<'a> Study<'a> {
    /// Everything that can be checked without training.
    pub fn new(name: &str, experiment: &Experiment, settings: &'a Settings) -> Result<Study<'a>> {
        ensure!(
            !TAKEN.contains(&name),
            "an experiment cannot be called \"{name}\", since that folder of results holds something else; rename its \
             file"
        );
        let data_sets = DataSets::new(settings);
        let data = data_sets.of_experiment(experiment, false)?;
        let plan = Plan::new(experiment, data.input, data.validation)
            .with_context(|| format!("in experiment {name}"))?;
        let skips = |run: &&Run| Known::of(run, &settings.places).skips_broken();
        let is_folder = experiment.dataset.image_folder(&settings.places.data).is_some();
        let skip_broken = is_folder && plan.runs().iter().any(skips);
        let data = data_sets.of_experiment(experiment, skip_broken)?;
        let networks: Vec<_> =
            plan.networks.iter().map(|n| (n.name.clone(), n.config.clone())).collect();
        let costs = cost_rows(&networks, data.input)?;
        let mut experiment = experiment.clone();
        experiment.validation = Some(data.validation);
        Ok(Study {
            name: name.to_string(),
            experiment,
            plan,
            data,
            data_sets,
            known: RefCell::default(),
            costs,
            settings,
            left_out: HashSet::new(),
        })
    }

    /// Multiply-adds of exits 1..k of the network called `name`.
    pub fn multiply_adds(&self, name: &str) -> Vec<u64> {
        self.costs
            .iter()
            .filter(|row| row.network == name)
            .map(|row| row.cost.multiply_adds)
            .collect()
    }

    /// The network called `name`.
    pub fn network(&self, name: &str) -> Result<&Trained> {
        self.plan
            .networks
            .iter()
            .find(|n| n.name == name)
            .with_context(|| format!("no network is called \"{name}\""))
    }

    /// The label of an entry's curve: the name of the curve that joins it with others, or its own.
    pub fn curve_of<'n>(&'n self, named: &'n Named) -> &'n str {
        labels::curve_of(&self.plan.members, named)
    }

    /// Trains every run that is not finished.
    ///
    /// # Errors
    /// [`crate::runs::Interrupted`] after a signal; what a run says when it fails.
    pub fn train_all(&self) -> Result<()> {
        let missing = Task::all(&self.plan).into_iter().filter(|task| !self.is_done(&task.run));
        train_tasks(missing.collect(), &self.data_sets)
    }

    /// The state of one of its runs.
    pub fn state(&self, run: &Run) -> State {
        Known::of(run, &self.settings.places).state(&self.data_sets)
    }

    fn is_done(&self, run: &Run) -> bool {
        self.state(run) == State::Done
    }

    /// Leaves runs that are not finished out of everything that follows, and returns them.
    pub fn leave_out_missing(&mut self) -> Vec<Task> {
        let tasks = Task::all(&self.plan).into_iter();
        let missing: Vec<Task> = tasks.filter(|task| !self.is_done(&task.run)).collect();
        self.left_out.extend(missing.iter().map(|task| task.run.digest()));
        missing
    }

    /// The runs that the figure stands on, and those left out.
    pub fn present_and_missing(&self) -> (Vec<&Run>, Vec<&Run>) {
        let runs = self.plan.runs().into_iter();
        runs.partition(|run| !self.left_out.contains(&run.digest()))
    }

    /// The runs of `network` that are not left out, each with the place of its seed.
    pub fn runs_of<'n>(&self, network: &'n Trained) -> Vec<(usize, &'n Run)> {
        let runs = network.runs.iter().enumerate();
        runs.filter(|(_, run)| self.left_out.is_empty() || !self.left_out.contains(&run.digest()))
            .collect()
    }

    /// Every network and ensemble with each seed for which all its networks are there: the entry,
    /// the seed's place, the seed.
    ///
    /// # Errors
    /// When an ensemble names a network that is not.
    pub fn entries(&self) -> Result<Vec<(&Named, usize, u64)>> {
        let mut entries = Vec::new();
        for named in &self.plan.members {
            let names = match &named.member {
                Member::Network(_) => std::slice::from_ref(&named.name),
                Member::Ensemble(names) => names,
                Member::Joined(_) => continue,
            };
            let mut seeds: Vec<(usize, u64)> =
                self.experiment.seeds.iter().copied().enumerate().collect();
            for name in names {
                let present = self.runs_of(self.network(name)?);
                seeds.retain(|(place, _)| present.iter().any(|(own, _)| own == place));
            }
            entries.extend(seeds.into_iter().map(|(place, seed)| (named, place, seed)));
        }
        Ok(entries)
    }

    /// The rows that are judged: of networks that are joined to one line only the seeds for which all of
    /// them are trained, since a missing network would change the line.
    ///
    /// # Errors
    /// Those of [`Study::entries`].
    pub fn whole(&self, rows: impl Iterator<Item = judge::Row>) -> Result<Vec<judge::Row>> {
        let there: HashSet<(&str, u64)> = self
            .entries()?
            .into_iter()
            .map(|(named, _, seed)| (named.name.as_str(), seed))
            .collect();
        let joined = self.plan.members.iter().filter_map(|named| match &named.member {
            Member::Joined(names) => Some(names),
            _ => None,
        });
        let lacks = |names: &Vec<String>, seed| {
            names.iter().any(|name| !there.contains(&(name.as_str(), seed)))
        };
        let is_whole = |row: &judge::Row| {
            let own = joined.clone().find(|names| names.contains(&row.network));
            !own.is_some_and(|names| lacks(names, row.seed))
        };
        Ok(rows.filter(is_whole).collect())
    }

    /// Predictions of an entry and multiply-adds of its exits 1..k. An ensemble is as if it were
    /// one network with an exit a member.
    pub fn answers(
        &self,
        named: &Named,
        seed: usize,
        split: Split,
    ) -> Result<(Rc<Predictions>, Vec<u64>)> {
        let Member::Ensemble(names) = &named.member else {
            let predictions = self.predictions(self.network(&named.name)?, seed, split)?;
            return Ok((predictions, self.multiply_adds(&named.name)));
        };
        let mut all = Vec::new();
        for name in names {
            // Only the final exit is asked, so no other classifier is computed.
            let last = self.costs.iter().rfind(|row| row.network == *name);
            let last = last.with_context(|| format!("{name} has no exit"))?;
            let cost = last.cost.multiply_adds_single;
            all.push((name, cost, self.predictions(self.network(name)?, seed, split)?));
        }
        let mut members = Vec::new();
        for &(name, multiply_adds, ref predictions) in &all {
            members.push(Evaluated { name, multiply_adds, predictions });
        }
        let (predictions, multiply_adds) = ensemble(&members)?;
        Ok((Rc::new(predictions), multiply_adds))
    }

    /// Predictions of one seed of a network.
    pub fn predictions(
        &self,
        network: &Trained,
        seed: usize,
        split: Split,
    ) -> Result<Rc<Predictions>> {
        let run = &network.runs[seed];
        let known = || {
            let known = Rc::new(Known::of(run, &self.settings.places));
            if self.plan.figure == Figure::BudgetedBatch && known.is_imported() {
                let name = format!("{}, seed {}", network.name, run.seed);
                self.settings.say(format!("warning: {name}: {IMPORTED_DOUBT}"));
            }
            known
        };
        let known = self.known.borrow_mut().entry(run.digest()).or_insert_with(known).clone();
        let predictions = known.predictions(split, &self.data_sets)?;
        let expected = self.multiply_adds(&network.name).len();
        if predictions.exits != expected || predictions.classes != self.data.input.classes {
            bail!(
                "{}: predictions of {} exits and {} classes, but the network has {expected} and {}",
                network.name,
                predictions.exits,
                predictions.classes,
                self.data.input.classes
            );
        }
        Ok(predictions)
    }
}
