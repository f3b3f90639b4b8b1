//! What the golden tests share: the folder, its files, and the reference port's argument names.

use std::path::{Path, PathBuf};

use repro::models::{Input, NetworkConfig, msdnet};
use serde_json::Value;

/// `tests/golden`, or the folder that `REPRO_GOLDEN` names.
pub fn folder() -> PathBuf {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::env::var_os("REPRO_GOLDEN").map_or_else(own, PathBuf::from)
}

/// Every JSON file of the folder, by name; an empty folder is a failure.
pub fn json_files() -> Vec<(PathBuf, Value)> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}: no golden file", folder.display());
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            let value = serde_json::from_str(&text);
            let value = value.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            (file, value)
        })
        .collect()
}

/// The network of a configuration in the port's argument names, and what it reads.
pub fn network_of(config: &Value) -> (NetworkConfig, Input) {
    let data = config["data"].as_str().unwrap();
    let (classes, side) = match data.to_lowercase().as_str() {
        "cifar10" => (10, 32),
        "cifar100" => (100, 32),
        "imagenet" => (1000, 224),
        _ => panic!("data: {data}"),
    };
    let fixed = [("prune", "max".into()), ("bottleneck", true.into())];
    for (key, supported) in fixed {
        let given = config.get(key).unwrap_or(&supported);
        assert_eq!(*given, supported, "{key}: only the paper's way is built");
    }
    let step = count(&config["step"]);
    let spacing = match config["stepmode"].as_str().unwrap() {
        "even" => msdnet::Spacing { even: Some(step), growing: None },
        "lin_grow" => msdnet::Spacing { even: None, growing: Some(step) },
        mode => panic!("stepmode: {mode}"),
    };
    let msdnet = msdnet::Config {
        stem: if side == 32 { msdnet::Stem::Cifar } else { msdnet::Stem::Imagenet },
        channels: count(&config["nChannels"]),
        growth: count(&config["growthRate"]),
        scale_growth: dashed(&config["grFactor"]),
        bottleneck: dashed(&config["bnFactor"]),
        exits: msdnet::Exits::Count(count(&config["nBlocks"])),
        first_exit: Some(count(&config["base"])),
        spacing: Some(spacing),
        compression: config["reduction"].as_f64().unwrap(),
        reduce: true,
        dense: true,
        multi_scale: true,
    };
    let input = Input { channels: 3, side, classes };
    (NetworkConfig::Msdnet(msdnet), input)
}

fn count(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

/// `1-2-4`, or a list.
fn dashed(value: &Value) -> Vec<usize> {
    match value.as_str() {
        Some(text) => text.split('-').map(|n| n.parse().unwrap()).collect(),
        None => value.as_array().unwrap().iter().map(count).collect(),
    }
}
