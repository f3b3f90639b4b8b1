//! An experiment with its plan, data and costs: all that is known before anything is trained.

use anyhow::{Context, Result, bail};

use super::context::{Data, Settings};
use super::costs::{CostRow, cost_rows};
use super::execute::{Outcome, folder_of, train_run};
use super::predictions::{Split, predictions_of};
use super::stop::Interrupted;
use crate::eval::Predictions;
use crate::experiment::{Experiment, Plan, Run, Trained};

/// An experiment ready to be carried out.
pub struct Study<'a> {
    /// Its name: the file's.
    pub name: String,
    /// The experiment.
    pub experiment: Experiment,
    /// Its runs.
    pub plan: Plan,
    /// Its data.
    pub data: Data,
    /// Costs of all its networks.
    pub costs: Vec<CostRow>,
    /// How to compute.
    pub settings: &'a Settings,
}

impl<'a> Study<'a> {
    /// Everything that can be checked without training.
    ///
    /// # Errors
    /// Names the network or key that cannot be.
    pub fn new(name: &str, experiment: &Experiment, settings: &'a Settings) -> Result<Study<'a>> {
        let data = Data::of(experiment, settings)?;
        let plan = Plan::new(experiment, data.input, data.validation)
            .with_context(|| format!("in experiment {name}"))?;
        let networks: Vec<_> = plan
            .networks
            .iter()
            .map(|n| (n.name.clone(), n.config.clone()))
            .collect();
        let costs = cost_rows(&networks, data.input)?;
        let mut experiment = experiment.clone();
        experiment.validation = Some(data.validation);
        Ok(Study {
            name: name.to_string(),
            experiment,
            plan,
            data,
            costs,
            settings,
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
    ///
    /// # Errors
    /// When there is none.
    pub fn network(&self, name: &str) -> Result<&Trained> {
        self.plan
            .networks
            .iter()
            .find(|n| n.name == name)
            .with_context(|| format!("no network is called \"{name}\""))
    }

    /// Trains every run that is not finished.
    ///
    /// # Errors
    /// [`Interrupted`] after a signal; what a run says when it fails.
    pub fn train_all(&self) -> Result<()> {
        let mut waiting: Vec<(&str, &Run)> = Vec::new();
        for run in self.plan.runs() {
            let owner = self.plan.networks.iter().find(|n| n.runs.contains(run));
            waiting.push((owner.map_or("", |n| n.name.as_str()), run));
        }
        let mut failures = Vec::new();
        while !waiting.is_empty() {
            let mut busy = Vec::new();
            for (name, run) in waiting {
                match train_run(name, run, &self.data, self.settings) {
                    Ok(Outcome::Finished) => {}
                    Ok(Outcome::Busy) => busy.push((name, run)),
                    Ok(Outcome::Interrupted) => bail!(Interrupted),
                    // A failing run does not stop the others.
                    Err(error) => failures.push(format!("{error:#}")),
                }
            }
            if !busy.is_empty() {
                self.wait(&busy)?;
            }
            waiting = busy;
        }
        match &failures[..] {
            [] => Ok(()),
            [only] => bail!("{only}"),
            many => bail!("{} runs failed:\n  {}", many.len(), many.join("\n  ")),
        }
    }

    fn wait(&self, busy: &[(&str, &Run)]) -> Result<()> {
        let (name, run) = busy[0];
        self.settings.say(format!(
            "{name}, seed {}: another process is training it; waiting",
            run.seed
        ));
        let stop = super::stop::watch_signals()?;
        let folder = folder_of(run, self.settings);
        loop {
            if stop.is_asked() {
                bail!(Interrupted);
            }
            if folder.try_lock()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
    }

    /// Predictions of one seed of a network.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn predictions(&self, network: &Trained, seed: usize, split: Split) -> Result<Predictions> {
        let folder = folder_of(&network.runs[seed], self.settings);
        let predictions = predictions_of(&folder, &self.data, split, self.settings)?;
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
