//! Making a run exist: found finished, gone on with, or trained from the start.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::context::{Saving, Settings};
use super::data::DataSets;
use super::known::Known;
use super::machine::{self, Threads};
use super::protocol::Event;
use super::stop::{Interrupted, Stop, watch_signals};
use crate::cuda::{Trouble, is_of_the_machine, panic_text, plain, trouble};
use crate::data::{Source, Split, plural};
use crate::experiment::{FORMAT, Progress, Run};
use crate::results::RunFolder;
use crate::results::began::Began;
use crate::results::folder::{Loaded, Lock};
use crate::results::tables::Table;
use crate::results::{atomic, runfiles};
use crate::train::{Job, Step, Trainer, without_momentum};

/// How often steps are reported: reading a loss makes a GPU wait.
const SHOW_EVERY: Duration = Duration::from_millis(250);

/// How a call to [`Known::train`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The run is finished, now or before.
    Finished,
    /// A signal stopped it; it is saved.
    Interrupted,
    /// Another process is training it.
    Busy,
}

impl Known {
    /// Trains the run, called `name`, to its end, unless it is finished already.
    ///
    /// # Errors
    /// When data, folder or training fail; what was saved stays. The reason stays in the run's
    /// folder until a later training goes on without one. An imported run is not trained.
    pub fn train(
        &self,
        name: &str,
        data_sets: &DataSets,
        watch: &mut dyn FnMut(Event),
    ) -> Result<Outcome> {
        if self.is_done(data_sets) {
            return Ok(Outcome::Finished);
        }
        if watch_signals()?.is_asked() {
            return Ok(Outcome::Interrupted);
        }
        if self.is_imported() {
            if self.folder.is_locked() {
                return Ok(Outcome::Busy);
            }
            self.ensure_done(data_sets)?;
            return Ok(Outcome::Finished);
        }
        let Some(lock) = self.folder.try_lock()? else {
            return Ok(Outcome::Busy);
        };
        let train = || train_locked(self, data_sets, watch, &lock);
        let result = catch_unwind(AssertUnwindSafe(train)).unwrap_or_else(|panic| {
            let text = panic_text(&*panic);
            let whose = if is_of_the_machine(&text) { "" } else { "a mistake in the program: " };
            drop(self.folder.keep_failure(&format!("{whose}{}", plain(&text))));
            resume_unwind(panic)
        });
        let result = match result {
            Err(error) if error.is::<Interrupted>() => Ok(Outcome::Interrupted),
            result => result.with_context(|| format!("{name}, seed {}", self.run.seed)),
        };
        match &result {
            Ok(_) => self.folder.forget_failure(),
            // On a full disk it cannot be kept; the error that counts is the training's.
            Err(error) => drop(self.folder.keep_failure(&plain(&format!("{error:#}")))),
        }
        result
    }
}

fn train_locked(
    known: &Known,
    data_sets: &DataSets,
    watch: &mut dyn FnMut(Event),
    _lock: &Lock,
) -> Result<Outcome> {
    let (run, folder, settings) = (&known.run, &known.folder, data_sets.settings);
    let data = known.data(data_sets)?;
    let training = run.training.as_ref().context("an imported run cannot be trained")?;
    atomic::remove_temporaries(folder.path());
    let train = data.images(Split::Train)?;
    if !settings.only_train {
        // Without them the training is of no use.
        data.images(Split::Test)?;
    }
    let found = to_go_on(run, &train.digest, folder, settings)?;
    let began = machine::began(folder, training, found.is_some(), settings)?;
    let began = Began { skip_broken: data.skip_broken, ..began };
    let _threads = Threads::of(began.threads);
    let network = run.network.build(data.input)?;
    let split = data.hold_out()?;
    let (yaml, classes) = (folder.run_yaml(), run.dataset.folder_classes());
    runfiles::write_run_yaml(&yaml, run, &train.digest, None, classes.as_deref(), Some(&began))?;
    let held_out = Table::default().count("image", split.validation.iter().copied());
    held_out.write(&folder.holdout_csv())?;
    if found.is_none() && !data.skip_broken {
        check_hold_out(&train.source, &split.validation, settings)?;
    }
    if watch_signals()?.is_asked() {
        return Ok(Outcome::Interrupted);
    }
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
    let mut trainer = trainer(&job, found, folder)?;
    // A kill between the log and the checkpoint leaves the log ahead.
    write_log(folder, trainer.progress())?;
    let done = trainer.epochs_done();
    if done > 0.0 && !trainer.progress().is_finished() {
        watch(Event::Resumed { done });
    }
    finish(&mut trainer, folder, settings, watch)
}

/// Reads the images held out. Otherwise a broken one shows only at the first evaluation, after an epoch.
fn check_hold_out(source: &Source, images: &[u32], settings: &Settings) -> Result<()> {
    // So many are read before a signal is answered.
    const PIECE: usize = 1000;
    if let Source::Files(_) = source {
        settings.say(format!(
            "reading {} to see that none is broken",
            plural(images.len(), "held-out image")
        ));
    }
    let stop = watch_signals()?;
    for piece in images.chunks(PIECE) {
        if stop.is_asked() {
            break;
        }
        source.check(piece)?;
    }
    Ok(())
}

/// At its beginning, or where the checkpoint `found` left it.
fn trainer<'a>(job: &'a Job<'a>, found: Option<Loaded>, folder: &RunFolder) -> Result<Trainer<'a>> {
    match found {
        Some(loaded) => Trainer::resume(job, &loaded.progress, &loaded.tensors)
            .with_context(|| folder.checkpoint().display().to_string()),
        None => Trainer::begin(job),
    }
}

/// The checkpoint to go on from. One of other data is set aside, and why is said.
fn to_go_on(
    run: &Run,
    digest: &str,
    folder: &RunFolder,
    settings: &Settings,
) -> Result<Option<Loaded>> {
    let (found, complaints) = folder.load_to_go_on()?;
    for complaint in complaints {
        settings.say(format!("warning: {complaint}"));
    }
    if let Some(loaded) = &found {
        ensure!(
            loaded.progress.run == *run && loaded.progress.format == FORMAT,
            "{} holds another run; move it away",
            folder.checkpoint().display()
        );
    }
    match found {
        Some(loaded) if loaded.progress.data == digest => return Ok(Some(loaded)),
        Some(_) => {
            settings.say(format!(
                "{}: the training data have changed since; training starts again",
                folder.path().display()
            ));
            folder.set_checkpoints_aside("of-other-data")?;
        }
        None => {}
    }
    // The times of a training that is given up are not this one's.
    let _ = std::fs::remove_file(folder.timing_csv());
    Ok(None)
}

/// Trains to the end: step, tell, save.
fn finish(
    trainer: &mut Trainer,
    folder: &RunFolder,
    settings: &Settings,
    watch: &mut dyn FnMut(Event),
) -> Result<Outcome> {
    let (stop, saving): (Stop, Saving) = (watch_signals()?, settings.saving);
    let (mut saved, mut shown) = (Instant::now(), Instant::now());
    let mut epoch = Instant::now();
    let mut images = 0;
    loop {
        let step = match next_step(trainer) {
            Ok(Some(step)) => step,
            Ok(None) => break,
            Err(error) => {
                // While the hold-out was measured: the steps before it are kept.
                if error.is::<Interrupted>() {
                    save(trainer, folder)?;
                }
                return Err(error);
            }
        };
        images += step.images;
        // A GPU waits for whoever reads a loss; where all is quiet nobody does.
        if !settings.quiet && shown.elapsed() > SHOW_EVERY && step.row.is_none() {
            shown = Instant::now();
            watch(Event::Step { done: trainer.epochs_done(), loss: trainer.look()? });
        }
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
            watch(Event::Epoch { row: row.clone(), images_per_second: speed });
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
    // A kill between two renames left the last checkpoint only under the name of the one before.
    if !folder.checkpoint().exists() {
        save(trainer, folder)?;
    }
    Ok(Outcome::Finished)
}

/// Leaves in a finished run's folder what predicting needs; false where nothing was to be done.
///
/// # Errors
/// When the folder is in use or cannot be written.
pub fn slim_run(folder: &RunFolder) -> Result<bool> {
    let lock = folder.try_lock()?;
    ensure!(lock.is_some(), "{} is being trained; it stays", folder.path().display());
    let (found, complaints) = folder.load()?;
    if let Some(complaint) = complaints.first() {
        bail!("{complaint}; nothing is changed");
    }
    let Some(loaded) = found.filter(|loaded| loaded.progress.is_finished()) else {
        return Ok(false);
    };
    let whole = loaded.tensors.len();
    let state = without_momentum(loaded.tensors);
    let previous = folder.previous_checkpoint();
    let is_slim = state.len() == whole;
    if is_slim && !previous.exists() {
        return Ok(false);
    }
    if !is_slim {
        folder.save(&loaded.progress, &state)?;
    }
    // What it was made from is the larger file. A kill may have left it.
    atomic::remove(&previous)?;
    Ok(true)
}

/// The next step. Where the GPU's memory is too small for it, the batch that would fit is named.
fn next_step(trainer: &mut Trainer) -> Result<Option<Step>> {
    let error = match trainer.step() {
        Err(error) if trouble(&format!("{error:#}")) == Some(Trouble::Memory) => error,
        other => return other,
    };
    let batch = trainer.progress().run.training.as_ref().map_or(0, |t| t.batch_size);
    let fits = match trainer.fitting_batch()? {
        Some(fits) => {
            format!("training.batch_size={fits} would fit (it was tried), and is another run")
        }
        None => "none of at least 2 images fits".to_string(),
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
