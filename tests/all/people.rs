//! What people see: the pages, pictures and texts of the commands that look at runs and networks.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use repro::eval::policy::Policy;
use serde_json::Value;

fn repro(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_repro"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

pub fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = repro(folder, arguments);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn complained(folder: &Path, arguments: &[&str], code: i32) -> String {
    let output = repro(folder, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The program that is there under one of these names.
fn installed(names: &[&str]) -> Option<&'static str> {
    let known = ["chromium", "chromium-browser", "google-chrome", "python3"];
    let works = |name: &&&str| {
        let output = Command::new(name).arg("--version").output();
        output.is_ok_and(|output| output.status.success())
    };
    let found = names.iter().find(works)?;
    known.into_iter().find(|name| name == found)
}

pub const TINY: &str = "\
figure: budgeted-batch
dataset: synthetic
validation: 200
training_images: 300
training: { epochs: 1, batch_size: 50, augmentation: { crop: 0, flip: false } }
budgeted: { policies: [max-softmax, margin, entropy] }
networks:
  - name: tiny
    msdnet: { channels: 4, growth: 2, scale_growth: [1, 2], bottleneck: [1, 1], exits: 3, first_exit: 1, spacing: { even: 1 } }
";

/// A folder with a trained run, its figure, and `tiny.yaml`; trained once, a copy for each test.
pub fn trained() -> tempfile::TempDir {
    static TRAINED: OnceLock<tempfile::TempDir> = OnceLock::new();
    let original = TRAINED.get_or_init(|| {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::write(folder.path().join("tiny.yaml"), TINY).unwrap();
        let arguments = ["budgeted-batch", "tiny.yaml", "--threads", "1", "--quiet"];
        said(folder.path(), &arguments);
        folder
    });
    let copy = tempfile::tempdir().unwrap();
    copy_tree(original.path(), copy.path());
    copy
}

pub fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy_tree(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

/// Rows of a CSV without quoted cells, by column.
pub fn rows(path: &Path) -> Vec<HashMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(String::from));
    let header: Vec<String> = lines.next().unwrap().collect();
    lines.map(|cells| header.iter().cloned().zip(cells).collect()).collect()
}

/// The page as a browser has it after its script ran.
fn rendered(browser: &str, page: &Path, place: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}#{place}", page.display()))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The numbers behind all elements whose tag holds `mark`, in the page's order.
fn values(page: &str, mark: &str) -> Vec<f64> {
    let tags = page.split('<').filter(|tag| tag.contains(mark));
    let value = |tag: &str| tag.split("data-value=\"").nth(1)?.split('"').next()?.parse().ok();
    tags.filter_map(value).collect()
}

#[test]
fn policies_and_temperatures_of_the_command_line_are_the_ones_drawn() {
    let folder = trained();
    let at = folder.path();
    let asked = "budgeted-batch tiny.yaml --policy margin,oracle --temperature --threads 1 -q";
    said(at, &asked.split(' ').collect::<Vec<_>>());
    let drawn = |file: &str| -> BTreeSet<(String, bool)> {
        let swept = rows(&at.join("results/tiny").join(file));
        let swept = swept.iter().filter(|row| row["policy"] != "none");
        swept.map(|row| (row["policy"].clone(), row["temperature"] != "1")).collect()
    };
    let expected = [("margin", false), ("margin", true), ("oracle", false)];
    let expected = expected.map(|(policy, scaled)| (policy.to_string(), scaled));
    assert_eq!(drawn("figure.csv"), BTreeSet::from(expected.clone()));
    // The oracle has no thresholds; which exits its images took is known all the same.
    assert_eq!(drawn("exits_taken.csv"), BTreeSet::from(expected));
}

#[test]
fn the_page_shows_the_numbers_of_budgeted_batch_in_a_real_browser() {
    let Some(browser) = installed(&["chromium", "chromium-browser", "google-chrome"]) else {
        eprintln!("skipped: no Chromium is installed (apt-get install chromium)");
        return;
    };
    let folder = trained();
    said(folder.path(), &["explore", "msdnet", "--threads", "1"]);
    let page = folder.path().join("explore.html");
    assert!(std::fs::metadata(&page).unwrap().len() < 5_000_000);
    let all = Policy::ALL.map(Policy::name).join(",");
    let redrawn = ["budgeted-batch", "tiny.yaml", "--threads", "1", "-q", "--policy", &all];
    said(folder.path(), &redrawn);
    let figure = rows(&folder.path().join("results/tiny/figure.csv"));
    let taken = rows(&folder.path().join("results/tiny/exits_taken.csv"));
    let shown = [
        ("max-softmax", 3),
        ("margin", 20),
        ("entropy", 40),
        ("patience", 1),
        ("target-accuracy", 9),
        ("coordinate-ascent", 9),
        ("dynamic-programme", 5),
        ("oracle", 1),
    ];
    for (policy, place) in shown {
        let dom = rendered(browser, &page, &format!("policy={policy}&place={place}"));
        let ratio = values(&dom, "id=\"ratio\"")[0];
        let is_here = |row: &&HashMap<String, String>| {
            row["policy"] == policy && row["ratio"].parse::<f64>().is_ok_and(|r| r == ratio)
        };
        let row = figure.iter().find(is_here).unwrap();
        let number = |key: &str| row[key].parse::<f64>().unwrap();
        assert_eq!(values(&dom, "id=\"accuracy\""), [number("accuracy")], "{policy}");
        assert_eq!(values(&dom, "id=\"multiply-adds\""), [number("multiply_adds")], "{policy}");
        let expected = taken.iter().filter(is_here).map(|row| row["images"].parse().unwrap());
        assert_eq!(values(&dom, "class=\"taken\""), expected.collect::<Vec<f64>>(), "{policy}");
        let right: f64 = values(&dom, "class=\"share\"").iter().sum();
        assert_eq!(right, (number("accuracy") * number("images")).round(), "{policy}");
    }
}

#[test]
fn the_page_shows_combined_exits_as_the_figure_has_them() {
    let Some(browser) = installed(&["chromium", "chromium-browser", "google-chrome"]) else {
        eprintln!("skipped: no Chromium is installed (apt-get install chromium)");
        return;
    };
    let folder = trained();
    let at = folder.path();
    said(at, &["explore", "msdnet", "--threads", "1"]);
    let asked = "budgeted-batch tiny.yaml --policy max-softmax --combine single,mean,product -q";
    said(at, &asked.split(' ').collect::<Vec<_>>());
    let figure = rows(&at.join("results/tiny/figure.csv"));
    for combine in ["mean", "product"] {
        let dom =
            rendered(browser, &at.join("explore.html"), &format!("combine={combine}&place=9"));
        let ratio = values(&dom, "id=\"ratio\"")[0];
        let is_here = |row: &&HashMap<String, String>| {
            row["combine"] == combine && row["ratio"].parse::<f64>().is_ok_and(|r| r == ratio)
        };
        let row = figure.iter().find(is_here).unwrap();
        for (mark, column) in [("accuracy", "accuracy"), ("multiply-adds", "multiply_adds")] {
            let expected = row[column].parse::<f64>().unwrap();
            assert_eq!(values(&dom, &format!("id=\"{mark}\"")), [expected], "{combine}");
        }
    }
}

#[test]
fn a_run_can_be_listed_shown_drawn_and_is_deleted_only_by_name() {
    let folder = trained();
    let at = folder.path();
    let listed: Value = serde_json::from_str(&said(at, &["runs", "list", "--json"])).unwrap();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["finished"]), (1, &true.into()));
    let name = listed[0]["run"].as_str().unwrap();
    assert!(said(at, &["runs", "show", "msdnet"]).contains("state: finished, 1 epochs"));

    said(
        at,
        &[
            "examples",
            "msdnet",
            "--per-exit",
            "3",
            "--ratio",
            "1",
            "-o",
            "sheets",
            "--threads",
            "1",
        ],
    );
    let shown = rows(&at.join("sheets/by-exit.csv"));
    for exit in ["1", "2", "3"] {
        assert!(shown.iter().filter(|row| row["exit"] == exit).count() <= 3);
    }
    assert!(!shown.is_empty() && at.join("sheets/by-exit.png").is_file());
    for row in rows(&at.join("sheets/corrected.csv")) {
        assert!(row["first_predicted"] != row["label"] && row["last_predicted"] == row["label"]);
    }
    let error = complained(at, &["examples", "msdnet", "--class", "horse", "--threads", "1"], 1);
    assert!(error.contains("synthetic has no class \"horse\""), "{error}");

    said(at, &["watch", "msdnet", "-o", "curves"]);
    assert!(at.join("curves.svg").is_file() && at.join("curves.png").is_file());

    said(at, &["runs", "clean", "--unfinished", "--yes"]);
    assert!(at.join("runs").join(name).is_dir());
    assert!(complained(at, &["runs", "clean", "msdnet"], 1).contains("--yes"));
    assert!(at.join("runs").join(name).is_dir());
    said(at, &["runs", "clean", "msdnet", "--yes"]);
    assert!(!at.join("runs").join(name).exists());
}

/// Where `scripts/run-notebooks.sh` puts Python's packages.
pub fn python_packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".python")
}

const READ_EVENTS: &str = "
import sys, json
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]); events.Reload()
print(json.dumps({tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()['scalars']}))
";

#[test]
fn tensorboard_reads_back_what_was_written() {
    let python = |code: &str, argument: &Path| {
        let mut command = Command::new("python3");
        command.args(["-c", code]).arg(argument).env("PYTHONPATH", python_packages());
        command.output().ok()
    };
    let is_there = python("import tensorboard", Path::new("")).is_some_and(|o| o.status.success());
    if !is_there {
        eprintln!("skipped: TensorBoard is not installed (scripts/run-notebooks.sh installs it)");
        return;
    }
    let folder = trained();
    let written = said(folder.path(), &["watch", "msdnet", "--tensorboard", "events"]);
    let run = folder.path().join(Path::new(written.trim()).parent().unwrap());
    let output = python(READ_EVENTS, &run).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let read: Value = serde_json::from_slice(&output.stdout).expect(&complaint);
    let name = run.file_name().unwrap();
    let log = rows(&folder.path().join("runs").join(name).join("train.csv"));
    for (tag, column) in
        [("loss", "loss"), ("learning_rate", "learning_rate"), ("accuracy/exit_3", "accuracy_3")]
    {
        let expected: f64 = log[0][column].parse().unwrap();
        let [step, value] = [&read[tag][0][0], &read[tag][0][1]].map(|v| v.as_f64().unwrap());
        assert_eq!(step, 1.0);
        assert!((value - expected).abs() < 1e-6, "{tag}: {value}, not {expected}");
    }
}

#[test]
fn a_network_is_drawn_as_svg_and_png() {
    let folder = tempfile::tempdir().unwrap();
    let names = said(folder.path(), &["draw", "smoke", "-o", "picture"]);
    assert_eq!(names.lines().count(), 6);
    assert!(names.lines().all(|name| folder.path().join(name).is_file()));
    let svg = std::fs::read_to_string(folder.path().join("picture-1.svg")).unwrap();
    assert!(svg.contains("exit 1") && svg.contains("scale 3, 8 x 8"));
    let error = complained(folder.path(), &["draw", "smok"], 1);
    assert!(error.contains("did you mean smoke?"), "{error}");
}

#[test]
fn the_doctor_ends_well_where_the_main_job_can_run_and_with_1_where_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let checks: Value = serde_json::from_str(&said(folder.path(), &["doctor", "--json"])).unwrap();
    let checks = checks.as_array().unwrap();
    assert!(checks.iter().any(|check| check["name"] == "LibTorch" && check["state"] == "ok"));
    for check in checks {
        assert_eq!(check["state"] == "ok", check.get("mend").is_none(), "{check}");
    }
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let error = complained(folder.path(), &["doctor", "--runs", "file/runs"], 1);
    assert!(error.contains("cannot run: folder for runs"), "{error}");
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_repro"))
        .args(["man", "--out", "man"])
        .current_dir(folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && complaint.is_empty(), "{complaint}");
}

#[test]
fn shells_editors_and_man_are_served() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        assert!(said(folder.path(), &["completions", shell]).contains("budgeted-batch"));
    }
    let pages = said(folder.path(), &["man", "--out", "man"]);
    assert!(pages.lines().any(|page| page == "man/repro-runs-clean.1"), "{pages}");
    assert!(said(folder.path(), &["man"]).starts_with(".ie"));
}

fn committed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_committed_schema_is_the_programs() {
    let folder = tempfile::tempdir().unwrap();
    let now = said(folder.path(), &["config", "schema"]);
    assert!(now == committed("schema.json"), "run `repro config schema > experiments/schema.json`");
}

#[test]
fn the_schema_accepts_every_shipped_experiment_and_refuses_mistakes() {
    let schema: Value = serde_json::from_str(&committed("schema.json")).unwrap();
    for (name, text) in repro::experiment::BUILT_IN {
        let experiment: Value = serde_yaml::from_str(text).unwrap();
        assert_eq!(fault(&schema, &schema, &experiment), None, "{name}");
    }
    let mistakes = [
        ("dataset", serde_json::json!("cifar-100")),
        ("dataset", serde_json::json!({ "folder": "x", "classes": 3 })),
        ("figure", serde_json::json!("fig5")),
        ("seed", serde_json::json!(0)),
        ("training", serde_json::json!({ "epochs": 1, "precision": "fp8" })),
        ("training", serde_json::json!({ "epochs": 1, "augmentation": { "flips": true } })),
    ];
    let (_, smoke) = repro::experiment::BUILT_IN.iter().find(|(name, _)| *name == "smoke").unwrap();
    for (key, wrong) in mistakes {
        let mut experiment: Value = serde_yaml::from_str(smoke).unwrap();
        experiment[key] = wrong.clone();
        assert!(fault(&schema, &schema, &experiment).is_some(), "{key}: {wrong}");
    }
}

/// The first thing in which `value` breaks `schema`, by the keywords that our schema uses.
fn fault(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    if let Some(target) = schema["$ref"].as_str()
        && let Some(fault) = fault(root, root.pointer(&target[1..]).unwrap(), value)
    {
        return Some(fault);
    }
    for (key, wanted) in [("anyOf", 1..=usize::MAX), ("oneOf", 1..=1)] {
        if let Some(choices) = schema[key].as_array() {
            let fitting = choices.iter().filter(|c| fault(root, c, value).is_none()).count();
            if !wanted.contains(&fitting) {
                return Some(format!("{value} fits {fitting} of {key}"));
            }
        }
    }
    if let Some(known) = schema["enum"].as_array()
        && !known.contains(value)
    {
        return Some(format!("{value} is none of {known:?}"));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return Some(format!("{value} is not {}", schema["const"]));
    }
    if !has_type(&schema["type"], value) {
        return Some(format!("{value} is not a {}", schema["type"]));
    }
    if let Some(items) = value.as_array() {
        return items.iter().find_map(|item| fault(root, &schema["items"], item));
    }
    let map = value.as_object()?;
    let required = schema["required"].as_array().into_iter().flatten();
    let mut missing = required.filter(|key| !map.contains_key(key.as_str().unwrap()));
    if let Some(key) = missing.next() {
        return Some(format!("{key} is missing"));
    }
    map.iter().find_map(|(key, inner)| match schema["properties"].get(key) {
        Some(property) => fault(root, property, inner),
        None if schema["additionalProperties"] == false => Some(format!("{key} is unknown")),
        None => None,
    })
}

fn has_type(types: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match types {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

/// A test image of the synthetic kind, as a file.
pub fn picture(folder: &Path, name: &str, shade: u8) {
    let stripes = |x: u32, y: u32| image::Rgb([shade, (x * 8) as u8, (y * 8) as u8]);
    let picture = image::RgbImage::from_fn(48, 40, stripes);
    picture.save(folder.join(name)).unwrap();
}

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
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.contains("pictures/c.png is not a whole"), "{complaint}");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    let costs: Vec<Value> = {
        let network = TINY.lines().last().unwrap().trim();
        std::fs::write(at.join("network.yaml"), network).unwrap();
        let text = said(at, &["costs", "network.yaml", "--dataset", "synthetic", "--json"]);
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
    let table = said(at, &["classify", "msdnet", "pictures/a.png", "-q"]);
    assert_eq!(table.lines().count(), 2, "{table}");
    let none = complained(at, &["classify", "msdnet", "pictures/c.png"], 1);
    assert!(none.contains("none of 1 images could be read"), "{none}");
    let wrong = ["classify", "msdnet", "pictures", "--threshold", "1,1,1"];
    assert!(complained(at, &wrong, 1).contains("3 thresholds given"));
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
        let text = String::from_utf8(output.stdout).unwrap();
        let rows = text.lines().map(|line| {
            let mut row: Value = serde_json::from_str(line).unwrap();
            let milliseconds = row.as_object_mut().unwrap().remove("milliseconds").unwrap();
            assert!(milliseconds.as_f64().unwrap() > 0.0);
            row
        });
        (rows.collect::<Vec<Value>>(), String::from_utf8(output.stderr).unwrap())
    };
    let (rows, errors) = of(&["--one-by-one"]);
    assert_eq!(rows.len(), 297);
    let exits: BTreeSet<u64> = rows.iter().map(|row| row["exit"].as_u64().unwrap()).collect();
    assert!(exits.len() > 1, "all leave together: {exits:?}");
    for options in [&["--threads", "1"][..], &["--threads", "2"]] {
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
        said(at, &of("auto"));
        if repro::engine::Isa::has_bf16() {
            said(at, &of("bf16"));
        } else {
            assert!(complained(at, &of("bf16"), 1).contains("no bf16 arithmetic"));
        }
    }
}

#[test]
fn a_benchmark_tells_rates_and_draws_what_early_exit_saves() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let network = TINY.lines().last().unwrap().trim();
    std::fs::write(at.join("network.yaml"), network).unwrap();
    let only = "train,inference,early,data,memory";
    let start = ["bench", "network.yaml", "--seconds", "0.001", "--only", only];
    let text = said(at, &[&start[..], &["--json", "--out", "speed"]].concat());
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for what in ["train/64/bf16", "first/1", "all/256", "memory/256", "early/1/exit 3"] {
        let row = rows.iter().find(|row| row["what"] == what).unwrap();
        assert!(row["value"].as_f64().unwrap() > 0.0, "{row}");
    }
    for ending in ["csv", "svg", "png"] {
        assert!(at.join("speed/saving").with_extension(ending).is_file());
    }
    let error = complained(at, &["bench", "--only", "speed"], 2);
    assert!(error.contains("unknown topic `speed`"), "{error}");
}
