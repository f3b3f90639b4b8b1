//! One intermediate classifier at a time (figure 3): how good it is there, and what it does to the
//! final one, each relative to a reference of the same seed.

use crate::eval::figure::Figure;
use crate::eval::judge::Network;
use crate::eval::judge::pooled::FIRST_STAGE;

/// A row of `figure.csv` of both figures.
#[derive(Debug, Clone, PartialEq)]
pub struct RelativeRow<'a> {
    /// The network.
    pub network: &'a Network,
    /// Blocks or layers before its intermediate classifier.
    pub position: usize,
    /// The same by those of the whole network, 0 to 1.
    pub relative_depth: f64,
    /// The reference's accuracy, above 0; none on the left where the curve's last position lies in the
    /// first stage: that is too early to refer to.
    pub reference_accuracy: Option<f64>,
}

impl RelativeRow<'_> {
    /// The network's accuracy as a part of the reference's.
    pub fn relative_accuracy(&self) -> Option<f64> {
        Some(self.network.answered.accuracy / self.reference_accuracy?)
    }
}

/// A row for each network with an intermediate classifier, and a sentence for each curve and seed
/// that is left out because its reference is missing or never right. On the left the reference is the
/// classifier at the same curve's last position, if that is beyond the first stage, on the right the
/// network without an intermediate one.
pub fn relate(networks: &[Network], figure: Figure) -> (Vec<RelativeRow<'_>>, Vec<String>) {
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for network in networks {
        let Some((position, relative_depth)) = network.position.zip(network.depth) else {
            continue;
        };
        match reference_of(network, networks, figure) {
            Ok(reference_accuracy) => {
                rows.push(RelativeRow { network, position, relative_depth, reference_accuracy });
            }
            Err(why) if left_out.contains(&why) => {}
            Err(why) => left_out.push(why),
        }
    }
    (rows, left_out)
}

fn reference_of(
    network: &Network,
    networks: &[Network],
    figure: Figure,
) -> Result<Option<f64>, String> {
    let own = networks.iter().filter(|other| other.curve == network.curve);
    let (position, described) = if figure == Figure::FigIntermediate {
        let last = own.clone().filter_map(|other| other.position).max();
        if own.clone().filter_map(|other| other.depth).all(|depth| depth <= FIRST_STAGE) {
            return Ok(None);
        }
        (last, format!("an intermediate classifier at position {}", last.unwrap_or(0)))
    } else {
        (None, "no intermediate classifier".to_owned())
    };
    let mut own = own.filter(|other| other.seed == network.seed);
    let why = match own.find(|other| other.position == position) {
        Some(found) if found.answered.accuracy > 0.0 => return Ok(Some(found.answered.accuracy)),
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
    use crate::eval::judge::Answered;

    fn trained(seed: u64, position: Option<usize>, accuracy: f64) -> Network {
        Network {
            curve: "ResNet".to_owned(),
            network: format!("ResNet at {position:?}"),
            seed,
            position,
            depth: position.map(|position| position as f64 / 4.0),
            answered: Answered { accuracy, images: 0, hits: None },
            own_final: None,
        }
    }

    fn relative(networks: &[Network], figure: Figure) -> (Vec<f64>, Vec<String>) {
        let (rows, left_out) = relate(networks, figure);
        (rows.iter().filter_map(RelativeRow::relative_accuracy).collect(), left_out)
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
        let (found, left_out) = relative(&networks, Figure::FigIntermediate);
        assert_eq!((found, left_out), (vec![0.5, 1.0, 1.0, 1.0], vec![]));
        let rows = relate(&networks, Figure::FigIntermediate).0;
        assert_eq!((rows[0].relative_depth, rows[1].position), (0.25, 3));
    }

    #[test]
    fn nothing_on_the_left_is_relative_to_a_position_in_the_first_stage() {
        let early = [Some(0.11), Some(0.34)].map(|depth| Network {
            depth,
            ..trained(0, depth.map(|depth| (depth * 9.0) as usize), 0.4)
        });
        let (rows, left_out) = relate(&early, Figure::FigIntermediate);
        assert_eq!((rows.len(), left_out.len()), (2, 0));
        assert!(rows.iter().all(|row| row.relative_accuracy().is_none()));
        // On the right it is the network without one.
        let reference = [trained(0, None, 0.5)];
        let right = [early.as_slice(), &reference].concat();
        assert_eq!(relative(&right, Figure::FigFinalDegradation).0, [0.8, 0.8]);
    }

    #[test]
    fn the_right_figure_pairs_seeds_with_the_network_without_an_intermediate_classifier() {
        let networks = [
            trained(0, Some(1), 0.45),
            trained(1, Some(1), 0.5),
            trained(0, None, 0.5),
            trained(1, None, 0.4),
        ];
        assert_eq!(relative(&networks, Figure::FigFinalDegradation).0, vec![0.9, 1.25]);
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
        let (found, left_out) = relative(&networks, Figure::FigFinalDegradation);
        assert_eq!((found, left_out.len()), (vec![1.0], 2));
        let reference = "is left out: its reference, the network with no intermediate classifier, ";
        assert!(left_out[0].ends_with(&format!("seed 0 {reference}is not there")), "{left_out:?}");
        assert!(left_out[1].ends_with(&format!("seed 2 {reference}is never right")));
    }
}
