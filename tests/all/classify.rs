//! A run on people's own images.

use std::collections::BTreeSet;

use serde_json::Value;

use super::session::{TINY, complaint, picture, refused, repro, succeed, text, trained, words};

#[test]
fn own_images_are_classified_and_broken_ones_named_and_passed_over() {
    let folder = trained();
    let at = folder.path();
    std::fs::create_dir(at.join("pictures")).unwrap();
    picture(&at.join("pictures"), "a.png", 10);
    picture(&at.join("pictures"), "b.jpg", 200);
    std::fs::write(at.join("pictures/c.png"), "no image").unwrap();
    let of = |options: &[&str]| {
        let start = ["classify", "msdnet", "pictures", "--json", "--threads", "1"];
        let output = repro(at, &[&start, options].concat());
        assert!(output.status.success(), "{output:?}");
        let complaint = complaint(&output);
        assert!(complaint.contains("pictures/c.png is not a whole"), "{complaint}");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    let costs: Vec<Value> = {
        let network = TINY.lines().last().unwrap().trim();
        std::fs::write(at.join("network.yaml"), network).unwrap();
        let text = succeed(at, &["costs", "network.yaml", "--dataset", "synthetic", "--json"]);
        serde_json::from_str(&text).unwrap()
    };
    let cost = |exit: usize| costs[exit - 1]["multiply_adds"].clone();
    let last = of(&[]);
    assert_eq!(last.len(), 2);
    for (options, exit) in [
        (vec![], 3),
        (vec!["--threshold", "0"], 1),
        (vec!["--threshold", "1,0"], 2),
        (vec!["--ratio", "0"], 1),
        (vec!["--budget", "1e12"], 3),
    ] {
        for found in of(&options) {
            assert_eq!(found["exit"], exit, "{options:?}");
            assert_eq!(found["multiply_adds"], cost(exit), "{options:?}");
            let confidence = found["confidence"].as_f64().unwrap();
            assert!((0.1..=1.0).contains(&confidence));
            assert!(found["milliseconds"].as_f64().unwrap() > 0.0);
        }
    }
    let table = succeed(at, &["classify", "msdnet", "pictures/a.png", "-q"]);
    assert_eq!(table.lines().count(), 2, "{table}");
    let none = refused(at, &["classify", "msdnet", "pictures/c.png"], 1);
    assert!(none.contains("none of 1 images could be read"), "{none}");
    let wrong = ["classify", "msdnet", "pictures", "--threshold", "1,1,1"];
    assert!(refused(at, &wrong, 1).contains("3 thresholds given"));
}

#[test]
fn files_that_are_no_images_are_told_and_named_ones_that_cannot_be_read_are_an_error() {
    let folder = trained();
    let at = folder.path();
    std::fs::create_dir(at.join("pictures")).unwrap();
    picture(&at.join("pictures"), "a.png", 10);
    for other in ["b.HEIC", "c.tif", "d.tif", "notes"] {
        std::fs::write(at.join("pictures").join(other), "x").unwrap();
    }
    let start = "classify msdnet --json --threads 1";
    let output = repro(at, &words(&format!("{start} pictures")));
    let told = complaint(&output);
    assert!(output.status.success(), "{told}");
    let left_out = "4 files are left out (.HEIC: 1, .tif: 2, no extension: 1); images are .jpg";
    assert!(told.contains(left_out), "{told}");
    for options in ["", "--one-by-one"] {
        let line = format!("{start} {options} pictures/a.png nofile.jpg pictures/c.tif pictures");
        let output = repro(at, &words(&line));
        let told = complaint(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert_eq!(text(&output.stdout).lines().count(), 2, "{told}");
        assert!(told.contains("passed over: cannot read nofile.jpg"), "{told}");
        let error = "2 files named on the command line could not be read";
        assert!(told.contains(error), "{told}");
    }
}

#[test]
fn images_are_classified_one_by_one_as_they_are_in_batches() {
    let folder = trained();
    let at = folder.path();
    std::fs::create_dir(at.join("pictures")).unwrap();
    // More than a batch, and some that cannot be read.
    for number in 0..300u16 {
        picture(&at.join("pictures"), &format!("{number:03}.png"), (number / 2) as u8);
    }
    for broken in ["000.png", "128.png", "299.png"] {
        std::fs::write(at.join("pictures").join(broken), "no image").unwrap();
    }
    let of = |options: &[&str]| {
        let start = ["classify", "msdnet", "pictures", "--json", "--ratio", "0.8"];
        let output = repro(at, &[&start, options].concat());
        assert!(output.status.success(), "{output:?}");
        let text = text(&output.stdout);
        let rows = text.lines().map(|line| {
            let mut row: Value = serde_json::from_str(line).unwrap();
            let milliseconds = row.as_object_mut().unwrap().remove("milliseconds").unwrap();
            assert!(milliseconds.as_f64().unwrap() > 0.0);
            row
        });
        (rows.collect::<Vec<Value>>(), complaint(&output))
    };
    let (rows, errors) = of(&["--one-by-one"]);
    assert_eq!(rows.len(), 297);
    let exits: BTreeSet<u64> = rows.iter().map(|row| row["exit"].as_u64().unwrap()).collect();
    assert!(exits.len() > 1, "all leave together: {exits:?}");
    for options in [&["--threads", "1"][..], &["--threads", "0"]] {
        assert_eq!(of(options), (rows.clone(), errors.clone()), "{options:?}");
    }
}

#[test]
fn bf16_is_refused_where_the_processor_has_none_of_it() {
    let folder = trained();
    let at = folder.path();
    std::fs::create_dir(at.join("pictures")).unwrap();
    picture(&at.join("pictures"), "a.png", 200);
    let predict = ["predict", "msdnet", "--split", "test", "--out", "answers.csv"];
    for command in [&["classify", "msdnet", "pictures"][..], &predict] {
        let of = |precision| [command, &["--precision", precision]].concat();
        succeed(at, &of("auto"));
        if repro::engine::Isa::has_bf16() {
            succeed(at, &of("bf16"));
        } else {
            assert!(refused(at, &of("bf16"), 1).contains("no bf16 arithmetic"));
        }
    }
}
