//! What the reference port and the golden files of static networks call a network.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::models::{Input, NetworkConfig, Stem, mobilenet, mobilenet_v2, msdnet, squeezenet};

/// The network of a configuration in the port's argument names, and what it reads.
///
/// # Errors
/// Names the argument that is missing or that this program does not build.
pub fn network_of(config: &Value) -> Result<(NetworkConfig, Input)> {
    let data = text(&config["data"], "data")?;
    let (classes, side) = match data.to_lowercase().as_str() {
        "cifar10" => (10, 32),
        "cifar100" => (100, 32),
        "imagenet" => (1000, 224),
        _ => bail!("data: {data} is unknown"),
    };
    let fixed = [("prune", "max".into()), ("bottleneck", true.into())];
    for (key, supported) in fixed {
        let given = config.get(key).unwrap_or(&supported);
        ensure!(*given == supported, "{key}: {given} is not built, {supported} is");
    }
    let step = count(&config["step"], "step")?;
    let spacing = match text(&config["stepmode"], "stepmode")? {
        "even" => msdnet::Spacing::Even(step),
        "lin_grow" => msdnet::Spacing::Growing(step),
        mode => bail!("stepmode: {mode} is unknown"),
    };
    let msdnet = msdnet::Config {
        stem: if side == 32 { msdnet::Stem::Cifar } else { msdnet::Stem::Imagenet },
        channels: count(&config["nChannels"], "nChannels")?,
        growth: count(&config["growthRate"], "growthRate")?,
        scale_growth: dashed(&config["grFactor"], "grFactor")?,
        bottleneck: dashed(&config["bnFactor"], "bnFactor")?,
        exits: msdnet::Exits::Count(count(&config["nBlocks"], "nBlocks")?),
        first_exit: Some(count(&config["base"], "base")?),
        spacing: Some(spacing),
        compression: config["reduction"].as_f64().context("reduction: expected a number")?,
        reduce: true,
        dense: true,
        multi_scale: true,
    };
    Ok((NetworkConfig::Msdnet(msdnet), Input { channels: 3, side, classes }))
}

/// The network that a golden file of a static network describes by its name, width and first layer,
/// and what it reads.
///
/// # Errors
/// Names the key that is missing, or the network that this program does not build.
pub fn static_network_of(file: &Value) -> Result<(NetworkConfig, Input)> {
    let first = text(&file["layers"][0], "layers")?;
    let stem = if first.contains("stride 1") { Stem::Cifar } else { Stem::Imagenet };
    let width = file["width"].as_f64().unwrap_or(1.0);
    let exits_after = vec![];
    let squeezenet =
        |form| NetworkConfig::Squeezenet(squeezenet::Config { form, exits_after: vec![] });
    let network = match text(&file["network"], "network")?.trim_end_matches(" for CIFAR") {
        "MobileNetV1" => NetworkConfig::Mobilenet(mobilenet::Config { width, stem, exits_after }),
        "MobileNetV2" => {
            NetworkConfig::MobilenetV2(mobilenet_v2::Config { width, stem, exits_after })
        }
        "SqueezeNet 1.0" => squeezenet(squeezenet::Form::V1_0),
        "SqueezeNet 1.1" => squeezenet(squeezenet::Form::V1_1),
        "SqueezeNet" => squeezenet(squeezenet::Form::Cifar),
        other => bail!("network: {other} is unknown"),
    };
    let side = count(&file["input"][3], "input")?;
    Ok((network, Input { channels: 3, side, classes: count(&file["classes"], "classes")? }))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value.as_str().with_context(|| format!("{key}: expected a text"))
}

fn count(value: &Value, key: &str) -> Result<usize> {
    let count = value.as_u64().and_then(|n| usize::try_from(n).ok());
    count.with_context(|| format!("{key}: expected a whole number"))
}

/// `1-2-4`, or a list.
fn dashed(value: &Value, key: &str) -> Result<Vec<usize>> {
    if let Some(text) = value.as_str() {
        let numbers = text.split('-').map(str::parse);
        return numbers.collect::<Result<_, _>>().with_context(|| format!("{key}: {text}"));
    }
    let list = value.as_array().with_context(|| format!("{key}: expected a text or a list"))?;
    list.iter().map(|value| count(value, key)).collect()
}
