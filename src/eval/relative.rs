//! One intermediate classifier at a time (figure 3): how good it is there, and what it does to the
//! final one, each relative to a reference of the same seed.

use anyhow::{Result, ensure};

/// A network trained with at most one intermediate classifier.
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
    /// Test accuracy of the classifier that the figure is about, 0 to 1.
    pub accuracy: f64,
}

/// What an accuracy is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// Left: that of the classifier at the same curve's last position.
    LastPosition,
    /// Right: that of the network without an intermediate classifier.
    NoClassifier,
}

/// A row of `figure.csv` of both figures.
#[derive(Debug, Clone, PartialEq)]
pub struct RelativeRow {
    /// The network.
    pub trained: Trained,
    /// Its position.
    pub position: usize,
    /// Its position over its depth, 0 to 1.
    pub relative_depth: f64,
    /// The reference's accuracy, above 0.
    pub reference_accuracy: f64,
}

/// A row for each network with an intermediate classifier, and a sentence for each curve and seed
/// that is left out because its reference is.
///
/// # Errors
/// On a position outside its network.
pub fn relate(
    networks: &[Trained],
    reference: Reference,
) -> Result<(Vec<RelativeRow>, Vec<String>)> {
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
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
        match reference_of(network, networks, reference) {
            Ok(reference_accuracy) => rows.push(RelativeRow {
                trained: network.clone(),
                position,
                relative_depth: position as f64 / network.depth as f64,
                reference_accuracy,
            }),
            Err(why) if left_out.contains(&why) => {}
            Err(why) => left_out.push(why),
        }
    }
    Ok((rows, left_out))
}

fn reference_of(
    network: &Trained,
    networks: &[Trained],
    reference: Reference,
) -> Result<f64, String> {
    let own = networks.iter().filter(|other| other.curve == network.curve);
    let (position, described) = match reference {
        Reference::NoClassifier => (None, "no intermediate classifier".to_owned()),
        Reference::LastPosition => {
            let last = own.clone().filter_map(|other| other.position).max();
            (last, format!("an intermediate classifier at position {}", last.unwrap_or(0)))
        }
    };
    let mut own = own.filter(|other| other.seed == network.seed);
    let why = match own.find(|other| other.position == position) {
        Some(found) if found.accuracy > 0.0 => return Ok(found.accuracy),
        Some(_) => "is never right",
        None => "is not there",
    };
    Err(format!(
        "curve `{}`, seed {} is left out: its reference, the network with {described}, {why}",
        network.curve, network.seed
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained(seed: u64, position: Option<usize>, accuracy: f64) -> Trained {
        let (curve, network) = ("ResNet".to_owned(), format!("ResNet at {position:?}"));
        Trained { curve, network, seed, position, depth: 4, accuracy }
    }

    fn relative(networks: &[Trained], reference: Reference) -> (Vec<f64>, Vec<String>) {
        let (rows, left_out) = relate(networks, reference).unwrap();
        (rows.iter().map(|row| row.trained.accuracy / row.reference_accuracy).collect(), left_out)
    }

    #[test]
    fn the_left_figure_ends_at_one_for_every_seed() {
        let networks = [
            trained(0, Some(1), 0.2),
            trained(0, Some(3), 0.4),
            trained(1, Some(1), 0.3),
            trained(1, Some(3), 0.3),
            trained(0, None, 0.6),
        ];
        let (found, left_out) = relative(&networks, Reference::LastPosition);
        assert_eq!((found, left_out), (vec![0.5, 1.0, 1.0, 1.0], vec![]));
        let rows = relate(&networks, Reference::LastPosition).unwrap().0;
        assert_eq!((rows[0].relative_depth, rows[1].position), (0.25, 3));
    }

    #[test]
    fn the_right_figure_pairs_seeds_with_the_network_without_an_intermediate_classifier() {
        let networks = [
            trained(0, Some(1), 0.45),
            trained(1, Some(1), 0.5),
            trained(0, None, 0.5),
            trained(1, None, 0.4),
        ];
        assert_eq!(relative(&networks, Reference::NoClassifier).0, vec![0.9, 1.25]);
    }

    #[test]
    fn a_seed_without_its_reference_is_left_out_and_said_once() {
        let networks = [
            trained(0, Some(1), 0.45),
            trained(0, Some(3), 0.45),
            trained(1, Some(1), 0.5),
            trained(1, None, 0.5),
            trained(2, Some(1), 0.5),
            trained(2, None, 0.0),
        ];
        let (found, left_out) = relative(&networks, Reference::NoClassifier);
        assert_eq!((found, left_out.len()), (vec![1.0], 2));
        let reference = "is left out: its reference, the network with no intermediate classifier, ";
        assert!(left_out[0].ends_with(&format!("seed 0 {reference}is not there")), "{left_out:?}");
        assert!(left_out[1].ends_with(&format!("seed 2 {reference}is never right")));
    }

    #[test]
    fn a_position_outside_the_network_is_refused() {
        assert!(relate(&[trained(0, Some(5), 0.1)], Reference::NoClassifier).is_err());
    }
}
