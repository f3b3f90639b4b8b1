//! One run asked by every command whether it is finished.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use repro::data::Turn;
use repro::results::{RunFolder, checkpoint};
use repro::runs::{DataSets, Event, Known, Places, Settings};
use serde_json::Value;

use super::fixtures::EXPERIMENT;
use super::session::{
    copy_tree, epochs, finish, folder_with, refused, run_folder, succeed, tiny, words,
};

/// The state of the one run, as `--plan`, `sweep status` and `runs list` tell it.
fn told(folder: &Path) -> [(String, u64); 3] {
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&succeed(folder, arguments)).unwrap()
    };
    let plan = json(&["anytime", "tiny.yaml", "--plan", "--json", "--device", "cpu"]);
    fs::write(folder.join("manifest"), succeed(folder, &["sweep", "plan", "tiny.yaml"])).unwrap();
    let status = json(&["sweep", "status", "manifest", "--json"]);
    let listed = json(&["runs", "list", "--json"]);
    let of = |row: &Value, epoch: &str| {
        (row["state"].as_str().unwrap().to_string(), row[epoch].as_u64().unwrap())
    };
    [of(&plan["runs"][0], "epochs_done"), of(&status[0], "epoch"), of(&listed[0], "epoch")]
}

/// A folder with the finished run of the tiny experiment, without its predictions.
fn trained() -> (tempfile::TempDir, RunFolder) {
    let folder = tempfile::tempdir().unwrap();
    finish(folder.path());
    let run = RunFolder::at(run_folder(folder.path()).unwrap());
    fs::remove_file(run.predictions("test")).unwrap();
    (folder, run)
}

fn assert_all(folder: &Path, state: &str, epoch: u64) {
    for (command, found) in ["--plan", "sweep status", "runs list"].iter().zip(told(folder)) {
        assert_eq!(found, (state.to_string(), epoch), "{command}");
    }
}

#[test]
fn every_command_gives_the_same_answer_about_a_run() {
    let (folder, run) = trained();
    let path = folder.path();
    assert_all(path, "done", 3);

    // Trained on other data: it begins anew.
    let whole = fs::read(run.checkpoint()).unwrap();
    let (mut progress, tensors) = checkpoint::load(&run.checkpoint()).unwrap();
    progress.data = "of other images".to_string();
    checkpoint::save(&run.checkpoint(), &progress, &tensors).unwrap();
    assert_all(path, "waiting", 0);
    let listed = succeed(path, &["runs", "list"]);
    assert!(listed.contains("trained, but on other data"), "{listed}");
    succeed(path, &["runs", "clean", "--unfinished", "--yes"]);
    assert!(run.checkpoint().is_file());
    finish(path);
    assert_eq!(epochs(run.path()), [1, 2, 3], "the clock is that of the new training");

    fs::remove_file(run.predictions("test")).unwrap();
    // Damaged weights: the checkpoint before is gone on from.
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(run.checkpoint(), damaged).unwrap();
    let (before, _) = checkpoint::load_progress(&run.previous_checkpoint()).unwrap();
    assert_all(path, "waiting", before.epoch.into());

    // A process is training it.
    let lock = run.try_lock().unwrap();
    assert!(lock.is_some());
    assert_all(path, "running", before.epoch.into());
    drop(lock);

    run.keep_failure("the loss is NaN").unwrap();
    assert_all(path, "failed", before.epoch.into());

    // A finished run that is locked, as while it is predicted, is finished.
    fs::write(run.checkpoint(), whole).unwrap();
    let _lock = run.try_lock().unwrap();
    assert_all(path, "done", 3);
}

#[test]
fn a_training_that_goes_on_within_an_epoch_says_how_much_of_it_was_done() {
    let (folder, run) = trained();
    let (mut progress, tensors) = checkpoint::load(&run.previous_checkpoint()).unwrap();
    let epoch = f64::from(progress.epoch);
    progress.step = 1;
    checkpoint::save(&run.checkpoint(), &progress, &tensors).unwrap();
    let [out, runs, data] = ["out", "runs", "data"].map(|place| folder.path().join(place));
    let settings = Settings::on_one_core(Places { out, runs, data });
    let mut resumed = None;
    let mut watch = |event| {
        if let Event::Resumed { done } = event {
            resumed = Some(done);
        }
    };
    let known = Known::read(run).unwrap();
    known.train("tiny", &DataSets::new(&settings), &mut watch).unwrap();
    assert!(resumed.is_some_and(|done| epoch < done && done < epoch + 1.0), "{resumed:?}");
}

#[test]
fn a_finished_run_that_has_only_the_checkpoint_before_is_finished_again() {
    let (folder, run) = trained();
    let whole = fs::read(run.checkpoint()).unwrap();
    // What `runs slim` leaves that is killed between its two renames.
    fs::rename(run.checkpoint(), run.previous_checkpoint()).unwrap();
    finish(folder.path());
    assert!(fs::read(run.checkpoint()).unwrap() == whole, "the checkpoint is another one");
    assert_all(folder.path(), "done", 3);
}

#[test]
fn a_run_whose_checkpoint_cannot_be_read_is_deleted_only_by_its_name() {
    let (folder, run) = trained();
    let path = folder.path();
    fs::remove_file(run.previous_checkpoint()).unwrap();
    fs::write(run.checkpoint(), "of another version").unwrap();
    let listed = succeed(path, &["runs", "list"]);
    assert!(listed.contains("checkpoint.safetensors cannot be read"), "{listed}");
    succeed(path, &["runs", "clean", "--unfinished", "--yes"]);
    assert!(run.checkpoint().is_file());
    // No command that only looks calls it untrained, or moves it.
    let (name, is_told) =
        (run.name(), "checkpoint.safetensors cannot be read: it is cut or damaged");
    for arguments in [&["anytime", "tiny.yaml", "--plan"][..], &["sweep", "status"]] {
        let told = succeed(path, arguments);
        assert!(told.contains(is_told) && told.contains("anew"), "{arguments:?}: {told}");
    }
    for arguments in [&["predict", &name, "--split", "test"][..], &["classify", &name, "x.png"]] {
        let error = refused(path, arguments, 1);
        assert!(error.contains(is_told), "{arguments:?}: {error}");
    }
    let error = refused(path, &["runs", "slim", &name], 1);
    assert!(error.contains("is not a whole checkpoint"), "{error}");
    assert!(run.checkpoint().is_file());
    // Set aside, as a training does that begins anew.
    let aside = run.checkpoint().with_extension("damaged");
    fs::rename(run.checkpoint(), &aside).unwrap();
    let listed = succeed(path, &["runs", "list"]);
    assert!(listed.contains("checkpoint.damaged cannot be read"), "{listed}");
    succeed(path, &["runs", "clean", "--unfinished", "--yes"]);
    assert!(aside.is_file());
    succeed(path, &["runs", "clean", &run.name(), "--yes"]);
    assert!(!run.path().exists());
}

#[test]
fn a_log_that_is_lost_or_cut_is_taken_from_the_checkpoint() {
    let (folder, run) = trained();
    let learning = folder.path().join("results/tiny/learning.csv");
    let before = fs::read(&learning).unwrap();
    let whole = fs::read(run.train_csv()).unwrap();
    for left in [None, Some(&whole[..whole.len() - 3]), Some(&whole[..whole.len() / 2]), Some(b"")]
    {
        fs::remove_file(run.train_csv()).unwrap();
        left.map_or(Ok(()), |left| fs::write(run.train_csv(), left)).unwrap();
        fs::remove_file(&learning).unwrap();
        finish(folder.path());
        assert!(fs::read(&learning).unwrap() == before, "{left:?}");
        succeed(folder.path(), &["watch", &run.name()]);
        fs::write(run.train_csv(), &whole).unwrap();
    }
}

#[test]
fn who_draws_where_another_process_draws_waits() {
    let (folder, _) = trained();
    let place = folder.path().join("results/tiny");
    let turn = Turn::take(&place.join("experiment.yaml")).unwrap().unwrap();
    let mut program = tiny(folder.path(), &[]);
    let mut child = program.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let is_told = |line: &String| line.contains("another process writes there; waiting");
    let (before, mut turn) = (fs::read(place.join("run.json")).unwrap(), Some(turn));
    for _ in said.filter(is_told) {
        assert!(fs::read(place.join("run.json")).unwrap() == before);
        drop(turn.take());
    }
    assert!(turn.is_none(), "it did not wait");
    assert!(child.wait().unwrap().success());
    assert!(fs::read(place.join("run.json")).unwrap() != before);
}

#[test]
fn every_folder_is_told_of_by_its_own_name() {
    let (folder, run) = trained();
    copy_tree(run.path(), &folder.path().join("runs/a-copy"));
    let told = succeed(folder.path(), &["sweep", "status", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let of = |key: &str| -> Vec<&str> {
        told.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap()).collect()
    };
    assert_eq!(of("id"), ["a-copy", &run.name()]);
    assert_eq!(of("state"), ["done", "done"]);
}

#[test]
fn a_checkpoint_that_cannot_be_read_stays_where_it_is() {
    let (_folder, run) = trained();
    // Root may read every file; a folder in its place nobody can.
    fs::remove_file(run.checkpoint()).unwrap();
    fs::create_dir(run.checkpoint()).unwrap();
    let error = format!("{:#}", run.load().unwrap_err());
    assert!(error.contains("cannot read"), "{error}");
    assert!(run.checkpoint().is_dir());
}

#[test]
fn the_state_of_thousands_of_runs_is_told_at_once() {
    let folder = folder_with("tiny.yaml", EXPERIMENT);
    let path = folder.path();
    let seeds = words("sweep plan tiny.yaml --seeds 0..9998");
    fs::write(path.join("manifest"), succeed(path, &seeds)).unwrap();
    let told = succeed(path, &["sweep", "status", "manifest", "--once"]);
    assert!(told.ends_with("9999 runs: 0 done, 0 running, 0 failed, 9999 waiting\n"), "{told}");
}
