//! The README's figures of speed are those of the committed raw numbers.

use std::path::Path;
use std::process::Command;

use super::session::complaint;

#[test]
fn the_readmes_table_of_speed_is_that_of_the_csv() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = ["benches/speed_table.py", "results/speed/compare.csv"];
    let Ok(output) = Command::new("python3").args(script).current_dir(root).output() else {
        eprintln!("skipped: there is no python3");
        return;
    };
    assert!(output.status.success(), "{}", complaint(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.lines().count() > 5, "{table}");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (_, rest) = readme.split_once("<!-- speed -->\n").unwrap();
    let (written, _) = rest.split_once("<!-- /speed -->\n").unwrap();
    let again = format!("python3 {} README.md writes it anew", script.join(" "));
    assert_eq!(written, table, "{again}");
}
