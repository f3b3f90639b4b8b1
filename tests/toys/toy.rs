//! A toy family: each layer adds channels that a 3x3 convolution makes of the maxima around each
//! pixel. `scripts/toys.sh` adds it to a copy of the program.

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{conv_bn_relu, pooled_classifier};
use super::{Input, check_exits_after, check_range};
use crate::nn::{Builder, Conv, Feature, Network};

/// Layers of a toy.
const LAYERS: usize = 5;

/// A toy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Channels that a layer adds.
    pub growth: usize,
    /// Layers, counted from 1, after which an intermediate classifier is attached.
    #[serde(default)]
    pub exits_after: Vec<usize>,
}

exits_by_list!(_config => LAYERS, "layer of maxima");

/// The graph of a toy.
///
/// # Errors
/// Returns an error naming the invalid key.
pub fn build(config: &Config, input: Input) -> Result<Network> {
    check_range("growth", config.growth, 64)?;
    check_exits_after(&config.exits_after, LAYERS, UNIT)?;
    let (mut net, image) = Builder::new(input.channels, input.side);
    let mut x = net.scope("stem", |net| conv_bn_relu(net, image, Conv::three(config.growth, 2)));
    net.map(x, 0);
    for layer in 1..=LAYERS {
        x = net.scope(format!("layers.{layer}"), |net| layer_of_maxima(net, x, config.growth));
        net.map(x, layer);
        if config.exits_after.contains(&layer) || layer == LAYERS {
            let name = format!("exits.{layer}");
            let logits = net.scope(name, |net| pooled_classifier(net, x, input.classes));
            net.exit(logits, layer);
        }
    }
    Ok(net.finish())
}

fn layer_of_maxima(net: &mut Builder, x: Feature, growth: usize) -> Feature {
    let maxima = net.max_pool(x, 3, 1, 1);
    let h = conv_bn_relu(net, maxima, Conv::three(growth, 1));
    net.concat(&[x, h])
}

pub(super) fn short_name(config: &Config) -> String {
    format!("toy-{}exits-g{}", config.exits_after.len() + 1, config.growth)
}
