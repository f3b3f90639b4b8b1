//! Every figure whose runs are done, partially where some are missing.

use std::time::SystemTime;

use anyhow::{Context, Result};

use super::figure::{Ask, finish_figure};
use super::outputs::Outputs;
use super::{Origin, Study};
use crate::experiment::load;
use crate::runs::{Interrupted, Settings, Task};

/// Draws the figures of `experiments` with `changes` from the runs that are finished. Returns the text
/// for standard output (what is missing and what was drawn), and the errors of figures that have runs
/// and could not be drawn.
///
/// # Errors
/// [`Interrupted`] after a signal.
pub fn collect_figures(
    experiments: &[String],
    changes: &[String],
    settings: &Settings,
) -> Result<(String, Vec<String>)> {
    let (mut text, mut failures) = (String::new(), Vec::new());
    for which in experiments {
        match collect(which, changes, settings) {
            Ok(told) => text.push_str(&told),
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    Ok((text, failures))
}

fn collect(which: &str, changes: &[String], settings: &Settings) -> Result<String> {
    let began = SystemTime::now();
    let (name, experiment) = load(which, changes)?;
    let mut study = Study::new(&name, &experiment, settings)?;
    let count = Task::all(&study.plan).len();
    let missing = study.leave_out_missing();
    if missing.len() == count {
        return Ok(format!("{name}: none of {count} runs is finished; nothing to draw\n"));
    }
    let outputs = Outputs::new(&study, &Origin::of(which)?)?;
    let drawn = finish_figure(&study, &outputs, began, Ask::default()).with_context(|| {
        let n = count - missing.len();
        format!("{name}, with {n} of {count} runs")
    })?;
    Ok(format!("{}{drawn}", describe(&name, count, &missing)))
}

fn describe(name: &str, count: usize, missing: &[Task]) -> String {
    if missing.is_empty() {
        return format!("{name}: all {count} runs are finished\n");
    }
    let shown: Vec<String> = missing.iter().take(10).map(Task::label).collect();
    let more = missing.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "{name}: partial, {} of {count} runs are finished; without {}{more}\n",
        count - missing.len(),
        shown.join("; ")
    )
}
