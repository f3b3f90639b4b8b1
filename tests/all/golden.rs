//! What the golden tests share: the folder, its files, and the reference port's argument names.

use std::path::{Path, PathBuf};

use repro::models::{Input, NetworkConfig};
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
    repro::import::port::network_of(config).unwrap()
}

/// Says how many cases were checked; none in the project's own folder is a failure. A folder that is
/// given may lack kinds.
#[track_caller]
pub fn counted(what: &str, checked: usize) {
    assert!(checked > 0 || std::env::var_os("REPRO_GOLDEN").is_some(), "{what}: none was checked");
    println!("{what}: {checked} checked");
}
