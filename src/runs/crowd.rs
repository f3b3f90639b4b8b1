//! What a person sees of several trainings side by side: a bar each on a terminal, a line an epoch
//! elsewhere.

use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

use super::context::tell;
use super::progress::dress;
use super::worker::{Report, Task};

/// The display of several trainings.
pub struct Crowd {
    bars: Option<MultiProgress>,
    quiet: bool,
}

impl Crowd {
    /// An empty display on standard error.
    pub fn new(quiet: bool) -> Crowd {
        let on_terminal = std::io::stderr().is_terminal() && !quiet;
        let target = || ProgressDrawTarget::stderr_with_hz(4);
        Crowd { bars: on_terminal.then(|| MultiProgress::with_draw_target(target())), quiet }
    }

    /// A line that stays.
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

    /// One training more.
    pub fn enter(&self, task: &Task) -> Member<'_> {
        let epochs = task.run.training.as_ref().map_or(1, |t| t.epochs);
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::no_length());
            dress(&bar, &task.label(), epochs, 0);
            bar
        });
        Member { crowd: self, bar }
    }
}

/// The display of one of them; it goes with the value.
pub struct Member<'a> {
    crowd: &'a Crowd,
    bar: Option<ProgressBar>,
}

impl Member<'_> {
    /// Shows what a worker said.
    pub fn show(&self, report: &Report) {
        match (report, &self.bar) {
            (Report::Step { done, message, .. }, Some(bar)) => {
                bar.set_position((done * 1000.0) as u64);
                bar.set_message(message.clone());
            }
            (Report::Epoch { line }, None) => self.crowd.say(line),
            _ => {}
        }
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
