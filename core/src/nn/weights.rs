//! A network's tensors: parameters in one flat tensor with a named view each, and the running
//! statistics of batch normalisation.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use tch::{Device, Kind, Tensor};

use super::graph::{Layer, Network, NodeId};

/// What a tensor is to its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Kernel of a convolution in g groups `[out, in / g, k, k]` or matrix of a linear layer `[out, in]`.
    Weight,
    /// Bias of a convolution or linear layer.
    Bias,
    /// Scale of batch normalisation.
    Gamma,
    /// Shift of batch normalisation.
    Beta,
}

/// A trainable tensor, before there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Name of the tensor.
    pub name: String,
    /// Its shape.
    pub shape: Vec<i64>,
    /// What it is to its layer.
    pub role: Role,
    /// The layer's node.
    pub node: NodeId,
}

/// Any tensor of a network's state: name and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name of the tensor.
    pub name: String,
    /// Its shape.
    pub shape: Vec<i64>,
}

impl Network {
    /// Every parameter, in the order of creation.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        let mut specs = Vec::new();
        for (id, node) in self.nodes().iter().enumerate() {
            let (inputs, outputs) = (self.input_channels(id) as i64, node.channels as i64);
            let mut push = |suffix: &str, shape: Vec<i64>, role| {
                let name = format!("{}.{suffix}", node.name);
                specs.push(ParameterSpec { name, shape, role, node: id });
            };
            match node.layer {
                Layer::Conv { kernel, groups, bias, .. } => {
                    let (kernel, inputs) = (kernel as i64, inputs / groups as i64);
                    push("weight", vec![outputs, inputs, kernel, kernel], Role::Weight);
                    if bias {
                        push("bias", vec![outputs], Role::Bias);
                    }
                }
                Layer::BatchNorm => {
                    push("weight", vec![outputs], Role::Gamma);
                    push("bias", vec![outputs], Role::Beta);
                }
                Layer::Linear => {
                    push("weight", vec![outputs, inputs], Role::Weight);
                    push("bias", vec![outputs], Role::Bias);
                }
                _ => {}
            }
        }
        specs
    }

    /// Every tensor of the state: parameters, running statistics and their counters.
    pub fn state(&self) -> Vec<TensorSpec> {
        let parameters =
            self.parameters().into_iter().map(|p| TensorSpec { name: p.name, shape: p.shape });
        let norms = self.nodes().iter().filter(|n| n.layer == Layer::BatchNorm);
        let statistics = norms.flat_map(|node| {
            let channels = vec![node.channels as i64];
            [("running_mean", channels.clone()), ("running_var", channels), (COUNTER, vec![])].map(
                |(suffix, shape)| TensorSpec { name: format!("{}.{suffix}", node.name), shape },
            )
        });
        parameters.chain(statistics).collect()
    }
}

const COUNTER: &str = "num_batches_tracked";

/// At most so many tensors that do not fit are listed one by one.
const LISTED: usize = 10;

/// Running statistics of one batch normalisation.
#[derive(Debug)]
pub(crate) struct Statistics {
    pub(crate) mean: Tensor,
    pub(crate) var: Tensor,
    pub(super) batches: i64,
}

/// The tensors of a [`Network`].
#[derive(Debug)]
pub struct Weights {
    /// Parameters that some exit depends on, then the others; one dimension.
    flat: Tensor,
    /// How many elements of `flat` some exit depends on.
    used: i64,
    specs: Vec<ParameterSpec>,
    /// Leaves of the autograd graph: views into `flat`, by specification.
    views: Vec<Tensor>,
    /// Indices into `views` in the order in which they lie in `flat`.
    order: Vec<usize>,
    used_count: usize,
    /// For each node the index of its first view.
    first_view: Vec<usize>,
    /// Running mean and variance of every batch normalisation, one after another; one dimension.
    moments: Tensor,
    statistics: BTreeMap<NodeId, Statistics>,
    has_dropout: bool,
    /// What dropout draws from, int64 `[1]` on the device.
    dropout_key: Option<Tensor>,
}

impl Weights {
    /// Weights that are all zero, with fresh running statistics (mean 0, variance 1).
    ///
    /// # Errors
    /// When LibTorch cannot allocate them.
    pub fn zeros(network: &Network, kind: Kind, device: Device) -> Result<Weights> {
        let specs = network.parameters();
        let needed = network.ancestors(0..network.exits().len());
        let mut order: Vec<usize> = (0..specs.len()).collect();
        order.sort_by_key(|&i| !needed[specs[i].node]);
        let used_count = specs.iter().filter(|s| needed[s.node]).count();
        let sizes: Vec<i64> = specs.iter().map(|s| s.shape.iter().product()).collect();
        let room = |parts: &[usize]| parts.iter().map(|&i| aligned(sizes[i])).sum::<i64>();
        let used = room(&order[..used_count]);
        let flat = Tensor::f_zeros([room(&order)], (kind, device))?;
        let views = make_views(&flat, &specs, &sizes, &order)?;
        let mut first_view = vec![usize::MAX; network.nodes().len()];
        for (i, spec) in specs.iter().enumerate().rev() {
            first_view[spec.node] = i;
        }
        let norms = network.nodes().iter().enumerate();
        let norms = norms.filter(|(_, node)| node.layer == Layer::BatchNorm);
        let norms: Vec<_> = norms.map(|(id, node)| (id, node.channels as i64, 0)).collect();
        let room: i64 = norms.iter().map(|&(_, channels, _)| 2 * aligned(channels)).sum();
        let moments = Tensor::f_zeros([room], (kind, device))?;
        let statistics = make_statistics(&moments, norms)?;
        for Statistics { var, .. } in statistics.values() {
            let _ = var.shallow_clone().f_fill_(1.0)?;
        }
        let has_dropout =
            network.nodes().iter().any(|node| matches!(node.layer, Layer::Dropout { .. }));
        Ok(Weights {
            flat,
            used,
            specs,
            views,
            order,
            used_count,
            first_view,
            moments,
            statistics,
            has_dropout,
            dropout_key: None,
        })
    }

    /// Sets what dropout draws from in the training passes that follow; before the first key it drops
    /// nothing. The same key gives the same numbers on every device. The key is no part of the state,
    /// and nothing is copied to the device.
    ///
    /// # Errors
    /// When LibTorch fails.
    pub fn set_dropout_key(&mut self, key: u64) -> Result<()> {
        if !self.has_dropout {
            return Ok(());
        }
        // The upper half is read by an arithmetic shift, so the sign bit stays clear.
        let key = (key >> 1) as i64;
        match &mut self.dropout_key {
            Some(tensor) => drop(tensor.f_fill_(key)?),
            None => {
                let options = (Kind::Int64, self.flat.device());
                self.dropout_key = Some(Tensor::f_full([1], key, options)?);
            }
        }
        Ok(())
    }

    pub(super) fn dropout_key(&self) -> Option<&Tensor> {
        self.dropout_key.as_ref()
    }

    /// The parameters' names and shapes, in the order of [`Weights::views`].
    pub fn specs(&self) -> &[ParameterSpec] {
        &self.specs
    }

    /// The parameters, each a leaf; those that some exit depends on share their memory with
    /// [`Weights::flat_used`].
    pub fn views(&self) -> &[Tensor] {
        &self.views
    }

    /// The parameters that some exit depends on, as one vector; an update of it updates them. Each
    /// starts at a multiple of 8 elements; what lies between is 0.
    pub fn flat_used(&self) -> Tensor {
        self.flat.narrow(0, 0, self.used)
    }

    /// The parameters that some exit depends on, in the order in which they lie in
    /// [`Weights::flat_used`].
    pub fn used_views(&self) -> Vec<&Tensor> {
        self.order[..self.used_count].iter().map(|&i| &self.views[i]).collect()
    }

    /// Names of [`Weights::used_views`], in the same order.
    pub fn used_names(&self) -> Vec<&str> {
        self.order[..self.used_count].iter().map(|&i| self.specs[i].name.as_str()).collect()
    }

    /// Device that holds them.
    pub fn device(&self) -> Device {
        self.flat.device()
    }

    /// Element type.
    pub fn kind(&self) -> Kind {
        self.flat.kind()
    }

    /// The `index`-th parameter of a node (weight, bias; gamma, beta).
    pub(crate) fn of_node(&self, node: NodeId, index: usize) -> &Tensor {
        &self.views[self.first_view[node] + index]
    }

    pub(crate) fn statistics(&self, node: NodeId) -> &Statistics {
        &self.statistics[&node]
    }

    /// Counts one more batch in the running statistics of every batch normalisation that was
    /// `computed`, by node id.
    pub(super) fn count_batch(&mut self, computed: &[bool]) {
        for (&node, statistics) in &mut self.statistics {
            statistics.batches += i64::from(computed[node]);
        }
    }

    /// The same on another device, by two copies; on their own device they share their memory.
    ///
    /// # Errors
    /// When the device cannot hold them.
    pub fn moved(&self, device: Device) -> Result<Weights> {
        let flat = self.flat.f_to_device(device)?;
        let moments = self.moments.f_to_device(device)?;
        let sizes: Vec<i64> = self.specs.iter().map(|s| s.shape.iter().product()).collect();
        let norms = self.statistics.iter();
        let norms = norms.map(|(&id, s)| (id, s.mean.numel() as i64, s.batches));
        Ok(Weights {
            used: self.used,
            views: make_views(&flat, &self.specs, &sizes, &self.order)?,
            specs: self.specs.clone(),
            order: self.order.clone(),
            used_count: self.used_count,
            first_view: self.first_view.clone(),
            statistics: make_statistics(&moments, norms)?,
            flat,
            moments,
            has_dropout: self.has_dropout,
            dropout_key: None,
        })
    }

    /// A copy in another element type or on another device.
    ///
    /// # Errors
    /// When LibTorch cannot allocate it.
    pub fn converted(&self, network: &Network, kind: Kind, device: Device) -> Result<Weights> {
        let mut copy = Weights::zeros(network, kind, device)?;
        copy.load(&self.named()?).context("copying weights")?;
        Ok(copy)
    }

    /// The whole state by name: parameters in the order of [`Weights::specs`], running statistics, counters (int64
    /// scalars). The tensors share memory with the weights, counters excepted.
    ///
    /// # Errors
    /// When LibTorch fails.
    pub fn named(&self) -> Result<Vec<(String, Tensor)>> {
        let mut named = Vec::new();
        for (spec, view) in self.specs.iter().zip(&self.views) {
            named.push((spec.name.clone(), view.f_detach()?));
        }
        for (&node, statistics) in &self.statistics {
            let name = self.prefix(node);
            named.push((format!("{name}.running_mean"), statistics.mean.shallow_clone()));
            named.push((format!("{name}.running_var"), statistics.var.shallow_clone()));
            named.push((format!("{name}.{COUNTER}"), Tensor::from(statistics.batches)));
        }
        Ok(named)
    }

    /// Takes the whole state from `named`, in any order and of any floating type.
    ///
    /// # Errors
    /// Lists the first tensors that are missing, left over or of another shape, and counts them;
    /// then nothing is taken.
    pub fn load(&mut self, named: &[(String, Tensor)]) -> Result<()> {
        let mut given: BTreeMap<&str, &Tensor> =
            named.iter().map(|(n, t)| (n.as_str(), t)).collect();
        if given.len() < named.len() {
            bail!("a tensor's name occurs twice");
        }
        let mut wrong = Vec::new();
        let mut copies: Vec<(Tensor, &Tensor)> = Vec::new();
        let mut counters = Vec::new();
        for (name, target) in self.named()? {
            match given.remove(name.as_str()) {
                None => wrong.push(format!("missing: {name} {:?}", target.size())),
                Some(source) if source.size() != target.size() => {
                    wrong.push(format!(
                        "wrong shape: {name} is {:?}, expected {:?}",
                        source.size(),
                        target.size()
                    ));
                }
                Some(source) if name.ends_with(COUNTER) => {
                    counters.push(i64::try_from(source)?);
                }
                Some(source) => copies.push((target, source)),
            }
        }
        wrong.extend(
            given.iter().map(|(name, tensor)| format!("left over: {name} {:?}", tensor.size())),
        );
        ensure!(wrong.is_empty(), listed(&wrong));
        for (mut target, source) in copies {
            tch::no_grad(|| target.f_copy_(source))?;
        }
        // One counter each, in the order in which they are named.
        for (statistics, batches) in self.statistics.values_mut().zip(counters) {
            statistics.batches = batches;
        }
        Ok(())
    }

    /// Name of a node's layer: that of its first parameter without the last part.
    fn prefix(&self, node: NodeId) -> &str {
        let name = &self.specs[self.first_view[node]].name;
        name.rsplit_once('.').map_or(name, |(prefix, _)| prefix)
    }
}

/// Mean and variance of each batch normalisation (node, channels, batches counted) as parts of
/// `moments`.
fn make_statistics(
    moments: &Tensor,
    norms: impl IntoIterator<Item = (NodeId, i64, i64)>,
) -> Result<BTreeMap<NodeId, Statistics>> {
    let mut start = 0;
    let mut statistics = BTreeMap::new();
    for (node, channels, batches) in norms {
        let mean = moments.f_narrow(0, start, channels)?;
        let var = moments.f_narrow(0, start + aligned(channels), channels)?;
        statistics.insert(node, Statistics { mean, var, batches });
        start += 2 * aligned(channels);
    }
    Ok(statistics)
}

/// Says which tensors do not fit, the first [`LISTED`] by name.
fn listed(wrong: &[String]) -> String {
    let (first, rest) = wrong.split_at(wrong.len().min(LISTED));
    let more = if rest.is_empty() { String::new() } else { format!("\n  and {} more", rest.len()) };
    let do_not = match wrong.len() {
        1 => "1 tensor does".to_string(),
        count => format!("{count} tensors do"),
    };
    format!("{do_not} not fit the network:\n  {}{more}", first.join("\n  "))
}

/// Elements that a tensor of `size` elements takes in a vector: a GPU reads 16 bytes at a time, also of
/// 16-bit numbers, and fails on an address that is no multiple of it. What is added stays 0.
pub fn aligned(size: i64) -> i64 {
    const ELEMENTS: i64 = 8;
    (size + ELEMENTS - 1) / ELEMENTS * ELEMENTS
}

fn make_views(
    flat: &Tensor,
    specs: &[ParameterSpec],
    sizes: &[i64],
    order: &[usize],
) -> Result<Vec<Tensor>> {
    let mut offsets = vec![0; specs.len()];
    let mut next = 0;
    for &i in order {
        offsets[i] = next;
        next += aligned(sizes[i]);
    }
    let mut views = Vec::with_capacity(specs.len());
    for (i, spec) in specs.iter().enumerate() {
        let view = flat.f_narrow(0, offsets[i], sizes[i])?.f_view(spec.shape.as_slice())?;
        views.push(view.f_detach()?.f_set_requires_grad(true)?);
    }
    Ok(views)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Builder, Conv};

    #[test]
    fn every_tensor_starts_where_a_gpu_can_read_16_bytes_also_behind_odd_sizes() {
        let (mut net, x) = Builder::new(1, 8);
        let x = net.conv(x, Conv::three(3, 1));
        let x = net.batch_norm(x);
        let early = net.global_avg_pool(x);
        let early = net.linear(early, 5, "early");
        net.exit(early, 1);
        let x = net.conv(x, Conv::three(7, 1));
        let x = net.batch_norm(x);
        let x = net.global_avg_pool(x);
        let logits = net.linear(x, 5, "linear");
        net.exit(logits, 2);
        let weights = Weights::zeros(&net.finish(), Kind::Float, Device::Cpu).unwrap();
        let start = weights.flat.data_ptr() as usize;
        for (spec, view) in weights.specs().iter().zip(weights.views()) {
            assert_eq!((view.data_ptr() as usize - start) % 16, 0, "{}", spec.name);
        }
        let start = weights.moments.data_ptr() as usize;
        for statistics in weights.statistics.values() {
            assert_eq!((statistics.var.data_ptr() as usize - start) % 16, 0);
        }
    }
}
