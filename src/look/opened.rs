//! A trained run opened for looking at: its network's costs, its answers on both splits, its images.

use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use image::RgbImage;
use tch::{Device, Kind};

use crate::cost;
use crate::data::{Normalisation, Split};
use crate::eval::{Predictions, budgeted};
use crate::experiment::Run;
use crate::runs::{Data, DataSets, Known, Settings};

/// What early exit needs of one run.
pub struct Opened<'a> {
    /// The run.
    pub run: Run,
    /// Name of its folder.
    pub name: String,
    data: Data<'a>,
    /// Predictions on the hold-out.
    pub hold_out: Rc<Predictions>,
    /// Predictions on the test images.
    pub test: Rc<Predictions>,
    /// Multiply-adds of exits 1..k.
    pub multiply_adds: Vec<u64>,
    /// Names of the classes by label.
    pub classes: Vec<String>,
}

/// Opens the run that `which` names; predictions that are not there yet are made.
///
/// # Errors
/// When there is no such run, it is not finished, or it has no hold-out.
pub fn open_run<'a>(which: &str, settings: &'a Settings) -> Result<Opened<'a>> {
    let data_sets = DataSets::new(settings);
    let known = Known::named(which, &settings.places.runs)?;
    let data = known.data(&data_sets)?;
    ensure!(
        data.validation > 0,
        "{} has no hold-out, on which the thresholds of exits are found; train it with `validation` above 0",
        known.folder.path().display()
    );
    Ok(Opened {
        name: known.folder.name(),
        hold_out: known.predictions(Split::Validation, &data_sets)?,
        test: known.predictions(Split::Test, &data_sets)?,
        multiply_adds: cost::by_exit(&known.run.network.build(data.input)?),
        classes: known.classes(&settings.places.data),
        data,
        run: known.run,
    })
}

impl Opened<'_> {
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
        name.cloned().unwrap_or_else(|| label.to_string())
    }

    /// Height and width of an image, in pixels.
    pub fn side(&self) -> usize {
        self.data.input.side
    }

    /// A test image as people see it, neither normalised nor changed; `index` counts in its file.
    pub fn picture(&self, index: u32) -> Result<RgbImage> {
        let channels = self.data.input.channels;
        let plain = Normalisation { mean: vec![0.0; channels], std: vec![1.0; channels] };
        let source = &self.data.images(Split::Test)?.source;
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
