//! The rooms and what each must never import.

use std::fs;
use std::path::{Path, PathBuf};

/// Room, and the crates and rooms that its files must not name in a `use`.
const NEVER: &[(&str, &[&str])] = &[
    ("cli", &["tch", "polars", "plotters"]),
    ("study", &["clap", "crate::look", "crate::sweep", "crate::bench"]),
    ("sweep", &["clap", "crate::bench", "crate::look"]),
    ("bench", &["clap", "crate::sweep", "crate::look", "crate::study", "crate::runs"]),
    ("look", &["clap", "crate::sweep", "crate::bench", "crate::study"]),
    ("runs", &["clap", "crate::study", "crate::figures"]),
    ("results", &["clap", "crate::models"]),
    ("experiment", &["tch", "polars", "plotters"]),
    ("data", &["crate::models", "crate::train", "crate::results"]),
    ("engine", &["crate::models", "crate::data", "crate::train", "crate::eval"]),
    ("nn", &["crate::engine", "crate::models", "crate::data", "crate::train", "crate::eval"]),
    ("models", &["crate::data", "crate::train", "crate::experiment"]),
    ("train", &["crate::models", "crate::figures", "clap"]),
    ("predict", &["crate::models", "crate::figures", "clap"]),
    ("eval", &["tch", "polars", "plotters", "crate::nn", "crate::models", "std::fs"]),
    ("figures", &["tch", "crate::nn", "crate::models", "crate::train"]),
];

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

fn names(line: &str, import: &str) -> bool {
    let line = line.trim_start();
    let used = line.strip_prefix("pub use ").or_else(|| line.strip_prefix("use "));
    let by_use = used.is_some_and(|rest| {
        rest.strip_prefix(import)
            .is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    });
    by_use || (import.starts_with("crate::") && line.contains(&format!("{import}::")))
}

#[test]
fn no_room_imports_what_it_must_not() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (room, never) in NEVER {
        let files = rust_files(&source.join(room));
        assert!(!files.is_empty(), "room {room} is empty");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate() {
                for import in *never {
                    if names(line, import) {
                        wrong.push(format!("{}:{}: {line}", file.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Who writes to standard output: who prints, and a worker, which speaks to its parent.
const PRINTERS: [&str; 2] = ["cli/output.rs", "runs/worker.rs"];

#[test]
fn standard_output_is_written_in_one_place_that_no_full_disk_stops() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in rust_files(&source) {
        let is_printer = PRINTERS.iter().any(|printer| file.ends_with(printer));
        let text = fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| line.contains("stdout()")) {
            assert!(is_printer || line.contains("is_terminal"), "{}: {line}", file.display());
        }
    }
}

#[test]
fn no_family_imports_another() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/models");
    let families = ["msdnet", "resnet", "densenet", "mobilenet", "mobilenet_v2", "squeezenet"];
    for family in families {
        let text = fs::read_to_string(models.join(family).with_extension("rs")).unwrap();
        for other in families {
            let imports = text.lines().any(|l| l.starts_with("use ") && names_module(l, other));
            assert!(!imports || other == family, "{family} imports {other}");
        }
    }
}

fn names_module(line: &str, module: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == module)
}
