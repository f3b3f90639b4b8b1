//! Training steps of 64 images, as `repro anytime` and its like take them.

use anyhow::{Context, Result};
use tch::Device;

use super::clock::seconds_each;
use super::{Measured, Subject, Tell};
use crate::data::Dataset;
use crate::experiment::{Run, Training};
use crate::nn::Precision;
use crate::train::{Job, Trainer};

const BATCH: usize = 64;
/// Forward, and twice as much backward.
const PASSES: f64 = 3.0;

pub(super) fn train(subject: &Subject, tell: Tell) -> Result<()> {
    for (precision, name) in [(Precision::Fp32, "fp32"), (Precision::Bf16, "bf16")] {
        let training =
            Training { epochs: u32::MAX, batch_size: BATCH, precision, ..Training::default() };
        let run = Run {
            network: subject.config.clone(),
            dataset: Dataset::Synthetic,
            validation: 0,
            training_images: None,
            training: Some(training.clone()),
            seed: 0,
        };
        // Whole batches only.
        let images = (subject.source.len() / BATCH * BATCH) as u32;
        let job = Job {
            run: &run,
            training: &training,
            network: &subject.network,
            source: subject.source,
            data: String::new(),
            train: (0..images).collect(),
            validation: Vec::new(),
            normalisation: subject.normalisation.clone(),
            device: Device::Cpu,
        };
        let mut trainer = Trainer::begin(&job)?;
        let each = seconds_each(subject.clock, || {
            trainer.step()?.context("the training has no end")?;
            Ok(())
        })?;
        tell(Measured::images(
            subject.name,
            &format!("train/{BATCH}/{name}"),
            subject.threads,
            BATCH as f64 / each,
            PASSES * subject.last(),
        ))?;
    }
    Ok(())
}
