//! What both MobileNets are configured by: a width multiplier, a stem, exits.

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Stem;

/// A MobileNet, of either version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Width multiplier (the paper's alpha), above 0 and at most 16: every number of channels is
    /// multiplied by it and rounded: in V1 down, in V2 to the nearest multiple of 8, never below 90 %.
    #[serde(default = "one")]
    pub width: f64,
    /// Stride of the first convolution, and in V2 of the second row: 1 for CIFAR, 2 for ImageNet.
    #[serde(default)]
    pub stem: Stem,
    /// Blocks, counted from 1, after which an intermediate classifier is attached.
    #[serde(default)]
    pub exits_after: Vec<usize>,
}

pub(super) fn one() -> f64 {
    1.0
}

impl Config {
    /// The name of `family` with its width and number of exits.
    pub(super) fn name_of(&self, family: &str) -> String {
        format!("{family}-{}-{}exits", self.width, self.exits_after.len() + 1)
    }
}

/// Narrowest and widest multiplier of channels.
const WIDTHS: std::ops::RangeInclusive<f64> = 0.001..=16.0;

pub(super) fn check_width(width: f64) -> Result<()> {
    ensure!(
        WIDTHS.contains(&width),
        "width: {width} is out of range ({} to {})",
        WIDTHS.start(),
        WIDTHS.end()
    );
    Ok(())
}

/// Checks that no map of a single pixel would be halved by the first convolution's stride and by
/// `strides`, each 1 or 2.
pub(super) fn check_halvings(side: usize, first: usize, strides: &[usize]) -> Result<()> {
    let halvings = strides.iter().chain([&first]).filter(|&&stride| stride == 2).count();
    let least = if halvings == 0 { 1 } else { (1 << (halvings - 1)) + 1 };
    let hint = if first == 2 { " (`stem: cifar` halves less often)" } else { "" };
    ensure!(
        side >= least,
        "an image of {side} pixels a side cannot be halved {halvings} times; at least {least} are needed{hint}"
    );
    Ok(())
}
