//! What would be done, told before it is done.

use anyhow::Result;
use serde_json::{Value, json};

use super::Study;
use crate::runs::execute::{folder_of, is_finished};

/// One line a run: what it is, what it costs, whether it is done.
///
/// # Errors
/// When the data cannot be read.
pub fn plan_json(study: &Study) -> Result<Value> {
    let mut runs = Vec::new();
    for network in &study.plan.networks {
        for run in &network.runs {
            let folder = folder_of(run, study.settings);
            let progress = folder.progress().map(|(progress, _)| progress);
            let done = progress.is_some() && is_finished(&folder, &study.data)?;
            runs.push(json!({
                "network": network.name,
                "curve": network.curve,
                "seed": run.seed,
                "run": run.folder_name(),
                "exits": study.multiply_adds(&network.name).len(),
                "multiply_adds": study.multiply_adds(&network.name).last(),
                "epochs": run.training.as_ref().map(|t| t.epochs),
                "epochs_done": progress.map_or(0, |p| p.epoch),
                "done": done,
            }));
        }
    }
    Ok(json!({ "experiment": study.name, "figure": study.plan.figure.name(), "runs": runs }))
}

/// The same for people.
pub fn describe_plan(plan: &Value) -> String {
    let empty = Vec::new();
    let runs = plan["runs"].as_array().unwrap_or(&empty);
    let width =
        runs.iter().filter_map(|r| r["network"].as_str()).map(str::len).max().unwrap_or(7).max(7);
    let mut text = format!("{:width$}  seed  exits  multiply-adds  state\n", "network");
    for run in runs {
        let state = match (run["done"].as_bool(), run["epochs_done"].as_u64()) {
            (Some(true), _) => "done".to_string(),
            (_, Some(0) | None) => format!("to train, {} epochs", run["epochs"]),
            (_, Some(epoch)) => format!("at epoch {epoch} of {}", run["epochs"]),
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
