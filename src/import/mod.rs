//! Weights from elsewhere: the reference port's state dict, as safetensors or as `torch.save`
//! writes it, whatever the file is called and under whatever key and prefix the tensors lie.

mod names;
pub mod onnx;
mod pickle;
pub mod port;
mod torch_file;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tch::{Device, Kind, Tensor};

use crate::nn::{Network, Weights};
use crate::results::checkpoint::{is_safetensors, parse_tensors};

pub use names::State;

const COUNTER: &str = "num_batches_tracked";
const VARIANCE: &str = ".running_var";
/// Most tensors that an error names.
const MOST_NAMED: usize = 10;

/// Every dictionary of tensors in a file, whose format is recognised by its content.
///
/// # Errors
/// Names the path and what is wrong with it.
pub fn read_states(path: &Path, bytes: &[u8]) -> Result<Vec<State>> {
    let read = if is_safetensors(bytes) {
        parse_tensors(bytes).map(|tensors| vec![State { key: String::new(), tensors }])
    } else {
        torch_file::parse(bytes)
    };
    read.with_context(|| format!("{} cannot be imported", path.display()))
}

/// Weights, and what was taken of the file where that is not all of it.
#[derive(Debug)]
pub struct Fitted {
    /// The network's weights.
    pub weights: Weights,
    /// Which key and which prefix, and what is passed over, for people.
    pub taken: Option<String>,
}

/// The weights of `network` in the state dict whose names are most like the network's. Prefixes
/// that wrappers add, and the prefix of the network's names, are taken off; tensors without that prefix
/// are passed over.
///
/// # Errors
/// Says in one line which names are missing and which are left over, and lists tensors of another
/// shape and those with unusable numbers.
pub fn fit(network: &Network, states: Vec<State>) -> Result<Fitted> {
    let wanted: Vec<String> = network.state().into_iter().map(|spec| spec.name).collect();
    let chosen = names::choose(&wanted, states)?;
    let taken = chosen.describe();
    let mut named = chosen.tensors;
    // PyTorch has counted batches only since 0.4.1; older files have no counter at all.
    if !named.iter().any(|(name, _)| name.ends_with(COUNTER)) {
        let counters = wanted.iter().filter(|name| name.ends_with(COUNTER));
        named.extend(counters.map(|name| (name.clone(), Tensor::from(0i64))));
    }
    if let Some(difference) = names::difference(&wanted, &named, &chosen.left_over) {
        bail!(difference);
    }
    let mut weights = Weights::zeros(network, Kind::Float, Device::Cpu)?;
    weights.load(&named)?;
    ensure_usable(&named)?;
    Ok(Fitted { weights, taken })
}

/// Why a tensor of a file is of no use to any network.
fn fault(name: &str, tensor: &Tensor) -> Result<Option<&'static str>> {
    if name.ends_with(COUNTER) {
        let count = f64::try_from(tensor)?;
        return Ok((count < 0.0 || count.fract() != 0.0).then_some("no number of batches"));
    }
    let floats = tensor.f_to_kind(Kind::Float)?;
    Ok(if !tensor.is_floating_point() {
        Some("whole numbers, as of a quantised network, where floats belong")
    } else if !bool::try_from(floats.f_isfinite()?.f_all()?)? {
        Some("not finite, or too large for 32 bits")
    } else if name.ends_with(VARIANCE) && bool::try_from(floats.f_lt(0)?.f_any()?)? {
        Some("a variance below 0")
    } else {
        None
    })
}

fn ensure_usable(named: &[(String, Tensor)]) -> Result<()> {
    let mut broken = Vec::new();
    for (name, tensor) in named {
        if let Some(fault) = fault(name, tensor)? {
            broken.push(format!("{name}: {fault}"));
        }
    }
    let rest = broken.len().saturating_sub(MOST_NAMED);
    broken.truncate(MOST_NAMED);
    if rest > 0 {
        broken.push(format!("and {rest} more"));
    }
    ensure!(
        broken.is_empty(),
        "the file has numbers that no network can use:\n  {}",
        broken.join("\n  ")
    );
    Ok(())
}

#[cfg(test)]
mod tests;
