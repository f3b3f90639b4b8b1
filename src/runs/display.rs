//! Trainings on standard error: on a terminal a bar for each worker and one for all runs, a line an
//! epoch elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::context::{BARS, tell};
use super::protocol::{Event, Task};
use super::sharing::weight;
use super::terminal::Terminal;
use crate::experiment::LogRow;

/// Standard error, shared by several trainings. Nothing of the bars is left when it is dropped.
pub struct Display {
    bars: Option<MultiProgress>,
    /// Of all runs, where there are several.
    total: Option<ProgressBar>,
    /// What all runs take, in the unit of [`weight`].
    whole: f64,
    runs: usize,
    sum: Mutex<Sum>,
    started: Instant,
    quiet: bool,
}

/// How far all runs together have come, in the unit of [`weight`].
#[derive(Default)]
struct Sum {
    left: f64,
    /// By this process and its workers.
    done: f64,
    finished: usize,
}

impl Sum {
    /// None before anything is done.
    fn time_left(&self, elapsed: Duration) -> Option<Duration> {
        (self.done > 0.0).then(|| elapsed.mul_f64(self.left.max(0.0) / self.done))
    }
}

/// A bar of `length`, which draws itself where it stands and so is not drawn yet.
fn bar(length: u64, prefix: String) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} [{wide_bar}] {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    let bar = ProgressBar::hidden().with_style(style).with_prefix(prefix);
    bar.set_length(length);
    bar
}

impl Display {
    /// A display for these trainings, none of which has begun; `quiet` shows nothing.
    pub fn new(quiet: bool, tasks: &[Task]) -> Display {
        let on_terminal = std::io::stderr().is_terminal() && !quiet;
        let target = || ProgressDrawTarget::term_like_with_hz(Box::new(Terminal::default()), 4);
        let bars = on_terminal.then(|| MultiProgress::with_draw_target(target()));
        let runs = tasks.len();
        let total = bars.as_ref().filter(|_| runs > 1);
        let total = total.map(|bars| bars.add(bar(1000, format!("all {runs} runs"))));
        let whole =
            if total.is_some() { tasks.iter().map(weight).sum::<u64>() as f64 } else { 0.0 };
        BARS.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&bars);
        let sum = Mutex::new(Sum { left: whole, ..Sum::default() });
        Display { bars, total, whole, runs, sum, started: Instant::now(), quiet }
    }

    /// Writes a line that stays.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            tell(line);
        }
    }

    /// Adds the training of `task`.
    pub fn add(&self, task: &Task) -> Shown<'_> {
        let epochs = task.run.training.as_ref().map_or(1, |t| t.epochs);
        let label = task.label();
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bar(u64::from(epochs) * 1000, label.clone());
            match &self.total {
                Some(total) => bars.insert_before(total, bar),
                None => bars.add(bar),
            }
        });
        Shown {
            display: self,
            bar,
            label,
            epochs,
            weight: if self.total.is_some() { weight(task) as f64 } else { 0.0 },
            started: Instant::now(),
            before: 0.0,
            done: 0.0,
        }
    }

    fn sum(&self) -> MutexGuard<'_, Sum> {
        self.sum.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how far all runs have come, and shows it.
    fn count(&self, change: impl FnOnce(&mut Sum)) {
        let Some(total) = &self.total else { return };
        let mut sum = self.sum();
        change(&mut sum);
        let left = told(sum.time_left(self.started.elapsed()));
        let share = 1.0 - sum.left.max(0.0) / self.whole.max(1.0);
        total.set_position((share * 1000.0) as u64);
        total.set_message(format!("{} of {} trained, {left}", sum.finished, self.runs));
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(total) = &self.total {
            total.finish_and_clear();
        }
        BARS.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// One training on the display; its bar goes when the value is dropped.
pub struct Shown<'a> {
    display: &'a Display,
    /// In thousandths of epochs.
    bar: Option<ProgressBar>,
    label: String,
    epochs: u32,
    /// What the whole training takes; see [`Sum`].
    weight: f64,
    started: Instant,
    /// Epochs that were done before this process.
    before: f64,
    /// Epochs done, with fractions.
    done: f64,
}

impl Shown<'_> {
    /// Shows what happened.
    pub fn show(&mut self, event: &Event) {
        match event {
            Event::Resumed { done } => {
                (self.before, self.done) = (*done, *done);
                let before = self.share(self.before);
                self.display.count(|sum| sum.left -= before);
                self.line(format!("goes on after epoch {} of {}", done.floor(), self.epochs));
            }
            Event::Step { done, loss } => {
                self.advance(*done);
                let epoch = done.ceil();
                self.message(format!("epoch {epoch}/{}, loss {loss:.3}", self.epochs));
            }
            Event::Epoch { row, images_per_second } => {
                self.advance(f64::from(row.epoch));
                let row = describe(row, *images_per_second);
                self.line(format!("epoch {}/{}, {row}, {}", self.done, self.epochs, self.left()));
                if self.bar.is_some() && self.done >= f64::from(self.epochs) {
                    let took = readable(self.started.elapsed());
                    self.display.say(&format!("{}: trained in {took}", self.label));
                }
            }
        }
    }

    /// Takes the run off what is left to do: trained, here or by another process, or failed.
    pub fn end(self, trained: bool) {
        let rest = self.share(f64::from(self.epochs) - self.done);
        self.display.count(|sum| {
            sum.left -= rest;
            sum.finished += usize::from(trained);
        });
    }

    /// The weight of so many epochs.
    fn share(&self, epochs: f64) -> f64 {
        self.weight * epochs / f64::from(self.epochs.max(1))
    }

    fn advance(&mut self, done: f64) {
        let more = self.share(done - self.done);
        self.done = done;
        self.display.count(|sum| {
            sum.left -= more;
            sum.done += more;
        });
    }

    /// A line, where there is no bar.
    fn line(&self, line: String) {
        if self.bar.is_none() {
            self.display.say(&format!("{}: {line}", self.label));
        }
    }

    fn message(&self, message: String) {
        if let Some(bar) = &self.bar {
            bar.set_position((self.done * 1000.0) as u64);
            bar.set_message(format!("{message}, {}", self.left()));
        }
    }

    fn left(&self) -> String {
        let left = f64::from(self.epochs) - self.done;
        let here = Sum { left, done: self.done - self.before, finished: 0 };
        told(here.time_left(self.started.elapsed()))
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A log row for people.
fn describe(row: &LogRow, images_per_second: f64) -> String {
    let accuracy = if row.accuracy.is_empty() {
        String::new()
    } else {
        let exits: Vec<String> = row.accuracy.iter().map(|a| format!("{:.1}", 100.0 * a)).collect();
        format!(", hold-out {} %", exits.join(" "))
    };
    format!(
        "rate {:.4}, loss {:.4}{accuracy}, {images_per_second:.0} images/s",
        row.learning_rate, row.loss
    )
}

fn told(left: Option<Duration>) -> String {
    left.map_or("time left unknown".to_string(), |t| format!("{} left", readable(t)))
}

/// A duration for people: 4 s, 3 min 20 s, 2 h 05 min.
pub fn readable(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_what_was_done_here() {
        let minute = Duration::from_secs(60);
        let sum = |left, done| Sum { left, done, finished: 0 };
        assert_eq!(sum(30.0, 10.0).time_left(minute), Some(3 * minute));
        assert_eq!(sum(30.0, 0.0).time_left(minute), None);
        assert_eq!(sum(-1.0, 10.0).time_left(minute), Some(Duration::ZERO));
    }

    #[test]
    fn what_was_done_of_an_epoch_before_is_not_counted_as_done_here() {
        let run = r#"{"network":{"resnet":{"blocks_per_stage":1}},"dataset":"synthetic",
                      "validation":0,"training":{"epochs":10},"seed":0}"#;
        let task = Task { name: "ResNet".to_string(), run: serde_json::from_str(run).unwrap() };
        let display = Display::new(true, std::slice::from_ref(&task));
        let mut shown = display.add(&task);
        shown.show(&Event::Resumed { done: 1.75 });
        assert_eq!(shown.left(), "time left unknown");
        shown.show(&Event::Step { done: 2.0, loss: 1.0 });
        assert_eq!((shown.before, shown.done), (1.75, 2.0));
    }
}
