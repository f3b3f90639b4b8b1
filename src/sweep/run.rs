//! Runs of a manifest carried out on this machine.

use anyhow::{Context, Result};

use super::manifest::Line;
use crate::runs::Settings;
use crate::runs::execute::folder_of;
use crate::runs::progress::Show;
use crate::runs::worker::{DataSets, Task, carry_out};
use crate::runs::workers::train_tasks;

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
    let unfinished = |task: &Task| !has_everything(task, settings);
    let tasks: Vec<Task> = tasks.into_iter().filter(unfinished).collect();
    let mut known = DataSets::default();
    train_tasks(tasks, settings, &mut |task| carry_out(task, &mut known, settings, Show::People))
}

/// Whether a run is trained and predicted with, as far as can be told without reading data: what is
/// made of other data is found out when the figure is drawn.
fn has_everything(task: &Task, settings: &Settings) -> bool {
    let folder = folder_of(&task.run, settings);
    let hold_out = task.run.validation == 0 || folder.predictions("validation").is_file();
    let is_predicted = hold_out && folder.predictions("test").is_file();
    (is_predicted || settings.only_train) && folder.progress().is_some_and(|(p, _)| p.is_finished())
}
