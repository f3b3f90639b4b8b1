//! The whole program on tiny data.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use super::session::{anytime, folder_with, program, refused, repro, rows, text};

fn costs(folder: &Path, yaml: &str, arguments: &[&str]) -> Output {
    use std::io::Write;
    let mut child = program(folder)
        .args(["costs", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn smoke_makes_every_file_of_its_figure_and_the_second_call_trains_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["anytime", "smoke", "--threads", "1"];
    let first = repro(folder.path(), &arguments);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let figure = folder.path().join("results/smoke");
    for name in [
        "figure.csv",
        "figure.svg",
        "figure.png",
        "costs.csv",
        "exits.csv",
        "claims.csv",
        "experiment.yaml",
        "run.json",
    ] {
        assert!(figure.join(name).metadata().unwrap().len() > 0, "{name}");
    }
    let csv = fs::read(figure.join("figure.csv")).unwrap();
    let header = "curve,network,seed,exit,multiply_adds,accuracy,correct,images,combine\n";
    assert!(text(&csv).starts_with(header), "{}", text(&csv));
    let exits = rows(&figure.join("exits.csv"));
    let accuracy = exits.iter().map(|row| row["top1"].parse().unwrap()).fold(0.0, f64::max);
    assert!(accuracy > 0.4, "ten classes of synthetic images are learnt in two epochs: {accuracy}");
    let second = repro(folder.path(), &arguments);
    assert!(second.status.success());
    assert!(!text(&second.stderr).contains("epoch"), "{}", text(&second.stderr));
    assert_eq!(fs::read(figure.join("figure.csv")).unwrap(), csv);
}

#[test]
fn a_plan_trains_nothing_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = repro(folder.path(), &["anytime", "smoke", "--plan"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("0 of 3 runs are done"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn costs_of_a_network_come_from_standard_input_as_csv() {
    let folder = tempfile::tempdir().unwrap();
    let output = costs(folder.path(), "resnet: { blocks_per_stage: 9 }", &["--dataset", "cifar10"]);
    let expected = "network,exit,multiply_adds,multiply_adds_single,multiply_adds_eager,parameters\n\
                    resnet-56-1exits-c16,1,125485696,125485696,125485696,853018\n";
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn wrong_networks_are_refused_with_the_key_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let base = "channels: 8, growth: 4, scale_growth: [1, 2, 4], bottleneck: [1, 2, 4]";
    let cases = [
        (format!("msdnet: {{ {base}, exits: 3, first_exit: 2, spacing: {{ even: 0 }} }}"), "leaves no layer"),
        (format!("msdnet: {{ {base}, exits: [3, 2] }}"), "does not come after"),
        (format!("msdnet: {{ {base}, exits: 3, first_exit: 2 }}"), "spacing is missing"),
        (format!("msdnet: {{ {base}, exit: [2] }}"), "did you mean `exits`"),
        ("resnet: { blocks_per_stage: 3, exits_after: [9] }".into(), "the final classifier is implied"),
        ("resnet: { blocks_per_stage: 3, exits_after: [12] }".into(), "outside the network"),
        ("densenet: { layers_per_block: 3, growth: 4, compression: 2 }".into(), "compression"),
        (
            "msdnet: { channels: 8, growth: 4, scale_growth: [1, 1, 1, 1, 1, 1], bottleneck: [1, 1, 1, 1, 1, 1], exits: [4] }"
                .into(),
            "too small for the classifier",
        ),
        ("msdnet: { channels: 8 ".into(), "line"),
        ("mobilenet:".into(), "`mobilenet: {}`"),
        ("name: ''\nmobilenet: {}".into(), "name: it is empty"),
        ("mobilenet: { width: 99999999999999999999999 }".into(), "999`, expected a number that fits"),
        (String::new(), "empty"),
    ];
    for (yaml, expected) in cases {
        let output = costs(folder.path(), &yaml, &[]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{yaml}");
        assert!(error.contains(expected), "{yaml}: {error}");
    }
}

#[test]
fn networks_that_do_not_fit_the_images_are_refused_with_the_key_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (
            "msdnet: { channels: 8, growth: 4, scale_growth: [1, 2, 4], bottleneck: [1, 2, 4], exits: [9], \
             multi_scale: false }",
            "33",
            "multi_scale: false halves a map of 33x33 pixels",
        ),
        ("resnet: { blocks_per_stage: 2000, channels: 16384 }", "4096", "is a number mistyped?"),
    ];
    for (yaml, side, expected) in cases {
        let output = costs(folder.path(), yaml, &["--side", side]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{yaml}: {error}");
        assert!(error.contains(expected), "{yaml}: {error}");
    }
}

#[test]
fn wrong_experiments_are_refused_before_they_are_planned() {
    let whole = anytime("[0]", 1, "0.1");
    let both = "  - name: Both\n    ensemble: [ResNet, ResNet]\n";
    let one = "  - name: One\n    resnet: { blocks_per_stage: 1, channels: 4 }\n";
    let twin = format!("{}    seed_offset: 1\n", one.replace("One", "Twin"));
    let pair = "  - name: Pair\n    ensemble: [One, Twin]\n";
    let twins = format!("{}{one}{twin}{pair}", anytime("[0, 1]", 1, "0.1"));
    let cases = [
        (whole.replace("validation: 100", "validation: 2000"), "at most 1999 can"),
        (whole.replace("images: 200", "images: 1901"), "more than the 1900 that synthetic has"),
        (
            whole.replace("validation: 100\n", "").replace("images: 200", "images: 2000"),
            "beside its hold-out",
        ),
        (format!("{whole}{both}"), "\"Both\": ensemble: ResNet occurs twice"),
        (twins, "with a seed_offset of 0 and 1 they share runs at different seeds"),
        (
            format!("{whole}    seed_offset: 18446744073709551615\n").replace("[0]", "[1]"),
            "seed_offset: its sum",
        ),
        (format!("{whole}  - ResNet\n"), "expected a mapping, such as { name: A"),
    ];
    for (yaml, expected) in cases {
        let folder = folder_with("x.yaml", &yaml);
        let error = refused(folder.path(), &["sweep", "plan", "x.yaml"], 1);
        assert!(error.contains(expected), "{yaml}: {error}");
    }
}

#[test]
fn wrong_commands_are_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    assert!(refused(at, &["anytime", "smok"], 1).contains("did you mean smoke?"));
    assert!(refused(at, &["budgeted-batch", "smoke"], 1).contains("run `repro anytime smoke`"));
    assert!(
        refused(at, &["anytime", "smoke", "--set", "training.epoch=3"], 1)
            .contains("did you mean `epochs`")
    );
    assert!(
        refused(at, &["anytime", "smoke", "--set", "dataset=cifar10"], 1)
            .contains("repro data fetch cifar10")
    );
    assert!(refused(at, &["anytime", "smoke", "--device", "tpu"], 2).contains("cuda:N"));
    refused(at, &["anytime", "--no-such-option"], 2);
    assert!(refused(at, &["costs", "no-such.yaml"], 1).contains("no-such.yaml"));
}

#[test]
fn a_training_that_diverges_stops_with_epoch_and_rate() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["anytime", "smoke", "--threads", "1", "--set", "training.learning_rate=1e30"];
    let error = refused(folder.path(), &arguments, 1);
    assert!(
        error.contains("epoch 1, step 2, learning rate 9.99")
            && error.contains("a smaller learning_rate helps"),
        "{error}"
    );
}
