//! Which channels each plane of a value holds: one where words are floats, two where they are pairs.

use anyhow::{Result, ensure};

use super::units::{Unit, Work};
use crate::nn::{Network, NodeId};

/// Channels of a plane's words; a missing half is always 0.
pub(super) type Plane = [Option<usize>; 2];

/// The planes of every value.
#[derive(Debug)]
pub(super) struct Planes {
    /// By node; empty for a node that is never held.
    of: Vec<Vec<Plane>>,
    /// Whether words are pairs.
    pub paired: bool,
    /// Values that are floats, also where words are pairs; see [`heads`].
    floats: Vec<bool>,
}

impl Planes {
    /// Planes of the values of `units`.
    ///
    /// # Errors
    /// When words are pairs and a sum's inputs, or a shortcut's, are paired in different ways.
    pub(super) fn new(network: &Network, units: &[Unit], paired: bool) -> Result<Planes> {
        let mut planes = Planes {
            of: vec![Vec::new(); network.nodes().len()],
            paired,
            floats: if paired { heads(network, units) } else { vec![true; network.nodes().len()] },
        };
        planes.of[0] = regular(network.nodes()[0].channels, paired);
        for unit in units {
            for &id in &unit.outputs {
                planes.of[id] = planes.of_output(network, unit, id)?;
            }
        }
        Ok(planes)
    }

    fn of_output(&self, network: &Network, unit: &Unit, id: NodeId) -> Result<Vec<Plane>> {
        let channels = network.nodes()[id].channels;
        let input = &self.of[unit.inputs[0]];
        Ok(match &unit.work {
            _ if self.floats[id] => regular(channels, false),
            Work::Convolve { .. } => regular(channels, true),
            Work::Depthwise { .. }
            | Work::Affine { .. }
            | Work::MaxPool(_)
            | Work::AvgPool { .. } => input.clone(),
            Work::Add { .. } => {
                ensure!(*input == self.of[unit.inputs[1]], UNEVEN);
                input.clone()
            }
            Work::Shortcut { .. } => {
                let before = network.nodes()[unit.inputs[0]].channels;
                ensure!(before.is_multiple_of(2) && *input == regular(before, true), UNEVEN);
                regular(channels, true)
            }
            Work::Concat => {
                let mut all = Vec::new();
                let mut first = 0;
                for &id in &unit.inputs {
                    let moved = |plane: &Plane| plane.map(|half| half.map(|c| c + first));
                    all.extend(self.of[id].iter().map(moved));
                    first += network.nodes()[id].channels;
                }
                all
            }
        })
    }

    /// The planes of a value, in order.
    pub(super) fn of(&self, id: NodeId) -> &[Plane] {
        &self.of[id]
    }

    /// Number of planes of a value.
    pub(super) fn count(&self, id: NodeId) -> usize {
        self.of[id].len()
    }

    /// Whether a value's words are floats.
    pub(super) fn is_floats(&self, id: NodeId) -> bool {
        self.floats[id]
    }
}

/// Values that stay floats where words are pairs: logits, and what is pooled for them. They are few
/// numbers, and rounding them would move every class.
fn heads(network: &Network, units: &[Unit]) -> Vec<bool> {
    let mut heads = vec![false; network.nodes().len()];
    for (at, unit) in units.iter().enumerate().rev() {
        let &[id] = unit.outputs.as_slice() else { continue };
        let mut readers = units[at + 1..].iter().filter(|reader| reader.inputs.contains(&id));
        let keeps = |reader: &Unit| match reader.work {
            Work::Convolve { .. } | Work::Concat => reader.outputs.iter().all(|&id| heads[id]),
            _ => false,
        };
        let fits = network.nodes()[id].side == 1 && readers.all(keeps);
        heads[id] = fits && writes_floats(units, unit);
    }
    heads
}

/// Whether a unit can write floats; a concatenation of one value is that value.
fn writes_floats(units: &[Unit], unit: &Unit) -> bool {
    let makes = |id: NodeId| units.iter().find(|unit| unit.outputs == [id]);
    match (&unit.work, unit.inputs.as_slice()) {
        (Work::Convolve { .. } | Work::AvgPool { .. }, _) => true,
        (Work::Concat, &[one]) => makes(one).is_some_and(|unit| writes_floats(units, unit)),
        _ => false,
    }
}

const UNEVEN: &str = "a network that adds an odd number of channels cannot run in bf16; fp32 works";

/// Channels in order.
fn regular(channels: usize, paired: bool) -> Vec<Plane> {
    if !paired {
        return (0..channels).map(|c| [Some(c), None]).collect();
    }
    let half = |c: usize| (c < channels).then_some(c);
    (0..channels).step_by(2).map(|c| [half(c), half(c + 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_channel_has_a_plane_to_itself() {
        let pairs = [[Some(0), Some(1)], [Some(2), None]];
        assert_eq!(regular(3, true), pairs);
        assert_eq!(regular(2, false), [[Some(0), None], [Some(1), None]]);
    }
}
