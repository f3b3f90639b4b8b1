//! Command lines and experiment files that somebody new would write, and what the program says:
//! which word is wrong, where, and the way out.

use std::path::Path;

use clap::CommandFactory;
use repro::cli::Cli;

use super::session::{refused, repro, words};

/// Command lines that clap refuses, and what it must say.
const USAGE: &[(&str, &[&str])] = &[
    ("anytme", &["'anytme'", "'anytime'"]),
    ("train smoke", &["'train'", "'repro anytime'"]),
    ("anytime smoke --epochs 3", &["'--epochs'", "--set training.epochs=VALUE"]),
    ("anytime smoke --set training.epochs", &["expected key=value"]),
    ("anytime smoke --device gpu", &["'gpu'", "auto, cpu, cuda or cuda:N"]),
    ("anytime smoke --workers 0", &["'0'", "a whole number from 1"]),
    ("predict msdnet --split train", &["'train'", "test, validation"]),
    ("budgeted-batch --policy softmax", &["`softmax`", "`max-softmax`, `margin`, `entropy`"]),
    (
        "data fetch cifar",
        &["did you mean 'cifar10'?", "fashion-mnist-mini, fashion-mnist, cifar10"],
    ),
    ("sweep run m.jsonl", &["'m.jsonl'", "--manifest m.jsonl"]),
    ("sweep plan smoke --seeds 0-4", &["'0-4'", "0..4"]),
    ("bench --threads 0", &["'0'", "from 1 to"]),
    ("watch msdnet -o curves --tensorboard events", &["--tensorboard", "cannot be used with"]),
    ("export msdnet --card card --license=", &["--license", "a value is required"]),
];

/// Command lines that ask for what is not there.
const ERRORS: &[(&str, &[&str])] = &[
    ("anytime cifar100", &["\"cifar100\"", "did you mean anytime-cifar100-cpu?"]),
    ("anytime quick", &["\"quick\"", "-quick?", "repro experiments list"]),
    ("budgeted-batch anytime-quick", &["run `repro anytime anytime-quick`"]),
    (
        "budgeted-batch --set budgeted.policies=[max-softmx]",
        &["`max-softmx`", "did you mean `max-softmax`?"],
    ),
    ("budgeted-batch --policy margin,margin", &["budgeted.policies: margin occurs twice"]),
    (
        "budgeted-batch --policy patience,oracle --temperature",
        &["nothing to scale", "add max-softmax, margin or entropy"],
    ),
    ("budgeted-batch --set validation=2", &["a hold-out of 2", "the 3 exits of \"MSDNet\""]),
    ("anytime my.yaml", &["cannot read my.yaml"]),
    ("anytime smoke --set epochs=3", &["`epochs`", "did you mean `training.epochs`?"]),
    ("anytime smoke --set networks.msdnet.exits=2", &["\"msdnet\" is no place in the list"]),
    ("predict msdnet --split test", &["there are none", "repro runs list"]),
    ("data verify cifar10", &["data/cifar-10-batches-bin", "repro data fetch cifar10"]),
    ("costs network.yml", &["cannot read network.yml"]),
    ("runs clean", &["name runs", "--unfinished"]),
    ("export msdnet --predictions --out x", &["--predictions", "belong to --card"]),
];

const RIGHT: &str = "\
figure: anytime
dataset: synthetic
validation: 100
training_images: 200
training: { epochs: 1, batch_size: 50 }
networks:
  - name: A
    resnet: { blocks_per_stage: 1, channels: 4, exits_after: [1] }
  - name: B
    msdnet: { channels: 4, growth: 2, scale_growth: [1, 2], bottleneck: [1, 1], exits: 2, first_exit: 1, spacing: { even: 1 } }
";

/// What is written in place of what, and what the program must say.
const MISTAKES: &[(&str, &str, &[&str])] = &[
    ("    resnet", "\tresnet", &["tab", "line 8", "indented by spaces"]),
    ("figure: a", "figure:a", &["a space after the colon"]),
    ("epochs", "epoch", &["`epoch`", "line 5", "did you mean `epochs`?"]),
    ("epochs: 1", "epochs: ten", &["training.epochs", "a whole number", "line 5"]),
    ("epochs: 1", "epochs: 1, learning_rate: 0,1", &["line 5", "has a point"]),
    ("epochs: 1", "epochs: 1, seeds: [0]", &["`seeds` stands beside `training`"]),
    (
        "epochs: 1",
        "epochs: 1, schedule: cosine",
        &["training.schedule: ", "a name alone, expected a mapping", "{ cosine: {} }", "line 5"],
    ),
    (
        "epochs: 1",
        "epochs: 1, schedule: { linear: {} }",
        &["training.schedule: ", "expected `step` or `cosine`", "line 5"],
    ),
    (
        "epochs: 1",
        "epochs: 1, schedule: { cosine: 3 }",
        &["training.schedule.cosine: ", "{ warm_up: 5 }", "line 5"],
    ),
    (
        "epochs: 1",
        "epochs: 1, schedule: { cosine: {}, step: {} }",
        &["training.schedule: ", "one key alone", "line 5"],
    ),
    ("even: 1", "evn: 1", &["networks[1].msdnet.spacing: ", "did you mean `even`?", "line 10"]),
    ("even: 1", "even: x", &["msdnet.spacing.even: ", "a whole number from 0", "line 10"]),
    ("{ even: 1 }", "even", &["msdnet.spacing: ", "a mapping, such as { even: 2 }", "line 10"]),
    (
        "    resnet",
        "    combine: sum\n    resnet",
        &["networks[0].combine: ", "unknown way to combine exits", "line 8"],
    ),
    ("synthetic", "CIFAR-100", &["line 2", "did you mean 'cifar100'?"]),
    ("synthetic", "7", &["dataset: ", "{folder: PATH}", "line 2"]),
    ("synthetic", "./images", &["line 2", "did you mean 'folder:./images'?"]),
    ("validation: 100", "seeds: 0", &["seeds", "a list", "line 3"]),
    ("validation: 100", "validation: 2000", &["validation: 2000 images", "at most 1999"]),
    ("  - name", "    name", &["networks", "a dash before each entry"]),
    ("name: A", "name: \"A\\nB\"", &["networks: \"A\\nB\": a name is one line"]),
    ("resnet", "vgg", &["`vgg`", "`resnet`", "line 8"]),
    ("[1]", "[9]", &["\"A\"", "exits_after: 9", "which has 3 blocks"]),
    ("anytime", "fig5", &["`fig5`", "`anytime`", "line 1"]),
    ("networks:", "extra:", &["`extra`", "line 6", "`networks`"]),
];

fn check(at: &Path, line: &str, code: i32, expected: &[&str]) {
    let said = refused(at, &words(line), code);
    for part in expected {
        assert!(said.contains(part), "{line} lacks {part:?}: {said}");
    }
}

fn check_help(command: &mut clap::Command) {
    let name = command.get_display_name().unwrap_or_default().to_string();
    let help = command.render_long_help().to_string();
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "{name}: {line}");
    }
    assert!(command.get_about().is_some(), "{name} says nothing of itself");
    for argument in command.get_arguments() {
        let option = argument.get_id();
        assert!(argument.get_help().is_some(), "{name}: {option} says nothing");
    }
    command.get_subcommands_mut().for_each(check_help);
}

#[test]
fn every_command_explains_itself_and_its_options_within_80_columns() {
    let mut command = Cli::command().term_width(80);
    command.build();
    check_help(&mut command);
}

#[test]
fn a_mistyped_command_line_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    for (line, expected) in USAGE {
        check(folder.path(), line, 2, expected);
    }
    for (line, expected) in ERRORS {
        check(folder.path(), line, 1, expected);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_mistake_in_an_experiment_is_told_with_its_key_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.yaml");
    std::fs::write(&file, RIGHT).unwrap();
    let plan = repro(folder.path(), &["anytime", "my.yaml", "--plan"]);
    assert!(plan.status.success());
    for (right, wrong, expected) in MISTAKES {
        assert!(RIGHT.contains(right), "{right}");
        std::fs::write(&file, RIGHT.replacen(right, wrong, 1)).unwrap();
        check(folder.path(), "anytime my.yaml --threads 1", 1, expected);
    }
    std::fs::write(&file, "").unwrap();
    check(folder.path(), "anytime my.yaml", 1, &["my.yaml", "empty"]);
    std::fs::write(&file, b"\xff\xfe").unwrap();
    check(folder.path(), "anytime my.yaml", 1, &["my.yaml is not text"]);
}
