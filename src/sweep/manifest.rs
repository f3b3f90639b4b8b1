//! The manifest: JSON lines, one run a line.

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::experiment::{Run, Training, explain, read_text};
use crate::runs::Task;

/// No training takes so long.
const MOST_SECONDS: f64 = 1e12;

/// One line of a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Place in the manifest, from 0.
    pub index: usize,
    /// Name of the run's folder: the same wherever the same run is planned.
    pub id: String,
    /// The network's name in the first experiment that needs it.
    pub name: String,
    /// The experiments that need it, as they were asked for.
    pub experiments: Vec<String>,
    /// Changes to those experiments, `key=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// The resolved configuration.
    pub run: Run,
    /// Multiply-adds of one image through all exits.
    pub multiply_adds: u64,
    /// Weights and biases.
    pub parameters: u64,
    /// Estimated seconds of training, or what it took where it is finished.
    pub seconds: f64,
}

impl Line {
    /// The run with its name.
    pub fn task(&self) -> Task {
        Task { name: self.name.clone(), run: self.run.clone() }
    }
}

/// The lines as JSON.
pub fn manifest_text(lines: &[Line]) -> Result<String> {
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    Ok(text)
}

/// Reads a manifest; `-` is standard input.
pub fn read_manifest(path: &str) -> Result<Vec<Line>> {
    parse(&read_text(path)?).with_context(|| format!("in the manifest {path}"))
}

fn parse(text: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let line = serde_json::from_str(line).map_err(|error| anyhow!(explain(&error.to_string())));
        let line: Line = line.with_context(|| {
            format!("line {number} is not a line of a manifest; `repro sweep plan EXPERIMENT > FILE` writes one")
        })?;
        ensure!(
            line.index == lines.len(),
            "line {number}: index {}, expected {}; a manifest is not to be cut or sorted",
            line.index,
            lines.len()
        );
        ensure!(
            line.id == line.run.folder_name(),
            "line {number}: {} is not the id of its run, which is {}; plan it again with this program",
            line.id,
            line.run.folder_name()
        );
        let training = line.run.training.as_ref();
        training.map_or(Ok(()), Training::validate).with_context(|| format!("line {number}"))?;
        ensure!(
            (0.0..MOST_SECONDS).contains(&line.seconds),
            "line {number}: seconds: {} is not in 0 to {MOST_SECONDS:e}",
            line.seconds
        );
        lines.push(line);
    }
    if lines.is_empty() {
        bail!("it holds no run; `repro sweep plan EXPERIMENT > FILE` writes one");
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_cannot_mean_is_refused_by_line_and_key() {
        let run = r#"{"network":{"resnet":{"blocks_per_stage":1}},"dataset":"synthetic","validation":200,"training":{"epochs":1,"batch_size":64},"seed":0}"#;
        let run: Run = serde_json::from_str(run).unwrap();
        let line = |run: &Run, seconds: f64| Line {
            index: 0,
            id: run.folder_name(),
            name: "A".to_string(),
            experiments: Vec::new(),
            changes: Vec::new(),
            run: run.clone(),
            multiply_adds: 1,
            parameters: 1,
            seconds,
        };
        let said = |line: Line| match parse(&manifest_text(&[line]).unwrap()) {
            Ok(_) => String::new(),
            Err(error) => format!("{error:#}"),
        };
        assert_eq!(said(line(&run, 1.0)), "");
        assert!(
            said(line(&run, 1e300)).starts_with("line 1: seconds: "),
            "{}",
            said(line(&run, 1e300))
        );
        let mut empty = run;
        empty.training.as_mut().unwrap().batch_size = 0;
        assert!(said(line(&empty, 1.0)).starts_with("line 1: training.batch_size"));
    }
}
