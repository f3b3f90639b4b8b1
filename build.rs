//! Compiles our C++, lets the program find LibTorch where it was linked, and keeps libtorch itself linked so that CUDA registers.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
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

/// Our batch normalisation and the switches of CUDA, with the headers of the LibTorch that is linked.
fn compile_ours(lib: &str) {
    const SOURCES: [&str; 2] = ["src/nn/norm.cpp", "src/cuda.cpp"];
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
    }
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
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .opt_level(3)
        .warnings(false)
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .define("GLOG_USE_GLOG_EXPORT", None)
        .include(headers.join("torch/csrc/api/include"))
        .include(headers)
        .files(SOURCES)
        .compile("repro_ours");
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
