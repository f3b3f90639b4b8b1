//! Weights from elsewhere: the reference port's state dict, as safetensors or as `torch.save`
//! writes it.

pub mod onnx;
mod pickle;
pub mod port;
mod torch_file;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tch::{Device, Kind, Tensor};

use crate::nn::{Network, Weights};
use crate::results::checkpoint::load_tensors;

/// What data-parallel training puts before every name.
const PREFIX: &str = "module.";
const COUNTER: &str = "num_batches_tracked";

/// A state dict by name, with the `module.` prefix taken off.
///
/// # Errors
/// Names the path and what is wrong with it.
pub fn read_state(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let is_safetensors = path.extension().is_some_and(|e| e == "safetensors");
    let named = if is_safetensors {
        load_tensors(path)?
    } else {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        torch_file::parse(&bytes)
            .with_context(|| format!("{} cannot be imported", path.display()))?
    };
    let bare = |name: String| name.strip_prefix(PREFIX).map_or(name.clone(), str::to_string);
    Ok(named.into_iter().map(|(n, t)| (bare(n), t)).collect())
}

/// The weights of `network` that a state dict holds.
///
/// # Errors
/// Lists every tensor that is missing, left over, of another shape or not finite.
pub fn fit(network: &Network, mut named: Vec<(String, Tensor)>) -> Result<Weights> {
    // PyTorch has counted batches only since 0.4.1; older files have no counter at all.
    if !named.iter().any(|(name, _)| name.ends_with(COUNTER)) {
        let counters = network.state().into_iter();
        let counters = counters.filter(|spec| spec.name.ends_with(COUNTER));
        named.extend(counters.map(|spec| (spec.name, Tensor::from(0i64))));
    }
    let mut weights = Weights::zeros(network, Kind::Float, Device::Cpu)?;
    weights.load(&named)?;
    let mut broken = Vec::new();
    for (name, tensor) in &named {
        let finite = tensor.f_to_kind(Kind::Float)?.f_isfinite()?.f_all()?;
        if !bool::try_from(&finite)? {
            broken.push(name.as_str());
        }
    }
    ensure!(
        broken.is_empty(),
        "{} tensors hold numbers that are not finite:\n  {}",
        broken.len(),
        broken.join("\n  ")
    );
    Ok(weights)
}

#[cfg(test)]
mod tests;
