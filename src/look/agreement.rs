//! Whether a device computes what the reference port and the processor compute.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::doctor::{Check, State};
use crate::cuda::{Numerics, Trouble, plain, trouble};
use crate::data::{Dataset, Normalisation, Source, Split};
use crate::experiment::{Run, Training};
use crate::import::port::{network_of, static_network_of};
use crate::models::NetworkConfig;
use crate::nn::{Mode, Network, Precision, Weights};
use crate::results::checkpoint::load_tensors;
use crate::runs::data::input_from;
use crate::train::{Job, Trainer, loss};

/// Networks whose trainings on both devices are compared.
const NETWORKS: [(&str, &str); 6] = [
    (
        "MSDNet",
        r#"{"msdnet":{"channels":4,"growth":2,"scale_growth":[1,2,4],"bottleneck":[1,2,4],"exits":2,"first_exit":1,"spacing":{"even":1}}}"#,
    ),
    ("ResNet", r#"{"resnet":{"blocks_per_stage":1,"channels":8,"exits_after":[1]}}"#),
    (
        "DenseNet",
        r#"{"densenet":{"layers_per_block":1,"growth":4,"bottleneck":true,"compression":0.5,"exits_after":[1]}}"#,
    ),
    ("MobileNet", r#"{"mobilenet":{"width":0.125,"stem":"cifar"}}"#),
    ("MobileNetV2", r#"{"mobilenet_v2":{"width":0.125,"stem":"cifar"}}"#),
    ("SqueezeNet", r#"{"squeezenet":{"form":"cifar"}}"#),
];
const STEPS: usize = 20;
const BATCH: usize = 20;

/// How far apart two right results may be, relative to the largest number.
struct Bounds {
    logits: f64,
    gradients: f64,
}

const DOUBLE: Bounds = Bounds { logits: 1e-9, gradients: 1e-9 };
/// Sums of some thousand products in another order, layer after layer.
const SINGLE: Bounds = Bounds { logits: 5e-4, gradients: 5e-3 };
/// 10 bits of mantissa.
const TF32: Bounds = Bounds { logits: 3e-2, gradients: 1e-1 };

/// How far a training may be from the processor's: the first step's loss, the mean loss of all
/// [`STEPS`], and how far the weights moved, which is off by 1 where nothing was trained. (Their
/// direction is no measure: rounding alone turns that of a deep network with few channels.)
fn step_bounds(precision: Precision, numerics: Numerics) -> [f64; 3] {
    match (precision, numerics.tf32) {
        (Precision::Fp32, false) => [1e-4, 1e-4, 1e-2],
        (Precision::Fp32, true) => [1e-2, 1e-2, 0.2],
        (Precision::Bf16, _) => [2e-2, 5e-2, 0.3],
    }
}

/// Compares `device` with the golden networks of a folder, and with the processor over `STEPS`
/// steps of each family.
///
/// # Errors
/// When the folder cannot be read or holds no golden network.
pub fn examine_numbers(device: Device, numerics: Numerics, golden: &Path) -> Result<Vec<Check>> {
    let mut checks: Vec<Check> = Vec::new();
    let mut lost = false;
    let mut attempt = |name: String, compare: &dyn Fn() -> Result<String>| {
        let found =
            if lost { Err(anyhow!("not tried: the check before lost the GPU")) } else { compare() };
        let spoils = |error: &anyhow::Error| {
            matches!(trouble(&format!("{error:#}")), Some(Trouble::Lost | Trouble::Fault))
        };
        lost |= found.as_ref().is_err_and(spoils);
        checks.push(check(name, found));
    };
    for file in golden_networks(golden)? {
        let name = file.file_stem().map_or(String::new(), |s| s.display().to_string());
        let single = if numerics.tf32 && device != Device::Cpu { TF32 } else { SINGLE };
        for (kind, what, bounds) in [(Kind::Double, "fp64", DOUBLE), (Kind::Float, "fp32", single)]
        {
            attempt(format!("golden {name} {what}"), &|| {
                compare_golden(&file, device, kind, &bounds)
            });
        }
    }
    for (name, config) in NETWORKS {
        for (precision, what) in [(Precision::Fp32, "fp32"), (Precision::Bf16, "bf16")] {
            attempt(format!("{STEPS} steps of {name} {what}"), &|| {
                compare_steps(config, device, precision, numerics)
            });
        }
    }
    Ok(checks)
}

fn check(name: String, found: Result<String>) -> Check {
    let (state, found) = match found {
        Ok(found) => (State::Ok, found),
        Err(error) => (State::Fail, plain(&format!("{error:#}"))),
    };
    Check { name, state, found, mend: None }
}

/// Files of the golden networks: those that describe a network and have tensors beside them.
fn golden_networks(folder: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("cannot read {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.extension().is_some_and(|e| e == "json")
            && path.with_extension("safetensors").is_file()
            && describes_network(&text(&path)?)
        {
            files.push(path);
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "{} holds no golden network", folder.display());
    Ok(files)
}

/// By the reference port's arguments, or as a static network.
fn describes_network(text: &Value) -> bool {
    text["config"]["nBlocks"].is_number() || text["network"].is_string()
}

fn text(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

struct Golden {
    text: Value,
    tensors: BTreeMap<String, Tensor>,
    network: Network,
}

fn open(file: &Path) -> Result<Golden> {
    let text = text(file)?;
    let tensors: BTreeMap<_, _> =
        load_tensors(&file.with_extension("safetensors"))?.into_iter().collect();
    let (config, mut input) = match text["network"].is_string() {
        true => static_network_of(&text)?,
        false => network_of(&text["config"])?,
    };
    let images = tensors.get("x").context("no images x")?;
    input.side = images.size4()?.3 as usize;
    Ok(Golden { network: config.build(input)?, text, tensors })
}

impl Golden {
    fn tensor(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).with_context(|| format!("no tensor {name}"))
    }

    fn weights(&self, kind: Kind) -> Result<Weights> {
        let named = self.tensors.iter().filter_map(|(name, tensor)| {
            Some((name.strip_prefix("w.")?.to_string(), tensor.shallow_clone()))
        });
        let mut weights = Weights::zeros(&self.network, kind, Device::Cpu)?;
        weights.load(&named.collect::<Vec<_>>())?;
        Ok(weights)
    }
}

/// Logits in both modes and the norms of all gradients.
fn compare_golden(file: &Path, device: Device, kind: Kind, bounds: &Bounds) -> Result<String> {
    let golden = open(file)?;
    let suffix = if kind == Kind::Double { "64" } else { "" };
    let mut weights = golden.weights(kind)?.moved(device)?;
    let images = golden.tensor("x")?.f_to_kind(kind)?.f_to_device(device)?;
    let labels = golden.tensor("target")?.f_to_device(device)?;
    let network = &golden.network;
    let evaluated =
        tch::no_grad(|| network.forward(&mut weights, &images, Mode::Evaluate, Precision::Fp32))?;
    let trained = network.forward(&mut weights, &images, Mode::Train, Precision::Fp32)?;
    let mut logits: f64 = 0.0;
    for (mode, found) in [("eval", &evaluated), ("train", &trained)] {
        for (exit, found) in found.iter().enumerate() {
            logits = logits.max(apart(found, golden.tensor(&format!("{mode}{suffix}.{exit}"))?)?);
        }
    }
    ensure!(logits <= bounds.logits, "logits differ by {logits:.1e}, bound {:.0e}", bounds.logits);
    let loss = loss(&trained, &labels)?;
    let used = weights.used_views();
    let gradients = Tensor::f_run_backward(&[&loss], &used, false, false)?;
    let names = weights.used_names().into_iter().zip(&gradients).collect();
    let norms = golden.tensor(&format!("grad_norms{suffix}"))?;
    let gradients = norms_apart(&golden.text, &names, norms)?;
    ensure!(
        gradients <= bounds.gradients,
        "gradients differ by {gradients:.1e}, bound {:.0e}",
        bounds.gradients
    );
    Ok(format!("logits differ by {logits:.1e}, norms of gradients by {gradients:.1e}"))
}

/// Largest difference, relative to the largest expected number.
fn apart(found: &Tensor, expected: &Tensor) -> Result<f64> {
    let found = found.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
    let expected = expected.f_to_kind(Kind::Double)?;
    let largest = f64::try_from(expected.f_abs()?.f_max()?)?.max(f64::MIN_POSITIVE);
    let difference = f64::try_from((found - expected).f_abs()?.f_max()?)?;
    // What is not a number is larger than every bound.
    Ok(if difference.is_nan() { f64::INFINITY } else { difference / largest })
}

/// Largest difference of a gradient's norm, relative to the largest norm.
fn norms_apart(text: &Value, found: &BTreeMap<&str, &Tensor>, norms: &Tensor) -> Result<f64> {
    let norms = Vec::<f64>::try_from(&norms.f_to_kind(Kind::Double)?)?;
    let order = text["param_order"].as_array().context("no param_order")?;
    let largest = norms.iter().copied().fold(0.0, f64::max);
    let (mut apart, mut compared) = (0.0_f64, 0);
    for (name, norm) in order.iter().filter_map(Value::as_str).zip(norms) {
        if let Some(gradient) = found.get(name) {
            let gradient = gradient.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
            let difference = (f64::try_from(gradient.f_norm()?)? - norm).abs();
            apart = apart.max(if difference.is_nan() { f64::INFINITY } else { difference });
            compared += 1;
        }
    }
    ensure!(compared > 0, "param_order names no parameter of the network");
    Ok(apart / largest)
}

/// A training on the device against the processor's.
fn compare_steps(
    config: &str,
    device: Device,
    precision: Precision,
    numerics: Numerics,
) -> Result<String> {
    let ours = steps(config, device, precision)?;
    let expected = steps(config, Device::Cpu, precision)?;
    let apart = std::array::from_fn(|i| (ours[i] - expected[i]).abs() / expected[i]);
    let bounds = step_bounds(precision, numerics);
    let [first, mean, way] = apart.map(|apart: f64| format!("{apart:.1e}"));
    let found =
        format!("the first loss differs by {first}, the mean by {mean}, the weights' way by {way}");
    // What is not a number is below no bound.
    ensure!(
        apart.iter().zip(bounds).all(|(apart, bound)| *apart <= bound),
        "{found}; bounds {bounds:?}"
    );
    Ok(found)
}

/// Of [`STEPS`] steps the first loss, the mean loss, and how far the weights came.
fn steps(config: &str, device: Device, precision: Precision) -> Result<[f64; 3]> {
    let network: NetworkConfig = serde_json::from_str(config)?;
    let facts = Dataset::Synthetic.facts()?;
    let source = Source::open(&Dataset::Synthetic, Split::Train, Path::new(""))?;
    let source = source.to_device(device)?;
    let training = Training {
        epochs: 1,
        batch_size: BATCH,
        learning_rate: 0.01,
        precision,
        ..Training::default()
    };
    let run = Run {
        network: network.clone(),
        dataset: Dataset::Synthetic,
        validation: 0,
        training_images: None,
        training: Some(training.clone()),
        seed: 0,
    };
    let built = network.build(input_from(&facts))?;
    let job = Job {
        run: &run,
        training: &training,
        network: &built,
        source: &source,
        data: String::new(),
        // One batch more than there are steps, so that the epoch does not end.
        train: (0..((STEPS + 1) * BATCH) as u32).collect(),
        validation: Vec::new(),
        normalisation: Normalisation::from(&facts),
        device,
    };
    let mut trainer = Trainer::begin(&job)?;
    let before = trainer.weights().flat_used().f_detach_copy()?;
    trainer.step()?;
    let first = trainer.look()?;
    for _ in 1..STEPS {
        trainer.step()?;
    }
    let way = trainer.weights().flat_used().f_detach()?.f_sub(&before)?.f_norm()?;
    Ok([first, trainer.look()?, f64::try_from(&way)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_to_bfloat16_stays_within_the_bounds_and_no_training_would_not() {
        tch::set_num_threads(1);
        let bounds = step_bounds(Precision::Bf16, Numerics::default());
        assert!(bounds[2] < 1.0);
        for (name, config) in NETWORKS {
            let [exact, rounded] = [Precision::Fp32, Precision::Bf16]
                .map(|precision| steps(config, Device::Cpu, precision).unwrap());
            let apart: [f64; 3] = std::array::from_fn(|i| (rounded[i] - exact[i]).abs() / exact[i]);
            eprintln!("{name} {apart:?}");
            assert!(apart.iter().zip(bounds).all(|(a, b)| *a < b), "{name}: {apart:?}");
        }
    }
}
