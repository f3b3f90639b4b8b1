//! The entries under `networks:`: a network, an ensemble of networks, or networks joined in one
//! curve.

use anyhow::{Context, Result, bail, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::combines::Combines;
use crate::eval::combine::Combine;
use crate::models::{KEYS, NetworkConfig};

/// An entry and a network alone are written with the same keys.
macro_rules! entry {
    ($($variant:ident, $key:ident, $name:literal, $about:literal;)+) => {
        use crate::models::{$($key),+};

        /// One entry as people write it.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct Entry {
            /// The curve's label.
            pub name: String,
            $(
                #[doc = $about]
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $key: Option<$key::Config>,
            )+
            /// Names of networks of this file whose predictions are averaged, in ascending cost.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub ensemble: Option<Vec<String>>,
            /// Names of networks of this file whose curves are joined, each where it is best on the hold-out. In
            /// budgeted-batch all have one exit or all have several.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub joined: Option<Vec<String>>,
            /// In a figure by position: stands for one network with an intermediate classifier at each of
            /// these depths, and one without any.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub positions: Option<Vec<usize>>,
            /// How exits are combined before one is believed, in anytime and budgeted-batch: single, mean,
            /// mie, product, caching or geometric; several = a curve each. Default: single and mean for
            /// msdnet in anytime, else single. An ensemble has none: it combines its members.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub combine: Option<Combines>,
            /// In budgeted-batch: whether the curve without dynamic evaluation is drawn as well. Default:
            /// true for msdnet.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub fixed: Option<bool>,
            /// Added to each of the experiment's seeds, so that copies of one network differ (the members
            /// of an ensemble of equal networks).
            #[serde(default, skip_serializing_if = "is_zero")]
            pub seed_offset: u64,
        }

        /// A file that holds one network alone.
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct Bare {
            pub(super) name: Option<String>,
            $($key: Option<$key::Config>,)+
        }

        impl Bare {
            /// The network.
            ///
            /// # Errors
            /// When it names more than one network.
            pub(super) fn network(&self) -> Result<Option<NetworkConfig>> {
                one([$(self.$key.clone().map(NetworkConfig::$variant)),+])
            }
        }

        impl Entry {
            /// The one network of an entry that must be one.
            ///
            /// # Errors
            /// When it names more than one network.
            pub fn network(&self) -> Result<Option<NetworkConfig>> {
                one([$(self.$key.clone().map(NetworkConfig::$variant)),+])
            }
        }
    };
}
repro_core::families!(entry);

fn one<const N: usize>(networks: [Option<NetworkConfig>; N]) -> Result<Option<NetworkConfig>> {
    let mut found = networks.into_iter().flatten();
    let first = found.next();
    ensure!(found.next().is_none(), "more than one network; give one of {}", KEYS.join(", "));
    Ok(first)
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq)]
pub enum Member {
    /// A network, trained once a seed.
    Network(NetworkConfig),
    /// Names of the networks whose predictions are averaged.
    Ensemble(Vec<String>),
    /// Names of the networks whose curves are joined.
    Joined(Vec<String>),
}

/// A checked entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// What it is.
    pub member: Member,
    /// How exits are combined, if that is said.
    pub combine: Option<Vec<Combine>>,
    /// Whether its curve without dynamic evaluation is drawn.
    pub fixed: bool,
    /// Added to each of the experiment's seeds.
    pub seed_offset: u64,
}

impl Named {
    /// The network, if it is one.
    pub fn network(&self) -> Option<&NetworkConfig> {
        match &self.member {
            Member::Network(config) => Some(config),
            _ => None,
        }
    }
}

impl Entry {
    /// The checked entries that this one stands for: itself, or one a position.
    pub(super) fn expand(&self) -> Result<Vec<Named>> {
        let context = || format!("networks: \"{}\"", self.name);
        ensure!(!self.name.trim().is_empty(), "networks: an entry without a name");
        // Nobody sees in a table or a legend that two such names differ.
        ensure!(
            self.name.trim() == self.name,
            "networks: \"{}\": the name begins or ends with white space; take it away",
            self.name
        );
        let network = self.network().with_context(context)?;
        let named = |member| vec![self.named(self.name.clone(), member)];
        match (network, &self.ensemble, &self.joined) {
            (Some(config), None, None) => match &self.positions {
                None => Ok(named(Member::Network(config))),
                Some(positions) => self.at_positions(&config, positions).with_context(context),
            },
            (None, Some(members), None) => Ok(named(Member::Ensemble(members.clone()))),
            (None, None, Some(members)) => Ok(named(Member::Joined(members.clone()))),
            (None, None, None) => bail!(
                "networks: \"{}\" says nothing of its network; give one of {}, ensemble, joined \
                 (with nothing to set: `mobilenet: {{}}`)",
                self.name,
                KEYS.join(", ")
            ),
            _ => bail!(
                "networks: \"{}\" is more than one of a network, an ensemble and joined curves",
                self.name
            ),
        }
    }

    fn named(&self, name: String, member: Member) -> Named {
        let combine = self.combine.as_ref().map(|combines| combines.0.clone());
        let for_early_exit =
            matches!(&member, Member::Network(config) if config.is_for_early_exit());
        let (fixed, seed_offset) = (self.fixed.unwrap_or(for_early_exit), self.seed_offset);
        Named { name, member, combine, fixed, seed_offset }
    }

    fn at_positions(&self, config: &NetworkConfig, positions: &[usize]) -> Result<Vec<Named>> {
        ensure!(!positions.is_empty(), "positions: none");
        ensure!(
            config.exits()?.is_empty(),
            "positions place the intermediate classifiers; the network must not have its own"
        );
        let depth = config.depth()?;
        let mut named = Vec::new();
        for &position in positions {
            ensure!(
                (1..depth).contains(&position),
                "positions: {position} lies outside the network, whose intermediate classifiers can be at 1 to {}",
                depth - 1
            );
            named.push((format!("{} at {position}", self.name), Some(position)));
        }
        named.push((format!("{} without", self.name), None));
        named
            .into_iter()
            .map(|(name, position)| {
                Ok(self.named(name, Member::Network(config.with_single_exit(position)?)))
            })
            .collect()
    }
}
