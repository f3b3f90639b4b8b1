//! What does not depend on a network: a large matrix product, the data pipeline, a threshold sweep.

use std::hint::black_box;

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::clock::{Clock, seconds_each, seconds_each_on};
use super::{Bench, Measured, Tell, is_wanted};
use crate::data::{Augmentation, Normalisation, Source};
use crate::eval::answers::Answers;
use crate::eval::budgeted::at_ratio;
use crate::eval::thresholds::HoldOut;
use crate::nn::Precision;

/// Rows and columns of the matrices.
const SIDE: i64 = 2048;
const BATCH: usize = 64;
/// Of the networks whose sweeps are timed.
const EXITS: [usize; 2] = [7, 8];
const IMAGES: usize = 10_000;
const RATIOS: u32 = 39;

pub(super) fn matmul(bench: &Bench, threads: usize, tell: Tell) -> Result<()> {
    let Bench { device, clock, .. } = *bench;
    for (kind, precision) in [(Kind::Float, Precision::Fp32), (Kind::BFloat16, Precision::Bf16)] {
        if !is_wanted(&bench.precisions, precision) {
            continue;
        }
        let name = precision.name();
        let random = || Tensor::f_randn([SIDE, SIDE], (Kind::Float, device))?.f_to_kind(kind);
        let (a, b) = (random()?, random()?);
        let each = seconds_each_on(device, clock, || {
            let _ = black_box(a.f_matmul(&b)?);
            Ok(())
        })?;
        let rate = (SIDE as f64).powi(3) / each;
        tell(Measured {
            multiply_adds_per_s: Some(rate),
            ..Measured::new("", &format!("matmul/{name}"), threads, rate, "multiply-adds/s")
        })?;
    }
    Ok(())
}

pub(super) fn data(
    source: &Source,
    normalisation: &Normalisation,
    threads: usize,
    clock: Clock,
    tell: Tell,
) -> Result<()> {
    let augmentation = Augmentation::default();
    let mut epoch = 0;
    let each = seconds_each(clock, || {
        epoch += 1;
        let indices: Vec<u32> =
            (0..BATCH as u32).map(|i| (i * 31 + epoch) % source.len() as u32).collect();
        let change = Some((augmentation, 0, epoch));
        let _ = black_box(source.batch(&indices, normalisation, change, Device::Cpu)?);
        Ok(())
    })?;
    let rate = BATCH as f64 / each;
    tell(Measured::new("", "data/64", threads, rate, "images/s"))
}

pub(super) fn sweep(clock: Clock, tell: Tell) -> Result<()> {
    let ratios: Vec<f64> = (1..=RATIOS).map(|p| f64::from(p) / 20.0).collect();
    for exits in EXITS {
        let (hold_out, test) = (random_answers(exits, 1), random_answers(exits, 2));
        let multiply_adds: Vec<u64> = (1..=exits as u64).collect();
        let each = seconds_each(clock, || {
            let sorted = HoldOut::new(hold_out.clone())?;
            for &ratio in &ratios {
                black_box(at_ratio(&sorted, &test, &multiply_adds, ratio)?);
            }
            Ok(())
        })?;
        let what = format!("sweep/{RATIOS}x{IMAGES}x{exits}");
        tell(Measured::new("", &what, 1, each, "s"))?;
    }
    Ok(())
}

/// Confidences from a linear congruential generator: later exits are surer.
fn random_answers(exits: usize, seed: u64) -> Answers {
    let mut state = seed;
    let mut draw = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let confidence = (1..=exits).map(|exit| {
        let surer = 1.0 / exit as f64;
        (0..IMAGES).map(|_| draw().powf(surer)).collect()
    });
    Answers {
        confidence: confidence.collect(),
        predicted: vec![vec![0; IMAGES]; exits],
        labels: vec![0; IMAGES],
    }
}
