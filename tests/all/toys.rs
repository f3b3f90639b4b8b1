//! A family and a policy that only tests know.

use std::path::Path;
use std::process::Command;

use super::session::text;

#[test]
fn a_toy_family_and_a_toy_policy_are_a_file_and_a_row_each() {
    if std::env::var_os("REPRO_TOYS").is_none() {
        return eprintln!("skipped: it compiles the program once more; REPRO_TOYS=1 runs it");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/toys.sh");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}
