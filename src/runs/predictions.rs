//! Predictions of a finished run on a split: read if they are fresh, else made.

use std::rc::Rc;

use anyhow::{Context, Result, bail};
use tch::Device;

use super::context::Settings;
use super::data::{Data, DataSets};
use super::known::Known;
use super::machine::Threads;
use crate::cuda::describe;
use crate::data::{Source, Split};
use crate::engine::Engine;
use crate::eval::Predictions;
use crate::experiment::FORMAT;
use crate::nn::Precision;
use crate::predict::{predict, predict_with_engine};
use crate::results::folder::Lock;
use crate::results::predictions::{self, Made};
use crate::results::{RunFolder, atomic, runfiles};

impl Known {
    /// Predictions of the run on `split`: read, checked and hashed once; made where they are not
    /// there or not of the present weights and data, and kept in the folder where it can be written.
    ///
    /// # Errors
    /// When the run is not finished, or its files or the data cannot be read.
    pub fn predictions(&self, split: Split, data_sets: &DataSets) -> Result<Rc<Predictions>> {
        let cell = &self.predictions[split as usize];
        if let Some(found) = cell.get() {
            return Ok(found.clone());
        }
        let shown = self.folder.path().display();
        let context = || format!("predicting {} with {shown}", split.name());
        self.ensure_done(data_sets)?;
        self.ensure_own_classes().with_context(context)?;
        let (_, weights) =
            self.folder.progress().with_context(|| format!("{shown} is not trained"))?;
        let data = self.data(data_sets)?;
        let part = data.images(split).with_context(context)?;
        let made = Made {
            format: FORMAT,
            weights,
            data: part.digest.clone(),
            validation: data.validation,
            device: describe(data_sets.settings.device, data_sets.settings.numerics),
            precision: Precision::Fp32,
        };
        let path = self.folder.predictions(split.name());
        let predictions = match predictions::load(&path) {
            Ok((found, predictions)) if found.is_of_the_same(&made, split) => predictions,
            _ => self.predict(split, &made, data_sets).with_context(context)?,
        };
        Ok(cell.get_or_init(|| Rc::new(predictions)).clone())
    }

    /// Predicts and writes, unless another process has done it meanwhile.
    fn predict(&self, split: Split, made: &Made, data_sets: &DataSets) -> Result<Predictions> {
        let (folder, settings) = (&self.folder, data_sets.settings);
        let lock = match lock(folder, settings) {
            Ok(lock) => Some(lock),
            Err(error) if atomic::is_read_only(&error) => None,
            Err(error) => return Err(error),
        };
        if lock.is_some() {
            atomic::remove_temporaries(folder.path());
        }
        let path = folder.predictions(split.name());
        match predictions::load(&path) {
            Ok((found, predictions)) if found.is_of_the_same(made, split) => {
                return Ok(predictions);
            }
            Err(_) if !path.exists() => {}
            found => settings.say(format!(
                "{}: {}; predicting again",
                path.display(),
                found.map_or("damaged", |(found, _)| difference(&found, made))
            )),
        }
        let data = self.data(data_sets)?;
        let (network, weights) = match lock.is_some() && !self.is_imported() {
            true => self.network_or_aside(data_sets)?,
            false => self.network(data_sets)?,
        };
        // Those of the training, so that its predictions are the same whoever asks first.
        let began = runfiles::read_began(&folder.run_yaml());
        let _threads = began.map(|began| Threads::of(began.threads));
        let (source, indices) = images_of(&data, split, settings.device)?;
        let predictions = predict(&network, &weights, source, &indices, &data.normalisation)?;
        let kept = lock.is_some().then(|| predictions::save(&path, &predictions, made));
        match kept {
            Some(Ok(())) => {}
            Some(Err(error)) if !atomic::is_read_only(&error) => return Err(error),
            _ => settings.say(format!(
                "{} cannot be written, so these predictions are not kept",
                folder.path().display()
            )),
        }
        Ok(predictions)
    }

    /// The files of images of `split`, as paths below the folder of the data set; none where images are no files of
    /// their own. A name that is not UTF-8 is written as nearly as it can be.
    ///
    /// # Errors
    /// When the data cannot be read, or have no such image.
    pub fn image_files(
        &self,
        split: Split,
        images: &[u32],
        data_sets: &DataSets,
    ) -> Result<Option<Vec<String>>> {
        let Some(folder) = self.run.dataset.image_folder(&data_sets.settings.places.data) else {
            return Ok(None);
        };
        let data = self.data(data_sets)?;
        let source = &data.images(split)?.source;
        let file = |&image: &u32| {
            let path = source.file(image).with_context(|| format!("no image {image}"))?;
            Ok(path.strip_prefix(&folder).unwrap_or(path).to_string_lossy().into_owned())
        };
        images.iter().map(file).collect::<Result<_>>().map(Some)
    }

    /// Predictions by the inference engine on the CPU; not kept. Without a precision, bf16 is taken
    /// where it is faster and the network allows it.
    ///
    /// # Errors
    /// When the run is not finished, its files or the data cannot be read, or the machine has not
    /// got the precision.
    pub fn predict_with_engine(
        &self,
        split: Split,
        precision: Option<Precision>,
        data_sets: &DataSets,
    ) -> Result<Predictions> {
        let settings = Settings { device: Device::Cpu, ..data_sets.settings.clone() };
        self.ensure_done(data_sets)?;
        self.ensure_own_classes()?;
        let (network, weights) = self.network(&DataSets::new(&settings))?;
        let engine = Engine::new(&network, &weights, precision)?;
        let data = self.data(data_sets)?;
        let (source, indices) = images_of(&data, split, Device::Cpu)?;
        predict_with_engine(&engine, source, &indices, &data.normalisation, settings.threads)
    }
}

/// The right to write to the folder; waits for it where another process has it.
fn lock(folder: &RunFolder, settings: &Settings) -> Result<Lock> {
    let why = || format!("{}: another process writes there; waiting", folder.path().display());
    settings.wait_for(why, || folder.try_lock())
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

/// Where the images of a split are, and which ones they are.
fn images_of<'d>(data: &'d Data, split: Split, device: Device) -> Result<(&'d Source, Vec<u32>)> {
    let source = data.images(split)?.on(device)?;
    let indices = match split {
        Split::Train => data.hold_out()?.train,
        Split::Validation => data.hold_out()?.validation,
        Split::Test => (0..source.len() as u32).collect(),
    };
    if indices.is_empty() {
        bail!("validation: 0 images are held out, so there is no hold-out to predict");
    }
    Ok((source, indices))
}
