//! The rooms, what each must never import, and that no files import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Room, and the rooms and crates that its files must not name.
const NEVER: &[(&str, &[&str])] = &[
    ("cli", &["tch", "polars", "plotters"]),
    ("study", &["clap", "look", "sweep", "bench"]),
    ("sweep", &["clap", "bench", "look", "study"]),
    ("bench", &["clap", "sweep", "look", "study", "runs"]),
    ("look", &["clap", "sweep", "bench", "study"]),
    ("runs", &["clap", "study", "figures", "look", "sweep", "bench"]),
    ("train", &["clap", "models", "figures", "results"]),
    ("predict", &["clap", "models", "figures"]),
    ("results", &["clap", "train", "models"]),
    ("import", &["clap", "figures", "study", "runs"]),
    ("experiment", &["tch", "polars", "plotters"]),
    ("models", &["data", "train", "experiment"]),
    ("engine", &["models", "data", "train", "eval"]),
    ("nn", &["engine", "models", "data", "train", "eval"]),
    ("data", &["models", "train", "results"]),
    ("eval", &["tch", "polars", "plotters", "nn", "models", "std::fs"]),
    ("figures", &["tch", "nn", "models", "train"]),
];

/// The sources of the program and of `repro-core`. Their rooms have one namespace: the program re-exports those of
/// the other.
fn sources() -> [PathBuf; 2] {
    ["src", "core/src"].map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
}

/// Where a room lies.
fn place(room: &str) -> PathBuf {
    let places = sources().map(|source| source.join(room));
    let [place]: [PathBuf; 1] =
        places.into_iter().filter(|place| place.is_dir()).collect::<Vec<_>>().try_into().unwrap();
    place
}

fn all_files() -> Vec<PathBuf> {
    sources().iter().flat_map(|source| rust_files(source)).collect()
}

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

/// A file's place in the crate: `src/runs/known.rs` is `runs::known`, `src/runs/mod.rs` is `runs`.
fn module_of(file: &Path) -> String {
    let inside =
        sources().into_iter().find_map(|source| Some(file.strip_prefix(source).ok()?.to_owned()));
    let inside = inside.unwrap().with_extension("");
    let parts: Vec<_> = inside.iter().map(|part| part.to_str().unwrap()).collect();
    parts.into_iter().filter(|part| !["mod", "lib"].contains(part)).collect::<Vec<_>>().join("::")
}

/// Code without comments, strings and tests: what is left names what the file needs.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut code = String::new();
    for line in text.lines() {
        let quoted = line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
        code.push_str(quoted.split("//").next().unwrap());
        code.push('\n');
    }
    code
}

/// The paths of a `use` tree, each whole.
fn flatten(tree: &str, before: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let name = tree.split(" as ").next().unwrap().trim();
        let whole = format!("{before}{name}");
        paths.push(whole.strip_suffix("::self").unwrap_or(&whole).to_string());
        return;
    };
    let before = format!("{before}{}", &tree[..open]);
    let (mut depth, mut from) = (0, open + 1);
    let inner = &tree[..tree.rfind('}').unwrap()];
    for (at, c) in inner.char_indices().skip(open + 1) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                flatten(&inner[from..at], &before, paths);
                from = at + 1;
            }
            _ => {}
        }
    }
    if !inner[from..].trim().is_empty() {
        flatten(&inner[from..], &before, paths);
    }
}

/// How a path from the root begins.
const ROOTS: [&str; 2] = ["crate::", "repro_core::"];

/// Whether a path begins at the root or at the file that names it.
fn is_own(path: &str) -> bool {
    ROOTS.iter().chain(&["super::", "self::"]).any(|start| path.starts_with(start))
}

/// A path from the crate's root: `crate::` and `repro_core::` are taken away, `super::` and `self::` are walked; the
/// path of another crate stays.
fn resolve(path: &str, module: &str) -> String {
    let mut place: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let mut rest = path;
    if let Some(inside) = ROOTS.iter().find_map(|root| rest.strip_prefix(root)) {
        return inside.to_string();
    }
    if !rest.starts_with("super::") && !rest.starts_with("self::") {
        return rest.to_string();
    }
    rest = rest.strip_prefix("self::").unwrap_or(rest);
    while let Some(after) = rest.strip_prefix("super::") {
        place.pop();
        rest = after;
    }
    place.push(rest);
    place.join("::")
}

/// What a file names, from the crate's root, and what it passes on under its own name.
#[derive(Default)]
struct Names {
    needed: Vec<String>,
    /// Name, and the path that it stands for.
    passed_on: Vec<(String, String)>,
}

fn names_in(file: &Path) -> Names {
    let (code, module) = (code_of(file), module_of(file));
    let mut names = Names::default();
    let mut rest = String::new();
    for statement in code.split_inclusive(';') {
        let Some(at) = statement.rfind("use ").filter(|&at| is_use(&statement[..at])) else {
            rest.push_str(statement);
            continue;
        };
        let mut paths = Vec::new();
        flatten(statement[at + 4..].trim_end_matches(';'), "", &mut paths);
        let is_public = statement[..at].trim_end().ends_with("pub");
        for path in paths {
            let name = path.rsplit("::").next().unwrap().to_string();
            let is_whole = is_own(&path);
            if is_public && !is_whole {
                // `pub use child::Name`: the child's path begins here.
                names.passed_on.push((name, format!("{module}::{path}")));
            } else if is_public {
                names.passed_on.push((name, resolve(&path, &module)));
            } else {
                names.needed.push(resolve(&path, &module));
            }
        }
        rest.push_str(&statement[..at]);
    }
    let is_path = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
    for word in rest.split(is_path) {
        let word = word.trim_matches(':');
        if is_own(word) || word.starts_with("std::fs") {
            names.needed.push(resolve(word, &module));
        } else if let Some((first, _)) = word.split_once("::") {
            names.needed.push(first.to_string());
        }
    }
    names
}

/// Whether what stands before `use ` on its line is nothing or `pub`.
fn is_use(before: &str) -> bool {
    let line = before.rsplit(['\n', '}', '{', ']']).next().unwrap_or(before).trim();
    line.is_empty() || line.starts_with("pub")
}

fn begins(path: &str, room: &str) -> bool {
    path == room || path.strip_prefix(room).is_some_and(|rest| rest.starts_with("::"))
}

#[test]
fn every_room_has_a_row() {
    let folders = sources().into_iter().flat_map(|source| fs::read_dir(source).unwrap());
    let folders = folders.map(|entry| entry.unwrap().path());
    let folders = folders.filter(|path| path.is_dir());
    let rooms: BTreeSet<String> =
        folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_string()).collect();
    let rows: BTreeSet<String> = NEVER.iter().map(|(room, _)| (*room).to_string()).collect();
    assert_eq!(rooms, rows);
}

#[test]
fn no_room_imports_what_it_must_not() {
    let mut wrong = Vec::new();
    for (room, never) in NEVER {
        for file in rust_files(&place(room)) {
            for path in names_in(&file).needed {
                if never.iter().any(|never| begins(&path, never)) {
                    wrong.push(format!("{} names {path}", file.display()));
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
    for file in all_files() {
        let is_printer = PRINTERS.iter().any(|printer| file.ends_with(printer));
        let text = fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| line.contains("stdout()")) {
            // A file may be put there, or be asked whether it is there.
            let is_fine = ["is_terminal", "terminal_size_of", "try_clone_to_owned"]
                .iter()
                .any(|call| line.contains(call));
            assert!(is_printer || is_fine, "{}: {line}", file.display());
        }
    }
}

#[test]
fn no_family_imports_another() {
    let families: Vec<PathBuf> = rust_files(&place("models"));
    let own = ["mod", "units", "width", "config", "tests"];
    let name = |file: &Path| file.file_stem().unwrap().to_str().unwrap().to_string();
    let families = families.iter().filter(|file| !own.contains(&&*name(file)));
    let families: Vec<&PathBuf> = families.collect();
    assert!(families.len() >= 3);
    for file in &families {
        for path in names_in(file).needed {
            let other = families
                .iter()
                .map(|other| name(other))
                .find(|other| *other != name(file) && begins(&path, &format!("models::{other}")));
            assert!(other.is_none(), "{} names {path}", file.display());
        }
    }
}

/// Which file each file needs: where the names that it uses are defined.
fn needs() -> BTreeMap<String, BTreeSet<String>> {
    let files = all_files();
    let all: BTreeMap<String, Names> =
        files.iter().map(|file| (module_of(file), names_in(file))).collect();
    let home = |path: &str| -> Option<String> {
        let mut path = path.to_string();
        for _ in 0..8 {
            // The longest beginning that is a file, and the name that is taken from it.
            let mut module = path.clone();
            while !all.contains_key(&module) {
                module.truncate(module.rfind("::")?);
            }
            let name = path[module.len()..].trim_start_matches("::").split("::").next()?;
            let passed = &all[&module].passed_on;
            match passed.iter().find(|(known, to)| known == name && *to != path) {
                Some((_, to)) if all.keys().any(|m| begins(to, m) && !m.is_empty()) => {
                    path.clone_from(to);
                }
                _ => return Some(module),
            }
        }
        None
    };
    all.iter()
        .filter(|(module, _)| !module.is_empty())
        .map(|(module, names)| {
            let needed = names.needed.iter().filter_map(|path| home(path));
            (module.clone(), needed.filter(|other| other != module && !other.is_empty()).collect())
        })
        .collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let needs = needs();
    // A file that needs nothing of what is left cannot be in a circle.
    let mut left: BTreeSet<&String> = needs.keys().collect();
    loop {
        let free: Vec<&String> = left
            .iter()
            .copied()
            .filter(|module| !needs[*module].iter().any(|other| left.contains(other)))
            .collect();
        let used = |module: &&String| left.iter().any(|other| needs[*other].contains(*module));
        let unused = left.iter().copied().filter(|module| !used(module));
        let gone: Vec<&String> = free.into_iter().chain(unused).collect();
        if gone.is_empty() {
            break;
        }
        left.retain(|module| !gone.contains(module));
    }
    let circles: Vec<String> = left
        .iter()
        .map(|module| {
            let within = needs[*module].iter().filter(|other| left.contains(other));
            format!("{module} -> {}", within.cloned().collect::<Vec<_>>().join(", "))
        })
        .collect();
    assert!(circles.is_empty(), "files in circles:\n{}", circles.join("\n"));
}
