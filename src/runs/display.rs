//! Trainings on standard error: a bar each on a terminal, a line an epoch elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::context::tell;
use super::protocol::{Event, Task};
use crate::experiment::LogRow;

/// Standard error, shared by several trainings.
pub struct Display {
    bars: Option<MultiProgress>,
    quiet: bool,
}

impl Display {
    /// An empty display; `quiet` shows nothing.
    pub fn new(quiet: bool) -> Display {
        let on_terminal = std::io::stderr().is_terminal() && !quiet;
        let target = || ProgressDrawTarget::stderr_with_hz(4);
        Display { bars: on_terminal.then(|| MultiProgress::with_draw_target(target())), quiet }
    }

    /// Writes a line that stays.
    pub fn say(&self, line: &str) {
        match &self.bars {
            Some(bars) => {
                // A terminal that cannot be written to shows nothing, and the training goes on.
                let _ = bars.println(line);
            }
            None if !self.quiet => tell(line),
            None => {}
        }
    }

    /// Adds the training of `task`.
    pub fn add(&self, task: &Task) -> Shown<'_> {
        let epochs = task.run.training.as_ref().map_or(1, |t| t.epochs);
        let label = task.label();
        let bar = self.bars.as_ref().map(|bars| {
            // A bar draws itself where it stands, so it is added to the others first.
            let bar = bars.add(ProgressBar::no_length());
            let style = ProgressStyle::with_template("{prefix} [{wide_bar}] {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ");
            bar.set_style(style);
            bar.set_length(u64::from(epochs) * 1000);
            bar.set_prefix(label.clone());
            bar
        });
        Shown { display: self, bar, label, epochs, started: Instant::now(), before: 0.0, done: 0.0 }
    }
}

/// One training on the display; its bar goes when the value is dropped.
pub struct Shown<'a> {
    display: &'a Display,
    /// In thousandths of epochs.
    bar: Option<ProgressBar>,
    label: String,
    epochs: u32,
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
            Event::Resumed { epoch } => {
                self.before = f64::from(*epoch);
                self.line(format!("goes on after epoch {epoch} of {}", self.epochs));
            }
            Event::Step { done, loss } => {
                self.done = *done;
                let epoch = done.ceil();
                self.message(format!("epoch {epoch}/{}, loss {loss:.3}", self.epochs));
            }
            Event::Epoch { row, images_per_second } => {
                self.done = f64::from(row.epoch);
                let row = describe(row, *images_per_second);
                self.line(format!("epoch {}/{}, {row}, {}", self.done, self.epochs, self.left()));
                if self.bar.is_some() && self.done >= f64::from(self.epochs) {
                    let took = readable(self.started.elapsed());
                    self.display.say(&format!("{}: trained in {took}", self.label));
                }
            }
        }
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
        let progressed = self.done - self.before;
        if progressed <= 0.0 {
            return "time left unknown".to_string();
        }
        let left = (f64::from(self.epochs) - self.done).max(0.0) / progressed;
        format!("{} left", readable(self.started.elapsed().mul_f64(left)))
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

/// A duration for people: 4 s, 3 min 20 s, 2 h 05 min.
pub fn readable(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}
