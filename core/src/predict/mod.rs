//! A network on a split: the logits of every exit, computed once; and early exit that computes no
//! more than it must.

mod early_exit;
mod on_device;

use anyhow::{Context, Result, ensure};
use tch::{Device, Kind, Tensor};

use crate::cuda::{Trouble, trouble};
use crate::data::augment::Normalisation;
use crate::data::{Batches, Source};
use crate::engine::Engine;
use crate::eval::Predictions;
use crate::nn::{Mode, Network, Pass, Precision, Schedule, Weights};
use crate::stop;

pub use early_exit::{Verdict, early_exit, early_exit_one};
pub use on_device::early_exit_on_device;

/// Images that are evaluated together.
pub const BATCH: usize = 256;

/// Logits of every exit on the images at `indices` of `source`, in evaluation mode, in the
/// precision of the weights.
///
/// # Errors
/// When there are no images, a logit is not a finite number (the exit and image are named), or
/// LibTorch fails; [`stop::Interrupted`] when the process is asked to stop.
pub fn predict(
    network: &Network,
    weights: &Weights,
    source: &Source,
    indices: &[u32],
    normalisation: &Normalisation,
) -> Result<Predictions> {
    ensure!(!indices.is_empty(), "no image to predict");
    let _no_grad = tch::no_grad_guard();
    let logits = logits(network, weights, source, indices, normalisation)?;
    let flat = Vec::<f32>::try_from(&logits.f_to_device(Device::Cpu)?.f_view([-1])?)?;
    predictions(flat, network.classes(), source, indices)
}

/// As [`predict`], with an engine in its own precision on `threads` threads.
///
/// # Errors
/// As [`predict`].
pub fn predict_with_engine(
    engine: &Engine,
    source: &Source,
    indices: &[u32],
    normalisation: &Normalisation,
    threads: usize,
) -> Result<Predictions> {
    ensure!(!indices.is_empty(), "no image to predict");
    let mut all = vec![Vec::new(); engine.exits()];
    for batch in indices.chunks(BATCH) {
        stop::check()?;
        let images = source.batch(batch, normalisation, None, Device::Cpu)?;
        let images = Vec::<f32>::try_from(&images.f_contiguous()?.f_view([-1])?)?;
        for (exit, logits) in all.iter_mut().zip(engine.logits(&images, threads)?) {
            exit.extend(logits);
        }
    }
    predictions(all.concat(), engine.classes(), source, indices)
}

/// Predictions of `indices` from logits `[exits, N, classes]`.
fn predictions(
    logits: Vec<f32>,
    classes: usize,
    source: &Source,
    indices: &[u32],
) -> Result<Predictions> {
    let labels = Vec::<i64>::try_from(&source.labels_of(indices, Device::Cpu)?)?;
    let labels = labels.into_iter().map(|label| label as u32).collect();
    let predictions = Predictions {
        exits: logits.len() / (indices.len() * classes),
        classes,
        images: indices.to_vec(),
        labels,
        logits,
    };
    predictions.check().context("the weights are broken")?;
    Ok(predictions)
}

/// float32 `[exits, N, classes]`, on the device. Where its memory does not hold a batch, smaller ones are taken.
fn logits(
    network: &Network,
    weights: &Weights,
    source: &Source,
    indices: &[u32],
    normalisation: &Normalisation,
) -> Result<Tensor> {
    let mut size = BATCH;
    loop {
        let batches = indices.chunks(size).map(<[u32]>::to_vec).collect();
        let batches = Batches::new(source, batches, normalisation, None, weights.device())?;
        match logits_of(network, weights, &batches, indices.len()) {
            Err(error) if size > 1 && trouble(&format!("{error:#}")) == Some(Trouble::Memory) => {
                size /= 2;
            }
            other => return other,
        }
    }
}

fn logits_of(
    network: &Network,
    weights: &Weights,
    batches: &Batches,
    count: usize,
) -> Result<Tensor> {
    let exits: Vec<usize> = (0..network.exits().len()).collect();
    let schedule = Schedule::new(network, &exits);
    let size = [exits.len(), count, network.classes()].map(|n| n as i64);
    // On the device until all is computed, and then one copy: a GPU would idle at every one.
    let logits = Tensor::f_empty(size, (Kind::Float, weights.device()))?;
    let mut start = 0;
    for batch in 0..batches.len() {
        stop::check()?;
        let images = batches.images(batch)?.f_to_kind(weights.kind())?;
        let length = batches.size(batch) as i64;
        let mut pass =
            Pass::new(network, &schedule, weights, &images, Mode::Evaluate, Precision::Fp32)?;
        for &exit in &exits {
            let next = pass.advance()?.context("the network has fewer exits than its schedule")?;
            logits.f_select(0, exit as i64)?.f_narrow(0, start, length)?.f_copy_(&next)?;
        }
        start += length;
    }
    Ok(logits)
}
