//! Training: a fold over steps, each a pure function of (seed, epoch, images), so that a run that
//! was interrupted ends with the same bits as one that was not.

mod sgd;

use anyhow::{Context, Result, bail};
use tch::{Device, Kind, Reduction, Tensor};

use crate::data::augment::Normalisation;
use crate::data::{Source, splits};
use crate::eval::exits::score;
use crate::experiment::{FORMAT, Run, Training};
use crate::nn::{Mode, Network, Schedule, Weights, initialise};
use crate::predict::predict;
use crate::results::checkpoint::{LogRow, Progress};
use crate::results::folder::Loaded;

pub use sgd::{Hyper, PREFIX as MOMENTUM_PREFIX, Sgd};

/// Everything that a training reads.
pub struct Job<'a> {
    /// The run.
    pub run: &'a Run,
    /// How it is trained.
    pub training: &'a Training,
    /// Its network.
    pub network: &'a Network,
    /// The training data.
    pub source: &'a Source,
    /// Digest of the training data.
    pub data: String,
    /// Indices of the images to train on.
    pub train: Vec<u32>,
    /// Indices of the images held out.
    pub validation: Vec<u32>,
    /// Means and standard deviations of the data.
    pub normalisation: Normalisation,
    /// Where to compute.
    pub device: Device,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Epoch, from 0.
    pub epoch: u32,
    /// Steps done in this epoch.
    pub done: usize,
    /// Steps of this epoch.
    pub of: usize,
    /// Images of this step.
    pub images: usize,
    /// Mean loss of this epoch so far.
    pub loss: f64,
    /// The log's row, where the step ended the epoch.
    pub row: Option<LogRow>,
}

/// The way out of numbers that are not finite.
const SMALLER: &str = "a smaller learning_rate helps";

/// A training under way.
pub struct Trainer<'a> {
    job: &'a Job<'a>,
    schedule: Schedule,
    weights: Weights,
    sgd: Sgd,
    progress: Progress,
    batches: Vec<Vec<u32>>,
}

impl<'a> Trainer<'a> {
    /// A fresh training.
    ///
    /// # Errors
    /// When LibTorch cannot allocate it.
    pub fn begin(job: &'a Job<'a>) -> Result<Trainer<'a>> {
        let weights = initialise(job.network, job.run.seed, job.device)?;
        let sgd = Sgd::new(&weights)?;
        let progress = Progress {
            format: FORMAT,
            run: job.run.clone(),
            data: job.data.clone(),
            epoch: 0,
            step: 0,
            loss_sum: 0.0,
            log: Vec::new(),
            source: None,
        };
        Ok(Trainer::new(job, weights, sgd, progress))
    }

    /// A training that goes on from a checkpoint.
    ///
    /// # Errors
    /// When the checkpoint is not one of this run.
    pub fn resume(job: &'a Job<'a>, loaded: &Loaded) -> Result<Trainer<'a>> {
        let mut weights = Weights::zeros(job.network, Kind::Float, job.device)?;
        let (momentum, named): (Vec<_>, Vec<_>) =
            loaded.tensors.iter().partition(|(name, _)| name.starts_with(sgd::PREFIX));
        let named: Vec<(String, Tensor)> =
            named.into_iter().map(|(n, t)| (n.clone(), t.shallow_clone())).collect();
        weights.load(&named).context("the checkpoint's weights")?;
        let mut sgd = Sgd::new(&weights)?;
        sgd.load(&weights, &momentum).context("the checkpoint's momentum")?;
        Ok(Trainer::new(job, weights, sgd, loaded.progress.clone()))
    }

    fn new(job: &'a Job<'a>, weights: Weights, sgd: Sgd, progress: Progress) -> Trainer<'a> {
        let exits: Vec<usize> = (0..job.network.exits().len()).collect();
        let schedule = Schedule::new(job.network, &exits);
        let mut trainer = Trainer { job, schedule, weights, sgd, progress, batches: Vec::new() };
        trainer.draw_batches();
        trainer
    }

    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The present weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// What a checkpoint holds: the state by name, and the momentum of each trained parameter.
    ///
    /// # Errors
    /// When LibTorch fails.
    pub fn tensors(&self) -> Result<Vec<(String, Tensor)>> {
        let mut tensors = self.weights.named()?;
        tensors.extend(self.sgd.named(&self.weights)?);
        Ok(tensors)
    }

    /// One step: set the rate; augment, forward, loss, step; after the last of an epoch, measure
    /// and log. None when the training is finished.
    ///
    /// # Errors
    /// When the loss is not a finite number (the state is then not to be saved), or LibTorch fails.
    pub fn step(&mut self) -> Result<Option<Step>> {
        let training = self.job.training;
        let (epoch, step) = (self.progress.epoch, self.progress.step);
        if epoch >= training.epochs {
            return Ok(None);
        }
        let rate = self.rate(step);
        let indices = std::mem::take(&mut self.batches[step]);
        let augmentation = Some((&training.augmentation, self.job.run.seed, epoch));
        let images = self.job.source.batch(
            &indices,
            &self.job.normalisation,
            augmentation,
            self.job.device,
        )?;
        if let Some(next) = self.batches.get(step + 1) {
            self.job.source.prefetch(next, augmentation)?;
        }
        let labels = self.job.source.labels_of(&indices, self.job.device)?;
        let loss = self.update(&images, &labels, rate)?;
        if !loss.is_finite() {
            bail!(
                "the loss is {loss} at epoch {}, step {}, learning rate {rate:?}; the last checkpoint is kept; \
                 {SMALLER}",
                epoch + 1,
                step + 1
            );
        }
        let images = indices.len();
        self.progress.loss_sum += loss;
        self.progress.step += 1;
        let (done, of) = (self.progress.step, self.batches.len());
        let loss = self.progress.loss_sum / done as f64;
        let row = if done == of { Some(self.end_epoch()?) } else { None };
        Ok(Some(Step { epoch, done, of, images, loss, row }))
    }

    fn update(&mut self, images: &Tensor, labels: &Tensor, rate: f64) -> Result<f64> {
        let network = self.job.network;
        let logits = network.forward_scheduled(
            &self.schedule,
            &mut self.weights,
            images,
            Mode::Train,
            self.job.training.precision,
        )?;
        let loss = loss(&logits, labels)?;
        let gradients = Tensor::f_run_backward(&[&loss], &self.weights.used_views(), false, false)?;
        let training = self.job.training;
        let hyper = Hyper {
            rate,
            momentum: training.momentum,
            nesterov: training.nesterov,
            weight_decay: training.weight_decay,
        };
        self.sgd.step(&self.weights, &gradients, hyper)?;
        self.sgd.check_finite(&self.weights).with_context(|| {
            let (epoch, step) = (self.progress.epoch + 1, self.progress.step + 1);
            format!(
                "at epoch {epoch}, step {step}, learning rate {rate:?}, loss {:?}; the last checkpoint is kept; \
                 {SMALLER}",
                f64::try_from(&loss).unwrap_or(f64::NAN)
            )
        })?;
        Ok(f64::try_from(&loss)?)
    }

    fn rate(&self, step: usize) -> f64 {
        let training = self.job.training;
        let passed = f64::from(self.progress.epoch) + step as f64 / self.batches.len() as f64;
        training.learning_rate * training.schedule.factor(passed, f64::from(training.epochs))
    }

    fn end_epoch(&mut self) -> Result<LogRow> {
        let row = LogRow {
            epoch: self.progress.epoch + 1,
            learning_rate: self.rate(0),
            loss: self.progress.loss_sum / self.batches.len() as f64,
            accuracy: self.validate()?,
        };
        self.progress.log.push(row.clone());
        self.progress.epoch += 1;
        self.progress.step = 0;
        self.progress.loss_sum = 0.0;
        self.draw_batches();
        Ok(row)
    }

    fn validate(&self) -> Result<Vec<f64>> {
        let job = self.job;
        if job.validation.is_empty() {
            return Ok(Vec::new());
        }
        let predictions =
            predict(job.network, &self.weights, job.source, &job.validation, &job.normalisation)
                .with_context(|| {
                    format!("on the hold-out after epoch {}", self.progress.epoch + 1)
                })?;
        Ok(score(&predictions)?.into_iter().map(|exit| exit.top1).collect())
    }

    fn draw_batches(&mut self) {
        let order = splits::epoch_order(&self.job.train, self.job.run.seed, self.progress.epoch);
        self.batches = batches_of(&order, self.job.training.batch_size);
    }
}

/// Consecutive batches; a last one of a single image, which batch normalisation cannot take, joins
/// the one before.
fn batches_of(order: &[u32], size: usize) -> Vec<Vec<u32>> {
    let mut batches: Vec<Vec<u32>> = order.chunks(size).map(<[u32]>::to_vec).collect();
    if batches.len() > 1 && batches[batches.len() - 1].len() == 1 {
        let last = batches.pop().unwrap_or_default();
        if let Some(before) = batches.last_mut() {
            before.extend(last);
        }
    }
    batches
}

/// Sum over the exits of the mean cross-entropy (paper, section 4, "Loss functions"; equal
/// weights). `logits` are `[N, classes]` each, `labels` int64 `[N]`.
///
/// # Errors
/// When LibTorch fails.
pub fn loss(logits: &[Tensor], labels: &Tensor) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for exit in logits {
        let term = exit.f_cross_entropy_loss::<Tensor>(labels, None, Reduction::Mean, -100, 0.0)?;
        sum = Some(match sum {
            None => term,
            Some(sum) => sum.f_add(&term)?,
        });
    }
    sum.context("a network without exits has no loss")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_batch_of_one_image_joins_the_one_before() {
        assert_eq!(batches_of(&[1, 2, 3, 4, 5], 2), [vec![1, 2], vec![3, 4, 5]]);
        assert_eq!(batches_of(&[1, 2, 3, 4], 3), [vec![1, 2, 3, 4]]);
        assert_eq!(batches_of(&[1, 2, 3, 4], 2), [vec![1, 2], vec![3, 4]]);
    }
}
