//! A trained run opened for looking at: its network's costs, its answers on both splits, its images.

use anyhow::{Context, Result, ensure};
use image::RgbImage;
use tch::{Device, Kind};

use super::context::{Data, Settings};
use super::costs::cost_rows;
use super::predictions::{Split, predictions_of};
use crate::data::{Normalisation, Part, class_names};
use crate::eval::{Predictions, budgeted};
use crate::experiment::Run;
use crate::results::{RunFolder, find_run};

/// What early exit needs of one run.
pub struct Opened {
    /// The run.
    pub run: Run,
    /// Name of its folder.
    pub name: String,
    /// Its data.
    pub data: Data,
    /// Predictions on the hold-out.
    pub hold_out: Predictions,
    /// Predictions on the test images.
    pub test: Predictions,
    /// Multiply-adds of exits 1..k.
    pub multiply_adds: Vec<u64>,
    /// Names of the classes by label.
    pub classes: Vec<String>,
}

/// Opens the run that `which` names; predictions that are not there yet are made.
///
/// # Errors
/// When there is no such run, it is not finished, or it has no hold-out.
pub fn open_run(which: &str, settings: &Settings) -> Result<Opened> {
    let folder = find_run(which, &settings.places.runs)?;
    let (progress, _) =
        folder.progress().with_context(|| format!("{} is not trained", folder.path().display()))?;
    let run = progress.run;
    ensure!(
        run.validation > 0,
        "{} holds no image out, and exits are taken by thresholds found on held-out images; \
         train it with `validation` above 0",
        folder.path().display()
    );
    let data = Data::new(&run.dataset, Some(run.validation), run.training_images, settings)?;
    let costs = cost_rows(&[(run.network.short_name(), run.network.clone())], data.input)?;
    Ok(Opened {
        name: folder_name(&folder),
        hold_out: predictions_of(&folder, &data, Split::Validation, settings)?,
        test: predictions_of(&folder, &data, Split::Test, settings)?,
        multiply_adds: costs.iter().map(|row| row.cost.multiply_adds).collect(),
        classes: class_names(&run.dataset, &settings.places.data),
        data,
        run,
    })
}

/// The last part of a run folder's path.
pub fn folder_name(folder: &RunFolder) -> String {
    let name = folder.path().file_name();
    name.map_or(String::new(), |n| n.to_string_lossy().into_owned())
}

impl Opened {
    /// What a budgeted-batch sweep takes.
    pub fn network(&self) -> budgeted::Network<'_> {
        budgeted::Network {
            hold_out: &self.hold_out,
            test: &self.test,
            multiply_adds: &self.multiply_adds,
        }
    }

    /// The name of a class.
    pub fn class(&self, label: u32) -> String {
        let name = self.classes.get(label as usize);
        name.map_or_else(|| label.to_string(), |name| name.replace('_', " "))
    }

    /// A test image as people see it, neither normalised nor changed; `index` counts in its file.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub fn picture(&self, index: u32) -> Result<RgbImage> {
        let channels = self.data.input.channels;
        let plain = Normalisation { mean: vec![0.0; channels], std: vec![1.0; channels] };
        let source = &self.data.part(Part::Test)?.source;
        let batch = source.batch(&[index], &plain, None, Device::Cpu)?;
        let (_, _, height, width) = batch.size4()?;
        // A grey image has one channel, which all three colours show.
        let colours = batch.f_expand([1, 3, height, width], false)?;
        let bytes = (colours * 255.0).f_round()?.f_to_kind(Kind::Uint8)?;
        let bytes = bytes.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_view([-1])?;
        let bytes = Vec::<u8>::try_from(&bytes)?;
        RgbImage::from_raw(width as u32, height as u32, bytes)
            .with_context(|| format!("test image {index} is not {width} x {height} pixels"))
    }
}
