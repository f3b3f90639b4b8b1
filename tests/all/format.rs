//! What must stay for runs of this format to be found and read: the names of all shipped
//! experiments' run folders, a checkpoint and a predictions file.
//!
//! `REPRO_BLESS=1` appends the runs of new experiments, and writes the two files where there are
//! none. A line that is there never goes: its run would be trained again.

use std::fs;
use std::path::{Path, PathBuf};

use repro::experiment::{BUILT_IN, Plan, load};
use repro::models::Input;
use repro::results::{checkpoint, predictions};

use super::fixtures;

const HEADER: &str = "experiment,network,seed,folder";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn blesses() -> bool {
    std::env::var("REPRO_BLESS").is_ok_and(|value| value == "1")
}

/// The lines of every run of every shipped experiment.
fn produced() -> Vec<String> {
    let mut lines = Vec::new();
    for (name, _) in BUILT_IN {
        let (_, experiment) = load(name, &[]).unwrap();
        let facts = experiment.dataset.facts().unwrap();
        let validation = experiment.validation.unwrap_or(facts.default_validation);
        let input = Input { channels: facts.channels, side: facts.side, classes: facts.classes };
        for network in Plan::new(&experiment, input, validation).unwrap().networks {
            for run in &network.runs {
                lines.push(format!(
                    "{name},\"{}\",{},{}",
                    network.name,
                    run.seed,
                    run.folder_name()
                ));
            }
        }
    }
    lines
}

#[test]
fn the_runs_of_shipped_experiments_keep_their_folders() {
    let path = golden("runs.csv");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let known: Vec<&str> = text.lines().skip(1).collect();
    let now = produced();
    for line in &known {
        assert!(
            now.iter().any(|n| n == line),
            "runs.csv only gains lines; no longer there: {line}"
        );
    }
    let new: Vec<&str> =
        now.iter().map(String::as_str).filter(|line| !known.contains(line)).collect();
    if blesses() {
        let lines = [&[HEADER][..], &known, &new].concat();
        fs::write(path, lines.join("\n") + "\n").unwrap();
    } else {
        assert!(new.is_empty(), "{} new runs; REPRO_BLESS=1 appends them: {}", new.len(), new[0]);
    }
}

/// The golden file called `name`, which `content` is written to where there is none yet.
fn bytes_of(name: &str, content: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = golden(name);
    if blesses() && !path.exists() {
        fs::write(&path, content()).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_checkpoint_of_this_format_is_read_as_it_was_written() {
    let name = "format3-checkpoint.safetensors";
    bytes_of(name, fixtures::checkpoint_file);
    let (progress, tensors) = checkpoint::load(&golden(name)).unwrap();
    let (expected, mut weights) = fixtures::checkpoint();
    assert_eq!(progress, expected);
    weights.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(tensors.len(), weights.len());
    let mut tensors = tensors;
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    for ((name, found), (expected_name, expected)) in tensors.iter().zip(&weights) {
        assert_eq!(name, expected_name);
        assert!(found.size() == expected.size() && found == expected, "{name}");
    }
}

#[test]
fn predictions_of_this_format_are_read_as_they_were_written() {
    let name = "format3-predictions.parquet";
    bytes_of(name, fixtures::predictions_file);
    let (expected, made) = fixtures::predictions();
    let (found_made, found) = predictions::load(&golden(name)).unwrap();
    assert_eq!(found_made, made);
    assert_eq!(found.logits, expected.logits);
    assert_eq!((found.images, found.labels), (expected.images, expected.labels));
}
