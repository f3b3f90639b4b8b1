//! Compiles our C++, lets the program find LibTorch where it was linked, and keeps libtorch itself linked so that CUDA registers.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the program is made of.
const SOURCES: [&str; 9] = [
    "src",
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
    compile_ours(&lib);
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

/// Our batch normalisation and the switches of CUDA, with the headers of the LibTorch that is linked.
fn compile_ours(lib: &str) {
    const CPP: [&str; 2] = ["src/nn/norm.cpp", "src/cuda.cpp"];
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let named = ["LIBTORCH_INCLUDE", "LIBTORCH"].map(|name| std::env::var(name).ok());
    let beside = Path::new(lib).parent().map(|root| root.display().to_string());
    let headers = named
        .into_iter()
        .flatten()
        .chain(beside)
        .map(|root| Path::new(&root).join("include"))
        .find(|headers| headers.join("ATen").is_dir())
        .expect("no LibTorch headers: LIBTORCH or LIBTORCH_INCLUDE must name a folder with include/ATen");
    println!("cargo:rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".to_owned());
    let sources = CPP.map(|file| std::fs::read_to_string(file).unwrap_or_default()).concat();
    let key = format!("{abi}\n{}\n{sources}", headers.display());
    let out = PathBuf::from(std::env::var("OUT_DIR").unwrap_or_default());
    let (library, kept) = (out.join("librepro_ours.a"), out.join("repro_ours.key"));
    if library.is_file() && std::fs::read_to_string(&kept).is_ok_and(|old| old == key) {
        // This script runs at every change of the source; the C++ rarely changes.
        println!("cargo:rustc-link-search=native={}", out.display());
        println!("cargo:rustc-link-lib=static=repro_ours");
        println!("cargo:rustc-link-lib=stdc++");
        return;
    }
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .opt_level(3)
        .warnings(false)
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .define("GLOG_USE_GLOG_EXPORT", None)
        .include(headers.join("torch/csrc/api/include"))
        .include(headers)
        .files(CPP)
        .compile("repro_ours");
    let _ = std::fs::write(kept, key);
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
