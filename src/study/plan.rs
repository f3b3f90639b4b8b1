//! What would be done, told before it is done.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

use super::Study;
use crate::data::plural;
use crate::runs::{Known, State};

/// One run: what it is, what it costs, whether it is done.
#[derive(Serialize)]
struct Planned<'a> {
    network: &'a str,
    curve: &'a str,
    seed: u64,
    run: String,
    exits: usize,
    multiply_adds: Option<u64>,
    epochs: u32,
    epochs_done: u32,
    state: &'static str,
    /// Whether it is trained to its end, on whatever data.
    trained: bool,
    /// Of a run that waits without an epoch that can be used: what is left of a training.
    kept: Option<String>,
    done: bool,
}

fn planned<'a>(study: &'a Study) -> Vec<Planned<'a>> {
    let mut planned = Vec::new();
    for network in &study.plan.networks {
        let costs = study.multiply_adds(&network.name);
        for run in &network.runs {
            let epochs = run.training.as_ref().map_or(0, |t| t.epochs);
            let state = study.state(run);
            let known = Known::of(run, &study.settings.places);
            planned.push(Planned {
                network: &network.name,
                curve: &network.curve,
                seed: run.seed,
                run: run.folder_name(),
                exits: costs.len(),
                multiply_adds: costs.last().copied(),
                epochs,
                epochs_done: state.epoch(epochs),
                state: state.name(),
                trained: known.is_trained(),
                kept: matches!(state, State::Waiting { epoch: 0 }).then(|| known.kept()).flatten(),
                done: state == State::Done,
            });
        }
    }
    planned
}

/// The plan as `--json` prints it.
pub fn plan_json(study: &Study) -> Value {
    let runs = planned(study);
    json!({ "experiment": study.name, "figure": study.plan.figure.name(), "runs": runs })
}

/// The same for people.
pub fn describe_plan(study: &Study) -> String {
    let runs = planned(study);
    let width = runs.iter().map(|run| run.network.len()).max().unwrap_or(7).max(7);
    let mut text = format!("{:width$}  seed  exits  multiply-adds  state\n", "network");
    for run in &runs {
        let state = match (run.state, run.epochs_done) {
            ("done", _) => "done".to_string(),
            ("waiting", 0) => {
                let epochs = plural(run.epochs as usize, "epoch");
                match &run.kept {
                    Some(why) => format!("{why}; to train anew, {epochs}"),
                    None => format!("to train, {epochs}"),
                }
            }
            ("waiting", epoch) => format!("at epoch {epoch} of {}", run.epochs),
            (state, epoch) => format!("{state}, at epoch {epoch} of {}", run.epochs),
        };
        let millions = run.multiply_adds.unwrap_or(0) as f64 / 1e6;
        let Planned { network, seed, exits, .. } = run;
        let _ =
            writeln!(text, "{network:width$}  {seed:>4}  {exits:>5}  {millions:>11.2} M  {state}");
    }
    let done = runs.iter().filter(|run| run.done).count();
    let _ = writeln!(text, "{done} of {} runs are done", runs.len());
    text
}
