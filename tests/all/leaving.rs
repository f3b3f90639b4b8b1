//! When images leave, as people ask for it: policies, combined exits, guarantees.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fixtures;
use super::session::{TINY, complaint, picture, refused, repro, rows, succeed, trained, words};

#[test]
fn exits_are_combined_as_the_command_line_says_each_a_curve_of_its_own() {
    let folder = trained();
    let at = folder.path();
    let asked = "budgeted-batch tiny.yaml --combine single,geometric --threads 1 -q";
    succeed(at, &words(asked));
    let figure = rows(&at.join("results/tiny/figure.csv"));
    let drawn: BTreeSet<(&str, &str)> =
        figure.iter().map(|row| (row["policy"].as_str(), row["combine"].as_str())).collect();
    let mut expected = BTreeSet::from([("none", "single")]);
    for policy in ["max-softmax", "margin", "entropy"] {
        expected.extend([(policy, "single"), (policy, "geometric")]);
    }
    assert_eq!(drawn, expected);
    assert!(figure.iter().all(|row| row["accuracy_holdout"].parse::<f64>().is_ok()));
    let svg = std::fs::read_to_string(at.join("results/tiny/figure.svg")).unwrap();
    assert!(svg.contains("(max-softmax, geometric)"));

    let asked = "budgeted-batch tiny.yaml --policy patience --combine mean -q";
    let error = refused(at, &words(asked), 1);
    assert!(
        error.contains("\"tiny\"") && error.contains("the policy patience asks exits one by one"),
        "{error}"
    );
    let error = refused(at, &["budgeted-batch", "tiny.yaml", "--combine", "sum"], 2);
    assert!(error.contains("unknown way to combine exits `sum`"), "{error}");
    for (key, value) in [
        ("lambdas", "[-0.1]"),
        ("targets", "[1.5]"),
        ("lambdas", "[0.1, 0.1]"),
        ("target_bound", "1"),
    ] {
        let change = format!("budgeted.{key}={value}");
        let error = refused(at, &["budgeted-batch", "tiny.yaml", "--set", &change], 1);
        assert!(error.contains(&format!("budgeted.{key}")), "{error}");
    }
}

#[test]
fn a_guarantee_is_a_table_a_csv_and_a_picture_and_classify_keeps_to_it() {
    let folder = trained();
    let at = folder.path();
    let help = succeed(at, &["guarantee", "--help"]);
    assert!(help.contains("its proof asks for a risk that never falls"), "{help}");
    let text = succeed(at, &["guarantee", "msdnet", "--at-most", "0.1", "--threads", "1"]);
    let methods: Vec<&str> =
        text.lines().skip(4).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(methods, ["crc", "betting", "ltt"]);
    let run = std::fs::read_dir(at.join("results/guarantee")).unwrap().next().unwrap().unwrap();
    for ending in ["csv", "svg", "png"] {
        assert!(run.path().join("guarantee").with_extension(ending).is_file());
    }
    let table = rows(&run.path().join("guarantee.csv"));
    let asked = table.iter().filter(|row| row["tolerance"] == "0.1");
    assert_eq!(asked.clone().count(), 3);
    let betting = asked.clone().find(|row| row["method"] == "betting").unwrap();
    assert!(asked.clone().all(|row| (row["method"] == "crc") == row["confidence"].is_empty()));

    std::fs::create_dir(at.join("pictures")).unwrap();
    for shade in 0..20 {
        picture(&at.join("pictures"), &format!("{shade}.png"), shade * 12);
    }
    let of = |options: &[&str]| {
        let start = ["classify", "msdnet", "pictures", "--json", "--threads", "1", "-q"];
        let text = succeed(at, &[&start[..], options].concat());
        let told = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        told.map(|row| (row["exit"].clone(), row["label"].clone())).collect::<Vec<_>>()
    };
    let threshold = match betting["threshold"].as_str() {
        "" => "2",
        number => number,
    };
    assert_eq!(of(&["--guarantee", "0.1"]), of(&["--threshold", threshold]));

    for (options, expected) in [
        (&["--at-most", "0"][..], "a tolerated loss of 0 is out of range"),
        (&["--at-most", "1.5"], "a tolerated loss of 1.5 is out of range"),
        (&["--confidence", "1"], "a confidence of 1 is out of range"),
        (&["--at-most", "0.001"], "a hold-out of 200 images is too small"),
    ] {
        let error = refused(at, &[&["guarantee", "msdnet"][..], options].concat(), 1);
        assert!(error.contains(expected), "{error}");
    }
    let start = ["classify", "msdnet", "pictures"];
    for (options, expected) in [
        (&["--guarantee", "0.001"][..], "needs at least"),
        (&["--guarantee", "0.1", "--policy", "margin"], "--guarantee is of the policy max-softmax"),
        (
            &["--policy", "patience", "--ratio", "2", "--combine", "mean"],
            "the policy patience asks exits one by one",
        ),
        (&["--policy", "coordinate-ascent", "--ratio", "-1"], "lambda: -1 is out of range"),
        (&["--policy", "oracle", "--ratio", "1"], "the oracle sees the label"),
        (&["--policy", "patience"], "give --ratio or --budget"),
    ] {
        let error = refused(at, &[&start[..], options].concat(), 1);
        assert!(error.contains(expected), "{error}");
    }
    // Every policy serves.
    for (policy, knob) in [
        ("margin", "1"),
        ("patience", "2"),
        ("target-accuracy", "0.2"),
        ("coordinate-ascent", "0.1"),
        ("dynamic-programme", "0.1"),
    ] {
        assert_eq!(of(&["--policy", policy, "--ratio", knob]).len(), 20, "{policy}");
    }
    assert_eq!(of(&["--combine", "mie", "--ratio", "0.5"]).len(), 20);
    // Ten images in a bin are never sure to be right 19 times of 20.
    let bound = ["--policy", "target-accuracy", "--ratio", "0.95", "--target-bound", "0.9"];
    assert!(of(&bound).iter().all(|(exit, _)| *exit == 3));
}

#[test]
fn a_guarantee_on_imported_weights_says_what_nobody_knows() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("w"), fixtures::state_dict_file()).unwrap();
    let network = "densenet: { layers_per_block: 1, growth: 2, exits_after: [1] }\n";
    std::fs::write(at.join("net.yaml"), network).unwrap();
    succeed(at, &words("import w --network net.yaml --dataset synthetic"));
    let doubt = "may have been trained on the held-out images";
    let text = succeed(at, &words("guarantee densenet --at-most 0.5 --threads 1"));
    assert!(text.contains(doubt), "{text}");
    std::fs::create_dir(at.join("pictures")).unwrap();
    picture(&at.join("pictures"), "a.png", 10);
    for (options, warns) in [("--ratio 1", true), ("--threshold 0.5", false)] {
        let asked = format!("classify densenet pictures --threads 1 {options}");
        let output = repro(at, &words(&asked));
        assert!(output.status.success());
        assert_eq!(complaint(&output).contains(doubt), warns, "{options}");
    }
}

#[test]
fn a_guarantee_needs_a_hold_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let without = TINY
        .replace("budgeted-batch", "anytime")
        .replace("validation: 200", "validation: 0")
        .lines()
        .filter(|line| !line.starts_with("budgeted:"))
        .collect::<Vec<_>>()
        .join("\n");
    std::fs::write(at.join("without.yaml"), without).unwrap();
    succeed(at, &["anytime", "without.yaml", "--threads", "1", "-q"]);
    let error = refused(at, &["guarantee", "msdnet"], 1);
    assert!(error.contains("has no hold-out"), "{error}");
    std::fs::create_dir(at.join("pictures")).unwrap();
    picture(&at.join("pictures"), "a.png", 10);
    let error = refused(at, &["classify", "msdnet", "pictures", "--guarantee", "0.1"], 1);
    assert!(error.contains("has no hold-out"), "{error}");
}

#[test]
fn a_summary_stands_beside_the_figure_and_is_shown_of_the_run() {
    let folder = trained();
    let at = folder.path();
    let summary = rows(&at.join("results/tiny/summary.csv"));
    let number = |measure: &str| {
        let row = summary.iter().find(|row| row["measure"] == measure).unwrap();
        row["value"].parse::<f64>().unwrap()
    };
    for measure in ["accuracy_at_100_percent", "area_under_curve", "destructive_overthinking"] {
        assert!((0.0..=1.0).contains(&number(measure)), "{measure}");
    }
    let exits = summary.iter().filter(|row| row["measure"] == "auroc");
    assert_eq!(exits.map(|row| row["exit"].as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    let shown = succeed(at, &["runs", "show", "msdnet", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let area = shown["summary"]["area_under_curve"].as_f64().unwrap();
    assert!((area - number("area_under_curve")).abs() < 1e-12);
    assert_eq!(shown["summary"]["auroc"].as_array().unwrap().len(), 3);
}
