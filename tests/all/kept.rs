//! Runs that are kept for others: those in `results/runs`, and what the script that copies them leaves.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use repro::results::{RunFolder, list_runs};

use super::session::{complaint, succeed, trained};

const FILES: [&str; 4] = ["checkpoint.safetensors", "run.yaml", "timing.csv", "train.csv"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Asserts that a run is finished, whole, and holds what predicting needs alone.
fn assert_slim(folder: &RunFolder) {
    let name = folder.name();
    let (progress, tensors) = repro::results::checkpoint::load(&folder.checkpoint()).unwrap();
    assert!(progress.is_finished(), "{name} is not finished");
    assert_eq!(progress.run.folder_name(), name);
    assert!(
        !tensors.iter().any(|(tensor, _)| tensor.starts_with("momentum.")),
        "{name} is not slim"
    );
    for file in FILES {
        assert!(folder.path().join(file).is_file(), "{name} has no {file}");
    }
}

#[test]
fn the_runs_that_git_keeps_are_whole_and_of_shipped_experiments() {
    let runs = list_runs(&root().join("results/runs")).unwrap();
    let shipped = fs::read_to_string(root().join("tests/golden/runs.csv")).unwrap();
    assert!(!runs.is_empty());
    for folder in &runs {
        assert_slim(folder);
        let name = folder.name();
        assert!(shipped.lines().any(|line| line.ends_with(&format!(",{name}"))), "{name}");
    }
}

#[test]
fn a_figure_is_drawn_from_kept_runs_as_from_the_runs_themselves() {
    let folder = trained();
    let path = folder.path();
    let output = Command::new(root().join("scripts/keep-runs.sh"))
        .arg(path.join("runs"))
        .env("REPRO", env!("CARGO_BIN_EXE_repro"))
        .env("KEPT", path.join("kept"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", complaint(&output));
    let kept = list_runs(&path.join("kept")).unwrap();
    assert_eq!(kept.len(), 1);
    let files = fs::read_dir(kept[0].path()).unwrap();
    let files: BTreeSet<_> = files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    assert!(files.iter().eq(FILES.iter()), "{files:?}");
    assert_slim(&kept[0]);

    let figure = path.join("results/tiny/figure.csv");
    let before = fs::read(&figure).unwrap();
    fs::remove_file(&figure).unwrap();
    succeed(path, &["sweep", "collect", "tiny.yaml", "--runs", "kept", "--threads", "1"]);
    assert_eq!(fs::read(&figure).unwrap(), before);
}
