//! All exits and early exit of 256 images on a GPU.

use std::hint::black_box;

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::clock::seconds_each_on;
use super::inference::{counted, fresh_weights, images, leavings};
use super::{Measured, Subject, Tell, is_wanted};
use crate::eval::Predictions;
use crate::nn::{Mode, Precision, Weights};
use crate::predict::early_exit_on_device;

/// Images together.
const BATCH: usize = 256;

/// Measures inference and early exit as asked for.
pub(super) fn measure(
    subject: &Subject,
    (inference, early): (bool, bool),
    tell: Tell,
) -> Result<()> {
    if !inference && !early {
        return Ok(());
    }
    let _no_grad = tch::no_grad_guard();
    let host = fresh_weights(subject)?;
    let images = images(subject, BATCH)?.f_to_device(subject.bench.device)?;
    if inference {
        for (kind, precision) in [(Kind::Float, Precision::Fp32), (Kind::BFloat16, Precision::Bf16)]
        {
            if !is_wanted(&subject.bench.precisions, precision) {
                continue;
            }
            let weights = host.converted(&subject.network, kind, Device::Cpu)?;
            let weights = weights.moved(subject.bench.device)?;
            all_exits(subject, weights, &images.f_to_kind(kind)?, precision.name(), tell)?;
        }
    }
    if early {
        early_exits(subject, host.moved(subject.bench.device)?, &images, tell)?;
    }
    Ok(())
}

fn all_exits(
    subject: &Subject,
    mut weights: Weights,
    images: &Tensor,
    name: &str,
    tell: Tell,
) -> Result<()> {
    let each = seconds_each_on(subject.bench.device, subject.bench.clock, || {
        let logits =
            subject.network.forward(&mut weights, images, Mode::Evaluate, Precision::Fp32)?;
        black_box(logits);
        Ok(())
    })?;
    let (rate, what) = (BATCH as f64 / each, format!("all/{BATCH}/{name}"));
    tell(Measured::images(subject.name, &what, subject.threads, rate, subject.last()))
}

/// Every exit for all images, and ratios: shares of the last exit's multiply-adds and of its time.
fn early_exits(subject: &Subject, mut weights: Weights, images: &Tensor, tell: Tell) -> Result<()> {
    let network = &subject.network;
    let logits = network.forward(&mut weights, images, Mode::Evaluate, Precision::Fp32)?;
    let logits = Tensor::f_cat(&logits, 0)?.f_to_device(Device::Cpu)?.f_view([-1])?;
    let predictions = Predictions {
        exits: network.exits().len(),
        classes: network.classes(),
        images: (0..BATCH as u32).collect(),
        labels: vec![0; BATCH],
        logits: Vec::<f32>::try_from(&logits)?,
    };
    let time = |rule: &_| {
        seconds_each_on(subject.bench.device, subject.bench.clock, || {
            black_box(early_exit_on_device(network, &weights, images, rule)?);
            Ok(())
        })
    };
    let leavings = leavings(subject, &predictions)?;
    let Some(last) = leavings.iter().find(|leaving| leaving.exit == Some(predictions.exits)) else {
        return Ok(());
    };
    let whole = time(&last.rule)?;
    for leaving in &leavings {
        let took = time(&leaving.rule)?;
        let counted = counted(subject, &predictions, &leaving.rule, BATCH);
        let each = took / BATCH as f64;
        let measured = leaving.measured(subject, BATCH, counted, each, took / whole);
        tell(Measured { precision: Some(Precision::Fp32), ..measured })?;
    }
    Ok(())
}
