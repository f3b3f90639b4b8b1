//! A trained run on people's own pictures, with early exit.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::data::{Facts, class_names, picture};
use crate::engine::Engine;
use crate::eval::Predictions;
use crate::eval::answers::Answers;
use crate::eval::budgeted::{self, Setting, solve};
use crate::eval::thresholds::{Convention, HoldOut, Thresholds, search};
use crate::nn::Precision;
use crate::predict::early_exit_one;
use crate::results::{RunFolder, find_run};
use crate::runs::costs::cost_rows;
use crate::runs::predictions::{Split, load_weights, predictions_of};
use crate::runs::{Data, Settings};

/// When a picture leaves.
#[derive(Debug, Clone, PartialEq)]
pub enum Leave {
    /// At the last exit, all of them.
    Last,
    /// By the ratio of the exits' shares, on the run's hold-out.
    Ratio(f64),
    /// With this mean of multiply-adds on the run's hold-out.
    Budget(f64),
    /// At the first exit that is surer than its threshold; a single one holds for all.
    Thresholds(Vec<f64>),
}

/// What a run says of a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Classified {
    /// The file.
    pub image: String,
    /// Name of the class.
    pub class: String,
    /// Number of the class, from 0.
    pub label: u32,
    /// Largest softmax.
    pub confidence: f64,
    /// Where it left, from 1.
    pub exit: usize,
    /// What it has cost.
    pub multiply_adds: u64,
    /// Time in the network; reading the file is not counted.
    pub milliseconds: f64,
}

/// A run ready for pictures.
pub struct Classifier {
    engine: Engine,
    facts: Facts,
    data: Data,
    classes: Vec<String>,
    multiply_adds: Vec<u64>,
    thresholds: Thresholds,
}

impl Classifier {
    /// Opens the run that `which` names.
    ///
    /// # Errors
    /// When there is no such run, it is not trained, or its hold-out does not give the thresholds.
    pub fn open(which: &str, leave: &Leave, settings: &Settings) -> Result<Classifier> {
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
        let thresholds = thresholds(leave, &folder, &data, &multiply_adds, settings)?;
        Ok(Classifier {
            engine: Engine::new(&network, &weights, Some(Precision::Fp32))?,
            facts: run.dataset.facts(&settings.places.data)?,
            classes: class_names(&run.dataset, &settings.places.data),
            data,
            multiply_adds,
            thresholds,
        })
    }

    /// Reads a picture and classifies it.
    ///
    /// # Errors
    /// When it cannot be read; the file is named.
    pub fn classify(&self, path: &Path) -> Result<Classified> {
        let pixels = picture::read(path, &self.facts)?;
        let start = Instant::now();
        let image = self.data.normalisation.apply(&pixels);
        let verdict = early_exit_one(&self.engine, &image, &self.thresholds)?;
        let milliseconds = 1e3 * start.elapsed().as_secs_f64();
        let name = self.classes.get(verdict.predicted as usize);
        Ok(Classified {
            image: path.display().to_string(),
            class: name.map_or_else(|| verdict.predicted.to_string(), |n| n.replace('_', " ")),
            label: verdict.predicted,
            confidence: verdict.confidence,
            exit: verdict.exit + 1,
            multiply_adds: self.multiply_adds[verdict.exit],
            milliseconds,
        })
    }
}

fn thresholds(
    leave: &Leave,
    folder: &RunFolder,
    data: &Data,
    multiply_adds: &[u64],
    settings: &Settings,
) -> Result<Thresholds> {
    let exits = multiply_adds.len();
    let hold_out = || {
        ensure!(
            data.validation > 0,
            "{} holds no image out, and a ratio or a budget becomes thresholds on held-out images; \
             give --threshold instead",
            folder.path().display()
        );
        predictions_of(folder, data, Split::Validation, settings)
    };
    match leave {
        Leave::Last => Thresholds::by_hand(vec![f64::INFINITY; exits - 1], exits),
        Leave::Thresholds(given) => match given.as_slice() {
            [one] => Thresholds::by_hand(vec![*one; exits - 1], exits),
            all => Thresholds::by_hand(all.to_vec(), exits),
        },
        Leave::Ratio(ratio) => of_ratio(&hold_out()?, *ratio).context("--ratio"),
        Leave::Budget(budget) => {
            let predictions = hold_out()?;
            let network =
                budgeted::Network { hold_out: &predictions, test: &predictions, multiply_adds };
            let ratio = solve(&network, &Setting::paper(), *budget).context("--budget")?;
            of_ratio(&predictions, ratio).context("--budget")
        }
    }
}

fn of_ratio(hold_out: &Predictions, ratio: f64) -> Result<Thresholds> {
    let sorted = HoldOut::new(Answers::plain(hold_out)?)?;
    search(&sorted, ratio, Convention::Paper)
}
