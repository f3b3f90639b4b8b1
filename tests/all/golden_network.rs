//! The network and its training against the reference port's numbers.
//!
//! In 64 bits every number agrees to 1e-9 of the largest of its kind (at least 1e-9). In 32 bits
//! two right programs differ by rounding: a sum of n products in either order is off by about
//! sqrt(n) u of its size, u = 2^-24, and what layer after layer adds grows at most with the number
//! of layers on the way. The bound is therefore `2 depth sqrt(n) u` times the largest number of the
//! tensor: `depth` the longest chain of convolutions, batch normalisations and linear layers, n the
//! longest sum, 2 for two programs. A gradient has passed through every layer twice, and its
//! sums also run over the batch and the pixels: `4 depth sqrt(n m) u`, m images x pixels of the
//! first feature map. A convolution's bias before batch normalisation has a gradient that is zero
//! but for rounding, so gradients are measured against the largest gradient norm.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use repro::nn::{Layer, Mode, Network, Precision, Weights};
use repro::results::checkpoint::load_tensors;
use repro::train::{Hyper, Sgd, loss};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::golden::{counted, json_files, network_of};

type Tensors = BTreeMap<String, Tensor>;

const DOUBLE: f64 = 1e-9;

struct Golden {
    name: String,
    text: Value,
    tensors: Tensors,
    network: Network,
}

/// Largest absolute differences, by what was compared.
#[derive(Default)]
struct Differences(BTreeMap<String, f64>);

impl Differences {
    fn note(&mut self, what: &str, difference: f64) {
        let largest = self.0.entry(what.to_string()).or_default();
        *largest = largest.max(difference);
    }

    fn check(&mut self, what: &str, ours: &Tensor, golden: &Tensor, bound: f64, context: &str) {
        assert_eq!(ours.size(), golden.size(), "{context}: shape");
        let (ours, golden) = (ours.to_kind(Kind::Double), golden.to_kind(Kind::Double));
        let difference = (ours - golden).abs().max().double_value(&[]);
        assert!(difference <= bound, "{context}: differs by {difference:e}, bound {bound:e}");
        self.note(what, difference);
    }
}

#[test]
fn golden_networks_compute_the_references_logits_gradients_and_statistics() {
    for_each_network(|golden| {
        let mut differences = Differences::default();
        check_numbers(golden, Kind::Float, &mut differences);
        check_numbers(golden, Kind::Double, &mut differences);
        for (what, difference) in differences.0 {
            println!("{}: {what}: largest difference {difference:.1e}", golden.name);
        }
    });
}

#[test]
fn golden_networks_lose_as_the_reference_over_four_steps_of_sgd() {
    let checked = Cell::new(0);
    for_each_network(|golden| {
        for (key, nesterov) in [("sgd64_plain", false), ("sgd64_nesterov", true)] {
            if let Some(expected) = golden.text.get(key) {
                check_sgd(golden, expected, nesterov);
                checked.set(checked.get() + 1);
            }
        }
    });
    counted("trainings", checked.get());
}

fn for_each_network(check: impl Fn(&Golden)) {
    tch::set_num_threads(1);
    let mut checked = 0;
    for (file, text) in json_files() {
        if let Some(golden) = open(&file, text) {
            check(&golden);
            checked += 1;
        }
    }
    counted("networks", checked);
}

/// A network with its weights and an input, told by its contents.
fn open(file: &Path, text: Value) -> Option<Golden> {
    text.get("config")?.get("nBlocks")?;
    let path = file.with_extension("safetensors");
    let tensors: Tensors = load_tensors(&path).unwrap().into_iter().collect();
    let is_network = tensors.contains_key("x") && tensors.keys().any(|k| k.starts_with("w."));
    if !is_network {
        return None;
    }
    let (config, mut input) = network_of(&text["config"]);
    input.side = tensors["x"].size()[3] as usize;
    let network = config.build(input).unwrap();
    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
    Some(Golden { name, text, tensors, network })
}

impl Golden {
    fn weights(&self, kind: Kind) -> Weights {
        let named: Vec<(String, Tensor)> = self
            .tensors
            .iter()
            .filter_map(|(name, t)| Some((name.strip_prefix("w.")?.to_string(), t.shallow_clone())))
            .collect();
        let mut weights = Weights::zeros(&self.network, kind, Device::Cpu).unwrap();
        weights.load(&named).unwrap_or_else(|e| panic!("{}: {e:#}", self.name));
        weights
    }

    fn forward(&self, weights: &mut Weights, mode: Mode) -> Vec<Tensor> {
        let images = self.tensors["x"].to_kind(weights.kind());
        let logits = self.network.forward(weights, &images, mode, Precision::Fp32);
        logits.unwrap()
    }

    fn loss(&self, logits: &[Tensor]) -> Tensor {
        loss(logits, &self.tensors["target"]).unwrap()
    }

    fn forward_bound(&self) -> f64 {
        2.0 * depth(&self.network) * longest_sum(&self.network).sqrt() * UNIT
    }

    fn gradient_bound(&self) -> f64 {
        let size = self.tensors["x"].size();
        let side = self.network.nodes()[1].side as f64;
        let positions = size[0] as f64 * side * side;
        2.0 * self.forward_bound() * positions.sqrt()
    }
}

/// Half the distance from 1 to the next 32-bit float.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// Layers that round sums on the longest way from the images to an exit.
fn depth(network: &Network) -> f64 {
    let mut depths: Vec<usize> = Vec::new();
    for node in network.nodes() {
        let before = node.inputs.iter().map(|&id| depths[id]).max().unwrap_or(0);
        let sums = matches!(node.layer, Layer::Conv { .. } | Layer::BatchNorm | Layer::Linear);
        depths.push(before + usize::from(sums));
    }
    depths.into_iter().max().unwrap_or(0) as f64
}

/// Products in a convolution's or linear layer's longest sum.
fn longest_sum(network: &Network) -> f64 {
    let lengths = network.nodes().iter().enumerate().map(|(id, node)| match node.layer {
        Layer::Conv { kernel, .. } => kernel * kernel * network.input_channels(id),
        Layer::Linear => network.input_channels(id),
        _ => 0,
    });
    lengths.max().unwrap_or(0) as f64
}

fn largest(tensor: &Tensor) -> f64 {
    tensor.abs().max().double_value(&[])
}

fn check_numbers(golden: &Golden, kind: Kind, differences: &mut Differences) {
    let (suffix, bits) = if kind == Kind::Float { ("", "f32") } else { ("64", "f64") };
    let is_double = kind == Kind::Double;
    let forward = golden.forward_bound();
    let bound = |golden: &Tensor| match is_double {
        true => DOUBLE * largest(golden).max(1.0),
        false => forward * largest(golden),
    };
    let mut weights = golden.weights(kind);
    let context = |what: &str| format!("{}, {bits}, {what}", golden.name);
    let evaluated = tch::no_grad(|| golden.forward(&mut weights, Mode::Evaluate));
    let trained = golden.forward(&mut weights, Mode::Train);
    for (mode, logits) in [("eval", &evaluated), ("train", &trained)] {
        let count =
            golden.tensors.keys().filter(|k| k.starts_with(&format!("{mode}{suffix}."))).count();
        assert_eq!(logits.len(), count, "{}", context(mode));
        for (exit, ours) in logits.iter().enumerate() {
            let key = format!("{mode}{suffix}.{exit}");
            let reference = &golden.tensors[&key];
            let what = format!("{bits} {mode} logits");
            differences.check(&what, &ours.detach(), reference, bound(reference), &context(&key));
        }
    }
    let loss = golden.loss(&trained);
    let key = format!("loss{suffix}");
    let reference = golden.tensors[&key].view(1);
    differences.check(
        &format!("{bits} loss"),
        &loss.detach().view(1),
        &reference,
        bound(&reference),
        &context(&key),
    );
    let used = weights.used_views();
    let gradients = Tensor::f_run_backward(&[&loss], &used, false, false).unwrap();
    let gradients: Tensors =
        weights.used_names().into_iter().map(str::to_string).zip(gradients).collect();
    check_gradients(golden, &gradients, kind, differences);
    if kind == Kind::Float {
        check_statistics(golden, &weights, differences);
    }
}

fn check_gradients(
    golden: &Golden,
    gradients: &Tensors,
    kind: Kind,
    differences: &mut Differences,
) {
    let (suffix, bits) = if kind == Kind::Float { ("", "f32") } else { ("64", "f64") };
    let norms =
        Vec::<f64>::try_from(golden.tensors[&format!("grad_norms{suffix}")].to_kind(Kind::Double))
            .unwrap();
    let order = golden.text["param_order"].as_array().unwrap();
    assert_eq!(order.len(), norms.len(), "{}", golden.name);
    let scale = norms.iter().copied().fold(0.0, f64::max);
    let bound = if kind == Kind::Double {
        DOUBLE * scale.max(1.0)
    } else {
        golden.gradient_bound() * scale
    };
    let with_gradient = norms.iter().filter(|&&norm| norm >= 0.0).count();
    assert_eq!(gradients.len(), with_gradient, "{}: parameters with a gradient", golden.name);
    for (name, norm) in order.iter().map(|n| n.as_str().unwrap()).zip(norms) {
        let context = format!("{}, {bits}, gradient of {name}", golden.name);
        match gradients.get(name) {
            None => assert_eq!(norm, -1.0, "{context}: we have none"),
            Some(ours) => {
                let difference = (ours.to_kind(Kind::Double).norm().double_value(&[]) - norm).abs();
                assert!(
                    difference <= bound,
                    "{context}: norm differs by {difference:e}, bound {bound:e}"
                );
                differences.note(&format!("{bits} gradient norms"), difference);
            }
        }
    }
    for (key, reference) in &golden.tensors {
        let Some(name) = key.strip_prefix("grad.") else {
            continue;
        };
        // Whole gradients are stored in 32 bits; ours in 64 bits differ by that rounding alone.
        let bound = match kind {
            Kind::Double => bound + golden.gradient_bound() * scale,
            _ => golden.gradient_bound() * largest(reference),
        };
        let context = format!("{}, {bits}, {key}", golden.name);
        differences.check(
            &format!("{bits} whole gradients"),
            &gradients[name],
            reference,
            bound,
            &context,
        );
    }
}

/// Running statistics after one training forward.
fn check_statistics(golden: &Golden, weights: &Weights, differences: &mut Differences) {
    let ours: Tensors = weights.named().unwrap().into_iter().collect();
    let used = golden.network.ancestors(0..golden.network.exits().len());
    let unread: Vec<&str> = (0..used.len())
        .filter(|&id| !used[id])
        .map(|id| golden.network.nodes()[id].name.as_str())
        .collect();
    for (key, reference) in &golden.tensors {
        let Some(name) = key.strip_prefix("stat.") else {
            continue;
        };
        let layer = name.rsplit_once('.').map_or(name, |(layer, _)| layer);
        if unread.contains(&layer) {
            println!(
                "skipped: {}, {key}: no exit reads this layer, so it is not computed",
                golden.name
            );
            continue;
        }
        let bound = golden.forward_bound() * largest(reference);
        let context = format!("{}, {key}", golden.name);
        differences.check("f32 running statistics", &ours[name], reference, bound, &context);
    }
}

fn check_sgd(golden: &Golden, expected: &Value, nesterov: bool) {
    let number =
        |key: &str| expected[key].as_f64().unwrap_or_else(|| panic!("{}: {key}", golden.name));
    let hyper = Hyper {
        rate: number("lr"),
        momentum: number("momentum"),
        nesterov,
        weight_decay: number("weight_decay"),
    };
    let mut weights = golden.weights(Kind::Double);
    let mut sgd = Sgd::new(&weights).unwrap();
    let losses = expected["train_losses_4_steps"].as_array().unwrap();
    assert_eq!(losses.len(), 4);
    let mut worst: f64 = 0.0;
    let mut close = |ours: f64, golden_loss: f64, what: &str| {
        let relative = (ours - golden_loss).abs() / golden_loss.abs();
        assert!(
            relative <= DOUBLE,
            "{}, nesterov {nesterov}, {what}: {ours}, expected {golden_loss}",
            golden.name
        );
        worst = worst.max(relative);
    };
    for (step, expected) in losses.iter().enumerate() {
        let logits = golden.forward(&mut weights, Mode::Train);
        let loss = golden.loss(&logits);
        close(
            loss.double_value(&[]),
            expected.as_f64().unwrap(),
            &format!("loss at step {}", step + 1),
        );
        let gradients =
            Tensor::f_run_backward(&[&loss], &weights.used_views(), false, false).unwrap();
        sgd.step(&weights, &gradients, hyper).unwrap();
    }
    let logits = tch::no_grad(|| golden.forward(&mut weights, Mode::Evaluate));
    close(
        golden.loss(&logits).double_value(&[]),
        number("eval_loss_after"),
        "evaluation loss afterwards",
    );
    println!(
        "{}: four steps, Nesterov {nesterov}: largest relative difference {worst:.1e}",
        golden.name
    );
}
