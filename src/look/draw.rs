//! From a network's graph to the picture of it: sides as rows, depths as columns.

use anyhow::{Context, Result};

use super::examples::millions;
use crate::cost;
use crate::data::plural;
use crate::figures::network::{Cell, Diagram, Exit};
use crate::models::{Input, NetworkConfig};

/// The picture of a network called `name` on images of `input`.
pub fn diagram(name: &str, config: &NetworkConfig, input: Input) -> Result<Diagram> {
    let network = config.build(input)?;
    let costs = cost::table(&network);
    let last = costs.last().context("a network without an exit")?;
    let (nodes, maps) = (network.nodes(), network.maps());
    let mut sides: Vec<usize> = maps.iter().map(|map| nodes[map.node].side).collect();
    sides.sort_unstable_by(|a, b| b.cmp(a));
    sides.dedup();
    let mut columns: Vec<usize> = maps.iter().map(|map| map.depth).collect();
    columns.sort_unstable();
    columns.dedup();
    let place = |all: &[usize], wanted: usize| all.iter().position(|&n| n == wanted).unwrap_or(0);
    let used = network.ancestors(0..network.exits().len());
    let cells = maps.iter().map(|map| Cell {
        column: place(&columns, map.depth),
        row: place(&sides, nodes[map.node].side),
        is_used: used[map.node],
    });
    let arrows = maps
        .iter()
        .enumerate()
        .flat_map(|(to, map)| network.sources(map.node).into_iter().map(move |from| (from, to)));
    let exits = network.exits().iter().zip(&costs).map(|(exit, cost)| {
        let sources = network.sources(exit.logits);
        let cell = *sources.last().context("a classifier that reads no feature map")?;
        Ok(Exit { cell, cost: millions(cost.multiply_adds as f64) })
    });
    let has_scales = maps.len() > columns.len();
    let row = |(row, side): (usize, &usize)| match has_scales {
        true => format!("scale {}, {side} x {side}", row + 1),
        false => format!("{side} x {side}"),
    };
    let short = config.short_name();
    let name = if name == short { short } else { format!("{name}: {short}") };
    Ok(Diagram {
        title: format!(
            "{name} on images of {side} x {side}, {}, {:.2} M parameters",
            plural(costs.len(), "exit"),
            last.parameters as f64 / 1e6,
            side = input.side,
        ),
        rows: sides.iter().enumerate().map(row).collect(),
        unit: config.unit().to_string(),
        cells: cells.collect(),
        arrows: arrows.collect(),
        exits: exits.collect::<Result<_>>()?,
        transitions: network.transitions().to_vec(),
        columns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{BUILT_IN, networks_of};
    use crate::runs::data::input_of;

    const CIFAR: Input = Input { channels: 3, side: 32, classes: 100 };

    fn paper() -> NetworkConfig {
        let text = "{msdnet: {channels: 16, growth: 6, scale_growth: [1, 2, 4], bottleneck: [1, 2, 4], \
                    exits: 11, first_exit: 4, spacing: {even: 2}}}";
        let value: serde_json::Value = serde_yaml::from_str(text).unwrap();
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_papers_cifar_network_drops_a_scale_after_layers_8_and_16() {
        let diagram = diagram("paper", &paper(), CIFAR).unwrap();
        let rows = |layer: usize| diagram.cells.iter().filter(|c| c.column == layer).count();
        assert_eq!([rows(0), rows(8), rows(9), rows(16), rows(17), rows(24)], [3, 3, 2, 2, 1, 1]);
        assert_eq!(diagram.transitions, [9, 17]);
        let depths = diagram.exits.iter().map(|e| diagram.cells[e.cell].column);
        assert_eq!(depths.collect::<Vec<_>>(), (2..=12).map(|i| 2 * i).collect::<Vec<_>>());
        assert!(diagram.exits.iter().all(|e| diagram.cells[e.cell].row == 2));
    }

    #[test]
    fn a_map_that_no_exit_reads_is_told_from_the_others() {
        // The finest map of the last layer that has it has no time left to reach the classifier.
        let mut config = paper();
        if let NetworkConfig::Msdnet(config) = &mut config {
            config.reduce = false;
        }
        let diagram = diagram("paper", &config, CIFAR).unwrap();
        let unused = diagram.cells.iter().filter(|cell| !cell.is_used);
        let unused: Vec<_> = unused.map(|cell| (cell.column, cell.row)).collect();
        assert_eq!(unused, [(23, 0), (24, 0), (24, 1)]);
    }

    #[test]
    fn a_resnet_is_a_chain_that_steps_down_after_each_stage() {
        let text = "{resnet: {blocks_per_stage: 3, exits_after: [2]}}";
        let value: serde_json::Value = serde_yaml::from_str(text).unwrap();
        let config: NetworkConfig = serde_json::from_value(value).unwrap();
        let diagram = diagram("r", &config, CIFAR).unwrap();
        let rows: Vec<usize> = diagram.cells.iter().map(|cell| cell.row).collect();
        assert_eq!(rows, [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]);
        assert_eq!(diagram.arrows.len(), 9);
        assert_eq!(diagram.exits.len(), 2);
    }

    #[test]
    fn marked_cells_are_those_that_an_exit_depends_on_in_every_shipped_network() {
        for (name, text) in BUILT_IN {
            let (networks, dataset) = networks_of(text).unwrap();
            let input = input_of(&dataset.unwrap()).unwrap();
            for (network, config) in networks {
                let graph = config.build(input).unwrap();
                let diagram = diagram(&network, &config, input).unwrap();
                let used = graph.ancestors(0..graph.exits().len());
                // Reached backwards over the arrows that are drawn.
                let mut reached = vec![false; diagram.cells.len()];
                diagram.exits.iter().for_each(|exit| reached[exit.cell] = true);
                for &(from, to) in diagram.arrows.iter().rev() {
                    reached[from] |= reached[to];
                }
                for ((map, cell), reached) in graph.maps().iter().zip(&diagram.cells).zip(reached) {
                    assert_eq!(cell.is_used, used[map.node], "{name}, {network}, {map:?}");
                    assert_eq!(cell.is_used, reached, "{name}, {network}, {map:?}");
                }
            }
        }
    }
}
