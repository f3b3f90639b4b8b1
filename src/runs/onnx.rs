//! A run as an ONNX model, for other runtimes.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::json;

use super::data::input_from;
use super::import::{named_after, state_of};
use super::known::Known;
use crate::cost;
use crate::data::Facts;
use crate::import::{State, fit, onnx};
use crate::nn::Network;
use crate::results::atomic;

/// Writes a run's network and weights as an ONNX model and returns where: `out`, or a file here that
/// has the run's name. With `exit` (from 1) the model ends there; else every exit is an output.
/// `data` is the folder with the data sets.
///
/// # Errors
/// When the run has no whole checkpoint or is not trained to its end, has no such exit, or the file cannot
/// be written.
pub fn export_onnx(
    known: &Known,
    exit: Option<usize>,
    data: &Path,
    out: Option<&Path>,
) -> Result<PathBuf> {
    let classes = known.classes(data);
    let (progress, state) = state_of(&known.folder)?;
    let facts = known.facts()?;
    let network = progress.run.network.build(input_from(&facts))?;
    let count = network.exits().len();
    let exits = match exit {
        None => (0..count).collect(),
        Some(exit) => {
            ensure!((1..=count).contains(&exit), "--exit: {exit} is out of range (1 to {count})");
            vec![exit - 1]
        }
    };
    let state = State { key: String::new(), tensors: state };
    let weights = fit(&network, vec![state])?.weights;
    let metadata = metadata(&network, &exits, &facts, &classes);
    let bytes = onnx::model(&network, &weights, &exits, &metadata)?;
    let out = named_after(&known.folder, out, "onnx")?;
    atomic::write(&out, &bytes)?;
    Ok(out)
}

/// What the outputs are and cost, and what the input wants: keys with JSON as values.
fn metadata(
    network: &Network,
    exits: &[usize],
    facts: &Facts,
    classes: &[String],
) -> Vec<(String, String)> {
    let costs = cost::table(network);
    let exits: Vec<_> = exits
        .iter()
        .map(|&exit| {
            json!({
                "output": onnx::output_name(exit),
                "exit": exit + 1,
                "depth": network.exits()[exit].depth,
                "multiply_adds": costs[exit].multiply_adds,
                "multiply_adds_single": costs[exit].multiply_adds_single,
                "parameters": costs[exit].parameters,
            })
        })
        .collect();
    let pairs = [
        ("exits", json!(exits)),
        ("mean", json!(facts.mean)),
        ("std", json!(facts.std)),
        ("classes", json!(classes)),
    ];
    pairs.map(|(key, value)| (key.to_string(), value.to_string())).to_vec()
}
