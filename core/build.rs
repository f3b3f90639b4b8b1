//! Compiles our C++, lets tests find LibTorch where it was linked, and keeps libtorch itself linked.
//! Link arguments hold for one package alone, so the program's build script gives them again.

use std::path::Path;

/// Batch normalisation and the switches of CUDA.
const CPP: [&str; 2] = ["src/nn/norm.cpp", "src/cuda.cpp"];

fn main() {
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").unwrap_or_default();
    if !lib.is_empty() {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        println!("cargo:rustc-link-arg=-L{lib}");
    }
    println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
    println!("cargo:rustc-link-arg=-ltorch");
    compile_ours(&lib);
}

/// With the headers of the LibTorch that is linked.
fn compile_ours(lib: &str) {
    for file in CPP.into_iter().chain(["build.rs"]) {
        println!("cargo:rerun-if-changed={file}");
    }
    for name in ["LIBTORCH_INCLUDE", "LIBTORCH", "LIBTORCH_CXX11_ABI"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let named = ["LIBTORCH_INCLUDE", "LIBTORCH"].map(|name| std::env::var(name).ok());
    let beside = Path::new(lib).parent().map(|root| root.display().to_string());
    let headers = named
        .into_iter()
        .flatten()
        .chain(beside)
        .map(|root| Path::new(&root).join("include"))
        .find(|headers| headers.join("ATen").is_dir())
        .expect("no LibTorch headers: LIBTORCH or LIBTORCH_INCLUDE must name a folder with include/ATen");
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
        .files(CPP)
        .compile("repro_ours");
}
