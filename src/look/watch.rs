//! Training curves of runs, as pictures and for TensorBoard.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::experiment::LogRow;
use crate::figures::training;
use crate::results::runfiles::{self, Timing};
use crate::results::tensorboard::{self, Scalar};
use crate::results::{RunFolder, atomic};

/// Draws the training curves of `runs` to `picture` with the endings `.svg` and `.png`.
///
/// # Errors
/// When a run has no finished epoch, or a file cannot be written.
pub fn draw_training(runs: &[RunFolder], picture: &Path) -> Result<[PathBuf; 2]> {
    let mut labelled = Vec::new();
    for run in runs {
        let has_training = run.progress().is_none_or(|(found, _)| found.run.training.is_some());
        ensure!(has_training, "{} is imported, and has no training", run.path().display());
        ensure!(!log_of(run)?.is_empty(), "{} has no finished epoch yet", run.path().display());
        labelled.push((short(&run.name()), runfiles::log(run)?));
    }
    let [svg, png] = ["svg", "png"].map(|ending| with_ending(picture, ending));
    atomic::create_folder_of(picture)?;
    training::draw(labelled, &svg, &png)?;
    Ok([svg, png])
}

/// `picture` with `.ending`; a dot within its name stays.
pub fn with_ending(picture: &Path, ending: &str) -> PathBuf {
    // A slash at the end falls away.
    let picture: PathBuf = picture.components().collect();
    let known = picture.extension().is_some_and(|e| e == "svg" || e == "png");
    let mut name =
        if known { picture.with_extension("").into_os_string() } else { picture.into_os_string() };
    name.push(format!(".{ending}"));
    PathBuf::from(name)
}

/// A run's name with the first four digits of its digest, which tell twins apart.
fn short(name: &str) -> String {
    match name.rsplit_once('-') {
        Some((rest, digest)) if digest.len() == 16 => format!("{rest} ({})", &digest[..4]),
        _ => name.to_string(),
    }
}

/// Writes an event file of each run to a folder of its name under `folder`; returns them.
///
/// # Errors
/// When two runs have one name, a run has not begun, or a file cannot be written.
pub fn write_tensorboard(runs: &[RunFolder], folder: &Path) -> Result<Vec<PathBuf>> {
    let names: Vec<String> = runs.iter().map(RunFolder::name).collect();
    for (place, name) in names.iter().enumerate() {
        ensure!(
            !names[..place].contains(name),
            "two runs are called {name}, and would have one event file; write each to a folder of its own"
        );
    }
    let mut written = Vec::new();
    for run in runs {
        let place = folder.join(run.name());
        atomic::create_folder(&place)?;
        // TensorBoard knows its files by this beginning; the rest is the same every time, so that
        // writing again replaces.
        let path = place.join("events.out.tfevents.0.repro");
        let log = log_of(run)?;
        let seconds = seconds_of(&log, &runfiles::timings(&run.timing_csv()));
        tensorboard::write(&path, &scalars(&log, &seconds))?;
        written.push(path);
    }
    Ok(written)
}

fn log_of(run: &RunFolder) -> Result<Vec<LogRow>> {
    let progress = run.progress();
    let (progress, _) =
        progress.with_context(|| format!("{} has no checkpoint", run.path().display()))?;
    Ok(progress.log)
}

/// Seconds of training after each epoch of the log. Of an epoch that was repeated the last time
/// counts; an epoch without a time counts as a second.
fn seconds_of(log: &[LogRow], clock: &[Timing]) -> Vec<f64> {
    let mut sum = 0.0;
    let after = |row: &LogRow| {
        let time = clock.iter().rfind(|time| time.epoch == row.epoch);
        sum += time.map_or(1.0, |time| time.seconds);
        sum
    };
    log.iter().map(after).collect()
}

fn scalars(log: &[LogRow], seconds: &[f64]) -> Vec<Scalar> {
    let mut scalars = Vec::new();
    for (row, &seconds) in log.iter().zip(seconds) {
        let mut push = |tag: String, value: f64| {
            scalars.push(Scalar { seconds, step: row.epoch.into(), tag, value: value as f32 });
        };
        push("loss".to_string(), row.loss);
        push("learning_rate".to_string(), row.learning_rate);
        for (exit, accuracy) in (1..).zip(&row.accuracy) {
            push(format!("accuracy/exit_{exit}"), *accuracy);
        }
    }
    scalars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_that_is_there_is_not_doubled_and_a_dotted_name_stays() {
        let at = |name: &str| with_ending(Path::new(name), "png").display().to_string();
        assert_eq!(at("a/b"), "a/b.png");
        assert_eq!(at("b.svg"), "b.png");
        assert_eq!(at("v0.5"), "v0.5.png");
        assert_eq!(at("out/"), "out.png");
    }

    #[test]
    fn a_repeated_epoch_has_its_last_time_and_shifts_no_other() {
        let row = |epoch| LogRow { epoch, learning_rate: 0.1, loss: 2.0, accuracy: vec![] };
        let time = |epoch, seconds| Timing { epoch, images_per_second: 1.0, seconds };
        let clock = [time(1, 10.0), time(2, 99.0), time(2, 20.0), time(4, 40.0)];
        let seconds = seconds_of(&[row(1), row(2), row(3), row(4)], &clock);
        assert_eq!(seconds, [10.0, 30.0, 31.0, 71.0]);
    }

    #[test]
    fn each_epoch_gives_a_loss_a_rate_and_an_accuracy_an_exit() {
        let row = LogRow { epoch: 1, learning_rate: 0.1, loss: 2.0, accuracy: vec![0.25, 0.5] };
        let tags: Vec<String> = scalars(&[row], &[7.5]).into_iter().map(|s| s.tag).collect();
        assert_eq!(tags, ["loss", "learning_rate", "accuracy/exit_1", "accuracy/exit_2"]);
    }
}
