//! Every command that the README and CONTRIBUTING show is run as it stands there, by bash, in a
//! folder whose experiments have the real names and seconds of work. What needs a network, a
//! cluster or hours is listed here with its reason, and looked at as far as it can be.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use clap::Parser;
use repro::cli::Cli;
use repro::nn::initialise;
use repro::results::checkpoint;
use tch::Device;

use super::fixtures;
use super::session::{complaint, copy_tree};

const TEXTS: [(&str, &str); 2] = [
    ("README.md", include_str!("../../README.md")),
    ("CONTRIBUTING.md", include_str!("../../CONTRIBUTING.md")),
];

/// What a line of code begins with that is meant to be typed.
const PROGRAMS: [&str; 6] = ["repro ", "make ", "cargo ", "scripts/", "echo ", "seq "];

/// How a command that cannot be run here is looked at instead.
enum Instead {
    /// Run with one more option.
    With(&'static str),
    /// The command line is understood.
    Parsed,
    /// The Makefile has the target.
    Target,
    /// The script is there.
    Script,
    /// Run where this program is installed; else the command line is understood.
    Where(&'static str),
}

/// Beginning of a command, why it is not run as it stands, and what is done instead.
const NOT_RUN: &[(&str, &str, Instead)] = &[
    ("make ", "builds and tests everything", Instead::Target),
    ("scripts/same-bits.sh", "needs two programs", Instead::Script),
    ("scripts/toys.sh", "compiles the program once more", Instead::Script),
    ("scripts/keep-runs.sh", "kept.rs runs it", Instead::Script),
    ("scripts/kill-smoke.sh", "takes minutes to hours", Instead::Script),
    ("cargo ", "only told not to be used", Instead::Parsed),
    ("scripts/run-notebooks.sh", "installs from the network", Instead::Script),
    ("scripts/track_mlflow.py", "needs MLflow; card.rs runs it with another", Instead::Script),
    ("repro data verify folder:", "brought.rs runs it", Instead::Parsed),
    ("repro data fetch", "needs the network", Instead::Parsed),
    ("repro bench", "takes minutes", Instead::Parsed),
    ("repro doctor --golden", "needs a GPU", Instead::Parsed),
    ("scripts/gpu-check.sh", "needs a GPU", Instead::Script),
    ("benches/", "takes minutes", Instead::Script),
    ("repro sweep slurm", "needs a cluster", Instead::With("--dry-run")),
    ("seq 0", "needs GNU parallel", Instead::Where("parallel")),
];

const HEAD: &str = "\
dataset: fashion-mnist-mini
validation: 200
training_images: 200
seeds: [0]
training: { epochs: 1, batch_size: 50, schedule: { cosine: {} } }
networks:
";
const MSDNET: &str = "  - name: MSDNet
    msdnet: { channels: 4, growth: 2, scale_growth: [1, 2], bottleneck: [1, 1], exits: 2, first_exit: 1, spacing: { even: 1 } }
";
const RESNET: &str = "  - name: ResNet
    resnet: { blocks_per_stage: 1, channels: 4, exits_after: [1] }
";
const POSITIONAL: &str =
    "  - { name: ResNet, resnet: { blocks_per_stage: 1, channels: 4 }, positions: [1] }
";

/// A folder with small experiments under the real names, a trained run of each network, results,
/// and weights to import; made once, a copy for each block of commands.
fn workplace() -> tempfile::TempDir {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let original = MADE.get_or_init(|| {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        write_experiments(folder.path());
        write_weights(folder.path());
        write_photos(folder.path());
        run(folder.path(), "repro anytime mine --quiet");
        folder
    });
    let copy = tempfile::tempdir().unwrap();
    copy_tree(original.path(), copy.path());
    copy
}

fn write_experiments(root: &Path) {
    let folder = root.join("experiments");
    std::fs::create_dir(&folder).unwrap();
    let both = [MSDNET, RESNET].concat();
    for (name, figure, networks) in [
        ("mine", "anytime", both.as_str()),
        ("anytime-quick", "anytime", &both),
        ("budgeted-batch-quick", "budgeted-batch", MSDNET),
        ("fig-intermediate-quick", "fig-intermediate", POSITIONAL),
        ("fig-final-degradation-quick", "fig-final-degradation", POSITIONAL),
        ("ablation-quick", "ablation", MSDNET),
    ] {
        let text = format!("figure: {figure}\n{HEAD}{networks}");
        std::fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
    }
}

fn write_photos(root: &Path) {
    let folder = root.join("photos");
    std::fs::create_dir(&folder).unwrap();
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/pictures");
    std::fs::copy(assets.join("examples.png"), folder.join("one.png")).unwrap();
}

fn write_weights(root: &Path) {
    let network = "densenet: { layers_per_block: 1, growth: 2, exits_after: [1] }";
    let file = root.join("network.yaml");
    std::fs::write(&file, network).unwrap();
    let (networks, _) = repro::experiment::load_networks(file.to_str().unwrap()).unwrap();
    let input = repro::models::Input { classes: 100, ..fixtures::INPUT };
    let weights = initialise(&networks[0].1.build(input).unwrap(), 0, Device::Cpu).unwrap();
    let named = weights.named().unwrap();
    checkpoint::save_tensors(&root.join("model.safetensors"), &named).unwrap();
}

/// What bash says to a line; it must end well.
fn run(folder: &Path, line: &str) {
    let program = Path::new(env!("CARGO_BIN_EXE_repro")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("bash")
        .args(["-o", "pipefail", "-c", line])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", program.display()))
        .output()
        .unwrap();
    let said = complaint(&output);
    assert!(output.status.success(), "`{line}`: {said}");
}

/// Commands of a text that belong together: the lines of a block, or one within a sentence.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    let mut fence: Option<String> = None;
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            let opens = fence.is_none();
            fence = opens.then(|| kind.to_string());
            if opens && kind == "sh" {
                all.push(Vec::new());
            }
        } else if let Some(kind) = &fence {
            let command = line.split("  #").next().unwrap_or("").trim();
            if kind == "sh" && !command.is_empty() {
                all.last_mut().unwrap().push(command.to_string());
            }
        } else {
            let code = line.split('`').skip(1).step_by(2);
            let typed = code.filter(|code| PROGRAMS.iter().any(|p| code.starts_with(p)));
            all.extend(typed.map(|code| vec![code.to_string()]));
        }
    }
    all
}

fn look_at(folder: &Path, command: &str) {
    match NOT_RUN.iter().find(|(start, ..)| command.starts_with(start)) {
        None => run(folder, command),
        Some((_, _, Instead::With(option))) => run(folder, &format!("{command} {option}")),
        Some((_, _, Instead::Where(program))) => {
            let is_there = Command::new(program).arg("--version").output().is_ok();
            if is_there { run(folder, command) } else { parse(command) }
        }
        Some((_, _, Instead::Parsed)) => parse(command),
        Some((_, _, Instead::Target)) => {
            let target = format!("\n{}:", command.split_whitespace().nth(1).unwrap());
            assert!(include_str!("../../Makefile").contains(&target), "{command}");
        }
        Some((_, _, Instead::Script)) => {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let script = command.split_whitespace().next().unwrap();
            assert!(root.join(script).is_file(), "{command}");
        }
    }
}

/// The part of the line that is this program's, as its own command line reads it.
fn parse(command: &str) {
    let Some(at) = command.find("repro ") else {
        return;
    };
    let words = command[at..].replace("{}", "0");
    if let Err(error) = Cli::try_parse_from(words.split_whitespace()) {
        panic!("`{command}`: {error}");
    }
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    tch::set_num_threads(1);
    let mut shown = 0;
    for (name, text) in TEXTS {
        for block in commands(text) {
            let folder = workplace();
            for command in block {
                println!("{name}: {command}");
                look_at(folder.path(), &command);
                shown += 1;
            }
        }
    }
    assert!(shown > 40, "{shown} commands were found");
    let all: Vec<String> = TEXTS.iter().flat_map(|(_, text)| commands(text)).flatten().collect();
    for (start, reason, _) in NOT_RUN {
        assert!(all.iter().any(|c| c.starts_with(start)), "{start}: {reason}");
    }
}

#[test]
fn what_the_readme_says_was_found_is_what_the_results_say() {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let found = repro::study::findings(&results).unwrap();
    let (_, shown) = TEXTS[0].1.split_once("<!-- findings -->\n").unwrap();
    let (shown, _) = shown.split_once("<!-- /findings -->").unwrap();
    assert_eq!(shown, found, "`repro report` writes it anew");
}

#[test]
fn what_the_readme_links_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, text) in TEXTS {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|t| !t.contains("://")) {
            assert!(root.join(target).exists(), "{name}: {target}");
        }
    }
}
