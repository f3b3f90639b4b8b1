//! Many runs: worker processes, manifests, partial figures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::session::{
    TRAINING, anytime, complaint, epochs, figure_files, folder_with, program, refused, repro,
    succeed, text, wait_until, words,
};

fn run_folders(folder: &Path) -> Vec<PathBuf> {
    let runs = fs::read_dir(folder.join("runs"));
    runs.map_or(Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect())
}

fn assert_every_epoch_once(folder: &Path, runs: usize, last: u32) {
    let folders = run_folders(folder);
    assert_eq!(folders.len(), runs);
    for run in folders {
        assert_eq!(epochs(&run), (1..=last).collect::<Vec<_>>(), "{run:?}");
    }
}

/// State and parent of a process; none once it is gone or waits to be buried.
#[cfg(target_os = "linux")]
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then(|| fields.next()?.parse().ok()).flatten()
}

#[cfg(target_os = "linux")]
fn children_of(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse().ok()
    });
    pids.filter(|&pid| parent_of(pid) == Some(parent)).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn workers_end_when_their_parent_is_killed_and_the_next_call_goes_on() {
    let place = folder_with("x.yaml", &anytime("[0]", 40, "0.1"));
    let folder = place.path();
    let mut parent = program(folder)
        .args(words("anytime x.yaml --workers 2 --threads 1 -q"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("both runs are past an epoch", 90, || {
        let runs = run_folders(folder);
        runs.len() == 2 && runs.iter().all(|run| !epochs(run).is_empty())
    });
    let workers = children_of(parent.id());
    assert_eq!(workers.len(), 2);
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("the workers are gone", 15, || workers.iter().all(|&pid| parent_of(pid).is_none()));
    for run in run_folders(folder) {
        assert!(epochs(&run).len() < 40, "{run:?} came to its end");
    }
    succeed(folder, &words("anytime x.yaml --workers 2 --threads 1 -q"));
    assert_every_epoch_once(folder, 2, 40);
}

#[cfg(target_os = "linux")]
#[test]
fn a_parent_that_is_told_to_stop_saves_in_its_workers_and_ends_with_75() {
    let place = folder_with("x.yaml", &anytime("[0]", 400, "0.1"));
    let folder = place.path();
    let mut parent = program(folder)
        .args(words("anytime x.yaml --workers 2 --threads 1 -q"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("both runs are past an epoch", 90, || {
        let runs = run_folders(folder);
        runs.len() == 2 && runs.iter().all(|run| !epochs(run).is_empty())
    });
    let workers = children_of(parent.id());
    let kill = format!("kill -TERM {}", parent.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    assert_eq!(parent.wait().unwrap().code(), Some(75));
    assert!(workers.iter().all(|&pid| parent_of(pid).is_none()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_worker_that_alone_is_told_to_stop_is_no_success_and_the_other_goes_on() {
    let place = folder_with("x.yaml", &anytime("[0]", 60, "0.1"));
    let folder = place.path();
    fs::write(folder.join("m.jsonl"), succeed(folder, &words("sweep plan x.yaml"))).unwrap();
    let call = "sweep run --manifest m.jsonl --workers 2 --threads 1";
    let parent = program(folder).args(words(call)).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("both runs are past an epoch", 90, || {
        let runs = run_folders(folder);
        runs.len() == 2 && runs.iter().all(|run| !epochs(run).is_empty())
    });
    let kill = format!("kill -TERM {}", children_of(parent.id())[0]);
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let output = parent.wait_with_output().unwrap();
    let said = complaint(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("its process was told to stop"), "{said}");
    assert!(run_folders(folder).iter().any(|run| epochs(run).len() == 60));
    succeed(folder, &words(call));
    assert_every_epoch_once(folder, 2, 60);
}

#[test]
fn two_calls_at_once_train_each_run_once_and_draw_what_one_process_draws() {
    let place = folder_with("x.yaml", &anytime("[0, 1]", 2, "0.1"));
    let folder = place.path();
    let call = |out| {
        let args = format!("anytime x.yaml --workers 2 --threads 1 -q --out {out}");
        program(folder).args(words(&args)).stdout(Stdio::null()).spawn().unwrap()
    };
    let (mut one, mut two) = (call("one"), call("two"));
    assert!(one.wait().unwrap().success());
    assert!(two.wait().unwrap().success());
    assert_every_epoch_once(folder, 4, 2);
    assert!(figure_files(folder, "one") == figure_files(folder, "two"));
    succeed(folder, &words("anytime x.yaml --workers 1 --threads 1 -q --runs other --out alone"));
    assert!(figure_files(folder, "one") == figure_files(folder, "alone"));
}

#[test]
fn a_failing_run_is_told_with_its_reason_and_does_not_stop_the_others() {
    let place = folder_with("x.yaml", &anytime("[0]", 1, "0.1"));
    let folder = place.path();
    fs::write(folder.join("bad.yaml"), anytime("[0]", 1, "1e30")).unwrap();
    let manifest = succeed(folder, &words("sweep plan bad.yaml x.yaml"));
    fs::write(folder.join("m.jsonl"), &manifest).unwrap();
    let output = repro(folder, &words("sweep run --manifest m.jsonl --workers 2 --threads 1"));
    assert_eq!(output.status.code(), Some(1));
    let said = complaint(&output);
    assert!(said.contains("2 of 4 runs failed"), "{said}");
    assert!(
        said.contains("learning rate 1e30") && said.contains("a smaller learning_rate helps"),
        "{said}"
    );

    let status = succeed(folder, &words("sweep status m.jsonl --json"));
    let status: Value = serde_json::from_str(&status).unwrap();
    let states: Vec<&str> =
        status.as_array().unwrap().iter().map(|run| run["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["failed", "failed", "done", "done"]);
    let reason = status[0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("MSDNet, seed 0: the gradient of ")
            && reason.contains("is not finite at epoch 1, step 2, learning rate 1e30"),
        "{reason}"
    );

    let told = succeed(folder, &words("sweep collect m.jsonl --threads 1"));
    assert!(told.contains("bad: none of 2 runs is finished"), "{told}");
    assert!(told.contains("x: all 2 runs are finished"), "{told}");
    assert!(folder.join("results/x/figure.png").is_file());
    assert!(!folder.join("results/bad").exists());
}

#[test]
fn a_manifest_holds_a_shared_run_once_and_the_same_ids_again() {
    let place = folder_with("x.yaml", &anytime("[0]", 1, "0.1"));
    let folder = place.path();
    let other = anytime("[0]", 1, "0.1").replace("name: ResNet", "name: Residual");
    fs::write(folder.join("y.yaml"), other).unwrap();
    let text = succeed(folder, &words("sweep plan x.yaml y.yaml --seeds 0..2"));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["index"], index);
        assert_eq!(line["experiments"], serde_json::json!(["x.yaml", "y.yaml"]));
        assert!(line["seconds"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(succeed(folder, &words("sweep plan x.yaml y.yaml --seeds 0..2")), text);
}

#[test]
fn a_figure_is_drawn_without_the_curve_whose_reference_is_missing() {
    let experiment = format!(
        "figure: fig-final-degradation\n{TRAINING}seeds: [0]\n\
         training: {{ epochs: 1, batch_size: 50, learning_rate: 0.1 }}\n\
         networks:\n  \
         - name: ResNet\n    \
           resnet: {{ blocks_per_stage: 1, channels: 4 }}\n    \
           positions: [1]\n  \
         - name: DenseNet\n    \
           densenet: {{ layers_per_block: 1, growth: 4 }}\n    \
           positions: [1]\n"
    );
    let place = folder_with("x.yaml", &experiment);
    let folder = place.path();
    let manifest = succeed(folder, &words("sweep plan x.yaml"));
    fs::write(folder.join("m.jsonl"), &manifest).unwrap();
    let last = manifest.lines().last().unwrap();
    assert!(last.contains("DenseNet without"), "{last}");
    for index in 0..3 {
        let args = format!("sweep run --manifest m.jsonl --index {index} --threads 1 -q");
        succeed(folder, &words(&args));
    }
    let output = repro(folder, &words("sweep collect m.jsonl --threads 1"));
    assert!(output.status.success());
    let told = text(&output.stdout);
    assert!(
        told.contains("partial, 3 of 4 runs are finished; without DenseNet without, seed 0"),
        "{told}"
    );
    let said = complaint(&output);
    assert!(said.contains("left out: curve `DenseNet`"), "{said}");
    let csv = fs::read_to_string(folder.join("results/x/figure.csv")).unwrap();
    assert!(csv.contains("ResNet at 1") && !csv.contains("DenseNet"), "{csv}");
    let json = fs::read_to_string(folder.join("results/x/run.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["missing"].as_array().unwrap().len(), 1);
}

#[test]
fn a_family_that_lacks_a_position_is_not_judged() {
    let experiment = |figure: &str| {
        format!(
            "figure: {figure}\n{TRAINING}seeds: [0]\n\
             training: {{ epochs: 1, batch_size: 50, learning_rate: 0.1 }}\n\
             networks:\n  \
             - name: ResNet\n    \
               resnet: {{ blocks_per_stage: 1, channels: 4 }}\n    \
               positions: [1, 2]\n  \
             - name: DenseNet\n    \
               densenet: {{ layers_per_block: 1, growth: 4 }}\n    \
               positions: [1, 2]\n"
        )
    };
    let place = folder_with("left.yaml", &experiment("fig-intermediate"));
    let folder = place.path();
    fs::write(folder.join("right.yaml"), experiment("fig-final-degradation")).unwrap();
    let manifest = succeed(folder, &words("sweep plan left.yaml right.yaml"));
    fs::write(folder.join("m.jsonl"), &manifest).unwrap();
    let trained = manifest.lines().enumerate().filter(|(_, run)| !run.contains("ResNet at 2"));
    for (index, _) in trained {
        let args = format!("sweep run --manifest m.jsonl --index {index} --threads 1 -q");
        succeed(folder, &words(&args));
    }
    let output = repro(folder, &words("sweep collect left.yaml right.yaml --threads 1"));
    assert!(output.status.success(), "{}", complaint(&output));
    let said = complaint(&output);
    let told = "left out: curve `ResNet`: its reference, ResNet at 2, is not trained";
    assert!(said.contains(told), "{said}");
    let told = "claims about `ResNet` are not judged: ResNet at 2 is not trained";
    assert!(said.contains(told), "{said}");
    let file = |path: &str| fs::read_to_string(folder.join("results").join(path)).unwrap();
    // On the left the last position is the reference, on the right the network without a classifier.
    assert!(!file("left/figure.csv").contains("ResNet"));
    assert!(file("right/figure.csv").contains("ResNet at 1"));
    for claims in [file("left/claims.csv"), file("right/claims.csv")] {
        assert!(claims.contains("-densenet-") && !claims.contains("-resnet-"), "{claims}");
    }
}

#[test]
fn a_figure_of_references_alone_says_what_is_missing() {
    let experiment = format!(
        "figure: fig-final-degradation\n{TRAINING}seeds: [0]\n\
         training: {{ epochs: 1, batch_size: 50, learning_rate: 0.1 }}\n\
         networks:\n  \
         - name: ResNet\n    \
           resnet: {{ blocks_per_stage: 1, channels: 4 }}\n    \
           positions: [1]\n"
    );
    let place = folder_with("x.yaml", &experiment);
    let folder = place.path();
    let manifest = succeed(folder, &words("sweep plan x.yaml"));
    let reference = manifest.lines().position(|line| line.contains("ResNet without")).unwrap();
    fs::write(folder.join("m.jsonl"), &manifest).unwrap();
    let args = format!("sweep run --manifest m.jsonl --index {reference} --threads 1 -q");
    succeed(folder, &words(&args));
    let said = refused(folder, &words("sweep collect m.jsonl --threads 1 -q"), 1);
    let told = "curve `ResNet`: no network with an intermediate classifier is trained";
    assert!(said.contains(told), "{said}");
}

#[test]
fn what_is_no_manifest_is_refused_with_the_command_that_writes_one() {
    let place = folder_with("x.yaml", &anytime("[0]", 1, "0.1"));
    let folder = place.path();
    fs::write(folder.join("m.jsonl"), succeed(folder, &words("sweep plan x.yaml"))).unwrap();
    for (command, told) in [
        ("sweep run --manifest x.yaml", "`repro sweep plan EXPERIMENT > FILE` writes one"),
        ("sweep collect none.jsonl", "there is no manifest none.jsonl"),
        ("sweep collect m.jsonl x.yaml", "m.jsonl is a manifest, and a manifest is given alone"),
    ] {
        let said = refused(folder, &words(command), 1);
        assert!(said.contains(told), "{command}: {said}");
    }
}

#[test]
fn a_line_of_several_networks_is_judged_once_all_of_them_are_there() {
    let experiment = format!(
        "figure: budgeted-batch\n{TRAINING}seeds: [0]\n\
         training: {{ epochs: 1, batch_size: 50, learning_rate: 0.1 }}\n\
         networks:\n  \
         - name: MSDNet\n    \
           msdnet: {{ channels: 4, growth: 2, scale_growth: [1, 2, 4], bottleneck: [1, 2, 4], exits: 2, first_exit: 2, spacing: {{ even: 1 }} }}\n  \
         - name: ResNet-8\n    resnet: {{ blocks_per_stage: 1, channels: 4 }}\n  \
         - name: ResNet-14\n    resnet: {{ blocks_per_stage: 2, channels: 4 }}\n  \
         - name: ResNets\n    joined: [ResNet-8, ResNet-14]\n"
    );
    let place = folder_with("x.yaml", &experiment);
    let folder = place.path();
    fs::write(folder.join("m.jsonl"), succeed(folder, &words("sweep plan x.yaml"))).unwrap();
    let train = |index| {
        let args = format!("sweep run --manifest m.jsonl --index {index} --threads 1 -q");
        succeed(folder, &words(&args));
    };
    let collected = || {
        succeed(folder, &words("sweep collect m.jsonl --threads 1 -q"));
        let of = |table: &str| fs::read_to_string(folder.join("results/x").join(table)).unwrap();
        [of("figure.csv"), of("claims.csv")]
    };
    for index in 0..2 {
        train(index);
    }
    let [drawn, judged] = collected();
    assert!(drawn.contains("ResNets,ResNet-8,0"), "{drawn}");
    assert!(judged.contains("budgeted-dynamic-beats-static,"), "{judged}");
    assert!(!judged.contains("budgeted-above-resnets,"), "{judged}");
    train(2);
    let [drawn, judged] = collected();
    assert!(drawn.contains("ResNets,ResNet-14,0"), "{drawn}");
    assert!(judged.contains("budgeted-above-resnets,"), "{judged}");

    // The figure's own command, without options, has the settings that `collect` has.
    assert!(judged.contains("not-measurable"), "{judged}");
    let output = repro(folder, &words("budgeted-batch x.yaml --threads 1 --require-claims"));
    assert!(output.status.success());
    let said = complaint(&output);
    assert!(said.contains("no claim has a verdict here"), "{said}");
    assert!(!said.contains("will be replaced"), "{said}");

    // A figure that is not written to its end has no `run.json`.
    let picture = folder.join("results/x/figure.png");
    fs::remove_file(&picture).unwrap();
    fs::create_dir_all(picture.join("in the way")).unwrap();
    refused(folder, &words("sweep collect m.jsonl --threads 1 -q"), 1);
    assert!(!folder.join("results/x/run.json").exists());
}

#[test]
fn a_member_of_an_ensemble_that_is_not_whole_is_no_figure() {
    let experiment = format!(
        "figure: anytime\n{TRAINING}seeds: [0]\n\
         training: {{ epochs: 1, batch_size: 50, learning_rate: 0.1 }}\n\
         networks:\n  \
         - name: ResNet-8\n    resnet: {{ blocks_per_stage: 1, channels: 4 }}\n  \
         - name: ResNet-14\n    resnet: {{ blocks_per_stage: 2, channels: 4 }}\n  \
         - name: ResNets\n    ensemble: [ResNet-8, ResNet-14]\n"
    );
    let place = folder_with("x.yaml", &experiment);
    let folder = place.path();
    fs::write(folder.join("m.jsonl"), succeed(folder, &words("sweep plan x.yaml"))).unwrap();
    succeed(folder, &words("sweep run --manifest m.jsonl --index 0 --threads 1 -q"));
    let results = folder.join("results/x");
    fs::create_dir_all(&results).unwrap();
    let earlier = ["costs.csv", "experiment.yaml", "figure.csv", "run.json"];
    for file in earlier {
        fs::write(results.join(file), "of an earlier figure").unwrap();
    }
    let said = refused(folder, &words("sweep collect m.jsonl --threads 1 -q"), 1);
    assert!(said.contains("nothing can be drawn"), "{said}");
    for file in earlier {
        assert_eq!(fs::read_to_string(results.join(file)).unwrap(), "of an earlier figure");
    }
    assert_eq!(fs::read_dir(&results).unwrap().count(), earlier.len());
}

#[test]
fn a_thousand_runs_are_planned_watched_and_collected() {
    let place = folder_with("x.yaml", &anytime("[0]", 1, "0.1"));
    let folder = place.path();
    let manifest = succeed(folder, &words("sweep plan x.yaml --seeds 0..499"));
    assert_eq!(manifest.lines().count(), 1000);
    fs::write(folder.join("m.jsonl"), &manifest).unwrap();
    succeed(folder, &words("sweep run --manifest m.jsonl --index 3 --threads 1 -q"));
    let status = succeed(folder, &words("sweep status m.jsonl"));
    let counts = status.lines().last().unwrap();
    assert_eq!(counts, "1000 runs: 1 done, 0 running, 0 failed, 999 waiting");
    let told = succeed(folder, &words("sweep collect m.jsonl --threads 1 -q"));
    assert!(told.contains("partial, 1 of 1000 runs"), "{told}");
}
