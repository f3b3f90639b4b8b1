//! Training steps, as `repro anytime` and its like take them.

use anyhow::{Context, Result};

use super::clock::seconds_each_on;
use super::{Measured, Subject, Tell, is_wanted};
use crate::data::Dataset;
use crate::experiment::{Run, Training};
use crate::nn::Precision;
use crate::train::{Job, Trainer};

/// Images of an epoch, about as many as CIFAR's, so that the cost of an epoch besides its steps counts as there.
const EPOCH: usize = 45_000;
/// Forward, and twice as much backward.
const PASSES: f64 = 3.0;

pub(super) fn train(subject: &Subject, tell: Tell) -> Result<()> {
    for &batch in &subject.bench.batches {
        for precision in [Precision::Fp32, Precision::Bf16] {
            if is_wanted(&subject.bench.precisions, precision) {
                one(subject, batch, precision, tell)?;
            }
        }
    }
    Ok(())
}

fn one(subject: &Subject, batch: usize, precision: Precision, tell: Tell) -> Result<()> {
    let training =
        Training { epochs: u32::MAX, batch_size: batch, precision, ..Training::default() };
    let run = Run {
        network: subject.config.clone(),
        dataset: Dataset::Synthetic,
        validation: 0,
        training_images: None,
        training: Some(training.clone()),
        seed: 0,
    };
    // Whole batches only.
    let images = (EPOCH / batch).max(1) * batch;
    let train = (0..images).map(|image| (image % subject.source.len()) as u32).collect();
    let job = Job {
        run: &run,
        training: &training,
        network: &subject.network,
        source: subject.source,
        data: String::new(),
        train,
        validation: Vec::new(),
        normalisation: subject.normalisation.clone(),
        device: subject.bench.device,
    };
    let mut trainer = Trainer::begin(&job)?;
    let each = seconds_each_on(subject.bench.device, subject.bench.clock, || {
        trainer.step()?.context("the training has no end")?;
        Ok(())
    })?;
    trainer.look()?;
    tell(Measured::images(
        subject.name,
        &format!("train/{batch}/{}", precision.name()),
        subject.threads,
        batch as f64 / each,
        PASSES * subject.last(),
    ))
}
