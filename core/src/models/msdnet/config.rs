//! What people write of an MSDNet, and its validation. The reference code's names are in
//! parentheses.

use anyhow::{Context, Result, bail, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::models::{Input, MOST_CHANNELS, Stem, check_range};

/// Where the classifiers are: how many, evenly or growingly spaced, or after which layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Exits {
    /// This many, placed by `first_exit` and `spacing`.
    Count(usize),
    /// After these layers; the last one is the network's last layer.
    Layers(Vec<usize>),
}

/// Layers from one exit to the next (the reference's `stepmode` and `step`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// `n` layers in every step (`stepmode: even`).
    Even(usize),
    /// `n i + 1` layers in the i-th step (`stepmode: lin_grow`).
    Growing(usize),
}

/// An MSDNet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The first layer and the classifiers' width: a 3x3 convolution and 128 channels for CIFAR;
    /// a strided 7x7 convolution, max pooling and as many channels as are read for ImageNet.
    #[serde(default)]
    pub stem: Stem,
    /// Channels of the first layer at scale 1, times `scale_growth` at the others (`nChannels`).
    pub channels: usize,
    /// Channels that a layer adds at scale 1, times `scale_growth` at the others (`growthRate`).
    pub growth: usize,
    /// Factor of each scale; its length is the number of scales (`grFactor`).
    pub scale_growth: Vec<usize>,
    /// Channels of a 1x1 bottleneck as a multiple of its branch's output, at most as many as its input
    /// has: a number for each scale that is read (`bnFactor`).
    pub bottleneck: Vec<usize>,
    /// How many exits, or after which layers (`nBlocks`).
    pub exits: Exits,
    /// Layer of the first exit (`base`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_exit: Option<usize>,
    /// Layers between exits.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "serde_yaml::with::singleton_map"
    )]
    #[schemars(with = "Option<Spacing>")]
    pub spacing: Option<Spacing>,
    /// What a transition leaves of the channels; 0 = no transition (`reduction`).
    #[serde(default = "half")]
    pub compression: f64,
    /// Whether the finest scale is dropped after each of S equal parts (`prune: max`).
    #[serde(default = "yes")]
    pub reduce: bool,
    /// Whether a layer keeps its input's channels (ablation, Fig. 10).
    #[serde(default = "yes")]
    pub dense: bool,
    /// Whether all scales are there at every layer (ablation, Fig. 10). Without, the network is a
    /// chain at one scale, which becomes coarser where the full network drops one.
    #[serde(default = "yes")]
    pub multi_scale: bool,
}

fn half() -> f64 {
    0.5
}

fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for Exits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Exits, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Exits;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a number of exits or a list of layers")
            }
            fn visit_u64<E: serde::de::Error>(self, count: u64) -> Result<Exits, E> {
                usize::try_from(count).map(Exits::Count).map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<Exits, E> {
                usize::try_from(count)
                    .map(Exits::Count)
                    .map_err(|_| E::custom("exits: a negative number"))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Exits, A::Error> {
                let mut layers = Vec::new();
                while let Some(layer) = seq.next_element()? {
                    layers.push(layer);
                }
                Ok(Exits::Layers(layers))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// More layers than any network has: a typing error, caught before memory runs out.
const MOST_LAYERS: usize = 10_000;

impl Config {
    /// Number of scales, S.
    pub fn scales(&self) -> usize {
        self.scale_growth.len()
    }

    /// The layers after which the exits are; the last is the network's number of layers, L.
    ///
    /// # Errors
    /// Returns an error naming the missing or invalid key.
    pub fn exit_layers(&self) -> Result<Vec<usize>> {
        match &self.exits {
            Exits::Layers(layers) => {
                ensure!(
                    self.first_exit.is_none() && self.spacing.is_none(),
                    "first_exit and spacing go with a number of exits; here `exits` lists the layers"
                );
                check_layers(layers)?;
                Ok(layers.clone())
            }
            Exits::Count(count) => self.spaced_layers(*count),
        }
    }

    fn spaced_layers(&self, count: usize) -> Result<Vec<usize>> {
        check_range("exits", count, MOST_LAYERS)?;
        let first =
            self.first_exit.context("first_exit is missing: the layer of the first exit")?;
        check_range("first_exit", first, MOST_LAYERS)?;
        let mut layers = vec![first];
        for i in 1..count {
            let step = self.step(i)?;
            layers.push(layers[i - 1].saturating_add(step));
            ensure!(layers[i] <= MOST_LAYERS, "exits, spacing: more than {MOST_LAYERS} layers");
        }
        Ok(layers)
    }

    fn step(&self, i: usize) -> Result<usize> {
        match self.spacing.context("spacing is missing: `even: n` or `growing: n`")? {
            Spacing::Even(0) => bail!("spacing: `even: 0` leaves no layer between two exits"),
            Spacing::Even(n) => Ok(n),
            Spacing::Growing(n) => {
                n.checked_mul(i).and_then(|n| n.checked_add(1)).context("spacing: too large")
            }
        }
    }

    /// Checks what a type cannot say.
    ///
    /// # Errors
    /// Returns an error naming the invalid key.
    pub(super) fn validate(&self, input: Input) -> Result<()> {
        let scales = self.scales();
        ensure!(scales >= 1, "scale_growth: at least one scale is needed");
        ensure!(
            self.bottleneck.len() == scales,
            "bottleneck has {} entries, scale_growth has {scales}; each scale needs one",
            self.bottleneck.len()
        );
        let numbers = [("channels", self.channels), ("growth", self.growth)];
        let scaled = self.scale_growth.iter().map(|&n| ("scale_growth", n));
        let widths = self.bottleneck.iter().map(|&n| ("bottleneck", n));
        for (key, n) in numbers.into_iter().chain(scaled).chain(widths) {
            check_range(key, n, MOST_CHANNELS)?;
        }
        ensure!(
            (0.0..=1.0).contains(&self.compression),
            "compression: {} is out of range (0 to 1)",
            self.compression
        );
        if scales > 1 && self.multi_scale {
            for (s, factor) in self.scale_growth.iter().enumerate().skip(1) {
                ensure!(
                    self.growth * factor >= 2,
                    "growth: scale {} adds {} channel, half strided, half regular; at least 2 are needed",
                    s + 1,
                    self.growth * factor
                );
            }
        }
        self.check_sides(input)
    }

    /// The coarsest scale's classifier halves its side twice. One feature alone stays at the finest scale unless
    /// scales are dropped.
    fn check_sides(&self, input: Input) -> Result<()> {
        let mut side = match self.stem {
            Stem::Cifar => input.side,
            Stem::Imagenet => input.side.div_ceil(4),
        };
        let coarsest = if self.multi_scale || self.reduce { self.scales() } else { 1 };
        for scale in 1..=coarsest {
            let hint = if scale > 1 { "; use fewer scales" } else { "" };
            ensure!(
                side >= 3,
                "scale_growth: scale {scale} of {} has {side}x{side} pixels, too small for the classifier, \
                 which halves it twice{hint}",
                self.scales()
            );
            side = side.div_ceil(2);
        }
        Ok(())
    }
}

fn check_layers(layers: &[usize]) -> Result<()> {
    ensure!(!layers.is_empty(), "exits: an empty list; the last layer's exit is always there");
    ensure!(layers[0] > 0, "exits: 0 is not a layer; layers are counted from 1");
    for pair in layers.windows(2) {
        ensure!(pair[0] < pair[1], "exits: {} does not come after {}", pair[1], pair[0]);
    }
    ensure!(layers[layers.len() - 1] <= MOST_LAYERS, "exits: more than {MOST_LAYERS} layers");
    Ok(())
}

/// What depths count.
pub const UNIT: &str = "layer";
/// The classifiers are part of the design.
pub const FOR_EARLY_EXIT: bool = true;

/// Layers in all, L.
///
/// # Errors
/// Returns an error naming the invalid key.
pub fn depth(config: &Config) -> Result<usize> {
    Ok(*config.exit_layers()?.last().unwrap_or(&0))
}

/// Layers of the intermediate classifiers.
///
/// # Errors
/// Returns an error naming the invalid key.
pub fn exits(config: &Config) -> Result<Vec<usize>> {
    let mut layers = config.exit_layers()?;
    layers.pop();
    Ok(layers)
}

/// Moves the intermediate classifiers to these layers.
///
/// # Errors
/// Returns an error naming the invalid key.
pub fn set_exits(config: &mut Config, exits: Vec<usize>) -> Result<()> {
    let last = depth(config)?;
    config.exits = Exits::Layers(exits.into_iter().chain([last]).collect());
    (config.first_exit, config.spacing) = (None, None);
    Ok(())
}

/// Lists the layers of the exits, however they were written.
///
/// # Errors
/// Returns an error naming the invalid key.
pub fn make_canonical(config: &mut Config) -> Result<()> {
    let exits = exits(config)?;
    set_exits(config, exits)
}

/// Depth, exits and growth.
pub fn short_name(config: &Config) -> String {
    let layers = config.exit_layers().unwrap_or_default();
    format!("msdnet-{}-{}exits-g{}", layers.last().unwrap_or(&0), layers.len(), config.growth)
}
