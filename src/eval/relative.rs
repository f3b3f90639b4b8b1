//! One intermediate classifier at a time (figure 3): how good it is there, and what it
//! does to the final one.

use anyhow::{Result, ensure};

/// A network trained with at most one intermediate classifier, and how it did on test.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The curve's label: the family.
    pub curve: String,
    /// The network's own name.
    pub network: String,
    /// Its seed; networks of a curve are paired by it.
    pub seed: u64,
    /// Blocks or layers before the intermediate classifier; none = the network has none.
    pub position: Option<usize>,
    /// Blocks or layers of the whole network.
    pub depth: usize,
    /// Test accuracy of the intermediate classifier, 0 to 1; unused without one.
    pub intermediate: f64,
    /// Test accuracy of the final classifier, 0 to 1.
    pub final_accuracy: f64,
}

/// A row of `figure.csv` of both figures.
#[derive(Debug, Clone, PartialEq)]
pub struct RelativeRow {
    /// The curve's label.
    pub curve: String,
    /// The network's own name.
    pub network: String,
    /// Its seed.
    pub seed: u64,
    /// Blocks or layers before the intermediate classifier.
    pub position: usize,
    /// Position over depth, 0 to 1.
    pub relative_depth: f64,
    /// Test accuracy, 0 to 1.
    pub accuracy: f64,
    /// 1 - accuracy.
    pub error: f64,
    /// Name of the network whose accuracy is the reference.
    pub reference: String,
    /// Its accuracy, same seed.
    pub reference_accuracy: f64,
    /// accuracy / reference_accuracy.
    pub relative_accuracy: f64,
}

/// Rows, and a sentence for each curve and seed that could not be drawn.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Relative {
    /// In the order of the networks.
    pub rows: Vec<RelativeRow>,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

/// Left: each intermediate classifier relative to its own curve's last one, same seed.
pub fn intermediate(networks: &[Trained]) -> Result<Relative> {
    let last = |of: &Trained| {
        let own = networks.iter().filter(|other| other.curve == of.curve);
        own.filter_map(|other| other.position).max()
    };
    relate(
        networks,
        |of| of.intermediate,
        |of| {
            let last = last(of);
            (last, format!("an intermediate classifier at position {}", last.unwrap_or(0)))
        },
    )
}

/// Right: the final classifier relative to the same network without an intermediate one, same
/// seed.
pub fn final_degradation(networks: &[Trained]) -> Result<Relative> {
    relate(networks, |of| of.final_accuracy, |_| (None, "no intermediate classifier".to_owned()))
}

/// Each network's accuracy over that of the network at the reference position.
fn relate(
    networks: &[Trained],
    accuracy: impl Fn(&Trained) -> f64,
    reference_position: impl Fn(&Trained) -> (Option<usize>, String),
) -> Result<Relative> {
    let mut result = Relative::default();
    for network in networks {
        let Some(position) = network.position else {
            continue;
        };
        ensure!(
            position > 0 && position <= network.depth,
            "network `{}`: position {position} is outside its depth of {}",
            network.network,
            network.depth
        );
        let (sought, described) = reference_position(network);
        let same = |other: &&Trained| {
            (&other.curve, other.seed, other.position) == (&network.curve, network.seed, sought)
        };
        let reference = networks.iter().find(same);
        let Some(reference) = reference.filter(|other| accuracy(other) > 0.0) else {
            let why = match reference {
                None => "is not there",
                Some(_) => "is never right",
            };
            let (curve, seed) = (&network.curve, network.seed);
            let sentence = format!(
                "curve `{curve}`, seed {seed} is left out: its reference, the network with \
                 {described}, {why}"
            );
            if !result.left_out.contains(&sentence) {
                result.left_out.push(sentence);
            }
            continue;
        };
        result.rows.push(row(network, position, accuracy(network), reference, accuracy(reference)));
    }
    Ok(result)
}

fn row(
    network: &Trained,
    position: usize,
    accuracy: f64,
    reference: &Trained,
    reference_accuracy: f64,
) -> RelativeRow {
    RelativeRow {
        curve: network.curve.clone(),
        network: network.network.clone(),
        seed: network.seed,
        position,
        relative_depth: position as f64 / network.depth as f64,
        accuracy,
        error: 1.0 - accuracy,
        reference: reference.network.clone(),
        reference_accuracy,
        relative_accuracy: accuracy / reference_accuracy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained(seed: u64, position: Option<usize>, intermediate: f64, last: f64) -> Trained {
        Trained {
            curve: "ResNet".to_owned(),
            network: format!("ResNet at {position:?}"),
            seed,
            position,
            depth: 4,
            intermediate,
            final_accuracy: last,
        }
    }

    #[test]
    fn the_left_figure_ends_at_one_for_every_seed() {
        let networks = [
            trained(0, Some(1), 0.2, 0.5),
            trained(0, Some(3), 0.4, 0.5),
            trained(1, Some(1), 0.3, 0.5),
            trained(1, Some(3), 0.3, 0.5),
            trained(0, None, 0.0, 0.6),
        ];
        let rows = intermediate(&networks).unwrap().rows;
        let relative: Vec<_> = rows.iter().map(|row| row.relative_accuracy).collect();
        assert_eq!(relative, vec![0.5, 1.0, 1.0, 1.0]);
        assert_eq!(rows[0].relative_depth, 0.25);
        assert_eq!(rows[0].error, 0.8);
    }

    #[test]
    fn the_right_figure_pairs_seeds_with_the_network_without_an_intermediate_classifier() {
        let networks = [
            trained(0, Some(1), 0.2, 0.45),
            trained(1, Some(1), 0.2, 0.5),
            trained(0, None, 0.0, 0.5),
            trained(1, None, 0.0, 0.4),
        ];
        let rows = final_degradation(&networks).unwrap().rows;
        let relative: Vec<_> = rows.iter().map(|row| row.relative_accuracy).collect();
        assert_eq!(relative, vec![0.9, 1.25]);
        assert_eq!(rows[1].reference_accuracy, 0.4);
    }

    #[test]
    fn a_seed_without_its_reference_is_left_out_and_said_once() {
        let networks = [
            trained(0, Some(1), 0.2, 0.45),
            trained(0, Some(3), 0.2, 0.45),
            trained(1, Some(1), 0.2, 0.5),
            trained(1, None, 0.0, 0.5),
        ];
        let relative = final_degradation(&networks).unwrap();
        assert_eq!(relative.rows.len(), 1);
        assert_eq!(relative.left_out.len(), 1);
        assert!(relative.left_out[0].contains("seed 0 is left out"), "{:?}", relative.left_out);
    }

    #[test]
    fn a_position_outside_the_network_is_refused() {
        assert!(final_degradation(&[trained(0, Some(5), 0.1, 0.1)]).is_err());
    }
}
