//! A worker: a process that trains the runs that its parent sends it, one at a time.
//!
//! Orders come as JSON lines on standard input, reports go as JSON lines to standard output. The
//! end of standard input means that the parent is done or dead, however it died: no worker outlives
//! its parent by more than [`GRACE`].

use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::context::{Data, Settings};
use super::execute::{Outcome, folder_of, train_shown};
use super::predictions::{Split, predictions_of};
use super::progress::Show;
use super::stop::{Interrupted, Stop, watch_signals};
use crate::cuda::plain;
use crate::data::Dataset;
use crate::experiment::Run;

/// How long a worker may still save after its parent has gone.
const GRACE: Duration = Duration::from_secs(5);

/// Exit code of a worker whose parent has gone: resumable (EX_TEMPFAIL of sysexits.h).
const PARENT_GONE: i32 = 75;

/// A run to be trained, with the name that people know its network by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The network's name.
    pub name: String,
    /// The run.
    pub run: Run,
}

impl Task {
    /// Name and seed.
    pub fn label(&self) -> String {
        format!("{}, seed {}", self.name, self.run.seed)
    }
}

/// What a parent asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "lowercase")]
pub enum Order {
    /// Train this and predict with it.
    Train(Box<Task>),
    /// Save and end.
    Stop,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "lowercase")]
pub enum Report {
    /// A step is done.
    Step {
        /// Epochs done, with fractions.
        done: f64,
        /// Epochs in all.
        of: u32,
        /// For people.
        message: String,
    },
    /// An epoch is done.
    Epoch {
        /// For people.
        line: String,
    },
    /// The order is carried out, or cannot be.
    Ended {
        /// How it ended.
        end: End,
    },
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Trained and predicted.
    Finished,
    /// Saved, to go on later.
    Interrupted,
    /// Another process is training it.
    Busy,
    /// Why it failed.
    Failed(String),
}

/// Says `report` on standard output. A parent that has gone hears nothing, which is no error here:
/// the end of standard input tells of it.
pub fn report(report: &Report) {
    if let Ok(line) = serde_json::to_string(report) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// Carries out the orders on standard input until it ends or asks to stop.
///
/// # Errors
/// An order that cannot be read.
pub fn serve(settings: &Settings) -> Result<()> {
    let stop = watch_signals()?;
    let orders = listen(stop.clone());
    let mut known = DataSets::default();
    for task in orders {
        let end = match carry_out(&task?, &mut known, settings, Show::Parent) {
            Ok(Outcome::Finished) => End::Finished,
            Ok(Outcome::Interrupted) => End::Interrupted,
            Ok(Outcome::Busy) => End::Busy,
            Err(error) => End::Failed(plain(&format!("{error:#}"))),
        };
        report(&Report::Ended { end });
        if stop.is_asked() {
            break;
        }
    }
    Ok(())
}

fn listen(stop: Stop) -> Receiver<Result<Task>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        read_orders(&sender, &stop);
        drop(sender);
        // The parent has gone. An idle worker ends by itself; one that is training is asked to.
        stop.ask();
        std::thread::sleep(GRACE);
        std::process::exit(PARENT_GONE);
    });
    receiver
}

fn read_orders(sender: &Sender<Result<Task>>, stop: &Stop) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let task = match serde_json::from_str(&line).context("an order that cannot be read") {
            Ok(Order::Train(task)) => Ok(*task),
            Ok(Order::Stop) => {
                stop.ask();
                continue;
            }
            Err(error) => Err(error),
        };
        if sender.send(task).is_err() {
            return;
        }
    }
}

/// Trains a run and, unless only that is asked for, predicts with it on both splits, so that drawing
/// finds everything made.
///
/// # Errors
/// What training and prediction say.
pub fn carry_out(
    task: &Task,
    known: &mut DataSets,
    settings: &Settings,
    show: Show,
) -> Result<Outcome> {
    let data = known.of(&task.run, settings)?;
    let outcome = train_shown(&task.name, &task.run, data, settings, show)?;
    if outcome == Outcome::Finished && !settings.only_train {
        let folder = folder_of(&task.run, settings);
        for split in [Split::Validation, Split::Test] {
            if split == Split::Test || data.validation > 0 {
                match predictions_of(&folder, data, split, settings) {
                    Err(error) if error.is::<Interrupted>() => return Ok(Outcome::Interrupted),
                    result => result.with_context(|| task.label())?,
                };
            }
        }
    }
    Ok(outcome)
}

/// Data sets by what a run says of them, each read once.
#[derive(Default)]
pub struct DataSets(Vec<(DataKey, Data)>);

/// Data set, hold-out, limit on training images.
type DataKey = (Dataset, usize, Option<usize>);

impl DataSets {
    /// The data of `run`.
    ///
    /// # Errors
    /// When a folder has no classes.
    pub fn of(&mut self, run: &Run, settings: &Settings) -> Result<&Data> {
        let key = (run.dataset.clone(), run.validation, run.training_images);
        let place = match self.0.iter().position(|(known, _)| *known == key) {
            Some(place) => place,
            None => {
                let validation = Some(run.validation);
                let data = Data::new(&run.dataset, validation, run.training_images, settings)?;
                self.0.push((key, data));
                self.0.len() - 1
            }
        };
        Ok(&self.0[place].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_with_a_reason_comes_back_as_it_was_said() {
        let said = Report::Ended { end: End::Failed("the loss is NaN\nat epoch 1".to_string()) };
        let line = serde_json::to_string(&said).unwrap();
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), said);
        assert_eq!(
            serde_json::to_string(&Report::Ended { end: End::Busy }).unwrap(),
            r#"{"report":"ended","end":"busy"}"#
        );
    }
}
