//! From a network's configuration to the picture of it.

use std::ops::RangeInclusive;

use anyhow::{Context, Result};

use super::examples::millions;
use crate::cost;
use crate::figures::network::{Cell, Diagram, Exit};
use crate::models::{Input, NetworkConfig, densenet, msdnet, resnet};

/// The picture of a network called `name` on images of `input`.
///
/// # Errors
/// When the network cannot be.
pub fn diagram(name: &str, config: &NetworkConfig, input: Input) -> Result<Diagram> {
    let network = config.build(input)?;
    let costs = cost::table(&network);
    let last = costs.last().context("a network without an exit")?;
    let depths: Vec<usize> = network.exits().iter().map(|exit| exit.depth).collect();
    let mut diagram = match config {
        NetworkConfig::Msdnet(config) => of_msdnet(config, input)?,
        NetworkConfig::Resnet(config) => of_resnet(config, input),
        NetworkConfig::Densenet(config) => of_densenet(config, input),
        NetworkConfig::Mobilenet(config) => of_strides("block", &config.strides(), input.side),
        NetworkConfig::MobilenetV2(config) => of_strides("block", &config.strides(), input.side),
        NetworkConfig::Squeezenet(config) => {
            of_sides("fire module", &config.form.sides(input.side).context("a map vanishes")?)
        }
    };
    for (depth, cost) in depths.iter().zip(&costs) {
        diagram.exits.push(Exit {
            cell: coarsest_at(&diagram, *depth)?,
            cost: millions(cost.multiply_adds as f64),
        });
    }
    mark_used(&mut diagram);
    let short = config.short_name();
    let name = if name == short { short } else { format!("{name}: {short}") };
    diagram.title = format!(
        "{name} on images of {side} x {side}, {} exits, {:.2} M parameters",
        costs.len(),
        last.parameters as f64 / 1e6,
        side = input.side,
    );
    Ok(diagram)
}

/// The feature map that a classifier at `depth` reads.
fn coarsest_at(diagram: &Diagram, depth: usize) -> Result<usize> {
    let cells = diagram.cells.iter().enumerate();
    let column = |cell: &Cell| diagram.columns[cell.column] == depth;
    let at = cells.filter(|(_, cell)| column(cell)).max_by_key(|(_, cell)| cell.row);
    at.map(|(place, _)| place).with_context(|| format!("no layer {depth}"))
}

/// Walks back from the exits: the paper's lazy evaluation computes only what they depend on.
fn mark_used(diagram: &mut Diagram) {
    let mut waiting: Vec<usize> = diagram.exits.iter().map(|exit| exit.cell).collect();
    while let Some(place) = waiting.pop() {
        if diagram.cells[place].is_used {
            continue;
        }
        diagram.cells[place].is_used = true;
        let before = diagram.arrows.iter().filter(|(_, to)| *to == place);
        waiting.extend(before.map(|(from, _)| *from));
    }
}

/// A picture of feature maps alone: `rows_of` says which rows a column has.
fn grid(
    unit: &str,
    sides: &[usize],
    columns: RangeInclusive<usize>,
    rows_of: impl Fn(usize) -> RangeInclusive<usize>,
) -> Diagram {
    let mut cells: Vec<Cell> = Vec::new();
    let mut arrows = Vec::new();
    let columns: Vec<usize> = columns.collect();
    for (column, &number) in columns.iter().enumerate() {
        let before = cells.len();
        for row in rows_of(number) {
            let place = cells.len();
            cells.push(Cell { column, row, is_used: false });
            let sources = cells[..before].iter().enumerate();
            let reads = |source: &Cell| {
                column > 0
                    && source.column == column - 1
                    && (source.row == row || source.row + 1 == row)
            };
            arrows.extend(sources.filter(|(_, c)| reads(c)).map(|(i, _)| (i, place)));
            // The first column's coarser maps come from its finer ones.
            if column == 0 && place > before {
                arrows.push((place - 1, place));
            }
        }
    }
    Diagram {
        title: String::new(),
        rows: sides.iter().map(|side| format!("{side} x {side}")).collect(),
        unit: unit.to_string(),
        columns,
        cells,
        arrows,
        exits: Vec::new(),
        transitions: Vec::new(),
    }
}

fn of_msdnet(config: &msdnet::Config, input: Input) -> Result<Diagram> {
    let layers = *config.exit_layers()?.last().context("exits: none")?;
    let scales = config.scales();
    let mut side = match config.stem {
        msdnet::Stem::Cifar => input.side,
        msdnet::Stem::Imagenet => input.side.div_ceil(2).div_ceil(2),
    };
    let mut sides = Vec::new();
    for _ in 0..scales {
        sides.push(side);
        side = side.div_ceil(2);
    }
    let finest: Vec<usize> = (0..=layers).map(|layer| config.finest(layer, layers)).collect();
    let mut diagram = grid("layer", &sides, 0..=layers, |layer| {
        let coarsest = if config.multi_scale { scales - 1 } else { finest[layer] };
        finest[layer]..=coarsest
    });
    for (row, name) in diagram.rows.iter_mut().enumerate() {
        *name = format!("scale {}, {name}", row + 1);
    }
    if config.compression > 0.0 && config.multi_scale {
        let drops = |&layer: &usize| layer > 0 && finest[layer] > finest[layer - 1];
        diagram.transitions = (0..=layers).filter(drops).collect();
    }
    Ok(diagram)
}

fn of_resnet(config: &resnet::Config, input: Input) -> Diagram {
    let per_stage = config.blocks_per_stage;
    chain("block", config.blocks(), per_stage, input.side)
}

fn of_densenet(config: &densenet::Config, input: Input) -> Diagram {
    let per_block = config.layers_per_block;
    let mut diagram = chain("composite layer", config.layers(), per_block, input.side);
    diagram.transitions =
        (1..).map(|block| block * per_block).take_while(|&layer| layer < config.layers()).collect();
    diagram
}

/// A chain whose maps are halved by strides.
fn of_strides(unit: &str, strides: &[usize], side: usize) -> Diagram {
    let halved = strides.iter().scan(side, |side, stride| {
        *side = side.div_ceil(*stride);
        Some(*side)
    });
    of_sides(unit, &halved.collect::<Vec<_>>())
}

/// A chain of maps with these sides, none larger than the one before.
fn of_sides(unit: &str, sides: &[usize]) -> Diagram {
    let mut rows = sides.to_vec();
    rows.dedup();
    let row = |number: usize| rows.iter().position(|side| *side == sides[number]).unwrap_or(0);
    grid(unit, &rows, 0..=sides.len() - 1, |number| row(number)..=row(number))
}

/// Three resolutions, `per_stage` feature maps each, after the first convolution's.
fn chain(unit: &str, total: usize, per_stage: usize, side: usize) -> Diagram {
    let sides = [side, side.div_ceil(2), side.div_ceil(4)];
    let row = |number: usize| number.saturating_sub(1) / per_stage;
    grid(unit, &sides, 0..=total, |number| row(number)..=row(number))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
