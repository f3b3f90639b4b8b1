//! The reference port's names for what a network is.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::models::{Input, NetworkConfig, msdnet};

/// The network of a configuration in the port's argument names, and what it reads.
///
/// # Errors
/// Names the argument that is missing or that this program does not build.
pub fn network_of(config: &Value) -> Result<(NetworkConfig, Input)> {
    let data = text(config, "data")?;
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
    let spacing = match text(config, "stepmode")? {
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

fn text<'a>(config: &'a Value, key: &str) -> Result<&'a str> {
    config[key].as_str().with_context(|| format!("{key}: expected a text"))
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
