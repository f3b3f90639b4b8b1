//! A manifest on a real one-node Slurm; skipped unless REPRO_SLURM is set, and where Slurm is not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::session::{
    anytime, complaint, epochs, figure_files, folder_with, succeed, wait_until, words,
};

/// A Slurm of its own; it ends with the value.
struct OneNode {
    folder: PathBuf,
}

impl OneNode {
    fn start(folder: PathBuf) -> OneNode {
        let node = OneNode { folder };
        let output = node.script("start");
        assert!(output.status.success(), "{}", complaint(&output));
        node
    }

    fn script(&self, action: &str) -> std::process::Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/slurm/one-node.sh");
        let mut command = Command::new(script);
        command.arg(action).arg(&self.folder).output().unwrap()
    }

    /// How a program ends that speaks to this Slurm.
    fn output(&self, place: &Path, program: &str, args: &[&str]) -> std::process::Output {
        Command::new(program)
            .args(args)
            .current_dir(place)
            .env("SLURM_CONF", self.folder.join("slurm.conf"))
            .output()
            .unwrap()
    }

    /// What a program prints that speaks to this Slurm.
    fn ask(&self, place: &Path, program: &str, args: &[&str]) -> String {
        let output = self.output(place, program, args);
        assert!(output.status.success(), "{program} {args:?}: {}", complaint(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for OneNode {
    fn drop(&mut self) {
        self.script("stop");
    }
}

/// Why no Slurm can be started here.
fn obstacle() -> Option<String> {
    if std::env::var_os("REPRO_SLURM").is_none() {
        return Some("it takes minutes; REPRO_SLURM=1 runs it".to_string());
    }
    let missing = |program: &&str| {
        let found = format!("PATH=$PATH:/usr/sbin:/sbin; command -v {program}");
        let output = Command::new("sh").args(["-c", &found]).output();
        !output.is_ok_and(|o| o.status.success())
    };
    let programs = ["slurmctld", "slurmd", "munged", "sbatch"];
    if let Some(program) = programs.iter().find(|program| missing(program)) {
        return Some(format!("{program} is not installed (Debian: slurm-wlm, munge)"));
    }
    let id = Command::new("id").arg("-u").output().ok()?;
    (id.stdout != b"0\n").then(|| "a Slurm of one's own needs root".to_string())
}

#[test]
fn slurm_trains_a_manifest_through_requeued_tasks_and_draws_what_two_workers_draw() {
    if let Some(reason) = obstacle() {
        eprintln!("skipped: {reason}");
        return;
    }
    let experiment = anytime("[0, 1, 2, 3]", 8, "0.1")
        + "  - name: DenseNet\n    densenet: { layers_per_block: 1, growth: 4, exits_after: [1] }\n";
    let place = folder_with("x.yaml", &experiment);
    let folder = place.path();
    let manifest = succeed(folder, &words("sweep plan x.yaml"));
    assert_eq!(manifest.lines().count(), 12);
    fs::write(folder.join("m.jsonl"), &manifest).unwrap();
    let runs: Vec<PathBuf> = manifest
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            folder.join("runs").join(line["id"].as_str().unwrap())
        })
        .collect();

    let node = OneNode::start(folder.join("slurm"));
    let repro = env!("CARGO_BIN_EXE_repro");
    let submit = ["sweep", "slurm", "m.jsonl", "--parallel", "2"];
    let told = node.ask(folder, repro, &submit);
    assert!(told.contains("12 tasks"), "{told}");
    let mut files =
        fs::read_dir(folder.join("m.jsonl.slurm")).unwrap().map(|file| file.unwrap().path());
    let jobs = files.find(|path| path.extension().is_some_and(|e| e == "json")).unwrap();
    let jobs = fs::read_to_string(jobs).unwrap();
    let jobs: Value = serde_json::from_str(&jobs).unwrap();
    let array = jobs["array"].as_str().unwrap();
    let collect = jobs["collect"].as_str().unwrap();

    for index in [0, 1, 4] {
        wait_until("a task is past an epoch", 120, || !epochs(&runs[index]).is_empty());
        assert!(epochs(&runs[index]).len() < 8, "run {index} was too quick to be requeued");
        let task = format!("{array}_{index}");
        if index == 4 {
            // As before a time limit: the task saves and puts itself back. That may happen before
            // scancel has its answer, which it then takes for a failure; the queue tells.
            let signal = ["--signal=USR1", "--batch", &task];
            let _ = node.output(folder, "scancel", &signal);
        } else {
            node.ask(folder, "scontrol", &["requeue", &task]);
        }
        let waits =
            || node.ask(folder, "squeue", &["-h", "-t", "PENDING", "-r", "-j", array, "-o", "%K"]);
        wait_until("the task is in the queue again", 60, || {
            waits().lines().any(|line| line == index.to_string())
        });
        let status = node.ask(folder, repro, &["sweep", "status", "m.jsonl"]);
        assert!(status.contains("Slurm: pending"), "{status}");
        let now = format!("JobId={task}");
        node.ask(folder, "scontrol", &["update", &now, "StartTime=now"]);
    }

    let picture = folder.join("results/x/run.json");
    wait_until("the figures are collected", 300, || picture.is_file());
    wait_until("the queue is empty", 60, || node.ask(folder, "squeue", &["-h"]).is_empty());
    let collected = fs::read_to_string(folder.join("m.jsonl.slurm/collect.log")).unwrap();
    for index in [0, 1, 4] {
        let log = folder.join(format!("m.jsonl.slurm/{array}_{index}.log"));
        let log = fs::read_to_string(log).unwrap();
        assert!(log.contains("goes on after epoch"), "task {index}: {log}");
    }
    assert!(!collected.contains("partial"), "job {collect}: {collected}");
    succeed(folder, &words("anytime x.yaml --workers 2 --threads 1 -q --runs local --out local"));
    assert!(figure_files(folder, "results") == figure_files(folder, "local"));
}
