//! A run's summary, from the predictions that are in its folder.

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::cost;
use crate::data::Facts;
use crate::eval::budgeted::Network;
use crate::eval::summary::summarise;
use crate::experiment::Run;
use crate::results::{RunFolder, predictions};
use crate::runs::Split;
use crate::runs::data::input_from;

/// Measures of a run whose data set has `facts`, by name, those of exits as lists; null where the run was not predicted on both splits
/// with the weights of this digest, or has a single exit.
///
/// # Errors
/// When a file of predictions is damaged, or they are of another network than the run's.
pub fn summary(folder: &RunFolder, run: &Run, facts: &Facts, weights: &str) -> Result<Value> {
    let paths = [Split::Validation, Split::Test].map(|split| folder.predictions(split.name()));
    if !paths.iter().all(|path| path.is_file()) {
        return Ok(Value::Null);
    }
    let [(of_hold_out, hold_out), (of_test, test)] =
        [predictions::load(&paths[0])?, predictions::load(&paths[1])?];
    if [of_hold_out, of_test].iter().any(|made| made.weights != weights) {
        return Ok(Value::Null);
    }
    let multiply_adds = cost::by_exit(&run.network.build(input_from(facts))?);
    if multiply_adds.len() < 2 || hold_out.len() < multiply_adds.len() {
        return Ok(Value::Null);
    }
    let entries =
        summarise(&Network { hold_out: &hold_out, test: &test, multiply_adds: &multiply_adds })?;
    let mut measures = Map::new();
    for entry in entries {
        let value = json!(entry.value);
        match (entry.exit, measures.get_mut(&entry.measure)) {
            (Some(_), Some(Value::Array(exits))) => exits.push(value),
            (Some(_), _) => drop(measures.insert(entry.measure, json!([value]))),
            (None, _) => drop(measures.insert(entry.measure, value)),
        }
    }
    Ok(Value::Object(measures))
}
