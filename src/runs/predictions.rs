//! Predictions of a finished run on a split: read if they are fresh, else made.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tch::{Device, Kind};

use super::context::{Data, Settings};
use super::machine::Threads;
use super::stop::{Interrupted, watch_signals};
use crate::cuda::describe;
use crate::data::{Part, Source};
use crate::engine::Engine;
use crate::eval::Predictions;
use crate::experiment::FORMAT;
use crate::nn::{Network, Precision, Weights};
use crate::predict::{predict, predict_with_engine};
use crate::results::checkpoint::Progress;
use crate::results::folder::Lock;
use crate::results::predictions::{self, Made};
use crate::results::{RunFolder, atomic, runfiles};

/// Which images of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// The hold-out.
    Validation,
    /// The test images.
    Test,
}

impl Split {
    /// Name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }

    fn part(self) -> Part {
        match self {
            Split::Validation => Part::Train,
            Split::Test => Part::Test,
        }
    }
}

/// Predictions of the run in `folder` on `split`; kept in the folder for the next time.
///
/// # Errors
/// When the run is not finished, or its files or the data cannot be read.
pub fn predictions_of(
    folder: &RunFolder,
    data: &Data,
    split: Split,
    settings: &Settings,
) -> Result<Predictions> {
    let context = || format!("predicting {} with {}", split.name(), folder.path().display());
    let (progress, weights) =
        folder.progress().with_context(|| format!("{} is not trained", folder.path().display()))?;
    if !progress.is_finished() {
        bail!("{} has only come to epoch {}", folder.path().display(), progress.epoch);
    }
    let part = data.part(split.part()).with_context(context)?;
    let made = Made {
        format: FORMAT,
        weights,
        data: part.digest.clone(),
        validation: data.validation,
        device: describe(settings.device, settings.numerics),
        precision: Precision::Fp32,
    };
    let path = folder.predictions(split.name());
    if predictions::made(&path).is_some_and(|found| found.is_of_the_same(&made)) {
        return predictions::load(&path);
    }
    let _lock = lock(folder, settings)?;
    atomic::remove_temporaries(folder.path(), Duration::ZERO);
    match predictions::made(&path) {
        // Another process has made them while this one waited.
        Some(found) if found.is_of_the_same(&made) => return predictions::load(&path),
        None if !path.exists() => {}
        found => settings.say(format!(
            "{}: {}; predicting again",
            path.display(),
            found.map_or("damaged", |found| difference(&found, &made))
        )),
    }
    // Those of the training, so that its predictions are the same whoever asks first.
    let began = runfiles::read_began(&folder.run_yaml());
    let _threads = began.map(|began| Threads::of(began.threads));
    let predictions = fresh(folder, data, split, &progress, settings).with_context(context)?;
    predictions::save(&path, &predictions, &made)?;
    Ok(predictions)
}

/// Predictions of a run on `split`, by its folder alone. An imported run has the data set's usual
/// hold-out.
///
/// # Errors
/// Those of [`predictions_of`], and when there is no checkpoint.
pub fn predict_run(folder: &RunFolder, split: Split, settings: &Settings) -> Result<Predictions> {
    let progress = folder.progress();
    let (progress, _) =
        progress.with_context(|| format!("{} is not trained", folder.path().display()))?;
    let run = progress.run;
    let validation = run.training.as_ref().map(|_| run.validation);
    let data = Data::new(&run.dataset, validation, run.training_images, settings)?;
    predictions_of(folder, &data, split, settings)
}

/// As [`predict_run`], with the inference engine on the CPU; not kept. Without a precision, bf16 is
/// taken where machine and network allow it.
///
/// # Errors
/// When the run is not finished, its files or the data cannot be read, or the machine has not got the
/// precision.
pub fn predict_run_with_engine(
    folder: &RunFolder,
    split: Split,
    precision: Option<Precision>,
    settings: &Settings,
) -> Result<Predictions> {
    let settings = Settings { device: Device::Cpu, ..settings.clone() };
    let progress = folder.progress();
    let (progress, _) =
        progress.with_context(|| format!("{} is not trained", folder.path().display()))?;
    if !progress.is_finished() {
        bail!("{} has only come to epoch {}", folder.path().display(), progress.epoch);
    }
    let run = progress.run;
    let validation = run.training.as_ref().map(|_| run.validation);
    let data = Data::new(&run.dataset, validation, run.training_images, &settings)?;
    let network = run.network.build(data.input)?;
    let weights = load_weights(folder, &network, &settings)?;
    let engine = Engine::new(&network, &weights, precision)?;
    let (source, indices) = images_of(&data, split, settings.device)?;
    predict_with_engine(&engine, source, &indices, &data.normalisation, settings.threads)
}

/// The right to write to the folder; waits for it where another process has it.
fn lock(folder: &RunFolder, settings: &Settings) -> Result<Lock> {
    let stop = watch_signals()?;
    let mut said = false;
    loop {
        if stop.is_asked() {
            bail!(Interrupted);
        }
        if let Some(lock) = folder.try_lock()? {
            return Ok(lock);
        }
        if !said {
            said = true;
            let name = folder.path().display();
            settings.say(format!("{name}: another process writes there; waiting"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn difference(found: &Made, made: &Made) -> &'static str {
    if found.format != made.format {
        "made by another version of the program"
    } else if found.weights != made.weights {
        "made with other weights"
    } else if found.data != made.data {
        "the data have changed since"
    } else {
        "made on another hold-out"
    }
}

fn fresh(
    folder: &RunFolder,
    data: &Data,
    split: Split,
    progress: &Progress,
    settings: &Settings,
) -> Result<Predictions> {
    let network = progress.run.network.build(data.input)?;
    let weights = load_weights(folder, &network, settings)?;
    let (source, indices) = images_of(data, split, settings.device)?;
    predict(&network, &weights, source, &indices, &data.normalisation)
}

/// Where the images of a split are, and which ones they are.
fn images_of(data: &Data, split: Split, device: Device) -> Result<(&Source, Vec<u32>)> {
    let source = data.part(split.part())?.on(device)?;
    let indices = match split {
        Split::Test => (0..source.len() as u32).collect(),
        Split::Validation => data.split()?.validation,
    };
    if indices.is_empty() {
        bail!("validation: 0 images are held out, so there is no hold-out to predict");
    }
    Ok((source, indices))
}

/// The weights of a run, in 32-bit floats on the device.
///
/// # Errors
/// When no whole checkpoint is there, or it is of another network.
pub fn load_weights(folder: &RunFolder, network: &Network, settings: &Settings) -> Result<Weights> {
    let (found, complaints) = folder.load()?;
    // The checkpoint before has other weights, which must not pass for the last one's.
    if let Some(complaint) = complaints.first() {
        bail!("{complaint}; the command that trains the run goes on from the checkpoint before");
    }
    let loaded =
        found.with_context(|| format!("{} holds no checkpoint", folder.path().display()))?;
    let state = loaded
        .tensors
        .into_iter()
        .filter(|(name, _)| !name.starts_with(crate::train::MOMENTUM_PREFIX));
    let mut weights = Weights::zeros(network, Kind::Float, Device::Cpu)?;
    weights.load(&state.collect::<Vec<_>>())?;
    weights.moved(settings.device)
}
