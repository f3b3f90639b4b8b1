//! Where each value lies: planes of one pool for each side of feature maps, reused after a value's
//! last reader. What is concatenated is written where the concatenation lies, so nothing is copied.

use std::collections::BTreeMap;

use super::planes::Planes;
use super::units::{Unit, Work};
use crate::nn::{Network, NodeId};

/// Planes of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    /// Index into [`Places::pools`].
    pub pool: usize,
    /// First plane.
    pub first: usize,
    /// Number of planes.
    pub planes: usize,
}

/// Feature maps of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pool {
    /// Height and width.
    pub side: usize,
    /// Zeros around each map that its readers may count on.
    pub padding: usize,
    /// Planes that are alive together.
    pub planes: usize,
}

/// Where all values lie.
#[derive(Debug)]
pub(super) struct Places {
    pub pools: Vec<Pool>,
    /// By node; none for a node that is never held.
    pub slices: Vec<Option<Slice>>,
    /// For each segment what a later one still reads.
    pub live: Vec<Vec<Slice>>,
}

impl Places {
    /// Places for the values of `units`.
    pub(super) fn new(network: &Network, units: &[Unit], planes: &Planes) -> Places {
        let parents = parents(network, units, planes);
        let lives = lives(network, units, &parents);
        let (mut pools, pool_of) = pools(network, units);
        let roots = allocate((network, planes), &lives, &mut pools, &pool_of);
        let slices: Vec<Option<Slice>> = (0..parents.len())
            .map(|id| {
                let (root, offset) = root(&parents, id);
                roots[root].map(|slice| Slice {
                    first: slice.first + offset,
                    planes: planes.count(id),
                    ..slice
                })
            })
            .collect();
        let live = live(units, &parents, &lives, &slices);
        Places { pools, slices, live }
    }
}

/// The concatenation that each value is a part of in place, and at which plane.
type Parents = Vec<Option<(NodeId, usize)>>;

/// Later concatenations first: what grows layer by layer lies in the last of them from the start.
fn parents(network: &Network, units: &[Unit], planes: &Planes) -> Parents {
    let mut parents: Parents = vec![None; network.nodes().len()];
    for unit in units.iter().rev() {
        if !matches!(unit.work, Work::Concat) {
            continue;
        }
        let mut offset = 0;
        for &input in &unit.inputs {
            // The input of the network is written before anything else and stays where it is.
            if input != 0 && parents[input].is_none() {
                parents[input] = Some((unit.outputs[0], offset));
            }
            offset += planes.count(input);
        }
    }
    parents
}

fn root(parents: &Parents, mut id: NodeId) -> (NodeId, usize) {
    let mut offset = 0;
    while let Some((parent, at)) = parents[id] {
        offset += at;
        id = parent;
    }
    (id, offset)
}

/// First and last unit that touches a value and all that lies in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Life {
    first: usize,
    last: usize,
}

/// By root; none for nodes that are no root or are not computed.
fn lives(network: &Network, units: &[Unit], parents: &Parents) -> Vec<Option<Life>> {
    let mut lives: Vec<Option<Life>> = vec![None; network.nodes().len()];
    let mut touch = |id: NodeId, at: usize| {
        let (root, _) = root(parents, id);
        let life = lives[root].get_or_insert(Life { first: at, last: at });
        life.last = life.last.max(at);
    };
    touch(0, 0);
    for (at, unit) in units.iter().enumerate() {
        unit.inputs.iter().chain(&unit.outputs).for_each(|&id| touch(id, at));
    }
    // The caller reads the logits after the last unit of their segment.
    for (at, unit) in units.iter().enumerate() {
        for &output in &unit.outputs {
            if network.exits().iter().any(|exit| exit.logits == output) {
                let end = units.iter().rposition(|other| other.segment == unit.segment);
                touch(output, end.unwrap_or(at));
            }
        }
    }
    lives
}

/// One pool a side, with the widest padding that a window there has.
fn pools(network: &Network, units: &[Unit]) -> (Vec<Pool>, BTreeMap<usize, usize>) {
    let mut paddings: BTreeMap<usize, usize> = BTreeMap::new();
    paddings.insert(network.nodes()[0].side, 0);
    for unit in units {
        for &id in &unit.outputs {
            paddings.entry(network.nodes()[id].side).or_insert(0);
        }
        if let Work::Convolve { window, .. } | Work::Depthwise { window, .. } = &unit.work {
            let side = network.nodes()[unit.inputs[0]].side;
            let padding = paddings.entry(side).or_insert(0);
            *padding = (*padding).max(window.padding);
        }
    }
    let pool_of = paddings.keys().enumerate().map(|(i, &side)| (side, i));
    let pools = paddings.iter().map(|(&side, &padding)| Pool { side, padding, planes: 0 });
    (pools.collect(), pool_of.collect())
}

/// The lowest planes that are free for the whole of each life.
fn allocate(
    (network, planes): (&Network, &Planes),
    lives: &[Option<Life>],
    pools: &mut [Pool],
    pool_of: &BTreeMap<usize, usize>,
) -> Vec<Option<Slice>> {
    let mut order: Vec<(Life, NodeId)> =
        (0..lives.len()).filter_map(|id| lives[id].map(|life| (life, id))).collect();
    order.sort_by_key(|&(life, id)| (life.first, id));
    let mut slices: Vec<Option<Slice>> = vec![None; lives.len()];
    let mut held: Vec<(Slice, usize)> = Vec::new();
    for (life, id) in order {
        held.retain(|&(_, last)| last >= life.first);
        let node = &network.nodes()[id];
        let pool = pool_of[&node.side];
        let taken = held.iter().map(|&(slice, _)| slice);
        let slice = Slice {
            pool,
            first: gap(taken.filter(|slice| slice.pool == pool), planes.count(id)),
            planes: planes.count(id),
        };
        let end = slice.first + slice.planes;
        pools[pool].planes = pools[pool].planes.max(end);
        held.push((slice, life.last));
        slices[id] = Some(slice);
    }
    slices
}

/// The first place where `planes` fit between those taken.
fn gap(taken: impl Iterator<Item = Slice>, planes: usize) -> usize {
    let mut taken: Vec<Slice> = taken.collect();
    taken.sort_by_key(|slice| slice.first);
    let mut first = 0;
    for slice in taken {
        if first + planes <= slice.first {
            break;
        }
        first = first.max(slice.first + slice.planes);
    }
    first
}

/// Values that are written by the end of a segment and lie in something that is read later.
fn live(
    units: &[Unit],
    parents: &Parents,
    lives: &[Option<Life>],
    slices: &[Option<Slice>],
) -> Vec<Vec<Slice>> {
    let segments = units.last().map_or(0, |unit| unit.segment + 1);
    let mut live = vec![Vec::new(); segments];
    for (segment, kept) in live.iter_mut().enumerate() {
        let end = units.iter().rposition(|unit| unit.segment == segment).unwrap_or(0);
        let written = units[..=end].iter().flat_map(|unit| {
            // A concatenation is its parts, which are listed themselves unless they were copied.
            let in_place = |&id: &NodeId| {
                let parts = unit.inputs.iter();
                !matches!(unit.work, Work::Concat)
                    || parts.map(|&i| parents[i]).any(|p| p.map(|p| p.0) != Some(id))
            };
            unit.outputs.iter().copied().filter(move |id| in_place(id))
        });
        for id in std::iter::once(0).chain(written) {
            let (root, _) = root(parents, id);
            if lives[root].is_some_and(|life| life.last > end)
                && let Some(slice) = slices[id]
            {
                kept.push(slice);
            }
        }
        *kept = outermost(kept);
    }
    live
}

/// Each place once: what lies within another slice goes with it. (A concatenation of which some
/// parts lie in place and others were copied is listed with its parts.)
fn outermost(slices: &[Slice]) -> Vec<Slice> {
    let within = |a: &Slice, b: &Slice| {
        let (a_end, b_end) = (a.first + a.planes, b.first + b.planes);
        a.pool == b.pool && a.first >= b.first && a_end <= b_end
    };
    let mut kept: Vec<Slice> = Vec::new();
    for slice in slices {
        if !kept.iter().any(|other| within(slice, other)) {
            kept.retain(|other| !within(other, slice));
            kept.push(*slice);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_within_another_is_kept_with_it_alone() {
        let slice = |pool, first, planes| Slice { pool, first, planes };
        let (whole, other) = (slice(0, 4, 8), slice(1, 5, 2));
        let listed = [slice(0, 5, 2), whole, slice(0, 10, 2), other, whole];
        assert_eq!(outermost(&listed), [whole, other]);
    }
}
