//! Lets the program find LibTorch where it was linked, and keeps libtorch itself linked so that CUDA registers.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").unwrap_or_default();
    if !lib.is_empty() {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        println!("cargo:rustc-link-arg=-L{lib}");
    }
    println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
    println!("cargo:rustc-link-arg=-ltorch");
    println!(
        "cargo:rustc-env=REPRO_LIBTORCH_VERSION={}",
        libtorch_version(&lib)
    );
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
    line.and_then(|line| line.split('\'').nth(1))
        .unwrap_or_default()
        .to_string()
}
