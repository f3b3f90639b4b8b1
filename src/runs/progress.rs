//! What a person sees of a training: a bar with the time left on a terminal, a line an epoch
//! elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::context::{Settings, tell};
use super::worker::{Report, report};
use crate::experiment::Training;
use crate::results::checkpoint::{LogRow, Progress};
use crate::train::Step;

/// Who follows a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Somebody at standard error.
    People,
    /// The process that started this one, at standard output.
    Parent,
}

/// People and a parent hear of steps so often: reading a loss makes a GPU wait.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// The display of one training.
pub struct Display {
    name: String,
    show: Show,
    reported: Instant,
    bar: Option<ProgressBar>,
    quiet: bool,
    epochs: u32,
    started: Instant,
    /// Epochs, with fractions, that were done before this process.
    before: f64,
    done: f64,
}

impl Display {
    /// Starts at what is done already.
    pub fn new(
        name: &str,
        progress: &Progress,
        training: &Training,
        settings: &Settings,
        show: Show,
    ) -> Display {
        let name = format!("{name}, seed {}", progress.run.seed);
        let on_terminal =
            show == Show::People && std::io::stderr().is_terminal() && !settings.quiet;
        let before = f64::from(progress.epoch);
        let bar = on_terminal.then(|| new_bar(&name, training.epochs, progress.epoch));
        if progress.epoch > 0 || progress.step > 0 {
            let line =
                format!("{name}: goes on after epoch {} of {}", progress.epoch, training.epochs);
            match show {
                Show::Parent => report(&Report::Epoch { line }),
                Show::People if !on_terminal && !settings.quiet => tell(line),
                Show::People => {}
            }
        }
        Display {
            name,
            show,
            reported: Instant::now(),
            bar,
            quiet: settings.quiet,
            epochs: training.epochs,
            started: Instant::now(),
            before,
            done: before,
        }
    }

    /// One step more; its loss is asked for only where it is shown.
    ///
    /// # Errors
    /// Those of `loss`.
    pub fn step(&mut self, step: &Step, loss: impl FnOnce() -> Result<f64>) -> Result<()> {
        self.done = f64::from(step.epoch) + step.done as f64 / step.of as f64;
        if let Some(bar) = &self.bar {
            bar.set_position((self.done * 1000.0) as u64);
        }
        let is_shown = self.bar.is_some() || self.show == Show::Parent;
        if !is_shown || self.reported.elapsed() < REPORT_EVERY {
            return Ok(());
        }
        self.reported = Instant::now();
        // Of a step that ended an epoch the log's row tells more.
        if step.row.is_some() {
            return Ok(());
        }
        let message = self.describe_step(step, loss()?);
        match &self.bar {
            Some(bar) => bar.set_message(message),
            None => report(&Report::Step { done: self.done, of: self.epochs, message }),
        }
        Ok(())
    }

    fn describe_step(&self, step: &Step, loss: f64) -> String {
        format!("epoch {}/{}, loss {:.3}, {}", step.epoch + 1, self.epochs, loss, self.time_left())
    }

    /// An epoch is over.
    pub fn epoch(&self, row: &str) {
        let line = || {
            format!(
                "{}: epoch {:.0}/{}, {row}, {}",
                self.name,
                self.done,
                self.epochs,
                self.time_left()
            )
        };
        if self.show == Show::Parent {
            report(&Report::Epoch { line: line() });
        } else if self.bar.is_none() && !self.quiet {
            tell(line());
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            tell(format!("{}: trained in {}", self.name, readable(self.started.elapsed())));
        }
    }

    fn time_left(&self) -> String {
        let progressed = self.done - self.before;
        if progressed <= 0.0 {
            return "time left unknown".to_string();
        }
        let left =
            self.started.elapsed().mul_f64((f64::from(self.epochs) - self.done) / progressed);
        format!("{} left", readable(left))
    }
}

/// A bar of one training on standard error.
fn new_bar(name: &str, epochs: u32, done: u32) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(4);
    let bar = ProgressBar::with_draw_target(None, target);
    dress(&bar, name, epochs, done);
    bar
}

/// Makes a bar one of a training, in thousandths of epochs. Whoever shows it among others adds it
/// to them first: a bar draws itself where it stands.
pub fn dress(bar: &ProgressBar, name: &str, epochs: u32, done: u32) {
    let style = ProgressStyle::with_template("{prefix} [{wide_bar}] {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    bar.set_style(style);
    bar.set_length(u64::from(epochs) * 1000);
    bar.set_prefix(name.to_string());
    bar.set_position(u64::from(done) * 1000);
}

/// A log row for people.
pub fn describe_row(row: &LogRow, images_per_second: f64) -> String {
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

/// A duration for people: 4 s, 3 min, 2 h 05 min.
pub fn readable(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}
