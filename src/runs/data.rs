//! The data sets of a command.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use anyhow::{Context, Result};
use tch::Device;

use super::context::{Settings, tell};
use crate::data::files::Broken;
use crate::data::{
    Dataset, Facts, HoldOut, Normalisation, Source, Split, hold_out, plural, subset,
};
use crate::experiment::{Experiment, Run};
use crate::models::Input;

/// The warning about an imported run's hold-out, which may have been trained on.
pub const IMPORTED_DOUBT: &str = "the weights are imported, and may have been trained on the held-out images; \
thresholds and guarantees are then too optimistic";

/// The data sets of a command; each split is read, and its digest computed, at most once.
pub struct DataSets<'a> {
    /// How to compute.
    pub settings: &'a Settings,
    read: RefCell<Vec<(Key, Rc<Splits>)>>,
}

/// A data set, and whether it is without its broken images.
type Key = (Dataset, bool);

#[derive(Default)]
struct Splits {
    train: OnceCell<Loaded>,
    test: OnceCell<Loaded>,
    /// Whether reading the training images failed, so that it is not tried for every run.
    is_unreadable: OnceCell<()>,
}

/// The images of a split in the memory of the host.
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

impl<'a> DataSets<'a> {
    /// No data set is read yet.
    pub fn new(settings: &'a Settings) -> DataSets<'a> {
        DataSets { settings, read: RefCell::default() }
    }

    /// A data set with a hold-out (none = the data set's usual one); only an image folder is looked
    /// at.
    fn of(
        &self,
        dataset: &Dataset,
        validation: Option<usize>,
        training_images: Option<usize>,
        skip_broken: bool,
    ) -> Result<Data<'a>> {
        let facts = dataset.facts()?;
        // Other data sets are whole or an error.
        let skip_broken = skip_broken && dataset.image_folder(&self.settings.places.data).is_some();
        Ok(Data {
            dataset: dataset.clone(),
            settings: self.settings,
            splits: self.splits(dataset, skip_broken),
            skip_broken,
            input: input_from(&facts),
            normalisation: Normalisation { mean: facts.mean, std: facts.std },
            validation: validation.unwrap_or(facts.default_validation),
            training_images,
        })
    }

    /// The data of an experiment, without its broken images where `skip_broken` says so here or in the
    /// settings.
    pub fn of_experiment(&self, experiment: &Experiment, skip_broken: bool) -> Result<Data<'a>> {
        let skip = skip_broken || self.settings.skip_broken;
        self.of(&experiment.dataset, experiment.validation, experiment.training_images, skip)
    }

    /// The data of a run, without its broken images where `skip_broken` says so here or in the
    /// settings. An imported run has the data set's usual hold-out.
    pub(super) fn of_run(&self, run: &Run, skip_broken: bool) -> Result<Data<'a>> {
        let validation = run.training.as_ref().map(|_| run.validation);
        let skip = skip_broken || self.settings.skip_broken;
        self.of(&run.dataset, validation, run.training_images, skip)
    }

    /// Digest of the training images of `run`; none where they cannot be read.
    pub(super) fn training_digest(&self, run: &Run, skip_broken: bool) -> Option<String> {
        let data = self.of_run(run, skip_broken).ok()?;
        let splits = &data.splits;
        if splits.is_unreadable.get().is_some() {
            return None;
        }
        let digest = data.images(Split::Train).ok().map(|loaded| loaded.digest.clone());
        if digest.is_none() {
            splits.is_unreadable.get_or_init(|| ());
        }
        digest
    }

    fn splits(&self, dataset: &Dataset, skip_broken: bool) -> Rc<Splits> {
        let mut read = self.read.borrow_mut();
        let key = (dataset.clone(), skip_broken);
        if let Some((_, splits)) = read.iter().find(|(known, _)| *known == key) {
            return splits.clone();
        }
        let splits = Rc::new(Splits::default());
        read.push((key, splits.clone()));
        splits
    }
}

/// A data set with its hold-out.
pub struct Data<'a> {
    dataset: Dataset,
    settings: &'a Settings,
    splits: Rc<Splits>,
    /// What the networks read.
    pub input: Input,
    /// Means and standard deviations.
    pub normalisation: Normalisation,
    /// Images held out of the training set.
    pub validation: usize,
    /// Whether the images that cannot be read are left out.
    pub skip_broken: bool,
    training_images: Option<usize>,
}

impl Data<'_> {
    /// The splits that a run is predicted on: the test images, and the hold-out where there is one.
    pub fn splits(&self) -> &'static [Split] {
        if self.validation > 0 { &[Split::Validation, Split::Test] } else { &[Split::Test] }
    }

    /// Images of the files of `split`, read on the first call.
    pub fn images(&self, split: Split) -> Result<&Loaded> {
        let cell = match split {
            Split::Train | Split::Validation => &self.splits.train,
            Split::Test => &self.splits.test,
        };
        if let Some(loaded) = cell.get() {
            return Ok(loaded);
        }
        let folder = &self.settings.places.data;
        let source = if self.skip_broken {
            let (source, broken) = Source::open_whole(&self.dataset, split, folder)?;
            if !broken.is_empty() {
                tell(format!("warning: {}", told_broken(&broken, split)));
            }
            source
        } else {
            Source::open(&self.dataset, split, folder)?
        };
        if let Some(told) = source.left_out() {
            tell(format!("warning: {} images of {}: {told}", split.name(), self.dataset));
        }
        let digest = source.digest()?;
        Ok(cell.get_or_init(|| Loaded { source, digest, moved: OnceCell::new() }))
    }

    /// Which training images are trained on and which are held out.
    ///
    /// # Errors
    /// When the hold-out leaves nothing, or fewer images than asked for.
    pub fn hold_out(&self) -> Result<HoldOut> {
        let count = self.images(Split::Train)?.source.len();
        let mut split = hold_out(count, self.validation)?;
        if let Some(n) = self.training_images {
            split.train = subset(&split.train, n).context("training_images")?;
        }
        Ok(split)
    }
}

/// How many images are left out as broken, and the first of them.
fn told_broken(broken: &[Broken], split: Split) -> String {
    const NAMED: usize = 5;
    let named: Vec<String> =
        broken.iter().take(NAMED).map(|b| b.path.display().to_string()).collect();
    let rest = if broken.len() > NAMED { ", ..." } else { "" };
    let images = plural(broken.len(), &format!("broken {} image", split.name()));
    format!("{images} left out: {}{rest}", named.join(", "))
}

/// What a network of a data set reads and answers.
pub fn input_of(dataset: &Dataset) -> Result<Input> {
    Ok(input_from(&dataset.facts()?))
}

/// The same of facts that are known.
pub fn input_from(facts: &Facts) -> Input {
    Input { channels: facts.channels, side: facts.side, classes: facts.classes }
}
