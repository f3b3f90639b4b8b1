//! Initial weights, as in the authors' Torch code: convolutions from N(0, 2 / (k k c_out)), batch
//! normalisation 1 and 0, linear layers uniform in +-1/sqrt(fan_in), every other bias 0.
//!
//! Of a convolution in g groups an input reaches c_out / g outputs, so c_out / g stands for c_out. A
//! convolution with a bias and without batch normalisation has nothing that sets the size of its
//! output; it is drawn from N(0, 2 / (k k c_in)), which keeps it (He et al., arXiv 1502.01852, equation 10).
//!
//! Each parameter has a random stream of its own, which the seed and the text `FAMILY/PLACE/ROLE`
//! determine. So networks that differ in an exit alone begin with equal weights elsewhere, and
//! their difference is the exit's.

use anyhow::Result;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, Uniform};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use super::graph::{Layer, Network, NodeId};
use super::weights::{ParameterSpec, Role, Weights};

/// Fresh weights in 32-bit floats, which `seed` and each parameter's place determine.
///
/// # Errors
/// When LibTorch cannot allocate them.
pub fn initialise(network: &Network, seed: u64, device: Device) -> Result<Weights> {
    let weights = Weights::zeros(network, Kind::Float, device)?;
    for (spec, view) in weights.specs().iter().zip(weights.views()) {
        let values = draw(network, spec, &mut stream(network, spec, seed))?;
        let tensor = Tensor::f_from_slice(&values)?.f_view(spec.shape.as_slice())?;
        tch::no_grad(|| view.shallow_clone().f_copy_(&tensor))?;
    }
    Ok(weights)
}

/// The parameter's random stream: its seed is SHA-256 of `SEED/FAMILY/PLACE/ROLE`.
fn stream(network: &Network, spec: &ParameterSpec, seed: u64) -> ChaCha8Rng {
    let role = match spec.role {
        Role::Weight => "weight",
        Role::Bias => "bias",
        Role::Gamma => "gamma",
        Role::Beta => "beta",
    };
    let place = &network.nodes()[spec.node].place;
    let text = format!("{seed}/{}/{place}/{role}", network.family());
    ChaCha8Rng::from_seed(Sha256::digest(text).into())
}

fn draw(network: &Network, spec: &ParameterSpec, rng: &mut ChaCha8Rng) -> Result<Vec<f32>> {
    let count = spec.shape.iter().product::<i64>() as usize;
    let node = &network.nodes()[spec.node];
    Ok(match (spec.role, &node.layer) {
        (Role::Weight, Layer::Conv { kernel, groups, bias, .. }) => {
            let channels = match *bias && !is_normalised(network, spec.node) {
                true => network.input_channels(spec.node),
                false => node.channels,
            };
            let normal =
                Normal::new(0.0, (2.0 / (kernel * kernel * channels / groups) as f64).sqrt())?;
            (0..count).map(|_| normal.sample(rng) as f32).collect()
        }
        (Role::Weight, _) => {
            let bound = 1.0 / (network.input_channels(spec.node) as f64).sqrt();
            let uniform = Uniform::new_inclusive(-bound, bound)?;
            (0..count).map(|_| uniform.sample(rng) as f32).collect()
        }
        (Role::Gamma, _) => vec![1.0; count],
        (Role::Bias | Role::Beta, _) => vec![0.0; count],
    })
}

fn is_normalised(network: &Network, id: NodeId) -> bool {
    let mut readers = network.nodes().iter().filter(|node| node.inputs.contains(&id));
    readers.any(|reader| reader.layer == Layer::BatchNorm)
}
