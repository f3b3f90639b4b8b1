//! Lets the program find LibTorch where it was linked, keeps libtorch itself linked so that CUDA registers, and
//! records the commit of the source.

use std::path::Path;
use std::process::Command;

/// What the program is made of.
const SOURCES: [&str; 10] = [
    "src",
    "core",
    "experiments",
    "assets/fonts",
    "data/fashion-mnist-mini",
    "benches/cifar100_anytime_b7.yaml",
    "benches/cifar100_budget_b5.yaml",
    "Cargo.toml",
    "Cargo.lock",
    "build.rs",
];

fn main() {
    name_source();
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").unwrap_or_default();
    if !lib.is_empty() {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        println!("cargo:rustc-link-arg=-L{lib}");
    }
    println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
    println!("cargo:rustc-link-arg=-ltorch");
    println!("cargo:rustc-env=REPRO_LIBTORCH_VERSION={}", libtorch_version(&lib));
}

/// Commit of the source, and whether the source differs from it: what a run folder says of the
/// program that began it. Without git, or outside a repository of this program, both are empty.
fn name_source() {
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
    }
    // A commit, a checkout and a rebase each change one of these.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name])
            && Path::new(&path).exists()
        {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let is_ours = git(&["ls-files", "--error-unmatch", "build.rs"]).is_some();
    let commit = is_ours.then(|| git(&["rev-parse", "HEAD"])).flatten();
    let changes = commit.as_ref().and_then(|_| {
        git(&[&["--no-optional-locks", "status", "--porcelain", "--"][..], &SOURCES].concat())
    });
    println!("cargo:rustc-env=REPRO_COMMIT={}", commit.unwrap_or_default());
    let dirty = changes.map(|changes| (!changes.is_empty()).to_string());
    println!("cargo:rustc-env=REPRO_DIRTY={}", dirty.unwrap_or_default());
}

/// What git says; none where there is no git or it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_string())
}

/// From `version.py` of a Python torch or `build-version` of a LibTorch archive.
fn libtorch_version(lib: &str) -> String {
    let Some(root) = Path::new(lib).parent() else {
        return String::new();
    };
    if let Ok(version) = std::fs::read_to_string(root.join("build-version")) {
        return version.trim().to_string();
    }
    let text = std::fs::read_to_string(root.join("version.py")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("__version__"));
    line.and_then(|line| line.split('\'').nth(1)).unwrap_or_default().to_string()
}
