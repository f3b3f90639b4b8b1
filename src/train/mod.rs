//! Training: step after step, each a pure function of (seed, epoch, images), so that a run that was
//! interrupted ends with the same bits as one that was not.

mod memory;
mod record;
mod sgd;

use anyhow::{Context, Result, bail, ensure};
use rand::Rng;
use tch::{Device, Kind, Reduction, Tensor};

use crate::data::augment::Normalisation;
use crate::data::random::stream;
use crate::data::{Batches, Source, splits};
use crate::eval::exits::score;
use crate::experiment::{FORMAT, LogRow, Progress, Run, Training};
use crate::nn::{Mode, Network, Schedule, Weights, initialise};
use crate::predict::predict;

use record::{Record, Row};
pub use sgd::{Hyper, Sgd, without_momentum};

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
    /// Images of this step.
    pub images: usize,
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
    batches: Batches<'a>,
    record: Record,
}

impl<'a> Trainer<'a> {
    /// A fresh training.
    ///
    /// # Errors
    /// When LibTorch cannot allocate it.
    pub fn begin(job: &'a Job<'a>) -> Result<Trainer<'a>> {
        let weights = initialise(job.network, job.run.seed, Device::Cpu)?.moved(job.device)?;
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
        Trainer::new(job, weights, sgd, progress)
    }

    /// A training that goes on from a checkpoint.
    ///
    /// # Errors
    /// When the checkpoint is not one of this run.
    pub fn resume(
        job: &'a Job<'a>,
        progress: &Progress,
        tensors: &[(String, Tensor)],
    ) -> Result<Trainer<'a>> {
        let mut weights = Weights::zeros(job.network, Kind::Float, Device::Cpu)?;
        let (momentum, named): (Vec<_>, Vec<_>) =
            tensors.iter().partition(|(name, _)| name.starts_with(sgd::PREFIX));
        let named: Vec<(String, Tensor)> =
            named.into_iter().map(|(n, t)| (n.clone(), t.shallow_clone())).collect();
        weights.load(&named).context("the checkpoint's weights")?;
        let weights = weights.moved(job.device)?;
        let mut sgd = Sgd::new(&weights)?;
        sgd.load(&weights, &momentum).context("the checkpoint's momentum")?;
        Trainer::new(job, weights, sgd, progress.clone())
    }

    fn new(
        job: &'a Job<'a>,
        weights: Weights,
        sgd: Sgd,
        progress: Progress,
    ) -> Result<Trainer<'a>> {
        let exits: Vec<usize> = (0..job.network.exits().len()).collect();
        let schedule = Schedule::new(job.network, &exits);
        let (batches, record) = epoch(job, progress.epoch, progress.step)?;
        Ok(Trainer { job, schedule, weights, sgd, progress, batches, record })
    }

    /// How far it has come; the sum of losses as far as [`Trainer::look`] has read it.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Epochs done, with fractions.
    pub fn epochs_done(&self) -> f64 {
        let step = self.progress.step as f64 / self.batches.len() as f64;
        f64::from(self.progress.epoch) + step
    }

    /// The present weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// What a checkpoint holds: the state by name, and the momentum of each trained parameter, in
    /// the memory of the host. [`Trainer::progress`] is then as far.
    ///
    /// # Errors
    /// Those of [`Trainer::look`].
    pub fn tensors(&mut self) -> Result<Vec<(String, Tensor)>> {
        self.look()?;
        let mut tensors = self.weights.moved(Device::Cpu)?.named()?;
        tensors.extend(self.sgd.named(&self.weights)?);
        Ok(tensors)
    }

    /// One step: set the rate; augment, forward, loss, step; after the last of an epoch, measure
    /// and log. None when the training is finished. On a GPU nothing is waited for before the end
    /// of the epoch, and numbers that are not finite are found by [`Trainer::look`].
    ///
    /// # Errors
    /// When the loss is not a finite number (the state is then not to be saved), or LibTorch fails;
    /// [`crate::stop::Interrupted`] where the process is asked to stop while the hold-out is
    /// measured: the next call, after a resume too, measures it again.
    pub fn step(&mut self) -> Result<Option<Step>> {
        let (epoch, step) = (self.progress.epoch, self.progress.step);
        if epoch >= self.job.training.epochs {
            return Ok(None);
        }
        let of = self.batches.len();
        let images = if step < of { self.train_on(epoch, step)? } else { 0 };
        let done = self.progress.step;
        if self.job.device == Device::Cpu || done == of {
            self.look()?;
        }
        let row = if done == of { Some(self.end_epoch()?) } else { None };
        Ok(Some(Step { images, row }))
    }

    /// Trains on a batch; the number of its images.
    fn train_on(&mut self, epoch: u32, step: usize) -> Result<usize> {
        let (images, labels) = (self.batches.images(step)?, self.batches.labels(step)?);
        self.weights.set_dropout_key(dropout_key(self.job.run.seed, epoch, step))?;
        let loss = self.update(&images, &labels, self.rate(step))?;
        self.record.note(step, &loss, self.sgd.momentum())?;
        self.progress.step += 1;
        Ok(self.batches.size(step))
    }

    fn update(&mut self, images: &Tensor, labels: &Tensor, rate: f64) -> Result<Tensor> {
        let (loss, gradients) = self.loss_and_gradients(images, labels)?;
        let training = self.job.training;
        let hyper = Hyper {
            rate,
            momentum: training.momentum,
            nesterov: training.nesterov,
            weight_decay: training.weight_decay,
        };
        self.sgd.step(&self.weights, &gradients, hyper)?;
        Ok(loss)
    }

    /// The loss of a batch, and its gradients in the order of [`Weights::used_views`].
    fn loss_and_gradients(
        &mut self,
        images: &Tensor,
        labels: &Tensor,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let (network, precision) = (self.job.network, self.job.training.precision);
        let (schedule, weights) = (&self.schedule, &mut self.weights);
        let logits =
            network.forward_scheduled(schedule, weights, images, Mode::Train, precision)?;
        let loss = loss(&logits, labels)?;
        let gradients = Tensor::f_run_backward(&[&loss], &weights.used_views(), false, false)?;
        Ok((loss, gradients))
    }

    /// Mean loss of the epoch under way, read from the device with everything that the steps since
    /// the last look have left; 0 before its first step.
    ///
    /// # Errors
    /// When a step's loss or gradient was not a finite number: the first such step is named, and
    /// the state is not to be saved.
    pub fn look(&mut self) -> Result<f64> {
        for row in self.record.take(self.progress.step)? {
            self.check(row)?;
            self.progress.loss_sum += row.loss;
        }
        Ok(self.progress.loss_sum / self.progress.step.max(1) as f64)
    }

    fn check(&self, row: Row) -> Result<()> {
        let (loss, rate) = (row.loss, self.rate(row.step));
        let place = || {
            let (epoch, step) = (self.progress.epoch + 1, row.step + 1);
            format!("at epoch {epoch}, step {step}, learning rate {rate:?}")
        };
        if !row.is_finite
            && let Some(name) = self.sgd.not_finite(&self.weights)?
        {
            bail!(
                "the gradient of {name} is not finite {}, loss {loss:?}; the last checkpoint is kept; {SMALLER}",
                place()
            );
        }
        ensure!(
            loss.is_finite(),
            "the loss is {loss} {}; the last checkpoint is kept; {SMALLER}",
            place()
        );
        Ok(())
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
        if self.progress.epoch < self.job.training.epochs {
            (self.batches, self.record) = epoch(self.job, self.progress.epoch, 0)?;
        }
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
}

/// The batches of an epoch, and the record of its steps from `first` on.
fn epoch<'a>(job: &'a Job<'a>, epoch: u32, first: usize) -> Result<(Batches<'a>, Record)> {
    let order = splits::epoch_order(&job.train, job.run.seed, epoch);
    let batches = batches_of(&order, job.training.batch_size);
    let change = Some((job.training.augmentation, job.run.seed, epoch));
    let steps = batches.len();
    let batches = Batches::new(job.source, batches, &job.normalisation, change, job.device)?;
    Ok((batches, Record::new(steps, first, job.device)?))
}

/// What dropout draws from in a step.
fn dropout_key(seed: u64, epoch: u32, step: usize) -> u64 {
    stream("dropout", seed, epoch, step as u64).next_u64()
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
    use std::path::Path;

    use super::*;
    use crate::data::{Dataset, Split};
    use crate::models::{Input, NetworkConfig};
    use crate::results::checkpoint::to_bytes;

    #[test]
    fn a_last_batch_of_one_image_joins_the_one_before() {
        assert_eq!(batches_of(&[1, 2, 3, 4, 5], 2), [vec![1, 2], vec![3, 4, 5]]);
        assert_eq!(batches_of(&[1, 2, 3, 4], 3), [vec![1, 2, 3, 4]]);
        assert_eq!(batches_of(&[1, 2, 3, 4], 2), [vec![1, 2], vec![3, 4]]);
    }

    /// Four steps and two evaluations of a small network.
    struct Small {
        run: Run,
        training: Training,
        network: Network,
        source: Source,
        normalisation: Normalisation,
    }

    impl Small {
        fn new() -> Small {
            let network: NetworkConfig =
                serde_json::from_str(r#"{"densenet":{"layers_per_block":1,"growth":2}}"#).unwrap();
            let facts = Dataset::Synthetic.facts().unwrap();
            let training = Training { epochs: 2, batch_size: 20, ..Training::default() };
            let input = Input { channels: 3, side: 32, classes: facts.classes };
            let run = Run {
                network: network.clone(),
                dataset: Dataset::Synthetic,
                validation: 10,
                training_images: None,
                training: Some(training.clone()),
                seed: 0,
            };
            Small {
                network: network.build(input).unwrap(),
                source: Source::open(&Dataset::Synthetic, Split::Train, Path::new("")).unwrap(),
                normalisation: Normalisation::from(&facts),
                run,
                training,
            }
        }

        fn job(&self, validation: &[u32]) -> Job<'_> {
            Job {
                run: &self.run,
                training: &self.training,
                network: &self.network,
                source: &self.source,
                data: String::new(),
                train: (0..40).collect(),
                validation: validation.to_vec(),
                normalisation: self.normalisation.clone(),
                device: Device::Cpu,
            }
        }
    }

    /// The bytes of a checkpoint at the end.
    fn finished(mut trainer: Trainer) -> Vec<u8> {
        while trainer.step().unwrap().is_some() {}
        let tensors = trainer.tensors().unwrap();
        to_bytes(trainer.progress(), &tensors).unwrap()
    }

    #[test]
    fn a_training_that_is_stopped_before_the_hold_out_is_measured_ends_with_the_same_bytes() {
        tch::set_num_threads(1);
        let (small, held_out) = (Small::new(), [100, 101, 102]);
        let whole = small.job(&held_out);
        let expected = finished(Trainer::begin(&whole).unwrap());
        // An image that is not there stands for the signal: the evaluation fails.
        let broken = small.job(&[u32::MAX]);
        let mut trainer = Trainer::begin(&broken).unwrap();
        trainer.step().unwrap();
        assert!(trainer.step().is_err());
        assert_eq!((trainer.progress().epoch, trainer.progress().step), (0, 2));
        let (tensors, progress) = (trainer.tensors().unwrap(), trainer.progress().clone());
        let again = Trainer::resume(&whole, &progress, &tensors).unwrap();
        assert!(finished(again) == expected, "the checkpoint is another one");
    }
}
