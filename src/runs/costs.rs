//! Costs of networks as a table.

use anyhow::{Context, Result};

use crate::cost::{self, ExitCost};
use crate::models::{Input, NetworkConfig};
use crate::results::tables::Table;

/// What one exit of one network costs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CostRow {
    /// The network's name.
    pub network: String,
    /// Exit, from 1.
    pub exit: u32,
    /// Its costs.
    #[serde(flatten)]
    pub cost: ExitCost,
}

/// Costs of all exits of `networks` on images of `input`.
pub fn cost_rows(networks: &[(String, NetworkConfig)], input: Input) -> Result<Vec<CostRow>> {
    let mut rows = Vec::new();
    for (name, config) in networks {
        let network = config.build(input).with_context(|| format!("network {name}"))?;
        for (exit, cost) in (1..).zip(cost::table(&network)) {
            rows.push(CostRow { network: name.clone(), exit, cost });
        }
    }
    Ok(rows)
}

/// The same as a table.
pub fn costs_table(rows: &[CostRow]) -> Table {
    Table::default()
        .text("network", rows.iter().map(|r| &r.network))
        .count("exit", rows.iter().map(|r| r.exit))
        .count("multiply_adds", rows.iter().map(|r| r.cost.multiply_adds))
        .count("multiply_adds_single", rows.iter().map(|r| r.cost.multiply_adds_single))
        .count("multiply_adds_eager", rows.iter().map(|r| r.cost.multiply_adds_eager))
        .count("parameters", rows.iter().map(|r| r.cost.parameters))
}
