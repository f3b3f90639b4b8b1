//! MobileNet (Howard et al., arXiv 1704.04861): depthwise separable convolutions, made thinner by a
//! width multiplier.
//!
//! Weights are named as in the public implementation for CIFAR (conv1, bn1, layers.N, linear).

use anyhow::{Result, ensure};

use super::units::{exit_after, pooled_classifier};
pub use super::width::Config;
use super::width::{check_halvings, check_width};
use super::{Input, check_exits_after};
use crate::nn::{Builder, Conv, Feature, Network};

/// Channels of the first convolution (paper, Table 1).
const STEM: usize = 32;

/// Channels and stride of each depthwise separable block (paper, Table 1).
const BLOCKS: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

exits_by_list!(_config => BLOCKS.len(), "block");

/// The graph of a MobileNet.
///
/// # Errors
/// Returns an error naming the invalid key.
pub fn build(config: &Config, input: Input) -> Result<Network> {
    validate(config, input)?;
    let (mut net, image) = Builder::new(input.channels, input.side);
    let stem = Conv::three(scaled(STEM, config.width), config.stem.stride());
    let mut x = conv_bn_relu(&mut net, 1, image, stem);
    net.map(x, 0);
    for (block, (channels, stride)) in (1..).zip(BLOCKS) {
        x = net.scope(format!("layers.{}", block - 1), |net| {
            separable(net, x, scaled(channels, config.width), stride)
        });
        net.map(x, block);
        exit_after(&mut net, &config.exits_after, block, x, input.classes);
    }
    let logits = pooled_classifier(&mut net, x, input.classes);
    net.exit(logits, BLOCKS.len());
    Ok(net.finish())
}

/// A depthwise convolution filters, a pointwise one combines (paper, section 3.1).
fn separable(net: &mut Builder, x: Feature, channels: usize, stride: usize) -> Feature {
    let h = conv_bn_relu(net, 1, x, Conv::depthwise(x.channels, stride));
    conv_bn_relu(net, 2, h, Conv::pointwise(channels))
}

/// Convolution, batch normalisation, ReLU; its weights are called `conv` and `bn` and a number.
fn conv_bn_relu(net: &mut Builder, number: usize, x: Feature, conv: Conv) -> Feature {
    let h = net.conv_as(&format!("conv{number}"), x, conv);
    let h = net.batch_norm_as(&format!("bn{number}"), h);
    net.relu(h)
}

/// `count * width`, rounded down.
fn scaled(count: usize, width: f64) -> usize {
    (count as f64 * width) as usize
}

pub(super) fn short_name(config: &Config) -> String {
    config.name_of("mobilenet")
}

fn validate(config: &Config, input: Input) -> Result<()> {
    check_width(config.width)?;
    ensure!(
        scaled(STEM, config.width) > 0,
        "width: {} leaves the first convolution without channels; at least {} is needed",
        config.width,
        1.0 / STEM as f64
    );
    let strides = BLOCKS.map(|(_, stride)| stride);
    check_halvings(input.side, config.stem.stride(), &strides)?;
    check_exits_after(&config.exits_after, BLOCKS.len(), UNIT)
}

/// A published network: width, pixels a side, multiply-adds, parameters (of 1,000 classes), top-1
/// accuracy on ImageNet in percent (paper, Tables 6 and 7). The counts are exact; the paper rounds
/// them.
pub const PUBLISHED: [(f64, usize, u64, u64, f64); 7] = [
    (1.0, 224, 568_740_352, 4_231_976, 70.6),
    (0.75, 224, 325_400_448, 2_585_560, 68.4),
    (0.5, 224, 149_497_088, 1_331_592, 63.7),
    (0.25, 224, 41_030_272, 470_072, 50.6),
    (1.0, 192, 418_121_728, 4_231_976, 69.1),
    (1.0, 160, 290_675_200, 4_231_976, 67.2),
    (1.0, 128, 186_400_768, 4_231_976, 64.4),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Stem;

    fn network(width: f64, stem: Stem, side: usize) -> Result<Network> {
        let config = Config { width, stem, exits_after: vec![] };
        build(&config, Input { channels: 3, side, classes: 1000 })
    }

    #[test]
    fn published_sizes_are_counted_to_the_unit() {
        for (width, side, multiply_adds, parameters, _) in PUBLISHED {
            let network = network(width, Stem::Imagenet, side).unwrap();
            let cost = crate::cost::table(&network)[0];
            assert_eq!((cost.multiply_adds, cost.parameters), (multiply_adds, parameters));
        }
    }

    #[test]
    fn a_width_that_is_no_width_is_refused_with_the_range() {
        for (width, expected) in [
            (0.0, "width: 0 is out of range (0.001 to 16)"),
            (-1.0, "width: -1 is out of range"),
            (f64::NAN, "width: NaN is out of range"),
            (1e300, "is out of range"),
            (0.03, "width: 0.03 leaves the first convolution without channels; at least 0.03125"),
        ] {
            let error = network(width, Stem::Cifar, 32).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(network(0.03125, Stem::Cifar, 32).is_ok());
    }

    #[test]
    fn an_image_that_is_halved_to_nothing_is_refused_with_the_least_side() {
        for (stem, least) in [(Stem::Imagenet, 17), (Stem::Cifar, 9)] {
            assert!(network(1.0, stem, least).is_ok());
            let error = network(1.0, stem, least - 1).unwrap_err().to_string();
            assert!(error.contains(&format!("at least {least} are needed")), "{error}");
        }
    }

    #[test]
    fn exits_lie_inside_the_13_blocks() {
        for exits_after in [vec![0], vec![13], vec![3, 3]] {
            let config = Config { width: 1.0, stem: Stem::Cifar, exits_after };
            let error = build(&config, Input { channels: 3, side: 32, classes: 10 }).unwrap_err();
            assert!(error.to_string().starts_with("exits_after: "), "{error}");
        }
    }
}
