//! Runs that are kept for others: those in `results/runs`, and what the script that copies them leaves.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use repro::results::{RunFolder, checkpoint, list_runs, runfiles};

use super::session::{complaint, succeed, trained};

const FILES: [&str; 4] = ["checkpoint.safetensors", "run.yaml", "timing.csv", "train.csv"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Asserts that a run is finished, whole, and holds only what predicting needs.
fn assert_slim(folder: &RunFolder) {
    let name = folder.name();
    let (progress, tensors) = checkpoint::load(&folder.checkpoint()).unwrap();
    assert!(progress.is_finished(), "{name} is not finished");
    assert_eq!(progress.run.folder_name(), name);
    assert!(
        !tensors.iter().any(|(tensor, _)| tensor.starts_with("momentum.")),
        "{name} is not slim"
    );
    for file in FILES {
        assert!(folder.path().join(file).is_file(), "{name} has no {file}");
    }
    let log = runfiles::train_csv(&progress.log).unwrap();
    assert_eq!(fs::read(folder.train_csv()).unwrap(), log, "{name}: train.csv is another run's");
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

/// `scripts/keep-runs.sh` on the runs in `folder`, started there: what it says, and its exit code.
fn keep(folder: &Path, names: &[&str]) -> (String, i32) {
    let output = Command::new(root().join("scripts/keep-runs.sh"))
        .arg("runs")
        .args(names)
        .current_dir(folder)
        .env("REPRO", env!("CARGO_BIN_EXE_repro"))
        .env("KEPT", "kept")
        .output()
        .unwrap();
    (complaint(&output), output.status.code().unwrap())
}

#[test]
fn a_figure_is_drawn_from_kept_runs_as_from_the_runs_themselves() {
    let folder = trained();
    let path = folder.path();
    let whole = list_runs(&path.join("runs")).unwrap().remove(0);
    let unfinished = path.join("runs/msdnet-unfinished");
    fs::create_dir(&unfinished).unwrap();
    fs::copy(whole.run_yaml(), unfinished.join("run.yaml")).unwrap();
    assert_eq!(keep(path, &[&whole.name()]), (String::new(), 0));
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

#[test]
fn a_kept_run_is_not_replaced_by_another_and_nothing_to_keep_is_told() {
    let folder = trained();
    let path = folder.path();
    let (said, code) = keep(path, &["resnet"]);
    assert!(code == 1 && said.contains("no finished run under runs"), "{said}");
    assert_eq!(keep(path, &[]), (String::new(), 0));
    let kept = list_runs(&path.join("kept")).unwrap().remove(0);
    fs::write(kept.train_csv(), "of another training").unwrap();
    let (said, code) = keep(path, &[]);
    assert!(code == 1 && said.contains("has another learning curve, and stays"), "{said}");
    assert_eq!(fs::read_to_string(kept.train_csv()).unwrap(), "of another training");
}
