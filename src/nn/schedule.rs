//! In which order nodes run, stage by stage, and after which step a value is needed no more.

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
pub struct Stage {
    /// The exit (from 0) whose logits the stage ends with.
    pub exit: usize,
    /// Nodes to run, in order; none that an earlier stage has run.
    pub steps: Vec<Step>,
    /// Values that a later stage still reads: what a batch has to keep for images that go on.
    pub live: Vec<NodeId>,
}

/// The stages of an evaluation of some exits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// One stage an exit, in ascending order.
    pub stages: Vec<Stage>,
    /// Values that no stage reads at all and that are not computed: ids of skipped nodes.
    pub skipped: Vec<NodeId>,
}

impl Schedule {
    /// A schedule for `exits` (from 0, ascending). The input counts as given.
    pub fn new(network: &Network, exits: &[usize]) -> Schedule {
        let mut done = vec![false; network.nodes().len()];
        done[0] = true;
        let mut stages: Vec<Stage> = Vec::with_capacity(exits.len());
        for (position, &exit) in exits.iter().enumerate() {
            let needed = network.ancestors(exits[..=position].iter().copied());
            let mut steps = Vec::new();
            for node in 0..needed.len() {
                if needed[node] && !done[node] {
                    done[node] = true;
                    steps.push(Step { node, frees: Vec::new() });
                }
            }
            stages.push(Stage { exit, steps, live: Vec::new() });
        }
        let last = last_readers(network, &stages);
        assign_frees(network, &mut stages, &last);
        let skipped = (0..done.len()).filter(|&id| !done[id]).collect();
        Schedule { stages, skipped }
    }
}

/// For each node the (stage, step) of its last reader.
fn last_readers(network: &Network, stages: &[Stage]) -> Vec<Option<(usize, usize)>> {
    let mut last = vec![None; network.nodes().len()];
    for (s, stage) in stages.iter().enumerate() {
        for (i, step) in stage.steps.iter().enumerate() {
            for &input in &network.nodes()[step.node].inputs {
                last[input] = Some((s, i));
            }
        }
    }
    last
}

fn assign_frees(network: &Network, stages: &mut [Stage], last: &[Option<(usize, usize)>]) {
    let mut born = vec![usize::MAX; network.nodes().len()];
    born[0] = 0;
    for (s, stage) in stages.iter().enumerate() {
        for step in &stage.steps {
            born[step.node] = s;
        }
    }
    for (id, place) in last.iter().enumerate() {
        let Some((s, i)) = *place else { continue };
        stages[s].steps[i].frees.push(id);
        for stage in &mut stages[born[id].min(s)..s] {
            stage.live.push(id);
        }
    }
}
