//! Where things are, how to compute, and the data of an experiment.

use std::cell::OnceCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tch::Device;

use crate::cuda::Numerics;
use crate::data::{Dataset, Facts, Normalisation, Part, Source, Split, hold_out, subset};
use crate::experiment::Experiment;
use crate::models::Input;

/// Folders that a command reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Figures and tables.
    pub out: PathBuf,
    /// Run folders.
    pub runs: PathBuf,
    /// Data sets.
    pub data: PathBuf,
}

/// How a command computes and speaks.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folders.
    pub places: Places,
    /// Where to compute.
    pub device: Device,
    /// Threads of one process.
    pub threads: usize,
    /// Whether so many threads were asked for; else a training that is gone on with keeps its own.
    pub threads_asked: bool,
    /// Processes that train side by side; 1 = this one alone.
    pub workers: usize,
    /// Whether so many workers were asked for; else the memory of a GPU decides how many share it.
    pub workers_asked: bool,
    /// Whether progress is kept from standard error.
    pub quiet: bool,
    /// Whether more is said of what is skipped and why.
    pub verbose: bool,
    /// Whether image files that cannot be read are left out; else they are an error.
    pub skip_broken: bool,
    /// How often a training is saved.
    pub saving: Saving,
    /// How a GPU computes.
    pub numerics: Numerics,
    /// Whether a run is trained and left without predictions; whoever needs them makes them.
    pub only_train: bool,
}

/// How often a training is saved, besides at its end and when it is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saving {
    /// After so many epochs.
    pub epochs: u32,
    /// After so much time, also within an epoch.
    pub time: Duration,
}

impl Default for Saving {
    fn default() -> Saving {
        Saving { epochs: 1, time: Duration::from_secs(600) }
    }
}

impl Saving {
    /// After `epochs` epochs, at least 1, and after `minutes` minutes.
    pub fn every(epochs: u32, minutes: f64) -> Saving {
        Saving {
            epochs: epochs.max(1),
            time: Duration::try_from_secs_f64(60.0 * minutes).unwrap_or(Duration::MAX),
        }
    }
}

/// Says something on standard error. Where that cannot be written, as on a full disk, a training
/// must not end for it.
pub fn tell(message: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", message.as_ref());
}

impl Settings {
    /// One thread on the CPU, in silence.
    pub fn on_one_core(places: Places) -> Settings {
        Settings {
            places,
            device: Device::Cpu,
            threads: 1,
            threads_asked: false,
            workers: 1,
            workers_asked: true,
            quiet: true,
            verbose: false,
            skip_broken: false,
            saving: Saving::default(),
            numerics: Numerics::default(),
            only_train: false,
        }
    }

    /// Says something on standard error, unless quiet.
    pub fn say(&self, message: impl AsRef<str>) {
        if !self.quiet {
            tell(message);
        }
    }
}

/// The data of an experiment: read when first needed.
pub struct Data {
    dataset: Dataset,
    places: Places,
    skip_broken: bool,
    /// What the networks read.
    pub input: Input,
    /// Means and standard deviations.
    pub normalisation: Normalisation,
    /// Images held out of the training set.
    pub validation: usize,
    training_images: Option<usize>,
    train: OnceCell<Loaded>,
    test: OnceCell<Loaded>,
}

/// A part of the data in the memory of the host.
pub struct Loaded {
    /// Its images.
    pub source: Source,
    /// Its digest.
    pub digest: String,
    moved: OnceCell<Source>,
}

impl Loaded {
    /// The images on `device`; on the first call they go there. A process that only looks at the
    /// digest takes no GPU.
    ///
    /// # Errors
    /// When the device cannot hold them.
    pub fn on(&self, device: Device) -> Result<&Source> {
        if let (Source::Memory(images), Device::Cuda(_)) = (&self.source, device)
            && self.moved.get().is_none()
        {
            let moved = Source::Memory(images.to_device(device)?);
            return Ok(self.moved.get_or_init(|| moved));
        }
        Ok(self.moved.get().unwrap_or(&self.source))
    }
}

impl Data {
    /// The facts of an experiment's data; only an image folder is looked at.
    ///
    /// # Errors
    /// When a folder has no classes.
    pub fn of(experiment: &Experiment, settings: &Settings) -> Result<Data> {
        let validation = experiment.validation;
        Data::new(&experiment.dataset, validation, experiment.training_images, settings)
    }

    /// The facts of a data set, with a hold-out (none given = the data set's usual one).
    ///
    /// # Errors
    /// When a folder has no classes.
    pub fn new(
        dataset: &Dataset,
        validation: Option<usize>,
        training_images: Option<usize>,
        settings: &Settings,
    ) -> Result<Data> {
        let facts = dataset.facts(&settings.places.data)?;
        Ok(Data {
            dataset: dataset.clone(),
            places: settings.places.clone(),
            skip_broken: settings.skip_broken,
            input: Input::from(&facts),
            normalisation: Normalisation { mean: facts.mean, std: facts.std },
            validation: validation.unwrap_or(facts.default_validation),
            training_images,
            train: OnceCell::new(),
            test: OnceCell::new(),
        })
    }

    /// Images of `part`, read on the first call.
    ///
    /// # Errors
    /// When they cannot be read; names the file and the way out.
    pub fn part(&self, part: Part) -> Result<&Loaded> {
        let cell = match part {
            Part::Train => &self.train,
            Part::Test => &self.test,
        };
        if let Some(loaded) = cell.get() {
            return Ok(loaded);
        }
        let source = if self.skip_broken {
            let (source, broken) = Source::open_whole(&self.dataset, part, &self.places.data)?;
            if broken > 0 {
                eprintln!("warning: {broken} broken {} images are left out", part.name());
            }
            source
        } else {
            Source::open(&self.dataset, part, &self.places.data)?
        };
        let digest = source.digest()?;
        Ok(cell.get_or_init(|| Loaded { source, digest, moved: OnceCell::new() }))
    }

    /// Which training images are trained on and which are held out.
    ///
    /// # Errors
    /// When the hold-out leaves nothing, or fewer images than asked for.
    pub fn split(&self) -> Result<Split> {
        let count = self.part(Part::Train)?.source.len();
        let mut split = hold_out(count, self.validation)?;
        if let Some(n) = self.training_images {
            split.train = subset(&split.train, n).context("training_images")?;
        }
        Ok(split)
    }
}

/// What a network of a data set reads and answers.
///
/// # Errors
/// When the data set is a folder that is missing or has no class.
pub fn input_of(dataset: &Dataset) -> Result<Input> {
    Ok(Input::from(&dataset.facts(Path::new(""))?))
}

impl From<&Facts> for Input {
    fn from(facts: &Facts) -> Input {
        Input { channels: facts.channels, side: facts.side, classes: facts.classes }
    }
}
