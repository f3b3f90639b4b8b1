//! Runs of a manifest carried out on this machine.

use anyhow::{Context, Result};

use super::manifest::Line;
use crate::runs::Split;
use crate::runs::workers::train_tasks;
use crate::runs::{DataSets, Known, Settings, Task};

/// Trains the run at `index`, or every run, and predicts with it.
///
/// # Errors
/// [`crate::runs::Interrupted`] after a signal; an index that is not in the manifest; else what
/// the runs say that failed.
pub fn run_sweep(lines: &[Line], index: Option<usize>, settings: &Settings) -> Result<()> {
    let tasks = match index {
        Some(index) => {
            let line = lines.get(index).with_context(|| {
                let last = lines.len() - 1;
                format!("--index {index}: the manifest goes from 0 to {last}")
            })?;
            vec![line.task()]
        }
        None => lines.iter().map(Line::task).collect(),
    };
    let data_sets = DataSets::new(settings);
    let unfinished = |task: &Task| !has_everything(task, &data_sets);
    train_tasks(tasks.into_iter().filter(unfinished).collect(), &data_sets)
}

/// Whether a run is trained and has predictions; whether those are of the present data is found out
/// when the figure is drawn.
fn has_everything(task: &Task, data_sets: &DataSets) -> bool {
    let known = Known::of(&task.run, &data_sets.settings.places);
    let is_there = |split: &Split| known.folder.predictions(split.name()).is_file();
    let is_predicted =
        || known.data(data_sets).is_ok_and(|data| data.splits().iter().all(is_there));
    known.is_done(data_sets) && (data_sets.settings.only_train || is_predicted())
}
