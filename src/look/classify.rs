//! A trained run on people's own pictures, with early exit.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use serde::Serialize;

use super::letting::{Letting, rule};
use crate::data::{Facts, class_names, picture};
use crate::engine::Engine;
use crate::eval::policy::Rule;
use crate::nn::Precision;
use crate::predict::{Verdict, early_exit, early_exit_one};
use crate::results::find_run;
use crate::runs::costs::cost_rows;
use crate::runs::predictions::load_weights;
use crate::runs::{Data, Settings};

/// Pictures that are classified together.
const BATCH: usize = 256;

/// What a run says of a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Classified {
    /// The file.
    pub image: String,
    /// Name of the class.
    pub class: String,
    /// Number of the class, from 0.
    pub label: u32,
    /// Probability of the class.
    pub confidence: f64,
    /// Where it left, from 1.
    pub exit: usize,
    /// What it has cost.
    pub multiply_adds: u64,
    /// Time in the network; of a batch, its time divided by its images. Reading the file is not
    /// counted.
    pub milliseconds: f64,
}

/// A run ready for pictures.
pub struct Classifier {
    engine: Engine,
    facts: Facts,
    data: Data,
    classes: Vec<String>,
    multiply_adds: Vec<u64>,
    rule: Rule,
}

impl Classifier {
    /// Opens the run that `which` names; without a precision, bf16 is taken where the machine has it.
    ///
    /// # Errors
    /// When there is no such run, it is not trained, its hold-out does not give the rule, or the
    /// machine has not got the precision.
    pub fn open(
        which: &str,
        letting: &Letting,
        precision: Option<Precision>,
        settings: &Settings,
    ) -> Result<Classifier> {
        let folder = find_run(which, &settings.places.runs)?;
        let shown = folder.path().display();
        let (progress, _) = folder.progress().with_context(|| {
            format!("{shown} is not trained; the command of its experiment trains it")
        })?;
        ensure!(
            progress.is_finished(),
            "{shown} is not finished (epoch {}); the command that trains it goes on from there",
            progress.epoch
        );
        let run = progress.run;
        let held_out = run.training.as_ref().map(|_| run.validation);
        let data = Data::new(&run.dataset, held_out, run.training_images, settings)?;
        let network = run.network.build(data.input)?;
        let weights = load_weights(&folder, &network, settings)?;
        let costs = cost_rows(&[(String::new(), run.network.clone())], data.input)?;
        let multiply_adds: Vec<u64> = costs.iter().map(|row| row.cost.multiply_adds).collect();
        let rule = rule(letting, &folder, &data, &multiply_adds, settings)?;
        Ok(Classifier {
            engine: Engine::new(&network, &weights, precision)?,
            facts: run.dataset.facts(&settings.places.data)?,
            classes: class_names(&run.dataset, &settings.places.data),
            data,
            multiply_adds,
            rule,
        })
    }

    /// Reads a picture and classifies it, by itself.
    ///
    /// # Errors
    /// When it cannot be read; the file is named.
    pub fn classify(&self, path: &Path) -> Result<Classified> {
        let pixels = picture::read(path, &self.facts)?;
        let start = Instant::now();
        let image = self.data.normalisation.apply(&pixels);
        let verdict = early_exit_one(&self.engine, &image, &self.rule)?;
        let milliseconds = 1e3 * start.elapsed().as_secs_f64();
        Ok(self.classified(path, &verdict, milliseconds))
    }

    /// Classifies pictures in batches on `threads` threads, while the next batch is read on all
    /// cores. `tell` hears of each picture in order; of one that cannot be read it gets the error.
    ///
    /// # Errors
    /// Those of `tell`, and when the network gives numbers that are not finite.
    pub fn classify_all(
        &self,
        paths: &[PathBuf],
        threads: usize,
        tell: &mut dyn FnMut(Result<Classified>) -> Result<()>,
    ) -> Result<()> {
        let (facts, normalisation) = (&self.facts, &self.data.normalisation);
        let read = |path: &PathBuf| Ok(normalisation.apply(&picture::read(path, facts)?));
        std::thread::scope(|scope| {
            // One batch is computed, one waits, one is read.
            let (send, receive) = mpsc::sync_channel(1);
            scope.spawn(move || {
                for batch in paths.chunks(BATCH) {
                    let images: Vec<Result<Vec<f32>>> = batch.par_iter().map(read).collect();
                    if send.send((batch, images)).is_err() {
                        break;
                    }
                }
            });
            for (batch, images) in receive {
                self.classify_batch(batch, images, threads, tell)?;
            }
            Ok(())
        })
    }

    fn classify_batch(
        &self,
        paths: &[PathBuf],
        images: Vec<Result<Vec<f32>>>,
        threads: usize,
        tell: &mut dyn FnMut(Result<Classified>) -> Result<()>,
    ) -> Result<()> {
        let whole: Vec<f32> = images.iter().flatten().flatten().copied().collect();
        let start = Instant::now();
        let verdicts = early_exit(&self.engine, &whole, &self.rule, threads)?;
        let milliseconds = 1e3 * start.elapsed().as_secs_f64() / verdicts.len().max(1) as f64;
        let mut verdicts = verdicts.iter();
        for (path, image) in paths.iter().zip(images) {
            tell(match image {
                Ok(_) => {
                    let verdict = verdicts.next().context("a verdict an image")?;
                    Ok(self.classified(path, verdict, milliseconds))
                }
                Err(error) => Err(error),
            })?;
        }
        Ok(())
    }

    fn classified(&self, path: &Path, verdict: &Verdict, milliseconds: f64) -> Classified {
        let name = self.classes.get(verdict.predicted as usize);
        Classified {
            image: path.display().to_string(),
            class: name.map_or_else(|| verdict.predicted.to_string(), |n| n.replace('_', " ")),
            label: verdict.predicted,
            confidence: verdict.confidence,
            exit: verdict.exit + 1,
            multiply_adds: self.multiply_adds[verdict.exit],
            milliseconds,
        }
    }
}
