//! All exits, the first exit, and early exit whose saving is counted and measured.

use std::hint::black_box;

use anyhow::{Context, Result};
use tch::{Device, Kind, Tensor};

use super::clock::seconds_each;
use super::{Early, Measured, Subject, Tell};
use crate::engine::Engine;
use crate::eval::Predictions;
use crate::eval::budgeted::{Network, Setting, rule, solve};
use crate::eval::policy::Rule;
use crate::eval::thresholds::Thresholds;
use crate::nn::{Mode, Precision, Weights, initialise};
use crate::predict::{early_exit, early_exit_one};

/// Images together.
const BATCH: usize = 256;
/// Images that are timed one by one.
const ALONE: usize = 32;
/// Shares of the last exit's multiply-adds that early exit is asked for.
const SHARES: [f64; 5] = [0.3, 0.4, 0.5, 0.6, 0.8];

/// A network with weights and images.
pub(super) struct Ready<'a> {
    subject: &'a Subject<'a>,
    weights: Weights,
    engine: Engine,
    /// [`BATCH`] normalised images one after another.
    images: Vec<f32>,
}

impl<'a> Ready<'a> {
    pub(super) fn new(subject: &'a Subject<'a>, precision: Option<Precision>) -> Result<Ready<'a>> {
        let weights = fresh_weights(subject)?;
        Ok(Ready {
            engine: Engine::new(&subject.network, &weights, precision)?,
            images: floats(&images(subject, BATCH)?)?,
            weights,
            subject,
        })
    }

    fn image(&self, number: usize) -> &[f32] {
        let size = self.images.len() / BATCH;
        &self.images[number * size..][..size]
    }

    pub(super) fn inference(&self, tell: Tell) -> Result<()> {
        let subject = self.subject;
        let (last, precision) = (subject.last(), self.engine.precision());
        let mut say = |what: &str, per_s: f64, each: f64| {
            let (name, threads) = (subject.name, subject.threads);
            let precision = if what.starts_with("plain") { Precision::Fp32 } else { precision };
            tell(Measured {
                precision: Some(precision),
                ..Measured::images(name, what, threads, per_s, each)
            })
        };
        let whole = self.engine.exits();
        let first = (whole > 1).then_some(("first/1", 1));
        for (what, exits) in first.into_iter().chain([("all/1", whole)]) {
            let mut number = 0;
            let each = seconds_each(subject.bench.clock, || {
                number = (number + 1) % BATCH;
                let mut walk = self.engine.walk(self.image(number))?;
                (0..exits).for_each(|_| {
                    black_box(walk.advance());
                });
                Ok(())
            })?;
            let cost = subject.multiply_adds[exits - 1] as f64;
            say(what, 1.0 / each, cost)?;
        }
        for batch in [64, BATCH] {
            let images = &self.images[..self.images.len() / BATCH * batch];
            let each = seconds_each(subject.bench.clock, || {
                black_box(self.engine.logits(images, subject.threads)?);
                Ok(())
            })?;
            say(&format!("all/{batch}"), batch as f64 / each, last)?;
        }
        self.plain(&mut say)
    }

    /// The forward pass of training and evaluation, for comparison.
    fn plain(&self, say: &mut dyn FnMut(&str, f64, f64) -> Result<()>) -> Result<()> {
        let subject = self.subject;
        let mut weights = self.weights.converted(&subject.network, Kind::Float, Device::Cpu)?;
        let _no_grad = tch::no_grad_guard();
        let images = images(subject, BATCH)?;
        let each = seconds_each(subject.bench.clock, || {
            let network = &subject.network;
            black_box(network.forward(&mut weights, &images, Mode::Evaluate, Precision::Fp32)?);
            Ok(())
        })?;
        say("plain/256", BATCH as f64 / each, subject.last())
    }

    pub(super) fn early(&self, tell: Tell) -> Result<()> {
        let predictions = self.predictions()?;
        let settings = leavings(self.subject, &predictions)?;
        for batch in [1, BATCH] {
            let everything = by_hand(self.subject, closed(self.engine.exits()))?;
            let whole = self.time(batch, &everything)?;
            for leaving in &settings {
                let took = self.time(batch, &leaving.rule)?;
                let timed = if batch == 1 { ALONE } else { BATCH };
                let counted = counted(self.subject, &predictions, &leaving.rule, timed);
                tell(Measured {
                    precision: Some(self.engine.precision()),
                    ..leaving.measured(self.subject, batch, counted, took, took / whole)
                })?;
            }
        }
        Ok(())
    }

    /// Seconds an image.
    fn time(&self, batch: usize, rule: &Rule) -> Result<f64> {
        let (subject, engine) = (self.subject, &self.engine);
        if batch == 1 {
            let each = seconds_each(subject.bench.clock, || {
                for number in 0..ALONE {
                    black_box(early_exit_one(engine, self.image(number), rule)?);
                }
                Ok(())
            })?;
            return Ok(each / ALONE as f64);
        }
        let each = seconds_each(subject.bench.clock, || {
            black_box(early_exit(engine, &self.images, rule, subject.threads)?);
            Ok(())
        })?;
        Ok(each / BATCH as f64)
    }

    fn predictions(&self) -> Result<Predictions> {
        Ok(Predictions {
            exits: self.engine.exits(),
            classes: self.engine.classes(),
            images: (0..BATCH as u32).collect(),
            labels: vec![0; BATCH],
            logits: self.engine.logits(&self.images, 1)?.concat(),
        })
    }
}

/// Thresholds that no image passes.
fn closed(exits: usize) -> Vec<f64> {
    vec![f64::INFINITY; exits - 1]
}

/// Single exits against these thresholds.
fn by_hand(subject: &Subject, thresholds: Vec<f64>) -> Result<Rule> {
    let costs = &subject.multiply_adds;
    Ok(Rule::plain(Thresholds::by_hand(thresholds, costs.len())?, costs))
}

/// A way to leave early.
pub(super) struct Leaving {
    /// The exit, from 1, that all images leave at; none for the policy.
    pub exit: Option<usize>,
    /// What the policy is swept by; none for an exit.
    knob: Option<f64>,
    pub rule: Rule,
}

impl Leaving {
    /// Its result: `counted` of the last exit's multiply-adds, `each` seconds an image, `measured` of
    /// the last exit's time.
    pub(super) fn measured(
        &self,
        subject: &Subject,
        batch: usize,
        counted: f64,
        each: f64,
        measured: f64,
    ) -> Measured {
        let place = match (self.exit, self.knob) {
            (Some(exit), _) => format!("exit {exit}"),
            (None, knob) => {
                format!("{} {:.3}", subject.bench.policy.form().knob, knob.unwrap_or(0.0))
            }
        };
        let (what, cost) = (format!("early/{batch}/{place}"), counted * subject.last());
        Measured {
            early: Some(Early { batch, exit: self.exit, ratio: self.knob, counted, measured }),
            ..Measured::images(subject.name, &what, subject.threads, 1.0 / each, cost)
        }
    }
}

/// Every exit for all images, and the policy at several shares of the last exit's cost.
pub(super) fn leavings(subject: &Subject, predictions: &Predictions) -> Result<Vec<Leaving>> {
    let (exits, costs) = (predictions.exits, &subject.multiply_adds);
    let mut all = Vec::new();
    for exit in 1..=exits {
        let mut thresholds = closed(exits);
        if exit < exits {
            thresholds[exit - 1] = f64::NEG_INFINITY;
        }
        let rule = by_hand(subject, thresholds)?;
        all.push(Leaving { exit: Some(exit), knob: None, rule });
    }
    let network = Network { hold_out: predictions, test: predictions, multiply_adds: costs };
    let (policy, combine) = (subject.bench.policy, subject.bench.combine);
    let setting = Setting { policy, combine, ..Setting::paper() };
    for share in SHARES {
        let budget = share * subject.last();
        if budget < costs[0] as f64 {
            continue;
        }
        let knob = solve(&network, &setting, budget)?;
        // Policies of few knobs have the same one at several budgets.
        if all.iter().all(|known| known.knob != Some(knob)) {
            let rule = rule(predictions, costs, &setting, knob)?;
            all.push(Leaving { exit: None, knob: Some(knob), rule });
        }
    }
    Ok(all)
}

/// Share of the last exit's multiply-adds that the first `timed` images cost.
pub(super) fn counted(
    subject: &Subject,
    predictions: &Predictions,
    rule: &Rule,
    timed: usize,
) -> f64 {
    let exit = |image: usize| {
        let mut passage = rule.passage();
        let mut exits = 0..predictions.exits;
        let left = exits.find(|&exit| passage.next(predictions.logits_of(exit, image)).leaves);
        left.unwrap_or(predictions.exits - 1)
    };
    let costs = (0..timed).map(|image| subject.multiply_adds[exit(image)] as f64);
    costs.sum::<f64>() / timed as f64 / subject.last()
}

/// Largest memory of this process after all exits of one batch.
pub(super) fn memory(subject: &Subject, tell: Tell) -> Result<()> {
    let weights = initialise(&subject.network, 0, Device::Cpu)?;
    let engine = Engine::new(&subject.network, &weights, Some(Precision::Fp32))?;
    let images = floats(&images(subject, BATCH)?)?;
    black_box(engine.logits(&images, subject.threads)?);
    let status = std::fs::read_to_string("/proc/self/status")
        .context("the peak of memory is known on Linux only")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kibibytes: f64 = line
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|number| number.parse().ok())
        .context("/proc/self/status has no VmHWM")?;
    let (name, threads) = (subject.name, subject.threads);
    tell(Measured::new(name, "memory/256", threads, kibibytes / 1024.0, "MiB"))
}

/// Fresh weights whose running statistics have seen some images, so that no layer's output grows
/// beyond reason.
pub(super) fn fresh_weights(subject: &Subject) -> Result<Weights> {
    let mut weights = initialise(&subject.network, 0, Device::Cpu)?;
    let _no_grad = tch::no_grad_guard();
    // Pixels of 32 small images: more large ones take longer than what is to be measured.
    let side = subject.network.nodes()[0].side;
    let images = images(subject, (32 * 32 * 32 / (side * side)).clamp(2, 32))?;
    for _ in 0..10 {
        subject.network.forward(&mut weights, &images, Mode::Train, Precision::Fp32)?;
    }
    Ok(weights)
}

/// The first images of the source, normalised and enlarged to what the network reads.
pub(super) fn images(subject: &Subject, count: usize) -> Result<Tensor> {
    let indices: Vec<u32> = (0..count as u32).collect();
    let (source, normalisation) = (subject.source, subject.normalisation);
    let images = source.batch(&indices, normalisation, None, Device::Cpu)?;
    let side = subject.network.nodes()[0].side as i64;
    Ok(match images.size()[3] == side {
        true => images,
        false => images.f_upsample_nearest2d([side, side], None, None)?,
    })
}

fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(Vec::<f32>::try_from(&tensor.f_contiguous()?.f_view([-1])?)?)
}
