//! A run published with its card, and taken back.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::fixtures;
use crate::session::{refused, succeed};

/// A folder with a trained run and its card in `card`.
fn published() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("tiny.yaml"), fixtures::EXPERIMENT).unwrap();
    succeed(at, &["anytime", "tiny.yaml", "-q"]);
    assert_eq!(succeed(at, &["export", "densenet", "--card", "card", "--predictions"]), "card\n");
    folder
}

#[test]
fn a_published_run_comes_back_as_it_was() {
    let folder = published();
    let at = folder.path();
    let back = succeed(at, &["import", "card", "--runs", "back"]);
    let name = fs::read_dir(at.join("runs")).unwrap().next().unwrap().unwrap().file_name();
    assert_eq!(Path::new(back.trim()), Path::new("back").join(&name));
    succeed(at, &["export", "densenet", "--runs", "back", "--card", "again"]);
    for file in ["model.safetensors", "config.json", "README.md"] {
        let read = |card: &str| fs::read(at.join(card).join(file)).unwrap();
        assert_eq!(read("card"), read("again"), "{file}");
    }
    let predict = |runs: &str| {
        succeed(at, &["predict", "densenet", "--split", "test", "--runs", runs, "--threads", "1"])
    };
    assert_eq!(predict("runs"), predict("back"));
    assert!(at.join("card/predictions.parquet").is_file());
    assert!(!at.join("again/predictions.parquet").exists());
    // The trained run is there already, with the same weights.
    succeed(at, &["import", "card"]);
    // It stands for the training: nothing is trained again.
    let plan = succeed(at, &["anytime", "tiny.yaml", "--plan", "--runs", "back", "--json"]);
    assert!(plan.contains("\"done\""), "{plan}");
}

#[test]
fn the_card_has_what_hubs_read_and_the_accuracy_of_every_exit() {
    let folder = published();
    let card = fs::read_to_string(folder.path().join("card/README.md")).unwrap();
    let (_, rest) = card.split_once("---\n").unwrap();
    let (yaml, _) = rest.split_once("---\n").unwrap();
    let metadata: serde_json::Value = serde_yaml::from_str(yaml).unwrap();
    assert_eq!(metadata["license"], "mit");
    assert_eq!(metadata["library_name"], "repro");
    assert_eq!(metadata["tags"][0], "arxiv:1703.09844");
    let metrics = &metadata["model-index"][0]["results"][0]["metrics"];
    let exits = fs::read_to_string(folder.path().join("results/tiny/exits.csv")).unwrap();
    let test: Vec<&str> = exits.lines().filter(|line| line.contains(",test,")).collect();
    assert_eq!(metrics.as_array().unwrap().len(), test.len());
    for (metric, row) in metrics.as_array().unwrap().iter().zip(test) {
        let top1: f64 = row.split(',').nth(4).unwrap().parse().unwrap();
        assert_eq!(metric["value"].as_f64().unwrap(), top1);
    }
}

#[test]
fn what_is_no_finished_run_is_refused_with_the_key() {
    let folder = published();
    let at = folder.path();
    let config = fs::read_to_string(at.join("card/config.json")).unwrap();
    let import = ["import", "card", "--runs", "other"];
    for (old, new, told) in [
        ("\"format\": 3", "\"format\": 2", "format: 2"),
        ("\"epoch\": 3,\n  \"step\"", "\"epoch\": 2,\n  \"step\"", "epoch: 2"),
        ("\"growth\": 2", "\"growth\": 4", "model.safetensors"),
        ("\"growth\": 2", "\"growth\": 9000000", "growth"),
        ("\"run\"", "\"ran\"", "config.json"),
    ] {
        let wrong = config.replacen(old, new, 1);
        assert_ne!(wrong, config, "{old}");
        fs::write(at.join("card/config.json"), wrong).unwrap();
        let error = refused(at, &import, 1);
        assert!(error.contains(told), "{new}: {error}");
    }
    fs::write(at.join("card/config.json"), config).unwrap();
    fs::remove_file(at.join("card/model.safetensors")).unwrap();
    assert!(refused(at, &import, 1).contains("model.safetensors"));
    assert!(refused(at, &["import", "tiny.yaml"], 1).contains("--network FILE"));
    fs::create_dir(at.join("mine")).unwrap();
    for (file, text) in
        [("README.md", "mine"), ("config.json", "{}"), ("model.safetensors", "mine")]
    {
        fs::remove_dir_all(at.join("mine")).unwrap();
        fs::create_dir(at.join("mine")).unwrap();
        fs::write(at.join("mine").join(file), text).unwrap();
        let error = refused(at, &["export", "densenet", "--card", "mine"], 1);
        assert!(error.contains(file), "{error}");
        assert_eq!(fs::read_to_string(at.join("mine").join(file)).unwrap(), text);
    }
    assert!(at.join("card/predictions.parquet").is_file());
    succeed(at, &["export", "densenet", "--card", "card"]);
    assert!(!at.join("card/predictions.parquet").exists(), "another run's answers");
    refused(at, &["export", "densenet", "--license", "mit"], 2);
}

#[test]
fn a_tracker_gets_a_row_a_run_and_epoch_with_all_settings() {
    let folder = published();
    let at = folder.path();
    let export = |format: &str| succeed(at, &["runs", "export", "--format", format]);
    let csv = export("csv");
    let rows: Vec<serde_json::Value> =
        export("jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(csv.lines().count(), 1 + 3);
    for key in ["run", "training.batch_size", "network.densenet.growth", "began.commit", "epoch"] {
        assert!(csv.lines().next().unwrap().split(',').any(|column| column == key), "{key}");
    }
    let log = fs::read_dir(at.join("runs")).unwrap().next().unwrap().unwrap().path();
    let log = fs::read_to_string(log.join("train.csv")).unwrap();
    for (row, line) in rows.iter().zip(log.lines().skip(1)) {
        let keys = ["epoch", "learning_rate", "loss", "accuracy_exit_1", "accuracy_exit_2"];
        for (key, cell) in keys.iter().zip(line.split(',')) {
            assert_eq!(row[key].as_f64().unwrap(), cell.parse::<f64>().unwrap(), "{key}");
        }
        assert!(row["seconds"].as_f64().unwrap() > 0.0);
    }
    let Some(told) = tracked(at) else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(told[0], format!("run {}", rows[0]["run"].as_str().unwrap()));
    assert!(told[1].starts_with("step 1: ") && told[1].contains("accuracy_exit_2"), "{told:?}");
    assert!(told[2].contains("training.batch_size"), "{told:?}");
    assert!(told[4].starts_with("step 3: "), "{told:?}");
}

/// What the example script gives to a tracker that prints it.
fn tracked(at: &Path) -> Option<String> {
    let tracker = "\
import contextlib
def set_tracking_uri(uri): pass
def set_experiment(name): pass
def search_runs(**_): return []
@contextlib.contextmanager
def start_run(run_name):
    print('run', run_name)
    yield
def log_metrics(metrics, step): print(f'step {step}:', *sorted(metrics))
def log_params(params): print(*sorted(params))
";
    fs::write(at.join("mlflow.py"), tracker).unwrap();
    fs::write(at.join("epochs.jsonl"), succeed(at, &["runs", "export", "--format", "jsonl"]))
        .unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/track_mlflow.py");
    let mut python = Command::new("python3");
    python.arg(script).arg("epochs.jsonl").env("PYTHONPATH", at).current_dir(at);
    let output = python.output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}
