//! Making a run exist: found finished, gone on with, or trained from the start.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::context::{Data, Settings};
use super::progress::{Display, Show, describe_row};
use super::stop::{Stop, watch_signals};
use crate::data::Part;
use crate::experiment::Run;
use crate::results::RunFolder;
use crate::results::checkpoint::Progress;
use crate::results::folder::{Loaded, Lock};
use crate::results::tables::Table;
use crate::results::{atomic, runfiles};
use crate::train::{Job, Step, Trainer};

/// How a call to [`train_run`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The run is finished, now or before.
    Finished,
    /// A signal stopped it; it is saved.
    Interrupted,
    /// Another process is training it.
    Busy,
}

/// Saved at least so often within an epoch.
const SAVE_EVERY: Duration = Duration::from_secs(600);

/// The folder that stands for `run`: an imported run's where there is one, else its own.
pub fn folder_of(run: &Run, settings: &Settings) -> RunFolder {
    let imported = RunFolder::of(&settings.places.runs, &run.imported());
    if imported.checkpoint().is_file() {
        imported
    } else {
        RunFolder::of(&settings.places.runs, run)
    }
}

/// Trains `run` to its end, unless it is finished already.
///
/// # Errors
/// When data, folder or training fail; what was saved stays.
pub fn train_run(name: &str, run: &Run, data: &Data, settings: &Settings) -> Result<Outcome> {
    train_shown(name, run, data, settings, Show::People)
}

/// [`train_run`] with its progress shown to people or to a parent process.
///
/// # Errors
/// As [`train_run`]; the reason stays in the run's folder until a later training succeeds.
pub fn train_shown(
    name: &str,
    run: &Run,
    data: &Data,
    settings: &Settings,
    show: Show,
) -> Result<Outcome> {
    let context = || format!("{name}, seed {}", run.seed);
    let folder = folder_of(run, settings);
    if is_finished(&folder, data).with_context(context)? {
        return Ok(Outcome::Finished);
    }
    let Some(lock) = folder.try_lock()? else {
        return Ok(Outcome::Busy);
    };
    let shown = (settings, show);
    let result = train_locked(name, run, data, shown, &folder, &lock).with_context(context);
    match &result {
        Ok(Outcome::Finished) => folder.forget_failure(),
        Ok(_) => {}
        Err(error) => folder.keep_failure(&format!("{error:#}"))?,
    }
    result
}

/// Whether the run is finished on the present data.
///
/// # Errors
/// When the data cannot be read.
pub fn is_finished(folder: &RunFolder, data: &Data) -> Result<bool> {
    let Some((progress, _)) = folder.progress() else {
        return Ok(false);
    };
    if !progress.is_finished() {
        return Ok(false);
    }
    let imported = progress.run.training.is_none();
    Ok(imported || progress.data == data.part(Part::Train)?.digest)
}

fn train_locked(
    name: &str,
    run: &Run,
    data: &Data,
    (settings, show): (&Settings, Show),
    folder: &RunFolder,
    _lock: &Lock,
) -> Result<Outcome> {
    let training = run
        .training
        .as_ref()
        .context("an imported run cannot be trained")?;
    let train = data.part(Part::Train)?;
    let (found, complaints) = folder.load()?;
    for complaint in complaints {
        settings.say(format!("warning: {complaint}"));
    }
    let found = fitting(found, &train.digest, folder, settings)?;
    let network = run.network.build(data.input)?;
    let split = data.split()?;
    write_static_files(folder, run, &train.digest, &split.validation)?;
    let job = Job {
        run,
        training,
        network: &network,
        source: &train.source,
        data: train.digest.clone(),
        train: split.train,
        validation: split.validation,
        normalisation: data.normalisation.clone(),
        device: settings.device,
        layout: run.network.preferred_layout(),
    };
    let mut trainer = match &found {
        Some(loaded) => Trainer::resume(&job, loaded)
            .with_context(|| folder.checkpoint().display().to_string())?,
        None => Trainer::begin(&job)?,
    };
    drop(found);
    // A kill between the checkpoint and the log leaves the log an epoch behind.
    write_log(folder, trainer.progress())?;
    let display = Display::new(name, trainer.progress(), training, settings, show);
    fold(display, &mut trainer, folder)
}

/// A checkpoint of other data is set aside, and why is said.
fn fitting(
    found: Option<Loaded>,
    digest: &str,
    folder: &RunFolder,
    settings: &Settings,
) -> Result<Option<Loaded>> {
    match found {
        Some(loaded) if loaded.progress.data != digest => {
            settings.say(format!(
                "{}: the training data have changed since; training starts again",
                folder.path().display()
            ));
            folder.set_checkpoints_aside("of-other-data")?;
            Ok(None)
        }
        other => Ok(other),
    }
}

/// The training itself: step, show, save.
fn fold(mut display: Display, trainer: &mut Trainer, folder: &RunFolder) -> Result<Outcome> {
    let stop: Stop = watch_signals()?;
    let mut saved = Instant::now();
    let mut epoch = Instant::now();
    let mut images = 0;
    while let Some(step) = trainer.step()? {
        images += step.images;
        display.step(&step);
        if let Some(row) = &step.row {
            save(trainer, folder)?;
            write_log(folder, trainer.progress())?;
            let seconds = epoch.elapsed().as_secs_f64();
            runfiles::append_timing(
                &folder.timing_csv(),
                row.epoch,
                images as f64 / seconds,
                seconds,
            )?;
            display.epoch(&describe_row(row, images as f64 / seconds));
            (saved, epoch, images) = (Instant::now(), Instant::now(), 0);
        } else if saved.elapsed() > SAVE_EVERY {
            save(trainer, folder)?;
            saved = Instant::now();
        }
        if stop.is_asked() && !trainer.progress().is_finished() {
            return interrupted(trainer, &step, folder);
        }
    }
    display.finish();
    Ok(Outcome::Finished)
}

fn interrupted(trainer: &Trainer, step: &Step, folder: &RunFolder) -> Result<Outcome> {
    // At the end of an epoch it has just been saved.
    if step.row.is_none() {
        save(trainer, folder)?;
    }
    Ok(Outcome::Interrupted)
}

fn save(trainer: &Trainer, folder: &RunFolder) -> Result<()> {
    folder.save(trainer.progress(), &trainer.tensors()?)
}

fn write_static_files(folder: &RunFolder, run: &Run, data: &str, validation: &[u32]) -> Result<()> {
    runfiles::write_run_yaml(&folder.run_yaml(), run, data, None)?;
    Table::default()
        .count("image", validation.iter().copied())
        .write(&folder.holdout_csv())
}

fn write_log(folder: &RunFolder, progress: &Progress) -> Result<()> {
    atomic::write(&folder.train_csv(), &runfiles::train_csv(&progress.log)?)
}
