//! Making a run exist: found finished, gone on with, or trained from the start.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::context::{Data, Saving, Settings};
use super::machine::{self, Threads};
use super::progress::{Display, Show, describe_row};
use super::stop::{Stop, watch_signals};
use crate::cuda::{Trouble, plain, trouble};
use crate::data::Part;
use crate::experiment::{FORMAT, Run};
use crate::results::RunFolder;
use crate::results::checkpoint::{self, Progress};
use crate::results::folder::{Loaded, Lock};
use crate::results::tables::Table;
use crate::results::{atomic, runfiles};
use crate::train::{Job, MOMENTUM_PREFIX, Step, Trainer};

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
    if watch_signals()?.is_asked() {
        return Ok(Outcome::Interrupted);
    }
    let Some(lock) = folder.try_lock()? else {
        return Ok(Outcome::Busy);
    };
    let shown = (settings, show);
    let result = train_locked(name, run, data, shown, &folder, &lock).with_context(context);
    match &result {
        Ok(Outcome::Finished) => folder.forget_failure(),
        Ok(_) => {}
        // On a full disk it cannot be kept; the error that counts is the training's.
        Err(error) => drop(folder.keep_failure(&plain(&format!("{error:#}")))),
    }
    result
}

/// Whether the run is finished on the present data, and its weights can be used.
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
    Ok((imported || progress.data == data.part(Part::Train)?.digest) && is_sound(folder))
}

/// Whether the weights of a finished run can be used. Where predictions of them are there, they are
/// only read when something else needs them, and checked then.
fn is_sound(folder: &RunFolder) -> bool {
    folder.predictions("test").is_file() || checkpoint::load(&folder.checkpoint()).is_ok()
}

fn train_locked(
    name: &str,
    run: &Run,
    data: &Data,
    (settings, show): (&Settings, Show),
    folder: &RunFolder,
    _lock: &Lock,
) -> Result<Outcome> {
    let training = run.training.as_ref().context("an imported run cannot be trained")?;
    atomic::remove_temporaries(folder.path(), Duration::ZERO);
    let train = data.part(Part::Train)?;
    let (found, complaints) = folder.load()?;
    for complaint in complaints {
        settings.say(format!("warning: {complaint}"));
    }
    let found = fitting(found, run, &train.digest, folder, settings)?;
    let began = machine::began(folder, training, found.is_some(), settings)?;
    let _threads = Threads::of(began.threads);
    let network = run.network.build(data.input)?;
    let split = data.split()?;
    runfiles::write_run_yaml(&folder.run_yaml(), run, &train.digest, None, Some(&began))?;
    let held_out = Table::default().count("image", split.validation.iter().copied());
    held_out.write(&folder.holdout_csv())?;
    let job = Job {
        run,
        training,
        network: &network,
        source: train.on(settings.device)?,
        data: train.digest.clone(),
        train: split.train,
        validation: split.validation,
        normalisation: data.normalisation.clone(),
        device: settings.device,
    };
    let mut trainer = match &found {
        Some(loaded) => Trainer::resume(&job, loaded)
            .with_context(|| folder.checkpoint().display().to_string())?,
        None => Trainer::begin(&job)?,
    };
    drop(found);
    // A kill between the log and the checkpoint leaves the log ahead.
    write_log(folder, trainer.progress())?;
    let display = Display::new(name, trainer.progress(), training, settings, show);
    fold(display, &mut trainer, folder, settings.saving)
}

/// A checkpoint of other data is set aside, and why is said.
fn fitting(
    found: Option<Loaded>,
    run: &Run,
    digest: &str,
    folder: &RunFolder,
    settings: &Settings,
) -> Result<Option<Loaded>> {
    if let Some(loaded) = &found {
        ensure!(
            loaded.progress.run == *run && loaded.progress.format == FORMAT,
            "{} holds another run; move it away",
            folder.checkpoint().display()
        );
    }
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
fn fold(
    mut display: Display,
    trainer: &mut Trainer,
    folder: &RunFolder,
    saving: Saving,
) -> Result<Outcome> {
    let stop: Stop = watch_signals()?;
    let mut saved = Instant::now();
    let mut epoch = Instant::now();
    let mut images = 0;
    while let Some(step) = next_step(trainer)? {
        images += step.images;
        display.step(&step, || trainer.look())?;
        let finished = trainer.progress().is_finished();
        let stopping = stop.is_asked() && !finished;
        let epoch_due = step.row.as_ref().is_some_and(|r| r.epoch % saving.epochs == 0);
        if let Some(row) = &step.row {
            // Before the checkpoint: a run whose last one is there is finished, its log included. A
            // log that is ahead is taken back when the training goes on.
            write_log(folder, trainer.progress())?;
            let seconds = epoch.elapsed().as_secs_f64();
            let speed = images as f64 / seconds;
            runfiles::append_timing(&folder.timing_csv(), row.epoch, speed, seconds)?;
            display.epoch(&describe_row(row, speed));
            (epoch, images) = (Instant::now(), 0);
        }
        if finished || stopping || epoch_due || saved.elapsed() > saving.time {
            save(trainer, folder)?;
            saved = Instant::now();
        }
        if stopping {
            return Ok(Outcome::Interrupted);
        }
    }
    display.finish();
    Ok(Outcome::Finished)
}

/// Leaves in a finished run's folder what predicting needs; false where nothing was to be done.
///
/// # Errors
/// When the folder is in use or cannot be written.
pub fn slim_run(folder: &RunFolder) -> Result<bool> {
    let lock = folder.try_lock()?;
    ensure!(lock.is_some(), "{} is being trained; it stays", folder.path().display());
    let (found, _) = folder.load()?;
    let Some(loaded) = found.filter(|loaded| loaded.progress.is_finished()) else {
        return Ok(false);
    };
    let whole = loaded.tensors.len();
    let state = loaded.tensors.into_iter().filter(|(name, _)| !name.starts_with(MOMENTUM_PREFIX));
    let state: Vec<_> = state.collect();
    if state.len() == whole {
        return Ok(false);
    }
    folder.save(&loaded.progress, &state)?;
    // What it was made from is the larger file.
    let previous = folder.previous_checkpoint();
    std::fs::remove_file(&previous).with_context(|| previous.display().to_string())?;
    Ok(true)
}

/// The next step. Where the GPU's memory is too small for it, the batch that would fit is named.
fn next_step(trainer: &mut Trainer) -> Result<Option<Step>> {
    let error = match trainer.step() {
        Err(error) if trouble(&format!("{error:#}")) == Some(Trouble::Memory) => error,
        other => return other,
    };
    let batch = trainer.progress().run.training.as_ref().map_or(0, |t| t.batch_size);
    let fits = match trainer.fitting_batch() {
        Some(fits) => {
            format!("training.batch_size={fits} would fit (it was tried), and is another run")
        }
        None => "no smaller batch fits either".to_string(),
    };
    bail!(
        "the GPU's memory does not hold a step with a batch of {batch}: {fits}; where processes share the GPU, \
         fewer --workers leave more to each ({})",
        plain(&error.root_cause().to_string())
    )
}

fn save(trainer: &mut Trainer, folder: &RunFolder) -> Result<()> {
    let tensors = trainer.tensors()?;
    folder.save(trainer.progress(), &tensors)
}

fn write_log(folder: &RunFolder, progress: &Progress) -> Result<()> {
    atomic::write(&folder.train_csv(), &runfiles::train_csv(&progress.log)?)
}
