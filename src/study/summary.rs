//! `summary.csv`: each network with several exits in a few numbers.

use anyhow::{Context, Result};

use super::Study;
use crate::eval::budgeted::Network;
use crate::eval::summary::{Entry, summarise};
use crate::results::tables::Table;
use crate::runs::Split;

/// The rows of every network and seed; none where no network has both several exits and a hold-out
/// of at least as many images.
pub fn table(study: &Study) -> Result<Option<Table>> {
    let mut rows: Vec<(&str, u64, Entry)> = Vec::new();
    for network in &study.plan.networks {
        let multiply_adds = study.multiply_adds(&network.name);
        if multiply_adds.len() < 2 || study.data.validation < multiply_adds.len() {
            continue;
        }
        for (place, run) in study.runs_of(network) {
            let hold_out = study.predictions(network, place, Split::Validation)?;
            let test = study.predictions(network, place, Split::Test)?;
            let both = Network { hold_out: &hold_out, test: &test, multiply_adds: &multiply_adds };
            let entries =
                summarise(&both).with_context(|| format!("{}, seed {}", network.name, run.seed))?;
            rows.extend(entries.into_iter().map(|entry| (&*network.name, run.seed, entry)));
        }
    }
    let exit = |entry: &Entry| entry.exit.map_or(String::new(), |exit| exit.to_string());
    Ok((!rows.is_empty()).then(|| {
        Table::default()
            .text("network", rows.iter().map(|r| r.0))
            .count("seed", rows.iter().map(|r| r.1))
            .text("measure", rows.iter().map(|r| &r.2.measure))
            .text("exit", rows.iter().map(|r| exit(&r.2)))
            .optional("value", rows.iter().map(|r| r.2.value))
    }))
}
