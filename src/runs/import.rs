//! Weights in and out: a state dict becomes a finished run, a run's weights a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::Tensor;

use super::classes;
use super::context::tell;
use super::data::input_from;
use crate::data::{Dataset, Facts, hex, plural};
use crate::experiment::{FORMAT, Progress, Run, explain};
use crate::import::{fit, read_states};
use crate::models::NetworkConfig;
use crate::nn::Weights;
use crate::results::began::Began;
use crate::results::{RunFolder, atomic, checkpoint, runfiles};
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
    let run = Run::of_weights(import.network, import.dataset, import.seed)?;
    // Once: what is read may be a pipe.
    let bytes = std::fs::read(import.weights)
        .with_context(|| format!("cannot read {}", import.weights.display()))?;
    let weights = weights_of(&run, None, import.weights, &bytes)?;
    let classes = run.dataset.folder_classes();
    let progress = Progress {
        format: FORMAT,
        run,
        data: String::new(),
        epoch: 0,
        step: 0,
        loss_sum: 0.0,
        log: Vec::new(),
        source: Some(source(import.weights, &bytes)),
    };
    let config = RunConfig { progress, classes, began: None };
    let folder = write_run(&config, &weights, import.runs, import.force)?;
    tell_normalisation(import.dataset, &import.dataset.facts()?);
    Ok(folder)
}

/// Nothing in the weights says how the images of their training were normalised.
fn tell_normalisation(dataset: &Dataset, facts: &Facts) {
    let shown =
        |values: &[f64]| values.iter().map(|v| format!("{v:.4}")).collect::<Vec<_>>().join(", ");
    tell(format!(
        "images are normalised as those of {dataset}: mean {}, standard deviation {}; weights trained with other \
         values will be less accurate",
        shown(&facts.mean),
        shown(&facts.std)
    ));
}

/// `config.json` of a published run: all that is known of it but its weights.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunConfig {
    /// The run, how far it came, and its log.
    #[serde(flatten)]
    pub progress: Progress,
    /// The names of the classes of an image folder, by label; cards from before have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// What began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<Began>,
}

/// Makes a finished run of a published one: a folder with `config.json` and `model.safetensors`.
///
/// # Errors
/// When the folder does not hold a finished run of this format, the weights do not fit, or others
/// are there already.
pub fn import_card(card: &Path, runs: &Path, force: bool) -> Result<RunFolder> {
    let path = card.join("config.json");
    let shown = path.display();
    let text = std::fs::read(&path).with_context(|| format!("cannot read {shown}"))?;
    let config: RunConfig = serde_json::from_slice(&text)
        .map_err(|error| anyhow!("{shown} is not a run's: {}", explain(&error.to_string())))?;
    let Progress { format, epoch, log, .. } = &config.progress;
    ensure!(
        *format == FORMAT,
        "{shown}: format: {format}, and this program reads {FORMAT}; export the run again"
    );
    ensure!(
        config.progress.is_finished() && log.len() == *epoch as usize,
        "{shown}: epoch: {epoch}, with {} in the log; only a finished run is imported",
        log.len()
    );
    let (run, kept) = (&config.progress.run, config.classes.as_deref());
    let model = card.join("model.safetensors");
    let bytes =
        std::fs::read(&model).with_context(|| format!("cannot read {}", model.display()))?;
    let weights = weights_of(run, kept, &model, &bytes)?;
    write_run(&config, &weights, runs, force)
}

/// The weights in the bytes of a file, as those of a run's network; `kept` are the classes of its image
/// folder.
fn weights_of(run: &Run, kept: Option<&[String]>, file: &Path, bytes: &[u8]) -> Result<Weights> {
    let facts = classes::facts(&run.dataset, kept)?;
    let network = run.network.build(input_from(&facts))?;
    let shown = file.display();
    let fitted = fit(&network, read_states(file, bytes)?)
        .with_context(|| format!("{shown}, as a network for {}", run.dataset))?;
    if let Some(taken) = fitted.taken {
        tell(format!("{shown}: {taken}"));
    }
    Ok(fitted.weights)
}

/// Writes a finished run, unless it is there already.
fn write_run(config: &RunConfig, weights: &Weights, runs: &Path, force: bool) -> Result<RunFolder> {
    let RunConfig { progress, classes, began } = config;
    let folder = RunFolder::of(runs, &progress.run);
    let Some(_lock) = folder.try_lock()? else {
        bail!("{}: another process is writing it", folder.path().display());
    };
    let tensors = weights.named()?;
    let yaml = folder.run_yaml();
    // A run from before the names of classes were kept gets them from a later card.
    let has_classes = || classes.is_none() || runfiles::read_classes(&yaml) == *classes;
    if is_there(&folder, &tensors, force)? && yaml.is_file() && has_classes() {
        return Ok(folder);
    }
    // First: a folder with `run.yaml` alone is one whose weights were damaged.
    checkpoint::save(&folder.checkpoint(), progress, &tensors)?;
    let source = progress.source.as_deref();
    let (began, classes) = (began.as_ref(), classes.as_deref());
    let Progress { run, data, .. } = progress;
    runfiles::write_run_yaml(&yaml, run, data, source, classes, began)?;
    if !progress.log.is_empty() {
        atomic::write(&folder.train_csv(), &runfiles::train_csv(&progress.log)?)?;
    }
    Ok(folder)
}

/// Whether the folder holds the same weights already.
fn is_there(folder: &RunFolder, tensors: &[(String, Tensor)], force: bool) -> Result<bool> {
    let path = folder.checkpoint();
    if force || !path.exists() {
        return Ok(false);
    }
    let same = match checkpoint::load(&path) {
        Ok((_, old)) => {
            let mut old = without_momentum(old);
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
            "{} holds other weights; --force replaces them; --run DIR keeps both, and so does --seed N unless a card is imported",
            folder.path().display()
        );
    }
    Ok(true)
}

fn source(path: &Path, bytes: &[u8]) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    format!("{}, sha256 {}", name.to_string_lossy(), hex(&Sha256::digest(bytes)))
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

/// What a run that is trained to its end says of itself, and its state dict, without momentum.
pub(super) fn state_of(folder: &RunFolder) -> Result<(Progress, Vec<(String, Tensor)>)> {
    let (progress, tensors) = checkpoint::load(&folder.checkpoint())?;
    // Where they are imported, nobody could tell them from weights that were trained to the end.
    ensure!(
        progress.is_finished(),
        "{} is trained for {} of {}, and is exported after the last; the command that trains it goes on from there",
        folder.path().display(),
        progress.epoch,
        plural(progress.run.training.as_ref().map_or(0, |t| t.epochs) as usize, "epoch")
    );
    Ok((progress, without_momentum(tensors)))
}

/// `out`, or a file here with the run's name and this ending.
pub(super) fn named_after(folder: &RunFolder, out: Option<&Path>, ending: &str) -> Result<PathBuf> {
    if let Some(out) = out {
        let place = std::path::absolute(out)?;
        let around = place.parent().and_then(|around| around.canonicalize().ok());
        let is_model = out.extension().is_some_and(|ending| ending == "onnx");
        ensure!(
            is_model || !out.is_file() || around != folder.path().canonicalize().ok(),
            "{} is a file of the run itself, and stays; name another",
            out.display()
        );
        return Ok(out.to_path_buf());
    }
    let path = std::path::absolute(folder.path())?;
    let name = path.file_name().context("a run folder without a name")?;
    Ok(PathBuf::from(format!("{}.{ending}", name.to_string_lossy())))
}
