//! What others published of networks in our experiments (`experiments/published.yaml`).

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::data::catalog::Dataset;
use crate::models::NetworkConfig;

/// Accuracies of one network, published by somebody else.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Its name in a legend.
    pub name: String,
    /// The data set.
    pub dataset: Dataset,
    /// The network.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub network: NetworkConfig,
    /// Top-1 accuracy of each exit, in percent.
    pub accuracy_percent: Vec<f64>,
    /// How it was trained.
    pub recipe: String,
    /// Who published it.
    pub source: String,
}

impl Published {
    /// Whether it is of `network`, however the exits of either are written.
    ///
    /// # Errors
    /// When one of the two configurations is invalid.
    pub fn is_of(&self, network: &NetworkConfig) -> Result<bool> {
        Ok(self.network.canonical()? == network.canonical()?)
    }
}

/// All entries of the table.
///
/// # Errors
/// Names the line that cannot be read.
pub fn published() -> Result<Vec<Published>> {
    serde_yaml::from_str(include_str!("../../experiments/published.yaml"))
        .context("experiments/published.yaml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost;
    use crate::models::Input;

    const CIFAR100: Input = Input { channels: 3, side: 32, classes: 100 };

    #[test]
    fn every_entry_has_an_accuracy_for_each_exit() {
        for entry in published().unwrap() {
            let network = entry.network.build(CIFAR100).unwrap();
            assert_eq!(network.exits().len(), entry.accuracy_percent.len(), "{}", entry.name);
            let is_percent = |&a: &f64| (50.0..100.0).contains(&a);
            assert!(entry.accuracy_percent.iter().all(is_percent), "{}", entry.name);
        }
    }

    #[test]
    fn the_msdnet_of_growth_16_has_the_published_parameters() {
        let entries = published().unwrap();
        let msdnet = entries.iter().find(|entry| entry.name.contains("growth 16")).unwrap();
        let costs = cost::table(&msdnet.network.build(CIFAR100).unwrap());
        let millions: Vec<String> =
            costs.iter().map(|c| format!("{:.2}", c.parameters as f64 / 1e6)).collect();
        assert_eq!(millions, ["0.90", "1.84", "2.80", "3.76", "4.92", "6.10", "7.36"]);
    }
}
