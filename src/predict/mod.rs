//! A network on a split: the logits of every exit, computed once; and early exit that computes no
//! more than it must.

mod early_exit;

use anyhow::{Context, Result, ensure};
use tch::{Device, Kind, Tensor};

use crate::data::Source;
use crate::data::augment::Normalisation;
use crate::eval::Predictions;
use crate::nn::{Mode, Network, Pass, Precision, Schedule, Weights};

pub use early_exit::{Verdict, early_exit, early_exit_one};

/// Images that are evaluated together.
pub const BATCH: usize = 256;

/// Logits of every exit on the images at `indices` of `source`, in evaluation mode, in the
/// precision of the weights.
///
/// # Errors
/// When there are no images, a logit is not a finite number (the exit and image are named), or
/// LibTorch fails.
pub fn predict(
    network: &Network,
    weights: &Weights,
    source: &Source,
    indices: &[u32],
    normalisation: &Normalisation,
) -> Result<Predictions> {
    ensure!(!indices.is_empty(), "no image to predict");
    let _no_grad = tch::no_grad_guard();
    let exits: Vec<usize> = (0..network.exits().len()).collect();
    let schedule = Schedule::new(network, &exits);
    let mut logits: Vec<Vec<Tensor>> = exits.iter().map(|_| Vec::new()).collect();
    let mut batches = indices.chunks(BATCH).peekable();
    while let Some(batch) = batches.next() {
        let images = source
            .batch(batch, normalisation, None, weights.device())?
            .f_to_kind(weights.kind())?;
        if let Some(next) = batches.peek() {
            source.prefetch(next, None)?;
        }
        let mut pass =
            Pass::new(network, &schedule, weights, &images, Mode::Evaluate, Precision::Fp32)?;
        for exit in &mut logits {
            let next = pass.advance()?.context("the network has fewer exits than its schedule")?;
            exit.push(next.f_to_kind(Kind::Float)?.f_to_device(Device::Cpu)?);
        }
    }
    let mut flat = Vec::with_capacity(exits.len() * indices.len() * network.classes());
    for (exit, parts) in logits.iter().enumerate() {
        let all = Tensor::f_cat(parts, 0)?.f_contiguous()?.f_view([-1])?;
        let values = Vec::<f32>::try_from(&all)?;
        if let Some(bad) = values.iter().position(|v| !v.is_finite()) {
            let image = indices[bad / network.classes()];
            anyhow::bail!(
                "exit {} gives {} for image {image}: the weights are broken",
                exit + 1,
                values[bad]
            );
        }
        flat.extend(values);
    }
    let labels = Vec::<i64>::try_from(&source.labels_of(indices, Device::Cpu)?)?;
    let labels = labels.into_iter().map(|label| label as u32).collect();
    Ok(Predictions {
        exits: exits.len(),
        classes: network.classes(),
        images: indices.to_vec(),
        labels,
        logits: flat,
    })
}
