//! MobileNet and SqueezeNet against numbers of PyTorch modules: costs to the unit, logits,
//! gradients and statistics of seeded networks.
//!
//! Two right programs differ by rounding. Logits agree within 1e-5 of the largest, norms of gradients
//! within 1e-4 of themselves, in 64 bits both to 1e-9. A gradient that vanishes but for rounding is
//! below 1e-5.

use std::collections::BTreeMap;
use std::path::Path;

use repro::cost;
use repro::data::Dataset;
use repro::engine::Engine;
use repro::experiment::networks_of;
use repro::import::port::static_network_of;
use repro::models::{Input, NetworkConfig, Stem, mobilenet, mobilenet_v2, squeezenet};
use repro::nn::{Layer, Mode, Network, Precision, Weights};
use repro::results::checkpoint::load_tensors;
use repro::train::loss;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::golden::{counted, json_files};

type Tensors = BTreeMap<String, Tensor>;

/// Largest difference of logits, relative to the largest of them, and of a gradient's norm.
const LOGITS: f64 = 1e-5;
const NORMS: f64 = 1e-4;
const DOUBLE: f64 = 1e-9;
const VANISHES: f64 = 1e-5;

#[test]
fn golden_costs_of_static_networks_are_equal_to_the_unit() {
    let mut checked = 0;
    for (file, golden) in json_files() {
        let entries = golden.get("networks").and_then(Value::as_array);
        let is_cost = |entry: &&Value| entry.get("multiply_adds").is_some();
        for entry in entries.into_iter().flatten().filter(is_cost) {
            check_cost(entry, &format!("{}, {}", file.display(), entry["name"]));
            checked += 1;
        }
    }
    counted("costs of static networks", checked);
}

fn check_cost(entry: &Value, context: &str) {
    let (config, input) = of_config(&entry["config"]);
    if let Some(text) = entry.get("yaml").and_then(Value::as_str) {
        let (networks, _) = networks_of(text).unwrap_or_else(|e| panic!("{context}: {e:#}"));
        assert_eq!(networks[0].1, config, "{context}");
        assert_eq!(of_arguments(&entry["args"]), input, "{context}");
    }
    let network = config.build(input).unwrap_or_else(|e| panic!("{context}: {e:#}"));
    let cost = *cost::table(&network).last().unwrap();
    assert_eq!(cost.multiply_adds, entry["multiply_adds"].as_u64().unwrap(), "{context}");
    assert_eq!(cost.multiply_adds_single, cost.multiply_adds, "{context}");
    let mut parameters = cost.parameters;
    if entry["config"]["pointwise_bias"] == true {
        parameters += pointwise_channels(&network);
    }
    assert_eq!(parameters, entry["parameters"].as_u64().unwrap(), "{context}");
    let shape = |node: &repro::nn::Node| serde_json::json!([node.channels, node.side, node.side]);
    let convolutions = network.nodes().iter().filter(|n| matches!(n.layer, Layer::Conv { .. }));
    assert_eq!(convolutions.map(shape).next_back().unwrap(), entry["last_map"], "{context}");
}

/// Outputs of all pointwise convolutions: what biases there would add to the parameters.
fn pointwise_channels(network: &Network) -> u64 {
    let nodes = network.nodes().iter();
    let pointwise = nodes.filter(|node| matches!(node.layer, Layer::Conv { kernel: 1, .. }));
    pointwise.map(|node| node.channels as u64).sum()
}

fn of_config(config: &Value) -> (NetworkConfig, Input) {
    let number = |key: &str| config[key].as_u64().unwrap_or_else(|| panic!("{key}")) as usize;
    let input = Input { channels: 3, side: number("resolution"), classes: number("classes") };
    let stem = if number("stem_stride") == 1 { Stem::Cifar } else { Stem::Imagenet };
    let width = config["width"].as_f64().unwrap_or(1.0);
    let network = match config["family"].as_str().unwrap() {
        "mobilenet-v1" => mobilenet_v1(width, stem),
        "mobilenet-v2" => mobilenet_v2(width, stem),
        "squeezenet" if config["version"] == "1.0" => squeezenet(squeezenet::Form::V1_0),
        "squeezenet" => squeezenet(squeezenet::Form::V1_1),
        "squeezenet-cifar" => squeezenet(squeezenet::Form::Cifar),
        family => panic!("family: {family}"),
    };
    (network, input)
}

fn mobilenet_v1(width: f64, stem: Stem) -> NetworkConfig {
    NetworkConfig::Mobilenet(mobilenet::Config { width, stem, exits_after: vec![] })
}

fn mobilenet_v2(width: f64, stem: Stem) -> NetworkConfig {
    NetworkConfig::MobilenetV2(mobilenet_v2::Config { width, stem, exits_after: vec![] })
}

fn squeezenet(form: squeezenet::Form) -> NetworkConfig {
    NetworkConfig::Squeezenet(squeezenet::Config { form, exits_after: vec![] })
}

/// What `--dataset` and `--side` stand for.
fn of_arguments(arguments: &Value) -> Input {
    let arguments: Vec<&str> =
        arguments.as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    let mut input = Input { channels: 3, side: 32, classes: 100 };
    for pair in arguments.chunks(2) {
        match pair {
            ["--dataset", name] => {
                let dataset: Dataset = name.parse().unwrap();
                input = repro::runs::data::input_of(&dataset).unwrap();
            }
            ["--side", side] => input.side = side.parse().unwrap(),
            _ => panic!("{pair:?}"),
        }
    }
    input
}

struct Golden {
    name: String,
    text: Value,
    tensors: Tensors,
    config: NetworkConfig,
    input: Input,
}

#[test]
fn golden_static_networks_compute_the_references_logits_gradients_and_statistics() {
    tch::set_num_threads(1);
    let mut checked = 0;
    for (file, text) in json_files() {
        let Some(golden) = open(&file, text) else { continue };
        for kind in [Kind::Float, Kind::Double] {
            check_numbers(&golden, kind);
        }
        checked += 1;
    }
    counted("static networks", checked);
}

/// A static network with its weights and an input, told by its contents.
fn open(file: &Path, text: Value) -> Option<Golden> {
    text.get("network")?.as_str()?;
    text.get("param_order")?;
    let tensors: Tensors =
        load_tensors(&file.with_extension("safetensors")).unwrap().into_iter().collect();
    let described = static_network_of(&text);
    let (config, input) = described.unwrap_or_else(|e| panic!("{}: {e:#}", file.display()));
    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
    Some(Golden { name, text, tensors, config, input })
}

impl Golden {
    /// The network for images such as tensor `key`.
    fn network(&self, key: &str) -> Network {
        let side = self.tensors[key].size()[2] as usize;
        self.config.build(Input { side, ..self.input }).unwrap()
    }

    fn weights(&self, network: &Network, kind: Kind) -> Weights {
        let named: Vec<(String, Tensor)> = self
            .tensors
            .iter()
            .filter_map(|(name, t)| Some((name.strip_prefix("w.")?.to_string(), t.shallow_clone())))
            .collect();
        let mut weights = Weights::zeros(network, kind, Device::Cpu).unwrap();
        weights.load(&named).unwrap_or_else(|e| panic!("{}: {e:#}", self.name));
        weights
    }

    /// Endings of the keys of inputs: none, `_60`, ...
    fn inputs(&self) -> Vec<String> {
        let names = self.tensors.keys().filter_map(|key| key.strip_prefix('x'));
        names.filter(|rest| rest.is_empty() || rest.starts_with('_')).map(str::to_string).collect()
    }

    fn compare(&self, key: &str, ours: &Tensor, bound: f64) {
        let reference = &self.tensors[key];
        assert_eq!(ours.size(), reference.size(), "{}, {key}", self.name);
        let apart = apart(ours, reference);
        assert!(apart <= bound, "{}, {key}: differs by {apart:e} of the largest", self.name);
        println!("{}, {key}: differs by {apart:.1e} of the largest", self.name);
    }
}

/// Largest difference, relative to the largest number of the second.
fn apart(ours: &Tensor, reference: &Tensor) -> f64 {
    let (ours, reference) = (ours.detach().to_kind(Kind::Double), reference.to_kind(Kind::Double));
    ((ours - &reference).abs().max() / reference.abs().max()).double_value(&[])
}

fn check_numbers(golden: &Golden, kind: Kind) {
    let (bits, bound) = if kind == Kind::Float { ("", LOGITS) } else { ("64", DOUBLE) };
    for ending in golden.inputs() {
        let images = &golden.tensors[&format!("x{ending}")];
        let network = golden.network(&format!("x{ending}"));
        let mut weights = golden.weights(&network, kind);
        let key = format!("eval{bits}{ending}.0");
        let logits = tch::no_grad(|| forward(&network, &mut weights, images, Mode::Evaluate));
        golden.compare(&key, &logits, bound);
        if kind == Kind::Float {
            let engine = Engine::new(&network, &weights, Some(Precision::Fp32)).unwrap();
            let floats = Vec::<f32>::try_from(images.contiguous().view([-1])).unwrap();
            let found = engine.logits(&floats, 1).unwrap().remove(0);
            // Batch normalisation is folded in, which rounds differently.
            golden.compare(&key, &Tensor::from_slice(&found).view_as(&logits), 2.0 * bound);
        }
    }
    let network = golden.network("x");
    let mut weights = golden.weights(&network, kind);
    let logits = forward(&network, &mut weights, &golden.tensors["x"], Mode::Train);
    golden.compare(&format!("train{bits}.0"), &logits, bound);
    let loss = loss(&[logits], &golden.tensors["target"]).unwrap();
    let key = format!("loss{bits}");
    golden.compare(&key, &loss.view_as(&golden.tensors[&key]), bound);
    let gradients = Tensor::run_backward(&[loss], &weights.used_views(), false, false);
    let names = weights.used_names().into_iter().map(str::to_string);
    check_gradients(golden, &names.zip(gradients).collect(), kind);
    check_statistics(golden, &weights, bound);
}

fn forward(network: &Network, weights: &mut Weights, images: &Tensor, mode: Mode) -> Tensor {
    let images = images.to_kind(weights.kind());
    network.forward(weights, &images, mode, Precision::Fp32).unwrap().remove(0)
}

fn check_gradients(golden: &Golden, gradients: &Tensors, kind: Kind) {
    let (bits, bound) = if kind == Kind::Float { ("", NORMS) } else { ("64", DOUBLE) };
    let norms = golden.tensors[&format!("grad_norms{bits}")].to_kind(Kind::Double);
    let norms = Vec::<f64>::try_from(norms).unwrap();
    let order = golden.text["param_order"].as_array().unwrap();
    assert_eq!((order.len(), gradients.len()), (norms.len(), norms.len()), "{}", golden.name);
    let vanishing = golden.text["gradients_that_vanish"].as_array();
    let (mut worst, mut largest) = (0.0_f64, 0.0_f64);
    for (name, norm) in order.iter().zip(norms) {
        let ours = gradients[name.as_str().unwrap()].to_kind(Kind::Double).norm();
        let ours = ours.double_value(&[]);
        if vanishing.is_some_and(|names| names.contains(name)) {
            largest = largest.max(ours);
            assert!(ours < VANISHES, "{}, gradient of {name}: {ours:e}", golden.name);
            continue;
        }
        let difference = (ours - norm).abs() / norm;
        worst = worst.max(difference);
        assert!(difference <= bound, "{}, gradient of {name}: {ours}, {norm}", golden.name);
    }
    println!(
        "{}: norms{bits} differ by {worst:.1e}, those that vanish are below {largest:.1e}",
        golden.name
    );
    for key in golden.tensors.keys().filter(|key| key.starts_with("grad.")) {
        golden.compare(key, &gradients[key.trim_start_matches("grad.")], NORMS);
    }
}

/// Running statistics after one training forward; stored in 32 bits.
fn check_statistics(golden: &Golden, weights: &Weights, bound: f64) {
    let ours: Tensors = weights.named().unwrap().into_iter().collect();
    for key in golden.tensors.keys().filter(|key| key.starts_with("stat.")) {
        let bound = bound.max(LOGITS);
        golden.compare(key, &ours[key.trim_start_matches("stat.")], bound);
    }
}
