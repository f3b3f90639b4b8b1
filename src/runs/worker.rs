//! A worker: a process that trains the runs that its parent sends it, one at a time.
//!
//! Orders come as JSON lines on standard input, reports go as JSON lines to standard output. The
//! end of standard input means that the parent is done or dead, however it died: no worker outlives
//! its parent by more than `GRACE`.

use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result};

use super::context::Settings;
use super::data::DataSets;
use super::known::Known;
use super::protocol::{End, Event, Order, Report, Task};
use super::stop::{Interrupted, Stop, watch_signals};
use super::train::Outcome;
use crate::cuda::plain;

/// How long a worker may still save after its parent has gone.
const GRACE: Duration = Duration::from_secs(5);

/// Exit code of a worker whose parent has gone: resumable (EX_TEMPFAIL of sysexits.h).
const PARENT_GONE: i32 = 75;

/// Writes `report` to standard output. It is no error where the parent has gone: the end of standard
/// input shows that.
pub fn report(report: &Report) {
    if let Ok(line) = serde_json::to_string(report) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// Carries out the orders on standard input until it ends or asks to stop.
pub fn serve(settings: &Settings) -> Result<()> {
    let stop = watch_signals()?;
    let orders = listen(stop.clone());
    let data_sets = DataSets::new(settings);
    for task in orders {
        let mut watch = |event: Event| report(&Report::Event { event });
        let end = match carry_out(&task?, &data_sets, &mut watch) {
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
pub fn carry_out(
    task: &Task,
    data_sets: &DataSets,
    watch: &mut dyn FnMut(Event),
) -> Result<Outcome> {
    let known = Known::of(&task.run, &data_sets.settings.places);
    let outcome = known.train(&task.name, data_sets, watch)?;
    if outcome != Outcome::Finished || data_sets.settings.only_train {
        return Ok(outcome);
    }
    for &split in known.data(data_sets)?.splits() {
        match known.predictions(split, data_sets) {
            Err(error) if error.is::<Interrupted>() => return Ok(Outcome::Interrupted),
            result => result.with_context(|| task.label())?,
        };
    }
    Ok(outcome)
}
