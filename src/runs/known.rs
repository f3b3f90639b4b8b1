//! A run and what is known of it. Every command asks here whether a run is finished.

use std::cell::OnceCell;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use tch::{Device, Kind};

use super::classes;
use super::context::Places;
use super::data::{Data, DataSets, input_from};
use crate::data::{Dataset, Facts, Split, class_names};
use crate::eval::Predictions;
use crate::experiment::{Progress, Run};
use crate::nn::{Network, Weights};
use crate::results::folder::Loaded;
use crate::results::runfiles::{read_began, read_classes, read_run_yaml};
use crate::results::{RunFolder, checkpoint, find_run, list_runs};
use crate::train::without_momentum;

/// What a run is called that was trained to its end and is not done.
pub const OTHER_OR_DAMAGED: &str = "trained, but on other data or damaged";

/// State of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not finished, and no process is training it.
    Waiting {
        /// Finished epochs, from which a training goes on.
        epoch: u32,
    },
    /// A process is training it.
    Running {
        /// Finished epochs.
        epoch: u32,
    },
    /// The last training failed.
    Failed {
        /// Finished epochs.
        epoch: u32,
        /// Why.
        reason: String,
    },
    /// Trained to its end on the present data, and its weights can be used; or imported.
    Done,
}

impl State {
    /// Its name in tables.
    pub fn name(&self) -> &'static str {
        match self {
            State::Waiting { .. } => "waiting",
            State::Running { .. } => "running",
            State::Failed { .. } => "failed",
            State::Done => "done",
        }
    }

    /// Finished epochs of a training of `epochs`.
    pub fn epoch(&self, epochs: u32) -> u32 {
        match self {
            State::Waiting { epoch } | State::Running { epoch } | State::Failed { epoch, .. } => {
                *epoch
            }
            State::Done => epochs,
        }
    }
}

/// A run, its folder, and what has been read of it.
#[derive(Debug)]
pub struct Known {
    /// The run.
    pub run: Run,
    /// The folder that stands for it.
    pub folder: RunFolder,
    pub(super) predictions: [OnceCell<Rc<Predictions>>; 3],
}

impl Known {
    /// A planned run. An imported run of the same network and data stands in for it.
    pub fn of(run: &Run, places: &Places) -> Known {
        Known::at(run.clone(), RunFolder::standing_for(&places.runs, run))
    }

    /// The run that `which` names: a folder, or an unambiguous beginning of a folder's name.
    ///
    /// # Errors
    /// When there is none or more than one, or the run's configuration cannot be read.
    pub fn named(which: &str, runs: &Path) -> Result<Known> {
        let folder = find_run(which, runs)?;
        let path = folder.path().display().to_string();
        Known::read(folder).with_context(|| format!("{path} is not trained"))
    }

    /// All runs under `runs` whose configuration can be read, by name.
    ///
    /// # Errors
    /// When the folder is there but cannot be read.
    pub fn all(runs: &Path) -> Result<Vec<Known>> {
        Ok(list_runs(runs)?.into_iter().filter_map(Known::read).collect())
    }

    /// The run that a folder is of, as its checkpoint says, else its `run.yaml`.
    pub fn read(folder: RunFolder) -> Option<Known> {
        let of_checkpoint = folder.progress().map(|(progress, _)| progress.run);
        let run = of_checkpoint.or_else(|| read_run_yaml(&folder.run_yaml()))?;
        Some(Known::at(run, folder))
    }

    fn at(run: Run, folder: RunFolder) -> Known {
        Known { run, folder, predictions: Default::default() }
    }

    /// Epochs of a whole training; 0 of an imported run.
    pub fn epochs(&self) -> u32 {
        self.run.training.as_ref().map_or(0, |training| training.epochs)
    }

    /// The data of the run, without its broken images where it is trained so.
    ///
    /// # Errors
    /// When a data set's folder cannot be looked at.
    pub fn data<'a>(&self, data_sets: &DataSets<'a>) -> Result<Data<'a>> {
        let data = data_sets.of_run(&self.run, self.skips_broken());
        data.with_context(|| classes::needed(&self.run.dataset))
    }

    /// The facts of its data set; of an image folder by the classes that the run keeps.
    ///
    /// # Errors
    /// When the run keeps no classes and the folder is not here.
    pub fn facts(&self) -> Result<Facts> {
        classes::facts(&self.run.dataset, self.kept_classes().as_deref())
    }

    /// The names of the classes by label: those that the run keeps, else those of the data set as it
    /// is in the folder `data`.
    pub fn classes(&self, data: &Path) -> Vec<String> {
        self.kept_classes().unwrap_or_else(|| class_names(&self.run.dataset, data))
    }

    /// An error where the labels of its image folder would mean other classes than the run's.
    pub(super) fn ensure_own_classes(&self) -> Result<()> {
        let kept = self.kept_classes();
        match kept.and_then(|kept| classes::difference(&self.run.dataset, &kept)) {
            None => Ok(()),
            Some(told) => bail!(
                "{told}; put the folder of its training there, or run this in another working directory"
            ),
        }
    }

    fn kept_classes(&self) -> Option<Vec<String>> {
        // The classes of a data set with a name are its own.
        let is_folder = matches!(self.run.dataset, Dataset::Folder(_));
        read_classes(&self.folder.run_yaml()).filter(|_| is_folder)
    }

    /// Whether it is trained without the images that cannot be read.
    pub fn skips_broken(&self) -> bool {
        read_began(&self.folder.run_yaml()).is_some_and(|began| began.skip_broken)
    }

    /// The state of the run, as its files say now. The training images are read only where the
    /// checkpoint says that the run is finished.
    pub fn state(&self, data_sets: &DataSets) -> State {
        if !self.folder.path().is_dir() {
            return State::Waiting { epoch: 0 };
        }
        let progress = self.folder.progress().map(|(progress, _)| progress);
        let mut epoch = progress.as_ref().map_or(0, |progress| progress.epoch);
        if let Some(progress) = progress.filter(Progress::is_finished) {
            epoch = match self.usable(&progress, data_sets) {
                Usable::Yes => return State::Done,
                Usable::OtherData => 0,
                Usable::Damaged { epoch } => epoch,
            };
        }
        if self.folder.is_locked() {
            return State::Running { epoch };
        }
        if self.is_imported() {
            return State::Failed { epoch, reason: self.damaged().to_string() };
        }
        match self.folder.failure() {
            Some(reason) => State::Failed { epoch, reason },
            None => State::Waiting { epoch },
        }
    }

    /// Whether weights from elsewhere stand in for a training.
    pub fn is_imported(&self) -> bool {
        self.run.training.is_none() || self.folder.name() == self.run.imported().folder_name()
    }

    /// Why an imported run that is not done is of no use.
    fn damaged(&self) -> &'static str {
        if self.folder.name() == self.run.imported().folder_name() {
            "imported and damaged; `repro import --force` replaces it, and without its folder the run is trained"
        } else {
            "imported and damaged"
        }
    }

    /// Whether it was trained to its end, on whatever data.
    pub fn is_trained(&self) -> bool {
        let is_finished = || self.folder.progress().is_some_and(|(found, _)| found.is_finished());
        self.run.training.is_some() && is_finished()
    }

    /// What is left of a training of which no epoch can be used; none where there is nothing.
    pub fn kept(&self) -> Option<String> {
        if self.is_trained() {
            return Some(OTHER_OR_DAMAGED.to_string());
        }
        self.folder.may_be_finished().ok()?
    }

    /// Why a run that was trained to its end is not done, and the ways out.
    fn hindrance(&self, data_sets: &DataSets) -> String {
        let progress = self.folder.progress().map(|(progress, _)| progress);
        let usable = progress.map(|progress| self.usable(&progress, data_sets));
        if !matches!(usable, Some(Usable::OtherData)) {
            return format!(
                "{} is damaged; put a copy of it back, import its card again with --force, or train it anew by the \
                 command of its experiment",
                self.folder.checkpoint().display()
            );
        }
        let dataset = &self.run.dataset;
        let place = dataset.place(&data_sets.settings.places.data);
        let place = place.map_or_else(|| dataset.to_string(), |place| place.display().to_string());
        let kept = self.kept_classes();
        let class = kept.and_then(|kept| classes::difference(dataset, &kept));
        let class = class.map_or(String::new(), |told| format!(" ({told})"));
        let elsewhere = match dataset {
            Dataset::Folder(_) => {
                "; to classify without these images, run `classify` without a policy where there is no such folder"
            }
            _ => "",
        };
        format!(
            "the images in {place} are not those of its training{class}; put those back, or train it anew by the \
             command of its experiment{elsewhere}"
        )
    }

    /// Whether the run is finished.
    pub fn is_done(&self, data_sets: &DataSets) -> bool {
        self.state(data_sets) == State::Done
    }

    /// An error unless the run is finished.
    pub fn ensure_done(&self, data_sets: &DataSets) -> Result<()> {
        let shown = self.folder.path().display();
        match self.state(data_sets) {
            State::Done => Ok(()),
            State::Waiting { epoch: 0 } if self.is_trained() => {
                bail!("{shown} is trained, but {}", self.hindrance(data_sets))
            }
            State::Waiting { epoch: 0 } => match self.kept() {
                Some(why) => bail!(
                    "{shown}: {why}; put a copy back, or train it anew by the command of its experiment"
                ),
                None => bail!("{shown} is not trained; the command of its experiment trains it"),
            },
            State::Failed { reason, .. } if self.is_imported() => bail!("{shown}: {reason}"),
            State::Running { .. } if self.is_imported() => {
                bail!("{shown} is being written by another process; wait for its end")
            }
            State::Running { epoch } => bail!(
                "{shown} is being trained (epoch {epoch} of {}); wait for its end",
                self.epochs()
            ),
            State::Waiting { epoch } | State::Failed { epoch, .. } => {
                let (_, complaints) = self.folder.load()?;
                let why = complaints.first().map_or(String::new(), |why| format!("; {why}"));
                bail!(
                    "{shown} is not finished (epoch {epoch} of {}{why}); the command that trains it goes on from there",
                    self.epochs()
                )
            }
        }
    }

    fn usable(&self, progress: &Progress, data_sets: &DataSets) -> Usable {
        let is_imported = progress.run.training.is_none();
        let digest = || data_sets.training_digest(&self.run, self.skips_broken());
        if !is_imported && digest().is_some_and(|digest| digest != progress.data) {
            return Usable::OtherData;
        }
        // Where there are predictions, the weights are read only when something else needs them,
        // and checked then.
        if self.folder.predictions(Split::Test.name()).is_file()
            || checkpoint::load(&self.folder.checkpoint()).is_ok()
        {
            return Usable::Yes;
        }
        let before = checkpoint::load_progress(&self.folder.previous_checkpoint());
        Usable::Damaged { epoch: before.map_or(0, |(progress, _)| progress.epoch) }
    }

    /// The network, and its weights in 32-bit floats on the device.
    ///
    /// # Errors
    /// When no whole checkpoint is there, or it is of another network.
    pub fn network(&self, data_sets: &DataSets) -> Result<(Network, Weights)> {
        const WAY_OUT: &str = "put a copy of it back, or delete it: the command of its experiment then goes on from the \
                               checkpoint before";
        self.network_of(self.folder.load()?, WAY_OUT, data_sets)
    }

    /// [`Known::network`] for a caller that holds the folder's lock: it sets a damaged checkpoint aside.
    pub(super) fn network_or_aside(&self, data_sets: &DataSets) -> Result<(Network, Weights)> {
        const WAY_OUT: &str = "the command that trains the run goes on from the checkpoint before";
        self.network_of(self.folder.load_to_go_on()?, WAY_OUT, data_sets)
    }

    fn network_of(
        &self,
        (found, complaints): (Option<Loaded>, Vec<String>),
        way_out: &str,
        data_sets: &DataSets,
    ) -> Result<(Network, Weights)> {
        // The checkpoint before has other weights, which must not pass for the last one's.
        if let Some(complaint) = complaints.first() {
            ensure!(!self.is_imported(), "{complaint}: {}", self.damaged());
            bail!("{complaint}; {way_out}");
        }
        let network = self.run.network.build(input_from(&self.facts()?))?;
        let shown = self.folder.path().display();
        let loaded = found.with_context(|| format!("{shown} holds no checkpoint"))?;
        let mut weights = Weights::zeros(&network, Kind::Float, Device::Cpu)?;
        weights.load(&without_momentum(loaded.tensors))?;
        let weights = weights.moved(data_sets.settings.device)?;
        Ok((network, weights))
    }
}

/// Whether a checkpoint at the end of its training can be used.
enum Usable {
    Yes,
    OtherData,
    Damaged { epoch: u32 },
}
