//! Weights in and out: a state dict becomes a finished run, a run's weights a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use tch::Tensor;

use super::context::tell;
use crate::data::{Dataset, hex};
use crate::experiment::{FORMAT, Progress, Run};
use crate::import::{fit, read_states};
use crate::models::{Input, NetworkConfig};
use crate::results::{RunFolder, checkpoint, runfiles};
use crate::train::without_momentum;

/// What is imported, and as what.
pub struct Import<'a> {
    /// A state dict: safetensors, or a file of `torch.save`.
    pub weights: &'a Path,
    /// The network that it is of.
    pub network: &'a NetworkConfig,
    /// The data set that it was trained on.
    pub dataset: &'a Dataset,
    /// The seed that it stands for.
    pub seed: u64,
    /// Folder for runs.
    pub runs: &'a Path,
    /// Folder with the data sets.
    pub data: &'a Path,
    /// Whether other weights imported before are replaced.
    pub force: bool,
}

/// Makes a finished run of weights from elsewhere; its folder is the one that its configuration
/// has.
///
/// # Errors
/// When the weights cannot be read or do not fit (every tensor that does not is listed), or others
/// are there already.
pub fn import_run(import: &Import) -> Result<RunFolder> {
    let facts = import.dataset.facts(import.data)?;
    let input = Input::from(&facts);
    let network = import.network.build(input)?;
    let shown = import.weights.display();
    let fitted = fit(&network, read_states(import.weights)?)
        .with_context(|| format!("{shown}, as a network for {}", import.dataset))?;
    if let Some(taken) = fitted.taken {
        tell(format!("{shown}: {taken}"));
    }
    let weights = fitted.weights;
    let run = Run::of_weights(import.network, import.dataset, import.seed)?;
    let folder = RunFolder::of(import.runs, &run);
    let Some(_lock) = folder.try_lock()? else {
        bail!("{}: another process is writing it", folder.path().display());
    };
    let tensors = weights.named()?;
    if is_there(&folder, &tensors, import.force)? {
        return Ok(folder);
    }
    let source = source(import.weights)?;
    runfiles::write_run_yaml(&folder.run_yaml(), &run, "", Some(&source), None)?;
    let progress = Progress {
        format: FORMAT,
        run,
        data: String::new(),
        epoch: 0,
        step: 0,
        loss_sum: 0.0,
        log: Vec::new(),
        source: Some(source),
    };
    checkpoint::save(&folder.checkpoint(), &progress, &tensors)?;
    Ok(folder)
}

/// Whether the folder holds the same weights already.
fn is_there(folder: &RunFolder, tensors: &[(String, Tensor)], force: bool) -> Result<bool> {
    let path = folder.checkpoint();
    if force || !path.exists() {
        return Ok(false);
    }
    let same = match checkpoint::load(&path) {
        Ok((_, mut old)) => {
            let mut new: Vec<&(String, Tensor)> = tensors.iter().collect();
            new.sort_by(|a, b| a.0.cmp(&b.0));
            old.sort_by(|a, b| a.0.cmp(&b.0));
            old.len() == new.len()
                && old
                    .iter()
                    .zip(new)
                    .all(|(a, b)| a.0 == b.0 && a.1.size() == b.1.size() && a.1 == b.1)
        }
        Err(_) => false,
    };
    if !same {
        bail!(
            "{} holds other weights; --force replaces them, --seed N gives these a run of their own",
            folder.path().display()
        );
    }
    Ok(true)
}

fn source(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let hex = hex(&Sha256::digest(&bytes));
    let name = path.file_name().unwrap_or(path.as_os_str());
    Ok(format!("{}, sha256 {hex}", name.to_string_lossy()))
}

/// Writes a run's state dict, without momentum, and returns where: `out`, or a file here that has
/// the run's name.
///
/// # Errors
/// When the run has no whole checkpoint or the file cannot be written.
pub fn export_run(folder: &RunFolder, out: Option<&Path>) -> Result<PathBuf> {
    let (_, state) = state_of(folder)?;
    let out = named_after(folder, out, "safetensors")?;
    checkpoint::save_tensors(&out, &state)?;
    Ok(out)
}

/// How far a run has come, and its state dict, without momentum.
pub(super) fn state_of(folder: &RunFolder) -> Result<(Progress, Vec<(String, Tensor)>)> {
    let (progress, tensors) = checkpoint::load(&folder.checkpoint())?;
    Ok((progress, without_momentum(tensors)))
}

/// `out`, or a file here with the run's name and this ending.
pub(super) fn named_after(folder: &RunFolder, out: Option<&Path>, ending: &str) -> Result<PathBuf> {
    if let Some(out) = out {
        return Ok(out.to_path_buf());
    }
    let path = std::path::absolute(folder.path())?;
    let name = path.file_name().context("a run folder without a name")?;
    Ok(PathBuf::from(format!("{}.{ending}", name.to_string_lossy())))
}
