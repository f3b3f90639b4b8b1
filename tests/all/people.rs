//! What people see: the pages, pictures and texts of the commands that look at runs and networks.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::session::{TINY, complaint, program, python, refused, rows, succeed, trained, words};

#[test]
fn policies_and_temperatures_of_the_command_line_are_the_ones_drawn() {
    let folder = trained();
    let at = folder.path();
    let asked = "budgeted-batch tiny.yaml --policy margin,oracle --temperature --threads 1 -q";
    succeed(at, &words(asked));
    let drawn = |file: &str| -> BTreeSet<(String, bool)> {
        let swept = rows(&at.join("results/tiny").join(file));
        let swept = swept.iter().filter(|row| row["policy"] != "none");
        swept.map(|row| (row["policy"].clone(), row["temperature"] != "1")).collect()
    };
    let expected = [("margin", false), ("margin", true), ("oracle", false)];
    let expected = expected.map(|(policy, scaled)| (policy.to_string(), scaled));
    assert_eq!(drawn("figure.csv"), BTreeSet::from(expected.clone()));
    // The oracle has no thresholds; which exits its images took is known all the same.
    assert_eq!(drawn("exits_taken.csv"), BTreeSet::from(expected));
}

#[test]
fn a_run_can_be_listed_shown_drawn_and_is_deleted_only_by_name() {
    let folder = trained();
    let at = folder.path();
    let listed: Value = serde_json::from_str(&succeed(at, &["runs", "list", "--json"])).unwrap();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["finished"]), (1, &true.into()));
    let name = listed[0]["run"].as_str().unwrap();
    assert!(succeed(at, &["runs", "show", "msdnet"]).contains("state: finished, 1 epoch"));

    succeed(
        at,
        &[
            "examples",
            "msdnet",
            "--per-exit",
            "3",
            "--ratio",
            "1",
            "-o",
            "sheets",
            "--threads",
            "1",
        ],
    );
    let shown = rows(&at.join("sheets/by-exit.csv"));
    for exit in ["1", "2", "3"] {
        assert!(shown.iter().filter(|row| row["exit"] == exit).count() <= 3);
    }
    assert!(!shown.is_empty() && at.join("sheets/by-exit.png").is_file());
    for row in rows(&at.join("sheets/corrected.csv")) {
        assert!(row["first_predicted"] != row["label"] && row["last_predicted"] == row["label"]);
    }
    let error = refused(at, &["examples", "msdnet", "--class", "horse", "--threads", "1"], 1);
    assert!(error.contains("synthetic has no class \"horse\""), "{error}");

    succeed(at, &["watch", "msdnet", "-o", "curves"]);
    assert!(at.join("curves.svg").is_file() && at.join("curves.png").is_file());

    succeed(at, &["runs", "clean", "--unfinished", "--yes"]);
    assert!(at.join("runs").join(name).is_dir());
    assert!(refused(at, &["runs", "clean", "msdnet"], 1).contains("--yes"));
    assert!(at.join("runs").join(name).is_dir());
    succeed(at, &["runs", "clean", "msdnet", "--yes"]);
    assert!(!at.join("runs").join(name).exists());
}

const READ_EVENTS: &str = "
import sys, json
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]); events.Reload()
print(json.dumps({tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()['scalars']}))
";

#[test]
fn tensorboard_reads_back_what_was_written() {
    let is_there = python("import tensorboard", Path::new("")).is_some_and(|o| o.status.success());
    if !is_there {
        eprintln!("skipped: TensorBoard is not installed (scripts/run-notebooks.sh installs it)");
        return;
    }
    let folder = trained();
    let written = succeed(folder.path(), &["watch", "msdnet", "--tensorboard", "events"]);
    let run = folder.path().join(Path::new(written.trim()).parent().unwrap());
    let output = python(READ_EVENTS, &run).unwrap();
    let read: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", complaint(&output)));
    let name = run.file_name().unwrap();
    let log = rows(&folder.path().join("runs").join(name).join("train.csv"));
    for (tag, column) in
        [("loss", "loss"), ("learning_rate", "learning_rate"), ("accuracy/exit_3", "accuracy_3")]
    {
        let expected: f64 = log[0][column].parse().unwrap();
        let [step, value] = [&read[tag][0][0], &read[tag][0][1]].map(|v| v.as_f64().unwrap());
        assert_eq!(step, 1.0);
        assert!((value - expected).abs() < 1e-6, "{tag}: {value}, not {expected}");
    }
}

#[test]
fn a_network_is_drawn_as_svg_and_png() {
    let folder = tempfile::tempdir().unwrap();
    let names = succeed(folder.path(), &["draw", "smoke", "-o", "picture"]);
    assert_eq!(names.lines().count(), 6);
    assert!(names.lines().all(|name| folder.path().join(name).is_file()));
    let svg = std::fs::read_to_string(folder.path().join("picture-1.svg")).unwrap();
    assert!(svg.contains("exit 1") && svg.contains("scale 3, 8 x 8"));
    succeed(folder.path(), &["draw", "smoke", "--side", "64", "-o", "larger"]);
    let svg = std::fs::read_to_string(folder.path().join("larger-1.svg")).unwrap();
    assert!(svg.contains("scale 3, 16 x 16"));
    let error = refused(folder.path(), &["draw", "smok"], 1);
    assert!(error.contains("did you mean smoke?"), "{error}");
}

#[test]
fn the_doctor_ends_well_where_the_main_job_can_run_and_with_1_where_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let checks: Value =
        serde_json::from_str(&succeed(folder.path(), &["doctor", "--json"])).unwrap();
    let checks = checks.as_array().unwrap();
    assert!(checks.iter().any(|check| check["name"] == "LibTorch" && check["state"] == "ok"));
    for check in checks {
        assert_eq!(check["state"] == "ok", check.get("mend").is_none(), "{check}");
    }
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let error = refused(folder.path(), &["doctor", "--runs", "file/runs"], 1);
    assert!(error.contains("cannot run: folder for runs"), "{error}");
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = program(folder.path())
        .args(["man", "--out", "man"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = complaint(&output);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn shells_editors_and_man_are_served() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        assert!(succeed(folder.path(), &["completions", shell]).contains("budgeted-batch"));
    }
    let pages = succeed(folder.path(), &["man", "--out", "man"]);
    assert!(pages.lines().any(|page| page == "man/repro-runs-clean.1"), "{pages}");
    assert!(succeed(folder.path(), &["man"]).starts_with(".ie"));
}

#[test]
fn a_benchmark_tells_rates_and_draws_what_early_exit_saves() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let network = TINY.lines().last().unwrap().trim();
    std::fs::write(at.join("network.yaml"), network).unwrap();
    let only = "train,inference,early,data,memory";
    let start = ["bench", "network.yaml", "--seconds", "0.001", "--only", only];
    let text = succeed(at, &[&start[..], &["--json", "--out", "speed"]].concat());
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for what in ["train/64/bf16", "first/1", "all/256", "memory/256", "early/1/exit 3"] {
        let row = rows.iter().find(|row| row["what"] == what).unwrap();
        assert!(row["value"].as_f64().unwrap() > 0.0, "{row}");
    }
    for ending in ["csv", "svg", "png"] {
        assert!(at.join("speed/saving").with_extension(ending).is_file());
    }
    let error = refused(at, &["bench", "--only", "speed"], 2);
    assert!(error.contains("unknown topic `speed`"), "{error}");
}
