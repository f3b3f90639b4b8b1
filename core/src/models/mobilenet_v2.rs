//! MobileNetV2 (Sandler et al., arXiv 1801.04381): inverted residuals with linear bottlenecks.
//!
//! Weights are named as in torchvision, so that its pretrained ones fit.

use anyhow::Result;

use super::units::exit_after;
pub use super::width::Config;
use super::width::{check_halvings, check_width};
use super::{Input, check_exits_after};
use crate::nn::{Builder, Conv, Feature, Network};

/// Expansion t, channels c, repeats n, stride s of the first repeat (paper, Table 2).
const ROWS: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];
/// Channels of the first and of the last convolution.
const STEM: usize = 32;
const HEAD: usize = 1280;
/// Numbers of channels are multiples of this.
const DIVISOR: usize = 8;
/// Dropout before the last layer, as in torchvision.
const DROPOUT: f64 = 0.2;

/// One block's numbers.
struct Block {
    expansion: usize,
    channels: usize,
    stride: usize,
}

exits_by_list!(_config => blocks(), "block");

/// The graph of a MobileNetV2.
///
/// # Errors
/// Returns an error naming the invalid key.
pub fn build(config: &Config, input: Input) -> Result<Network> {
    validate(config, input)?;
    let (mut net, image) = Builder::new(input.channels, input.side);
    let stem = Conv::three(scaled(STEM, config.width), config.stem.stride());
    let mut x = net.scope("features.0", |net| conv_bn_relu6(net, image, stem));
    net.map(x, 0);
    for (number, block) in (1..).zip(table(config)) {
        x = net.scope(format!("features.{number}"), |net| inverted_residual(net, x, &block));
        net.map(x, number);
        exit_after(&mut net, &config.exits_after, number, x, input.classes);
    }
    let head = Conv::pointwise(scaled(HEAD, config.width.max(1.0)));
    let name = format!("features.{}", blocks() + 1);
    let h = net.scope(name, |net| conv_bn_relu6(net, x, head));
    let h = net.global_avg_pool(h);
    let h = net.dropout(h, DROPOUT);
    let logits = net.linear(h, input.classes, "classifier.1");
    net.exit(logits, blocks());
    Ok(net.finish())
}

/// Expansion, depthwise convolution, linear bottleneck; the input is added where the shape stays
/// (paper, section 3.3).
fn inverted_residual(net: &mut Builder, x: Feature, block: &Block) -> Feature {
    let h = net.scope("conv", |net| {
        let (mut h, mut entry) = (x, 0);
        if block.expansion > 1 {
            let expand = Conv::pointwise(block.expansion * x.channels);
            h = net.scope("0", |net| conv_bn_relu6(net, h, expand));
            entry = 1;
        }
        let filter = Conv::depthwise(h.channels, block.stride);
        h = net.scope(entry.to_string(), |net| conv_bn_relu6(net, h, filter));
        h = net.conv_as(&(entry + 1).to_string(), h, Conv::pointwise(block.channels));
        net.batch_norm_as(&(entry + 2).to_string(), h)
    });
    if block.stride == 1 && block.channels == x.channels { net.add(x, h) } else { h }
}

fn conv_bn_relu6(net: &mut Builder, x: Feature, conv: Conv) -> Feature {
    let h = net.conv(x, conv);
    let h = net.batch_norm(h);
    net.relu6(h)
}

/// `channels * width`, rounded half up to a multiple of 8, at least 8, and 8 more where that is below
/// 90 %.
fn scaled(channels: usize, width: f64) -> usize {
    let wanted = channels as f64 * width;
    let half_up = (wanted + DIVISOR as f64 / 2.0) as usize / DIVISOR * DIVISOR;
    let rounded = half_up.max(DIVISOR);
    if (rounded as f64) < 0.9 * wanted { rounded + DIVISOR } else { rounded }
}

/// Inverted residual blocks.
fn blocks() -> usize {
    ROWS.iter().map(|(_, _, repeats, _)| repeats).sum()
}

/// All blocks in order.
fn table(config: &Config) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (row, (expansion, channels, repeats, stride)) in ROWS.into_iter().enumerate() {
        let first = if row == 1 { config.stem.stride() } else { stride };
        for repeat in 0..repeats {
            let stride = if repeat == 0 { first } else { 1 };
            blocks.push(Block { expansion, channels: scaled(channels, config.width), stride });
        }
    }
    blocks
}

pub(super) fn short_name(config: &Config) -> String {
    config.name_of("mobilenet-v2")
}

fn validate(config: &Config, input: Input) -> Result<()> {
    check_width(config.width)?;
    let strides: Vec<usize> = table(config).iter().map(|block| block.stride).collect();
    check_halvings(input.side, config.stem.stride(), &strides)?;
    check_exits_after(&config.exits_after, blocks(), UNIT)
}

/// A published network: width, multiply-adds at 224 pixels, parameters (of 1,000 classes), top-1
/// accuracy on ImageNet in percent (paper, Table 4, and its public checkpoints). The counts are
/// exact; what is published is rounded.
pub const PUBLISHED: [(f64, u64, u64, f64); 5] = [
    (1.4, 582_195_824, 6_108_776, 75.0),
    (1.0, 300_774_272, 3_504_872, 71.8),
    (0.75, 209_069_792, 2_636_424, 69.8),
    (0.5, 97_131_840, 1_968_680, 65.4),
    (0.35, 59_285_808, 1_677_128, 60.3),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Stem;

    #[test]
    fn channels_are_multiples_of_8_and_never_below_90_percent() {
        // 24 x 0.35 = 8.4; 32 x 0.35 = 11.2 would be 8, which is below 90 %.
        assert_eq!([scaled(24, 0.35), scaled(32, 0.35), scaled(16, 0.35)], [8, 16, 8]);
        assert_eq!([scaled(24, 1.4), scaled(320, 1.4), scaled(1280, 1.4)], [32, 448, 1792]);
    }

    #[test]
    fn published_sizes_are_counted_to_the_unit() {
        for (width, multiply_adds, parameters, _) in PUBLISHED {
            let config = Config { width, stem: Stem::Imagenet, exits_after: vec![] };
            let input = Input { channels: 3, side: 224, classes: 1000 };
            let cost = crate::cost::table(&build(&config, input).unwrap())[0];
            assert_eq!((cost.multiply_adds, cost.parameters), (multiply_adds, parameters));
        }
    }
}
