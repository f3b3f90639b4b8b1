//! The script that checks a GPU, on the processor.

use std::path::Path;
use std::process::Command;

use super::session::complaint;

#[test]
fn the_script_that_checks_a_gpu_passes_on_the_processor_and_counts_what_it_left_out() {
    if Command::new("python3").arg("--version").output().is_err() {
        return println!("skipped: no Python");
    }
    let out = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("scripts/gpu-check.sh"))
        .args(["cpu", "--seconds", "600", "--only", "3", "--out"])
        .arg(out.path())
        .env("REPRO", env!("CARGO_BIN_EXE_repro"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", complaint(&output));
    for expected in [
        "(1) ok      golden cifar10_small_b3 fp64",
        "(1) ok      20 steps of DenseNet bf16",
        "(1) ok      killed and resumed: the same bytes",
        "(3) ok      early/256/exit 1",
        "0 failed: none; 2 skipped: part 2, part 4",
    ] {
        assert!(said.contains(expected), "no `{expected}` in\n{said}");
    }
    let csv = std::fs::read_to_string(out.path().join("gpu.csv")).unwrap();
    assert_eq!(csv.lines().count() - 1, said.lines().count() - 1, "a row a line");
    assert!(out.path().join("gpu.md").is_file());
}
