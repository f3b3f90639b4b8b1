//! MSDNet (Huang et al., ICLR 2018, section 4): feature maps at several scales at every layer,
//! dense connections within and between scales, classifiers on the coarsest scale.
//!
//! Layer l at scale s is `x_l^s = [x_{l-1}^s, h~(x_{l-1}^{s-1}), h(x_{l-1}^s)]` (paper, Fig. 4): `x_l^s` is all
//! features of scale s up to layer l, not those of layer l alone.
//! Weights are named as in the authors' PyTorch port, so that its checkpoints fit.

mod config;

use anyhow::{Result, ensure};

use super::Input;
pub use super::Stem;
use super::units::{classifier_place, conv_bn_relu, convolutional_classifier};
use crate::nn::{Builder, Conv, Feature, Network};
pub use config::{Config, Exits, Spacing};
pub(super) use config::{
    FOR_EARLY_EXIT, UNIT, depth, exits, make_canonical, set_exits, short_name,
};

/// The graph of an MSDNet.
///
/// # Errors
/// Returns an error naming the invalid key.
pub fn build(config: &Config, input: Input) -> Result<Network> {
    config.validate(input)?;
    let exits = config.exit_layers()?;
    let (mut net, image) = Builder::new(input.channels, input.side);
    let mut grid = Grid::new(config, exits[exits.len() - 1]);
    let mut scales = net.scope("blocks.0.0", |net| stem(net, config, image));
    scales.iter().for_each(|&x| net.map(x, 0));
    for (block, &last) in exits.iter().enumerate() {
        // The stem is the first entry of the first block.
        let mut entry = usize::from(block == 0);
        while grid.layer < last {
            scales = grid.next(&mut net, &scales, block, &mut entry)?;
            scales.iter().for_each(|&x| net.map(x, grid.layer));
        }
        let coarsest = scales[scales.len() - 1];
        let width = match config.stem {
            Stem::Cifar => 128,
            Stem::Imagenet => coarsest.channels,
        };
        // The name counts exits, as the port's does; the place must not.
        let logits = net.at(format!("classifier.{block}"), classifier_place(last), |net| {
            convolutional_classifier(net, coarsest, width, input.classes)
        });
        net.exit(logits, last);
    }
    Ok(net.finish())
}

/// Layer `number` (Fig. 4): at each scale the input, a strided part from the finer scale, a regular part.
/// `scales` are those of the layer before. A layer that `drops` the finest of them still reads it as the finer
/// input of the next, but has no output there.
fn layer(
    net: &mut Builder,
    config: &Config,
    scales: &[Feature],
    number: usize,
    (finest, drops): (usize, bool),
) -> Vec<Feature> {
    let first = usize::from(drops);
    let mut outputs = Vec::with_capacity(scales.len());
    for position in first..scales.len() {
        let scale = finest + position - first;
        let finer = position.checked_sub(1).map(|p| scales[p]);
        let name = format!("layers.{}", position - first);
        outputs.push(net.at(name, grid_place(number, scale), |net| {
            node(net, config, scales[position], finer, scale)
        }));
    }
    outputs
}

/// `x_l^s` from `x` at scale `scale` (from 0) and, where there is one, the finer scale's feature.
fn node(
    net: &mut Builder,
    config: &Config,
    x: Feature,
    finer: Option<Feature>,
    scale: usize,
) -> Feature {
    let growth = config.growth * config.scale_growth[scale];
    let mut parts = if config.dense { vec![x] } else { vec![] };
    let regular = match finer {
        None => growth,
        Some(finer) => {
            let strided = growth / 2;
            let width = config.bottleneck[scale - 1] * strided;
            parts.push(net.at("conv_down.net", "strided", |net| {
                bottlenecked(net, finer, width, Conv::three(strided, 2))
            }));
            growth - strided
        }
    };
    let width = config.bottleneck[scale] * regular;
    parts.push(net.at("conv_normal.net", "regular", |net| {
        bottlenecked(net, x, width, Conv::three(regular, 1))
    }));
    net.concat(&parts)
}

/// h and h~: 1x1 bottleneck and 3x3 convolution, each with batch normalisation and ReLU.
fn bottlenecked(net: &mut Builder, x: Feature, width: usize, conv: Conv) -> Feature {
    let h = conv_bn_relu(net, x, Conv::pointwise(width.min(x.channels)));
    conv_bn_relu(net, h, conv)
}

/// Layer 0: one feature a scale, each a strided convolution of the finer one. Without multi-scale maps only
/// the finest is read, so there is no other.
fn stem(net: &mut Builder, config: &Config, image: Feature) -> Vec<Feature> {
    let channels = |scale: usize| config.channels * config.scale_growth[scale];
    let finest = match config.stem {
        Stem::Cifar => net.at("layers.0.net", grid_place(0, 0), |net| {
            conv_bn_relu(net, image, Conv::three(channels(0), 1))
        }),
        Stem::Imagenet => net.at("layers.0", grid_place(0, 0), |net| {
            // The reference leaves a bias on this one convolution.
            let conv = Conv { kernel: 7, padding: 3, bias: true, ..Conv::three(channels(0), 2) };
            let h = conv_bn_relu(net, image, conv);
            net.max_pool(h, 3, 2, 1)
        }),
    };
    let mut scales = vec![finest];
    let count = if config.multi_scale { config.scales() } else { 1 };
    for scale in 1..count {
        let finer = scales[scale - 1];
        scales.push(net.at(format!("layers.{scale}.net"), grid_place(0, scale), |net| {
            conv_bn_relu(net, finer, Conv::three(channels(scale), 2))
        }));
    }
    scales
}

/// Layer and scale (from 0) in words.
fn grid_place(layer: usize, scale: usize) -> String {
    format!("layer {layer}, scale {}", scale + 1)
}

/// A 1x1 convolution a scale, from the same base number of channels at each.
fn transition(
    net: &mut Builder,
    config: &Config,
    scales: &[Feature],
    finest: usize,
) -> Result<Vec<Feature>> {
    let mut outputs = Vec::with_capacity(scales.len());
    for (position, &x) in scales.iter().enumerate() {
        let factor = config.scale_growth[finest + position];
        let channels =
            (config.compression * (x.channels / factor) as f64).floor() as usize * factor;
        ensure!(
            channels > 0,
            "compression: {} leaves no channel of {}",
            config.compression,
            x.channels
        );
        let place = format!("scale {}", finest + position + 1);
        outputs.push(net.at(format!("m.{position}.net"), place, |net| {
            conv_bn_relu(net, x, Conv::pointwise(channels))
        }));
    }
    Ok(outputs)
}

/// Where in the grid of layers and scales the definition is.
struct Grid<'a> {
    config: &'a Config,
    /// Layers in each of the S parts of network reduction.
    interval: usize,
    /// Layers so far.
    layer: usize,
}

impl<'a> Grid<'a> {
    fn new(config: &'a Config, layers: usize) -> Grid<'a> {
        let interval = if config.reduce { layers.div_ceil(config.scales()) } else { layers };
        Grid { config, interval, layer: 0 }
    }

    /// How many of the finest scales layer `n` no longer has (paper, section 4, "Network reduction").
    fn dropped(&self, n: usize) -> usize {
        n.saturating_sub(1) / self.interval
    }

    /// One more layer, and the transition where a scale has just been dropped.
    fn next(
        &mut self,
        net: &mut Builder,
        scales: &[Feature],
        block: usize,
        entry: &mut usize,
    ) -> Result<Vec<Feature>> {
        self.layer += 1;
        let finest = self.dropped(self.layer);
        let drops = finest > self.dropped(self.layer - 1);
        let name = format!("blocks.{block}.{entry}");
        *entry += 1;
        let (config, number) = (self.config, self.layer);
        if !config.multi_scale {
            let (place, x) = (grid_place(number, finest), scales[0]);
            ensure!(
                !(config.dense && drops && x.side % 2 == 1),
                "multi_scale: false halves a map of {0}x{0} pixels, whose side must be even for that; take images of \
                 another side, fewer scales, or dense: false",
                x.side
            );
            return Ok(vec![
                net.at(name, place, |net| chain_layer(net, config, x, finest, drops)),
            ]);
        }
        let scales = net.scope(name, |net| layer(net, config, scales, number, (finest, drops)));
        if !drops || config.compression == 0.0 || !config.dense {
            return Ok(scales);
        }
        let name = format!("blocks.{block}.{entry}");
        *entry += 1;
        net.place(format!("transition {finest}"), |net| {
            net.transition(self.layer);
            net.scope(name, |net| transition(net, config, &scales, finest))
        })
    }
}

/// A layer of the ablation without multi-scale maps: one feature, which goes to the next coarser
/// scale where the full network drops one.
fn chain_layer(
    net: &mut Builder,
    config: &Config,
    x: Feature,
    scale: usize,
    drops: bool,
) -> Feature {
    let growth = config.growth * config.scale_growth[scale];
    let width = config.bottleneck[scale] * growth;
    let stride = if drops { 2 } else { 1 };
    let h = net.scope("layers.0.conv_normal.net", |net| {
        bottlenecked(net, x, width, Conv::three(growth, stride))
    });
    match (config.dense, drops) {
        (false, _) => h,
        (true, false) => net.concat(&[x, h]),
        (true, true) => {
            let x = net.avg_pool(x, 2);
            net.concat(&[x, h])
        }
    }
}

/// A published network: name, exits, layer of the first, spacing, multiply-adds of all exits, parameters.
/// The counts are those of the authors' PyTorch port without its ReLUs, pools and biases.
pub type Published = (&'static str, usize, usize, Spacing, u64, u64);

/// For CIFAR-100 (paper, section 5): 16 channels, growth 6, three scales.
pub const CIFAR_100: [Published; 4] = [
    ("msdnet-anytime-7", 7, 4, Spacing::Even(2), 75_487_744, 3_067_960),
    ("msdnet-anytime-10", 10, 4, Spacing::Even(2), 121_086_976, 4_955_644),
    ("msdnet-budgeted-5", 5, 1, Spacing::Growing(1), 58_087_936, 2_078_924),
    ("msdnet-budgeted-7", 7, 1, Spacing::Growing(1), 136_565_248, 3_966_664),
];

/// For ImageNet (paper, section 5; k = 4 and 7): 32 channels, growth 16, four scales.
pub const IMAGENET: [Published; 2] = [
    ("msdnet-imagenet-k4", 5, 4, Spacing::Even(4), 1_355_606_016, 23_958_440),
    ("msdnet-imagenet-k7", 5, 7, Spacing::Even(7), 3_246_180_864, 62_314_472),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(row: Published, stem: Stem, channels: usize, growth: usize, factors: &[usize]) {
        let (name, exits, first, spacing, multiply_adds, parameters) = row;
        let config = Config {
            stem,
            channels,
            growth,
            scale_growth: factors.to_vec(),
            bottleneck: factors.to_vec(),
            exits: Exits::Count(exits),
            first_exit: Some(first),
            spacing: Some(spacing),
            compression: 0.5,
            reduce: true,
            dense: true,
            multi_scale: true,
        };
        let (side, classes) = if stem == Stem::Cifar { (32, 100) } else { (224, 1000) };
        let network = build(&config, Input { channels: 3, side, classes }).unwrap();
        let cost = *crate::cost::table(&network).last().unwrap();
        assert_eq!((cost.multiply_adds, cost.parameters), (multiply_adds, parameters), "{name}");
    }

    #[test]
    fn published_networks_are_counted_to_the_unit() {
        CIFAR_100.into_iter().for_each(|row| check(row, Stem::Cifar, 16, 6, &[1, 2, 4]));
        let factors = [1, 2, 4, 4];
        IMAGENET.into_iter().for_each(|row| check(row, Stem::Imagenet, 32, 16, &factors));
    }
}
