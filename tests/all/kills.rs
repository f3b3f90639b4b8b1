//! A training that is killed, stopped or raced ends with the bytes of one that was left alone.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::mutate::{below, generator};
use super::session::{
    assert_same, complaint, finish, folder_with, lasting, program, run_folder, succeed, tiny,
    uninterrupted, words,
};

fn temporaries(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let names = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".part")).count()
}

/// Whether the process was writing when it was killed: a temporary file is there, or the last
/// checkpoint is not yet in its place.
fn fell_into_a_write(folder: &Path) -> bool {
    let Some(run) = run_folder(folder) else {
        return false;
    };
    let between = run.join("checkpoint-previous.safetensors").exists()
        && !run.join("checkpoint.safetensors").exists();
    between || left_over(folder) > 0
}

/// Files in the folders of the run and of the figure that were not written whole.
fn left_over(folder: &Path) -> usize {
    let run = run_folder(folder).map_or(0, |run| temporaries(&run));
    run + temporaries(&folder.join("results/tiny"))
}

fn start_again(folder: &Path) {
    for part in ["runs", "results"] {
        fs::remove_dir_all(folder.join(part)).unwrap();
    }
}

fn setting(name: &str, default: usize) -> usize {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn a_training_that_is_killed_at_any_moment_ends_with_the_same_bytes() {
    let kills = setting("REPRO_KILLS", 12);
    let (expected, whole) = uninterrupted();
    let folder = tempfile::tempdir().unwrap();
    let mut rng = generator(6);
    let (mut done, mut in_a_write, mut finished) = (0, 0, 0);
    while done < kills {
        // Most processes save after each step, so that much of their time is writing.
        let options: &[&str] =
            if done % 4 == 0 { &["--quiet"] } else { &["--quiet", "--checkpoint-minutes", "0"] };
        let mut child = tiny(folder.path(), options).spawn().unwrap();
        // Every eighth is killed at any moment from its start, the others once they compute.
        if done % 8 != 0 {
            wait_until_it_listens(&mut child);
        }
        std::thread::sleep(whole.mul_f64(below(&mut rng, 700) as f64 / 1000.0));
        if let Some(status) = child.try_wait().unwrap() {
            let output = child.wait_with_output().unwrap();
            assert!(status.success(), "{}", complaint(&output));
            assert_same(&lasting(folder.path()), &expected);
            finished += 1;
            start_again(folder.path());
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        done += 1;
        in_a_write += usize::from(fell_into_a_write(folder.path()));
    }
    finish(folder.path());
    assert_same(&lasting(folder.path()), &expected);
    assert_eq!(left_over(folder.path()), 0);
    println!("{kills} kills, {in_a_write} of them in a write; {} runs ended alike", finished + 1);
}

#[test]
fn a_figure_whose_drawing_is_killed_leaves_no_file_after_the_next_command() {
    let kills = setting("REPRO_KILLS", 4);
    let folder = tempfile::tempdir().unwrap();
    finish(folder.path());
    let began = Instant::now();
    finish(folder.path());
    let (whole, mut rng, mut torn) = (began.elapsed(), generator(8), 0);
    for _ in 0..kills {
        let mut child = tiny(folder.path(), &["--quiet"]).spawn().unwrap();
        std::thread::sleep(whole.mul_f64(below(&mut rng, 1000) as f64 / 1000.0));
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
        torn += usize::from(left_over(folder.path()) > 0);
        finish(folder.path());
        assert_eq!(left_over(folder.path()), 0);
    }
    println!("{kills} kills, {torn} of them in a write");
}

fn signal(child: &Child, name: &str) {
    let status =
        Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().unwrap();
    assert!(status.success());
}

/// Waits until the program attends to signals, which it does before it reads data.
fn wait_until_it_listens(child: &mut Child) {
    let status = format!("/proc/{}/status", child.id());
    let listens = || {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        // Bit 14 is SIGTERM.
        caught.is_some_and(|mask| mask & (1 << 14) != 0)
    };
    while !listens() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until the training has begun.
fn wait_for_training(folder: &Path, child: &mut Child) {
    while !run_folder(folder).is_some_and(|run| run.join("train.csv").exists()) {
        if child.try_wait().unwrap().is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn predictions_that_are_told_to_stop_are_not_made_to_their_end() {
    let folder = folder_with("wide.yaml", WIDE);
    let at = folder.path();
    fs::write(at.join("m.jsonl"), succeed(at, &words("sweep plan wide.yaml"))).unwrap();
    succeed(at, &words("sweep run --manifest m.jsonl --only-train --device cpu -q"));
    let run = run_folder(at).unwrap();
    let name = run.file_name().unwrap().to_str().unwrap();
    let predict = ["predict", name, "--split", "test", "--threads", "1", "--device", "cpu"];
    let mut child = program(at).args(predict).stdout(Stdio::null()).spawn().unwrap();
    let is_predicting = || repro::results::RunFolder::at(&run).is_locked();
    while !is_predicting() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(75));
    assert!(!run.join("predictions-test.parquet").exists());
}

/// A network that needs seconds for the test images, and hardly one for its training.
const WIDE: &str = "\
figure: anytime
dataset: synthetic
validation: 2
training_images: 4
seeds: [0]
training: { epochs: 1, batch_size: 4 }
networks:
  - name: Wide
    resnet: { blocks_per_stage: 2, channels: 64 }
";

#[test]
fn a_training_that_is_told_to_stop_says_it_can_go_on_and_ends_with_the_same_bytes() {
    let stops = setting("REPRO_STOPS", 9);
    let (expected, whole) = uninterrupted();
    let folder = tempfile::tempdir().unwrap();
    let mut rng = generator(7);
    let mut resumable = 0;
    for stop in 0..stops {
        let mut child = tiny(folder.path(), &["--quiet"]).spawn().unwrap();
        wait_until_it_listens(&mut child);
        std::thread::sleep(whole.mul_f64(below(&mut rng, 700) as f64 / 1000.0));
        if child.try_wait().unwrap().is_none() {
            signal(&child, ["TERM", "INT", "USR1"][stop % 3]);
        }
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            Some(75) => resumable += 1,
            Some(0) => {
                assert_same(&lasting(folder.path()), &expected);
                start_again(folder.path());
            }
            code => panic!("{code:?}: {}", complaint(&output)),
        }
    }
    assert!(resumable > 0, "no signal fell into a training");
    finish(folder.path());
    assert_same(&lasting(folder.path()), &expected);
    println!("{stops} stops, {resumable} of them in a training");
}

#[test]
fn a_second_interrupt_ends_the_program_at_once() {
    let folder = tempfile::tempdir().unwrap();
    // Steps that take seconds.
    let options = [
        "--quiet",
        "--set",
        "networks.0.densenet.growth=64",
        "--set",
        "networks.0.densenet.layers_per_block=12",
        "--set",
        "networks.0.densenet.bottleneck=false",
        "--set",
        "training.batch_size=160",
    ];
    let mut child = tiny(folder.path(), &options).spawn().unwrap();
    wait_for_training(folder.path(), &mut child);
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(200));
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    // One that saved before it ended would say 75.
    assert_eq!(output.status.code(), Some(130), "{}", complaint(&output));
}

#[test]
fn two_processes_train_a_run_once_and_both_succeed() {
    let (expected, _) = uninterrupted();
    let folder = tempfile::tempdir().unwrap();
    let both = [(); 2].map(|()| tiny(folder.path(), &[]).spawn().unwrap());
    for child in both {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
    }
    assert_same(&lasting(folder.path()), &expected);
    let timing = run_folder(folder.path()).unwrap().join("timing.csv");
    let rows = fs::read_to_string(timing).unwrap().lines().count() - 1;
    assert_eq!(rows, 3, "each of the 3 epochs is trained once");
}
