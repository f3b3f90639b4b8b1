//! In which order nodes run, segment by segment, and after which step a value is needed no more.

use super::graph::{Network, NodeId};

/// One node to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The node.
    pub node: NodeId,
    /// Values whose last reader this step is.
    pub frees: Vec<NodeId>,
}

/// What takes the evaluation from one exit to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The exit (from 0) whose logits the segment ends with.
    pub exit: usize,
    /// Nodes to run, in order; none that an earlier segment has run.
    pub steps: Vec<Step>,
}

/// The segments of an evaluation of some exits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// One segment an exit, in ascending order.
    pub segments: Vec<Segment>,
}

impl Schedule {
    /// A schedule for `exits` (from 0, ascending). The input counts as given.
    pub fn new(network: &Network, exits: &[usize]) -> Schedule {
        let mut done = vec![false; network.nodes().len()];
        done[0] = true;
        let mut segments: Vec<Segment> = Vec::with_capacity(exits.len());
        for &exit in exits {
            let needed = network.ancestors([exit]);
            let mut steps = Vec::new();
            for node in 0..needed.len() {
                if needed[node] && !done[node] {
                    done[node] = true;
                    steps.push(Step { node, frees: Vec::new() });
                }
            }
            segments.push(Segment { exit, steps });
        }
        let last = last_readers(network, &segments);
        assign_frees(&mut segments, &last);
        Schedule { segments }
    }
}

/// For each node the (segment, step) of its last reader.
fn last_readers(network: &Network, segments: &[Segment]) -> Vec<Option<(usize, usize)>> {
    let mut last = vec![None; network.nodes().len()];
    for (s, segment) in segments.iter().enumerate() {
        for (i, step) in segment.steps.iter().enumerate() {
            for &input in &network.nodes()[step.node].inputs {
                last[input] = Some((s, i));
            }
        }
    }
    last
}

fn assign_frees(segments: &mut [Segment], last: &[Option<(usize, usize)>]) {
    for (id, place) in last.iter().enumerate() {
        if let Some((s, i)) = *place {
            segments[s].steps[i].frees.push(id);
        }
    }
}
