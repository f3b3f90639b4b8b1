//! What would be done, told before it is done.

use serde_json::{Value, json};

use super::Study;
use crate::runs::State;

/// One line a run: what it is, what it costs, whether it is done.
pub fn plan_json(study: &Study) -> Value {
    let mut runs = Vec::new();
    for network in &study.plan.networks {
        for run in &network.runs {
            let epochs = run.training.as_ref().map_or(0, |t| t.epochs);
            let state = study.state(run);
            runs.push(json!({
                "network": network.name,
                "curve": network.curve,
                "seed": run.seed,
                "run": run.folder_name(),
                "exits": study.multiply_adds(&network.name).len(),
                "multiply_adds": study.multiply_adds(&network.name).last(),
                "epochs": epochs,
                "epochs_done": state.epoch(epochs),
                "state": state.name(),
                "done": state == State::Done,
            }));
        }
    }
    json!({ "experiment": study.name, "figure": study.plan.figure.name(), "runs": runs })
}

/// The same for people.
pub fn describe_plan(plan: &Value) -> String {
    let empty = Vec::new();
    let runs = plan["runs"].as_array().unwrap_or(&empty);
    let width =
        runs.iter().filter_map(|r| r["network"].as_str()).map(str::len).max().unwrap_or(7).max(7);
    let mut text = format!("{:width$}  seed  exits  multiply-adds  state\n", "network");
    for run in runs {
        let state = match (run["state"].as_str(), run["epochs_done"].as_u64()) {
            (Some("done"), _) => "done".to_string(),
            (Some("waiting"), Some(0)) => format!("to train, {} epochs", run["epochs"]),
            (Some("waiting"), Some(epoch)) => format!("at epoch {epoch} of {}", run["epochs"]),
            (state, _) => format!(
                "{}, at epoch {} of {}",
                state.unwrap_or_default(),
                run["epochs_done"],
                run["epochs"]
            ),
        };
        let name = run["network"].as_str().unwrap_or_default();
        let millions = run["multiply_adds"].as_u64().unwrap_or(0) as f64 / 1e6;
        text.push_str(&format!(
            "{name:width$}  {:>4}  {:>5}  {millions:>11.2} M  {state}\n",
            run["seed"].to_string(),
            run["exits"].to_string()
        ));
    }
    let done = runs.iter().filter(|r| r["done"].as_bool() == Some(true)).count();
    text.push_str(&format!("{done} of {} runs are done\n", runs.len()));
    text
}
