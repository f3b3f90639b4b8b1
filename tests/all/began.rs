//! What began a run is kept: a training that is gone on with keeps its threads.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use super::fixtures::EXPERIMENT;
use super::session::{complaint, program, run_folder};

fn command(folder: &Path) -> Command {
    let mut command = program(folder);
    // Two threads on a busy machine must not wait for each other by spinning.
    command.env("OMP_WAIT_POLICY", "PASSIVE");
    command.args(["anytime", "tiny.yaml"]);
    command
}

/// The tiny experiment with so many epochs, stopped by SIGTERM in one of them.
fn stopped(folder: &Path, options: &[&str]) {
    fs::write(folder.join("tiny.yaml"), EXPERIMENT.replace("epochs: 3", "epochs: 12")).unwrap();
    let mut child = command(folder).args(["-q"]).args(options).spawn().unwrap();
    while !run_folder(folder).is_some_and(|run| run.join("checkpoint.safetensors").exists()) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was stopped");
        std::thread::sleep(Duration::from_millis(5));
    }
    let kill = format!("kill -TERM {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(75));
}

fn go_on(folder: &Path, options: &[&str]) -> Output {
    command(folder).args(options).output().unwrap()
}

fn run_yaml(folder: &Path) -> Value {
    let text = fs::read_to_string(run_folder(folder).unwrap().join("run.yaml")).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

#[test]
fn a_training_that_is_gone_on_with_keeps_its_threads() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    stopped(folder, &["--threads", "2"]);
    let before = run_yaml(folder);
    assert_eq!(before["began"]["threads"], 2);
    for format in ["safetensors", "onnx"] {
        let output = program(folder).args(["export", "densenet", "--format", format]).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = complaint(&output);
        assert!(error.contains("of 12 epochs, and is exported after the last"), "{error}");
    }
    let refused = go_on(folder, &["--threads", "1"]);
    assert_eq!(refused.status.code(), Some(1));
    let error = complaint(&refused);
    assert!(error.contains("begun with --threads 2; --threads 1 would"), "{error}");
    let output = go_on(folder, &[]);
    assert!(output.status.success(), "{}", complaint(&output));
    assert!(!complaint(&output).contains("goes on on"), "{}", complaint(&output));
    assert_eq!(run_yaml(folder), before);
    let json = fs::read_to_string(folder.join("results/tiny/run.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["threads"], serde_json::json!([2]));
    assert_eq!(json["commit"], serde_json::json!([before["began"]["commit"]]));
    assert_eq!(json["processor"], serde_json::json!([before["began"]["processor"]]));
    for key in ["program", "format", "dirty", "command", "libtorch", "device", "cores", "workers"] {
        assert!(json.get(key).is_some(), "{key}");
    }
    for key in ["matmul_fp32", "matmul_bf16"] {
        assert!(json[key].as_f64().unwrap() > 0.0, "{key}");
        assert_eq!(json["runs_by_device"][0][key], json[key], "{key}");
    }
}

#[test]
fn a_training_that_goes_on_on_another_processor_says_so_in_a_line() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    stopped(folder, &[]);
    let path = run_folder(folder).unwrap().join("run.yaml");
    let mut before = run_yaml(folder);
    assert_eq!(before["began"]["threads"], 1);
    before["began"]["processor"]["name"] = "Another One".into();
    fs::write(&path, serde_yaml::to_string(&before).unwrap()).unwrap();
    let output = go_on(folder, &[]);
    assert!(output.status.success(), "{}", complaint(&output));
    let error = complaint(&output);
    let lines: Vec<&str> = error.lines().filter(|l| l.contains("Another One")).collect();
    assert_eq!(lines.len(), 1, "{error}");
    assert_eq!(run_yaml(folder), before);
}
