//! A trained run on people's own pictures, with early exit.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Instant;

use anyhow::{Context, Result};
use rayon::prelude::*;
use serde::Serialize;

use super::letting::{Letting, rule};
use crate::cost;
use crate::data::{Facts, Normalisation, picture};
use crate::engine::Engine;
use crate::eval::policy::Rule;
use crate::nn::Precision;
use crate::predict::{Verdict, early_exit, early_exit_one};
use crate::runs::{DataSets, Known, Settings};
use crate::stop;

/// A picture as the network sees it, and whether it was turned.
type Read = (Vec<f32>, bool);

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
    /// Whether it was turned as its camera says (EXIF); left out where not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub turned: bool,
}

/// A run ready for pictures.
pub struct Classifier {
    engine: Engine,
    facts: Facts,
    normalisation: Normalisation,
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
        let precision = letting.precision(precision)?;
        let data_sets = DataSets::new(settings);
        let known = Known::named(which, &settings.places.runs)?;
        known.ensure_done(&data_sets)?;
        let classes = known.classes(&settings.places.data);
        let (network, weights) = known.network(&data_sets)?;
        let multiply_adds = cost::by_exit(&network);
        let rule = rule(letting, &known, &data_sets, &multiply_adds)?;
        let facts = known.facts()?;
        Ok(Classifier {
            engine: Engine::new(&network, &weights, precision)?,
            normalisation: Normalisation::from(&facts),
            facts,
            classes,
            multiply_adds,
            rule,
        })
    }

    /// Reads a picture and classifies it, by itself.
    pub fn classify(&self, path: &Path) -> Result<Classified> {
        stop::check()?;
        let (pixels, turned) = picture::read(path, &self.facts)?;
        let image = self.normalisation.apply(&pixels);
        let start = Instant::now();
        let verdict = early_exit_one(&self.engine, &image, &self.rule)?;
        let milliseconds = 1e3 * start.elapsed().as_secs_f64();
        Ok(self.classified(path, turned, &verdict, milliseconds))
    }

    /// Classifies pictures in batches on `threads` threads, while the next batch is read on all
    /// cores. Calls `tell` for each picture in order, with the error of one that cannot be read.
    ///
    /// # Errors
    /// Those of `tell`, and when the network gives numbers that are not finite.
    pub fn classify_all(
        &self,
        paths: &[PathBuf],
        threads: usize,
        tell: &mut dyn FnMut(Result<Classified>) -> Result<()>,
    ) -> Result<()> {
        let (facts, normalisation) = (&self.facts, &self.normalisation);
        let read = |path: &PathBuf| {
            let (pixels, turned) = picture::read(path, facts)?;
            Ok((normalisation.apply(&pixels), turned))
        };
        std::thread::scope(|scope| {
            // One batch is computed, one waits, one is read.
            let (send, receive) = mpsc::sync_channel(1);
            scope.spawn(move || {
                for batch in paths.chunks(BATCH) {
                    let images: Vec<Result<Read>> = batch.par_iter().map(read).collect();
                    if send.send((batch, images)).is_err() {
                        break;
                    }
                }
            });
            for (batch, images) in receive {
                stop::check()?;
                self.classify_batch(batch, images, threads, tell)?;
            }
            Ok(())
        })
    }

    fn classify_batch(
        &self,
        paths: &[PathBuf],
        images: Vec<Result<Read>>,
        threads: usize,
        tell: &mut dyn FnMut(Result<Classified>) -> Result<()>,
    ) -> Result<()> {
        let mut whole: Vec<f32> = Vec::new();
        images.iter().flatten().for_each(|(image, _)| whole.extend_from_slice(image));
        let start = Instant::now();
        let verdicts = early_exit(&self.engine, &whole, &self.rule, threads)?;
        let milliseconds = 1e3 * start.elapsed().as_secs_f64() / verdicts.len().max(1) as f64;
        let mut verdicts = verdicts.iter();
        for (path, image) in paths.iter().zip(images) {
            tell(match image {
                Ok((_, turned)) => {
                    let verdict = verdicts.next().context("a verdict an image")?;
                    Ok(self.classified(path, turned, verdict, milliseconds))
                }
                Err(error) => Err(error),
            })?;
        }
        Ok(())
    }

    fn classified(
        &self,
        path: &Path,
        turned: bool,
        verdict: &Verdict,
        milliseconds: f64,
    ) -> Classified {
        let name = self.classes.get(verdict.predicted as usize);
        Classified {
            image: path.display().to_string(),
            class: name.cloned().unwrap_or_else(|| verdict.predicted.to_string()),
            label: verdict.predicted,
            confidence: verdict.confidence,
            exit: verdict.exit + 1,
            multiply_adds: self.multiply_adds[verdict.exit],
            milliseconds,
            turned,
        }
    }
}
