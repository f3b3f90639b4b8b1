#!/usr/bin/env bash
# Stands in for rustdoc where cargo calls it to run the documentation's examples (RUSTDOC=scripts/rustdoc.sh
# cargo test --release --doc), and writes the documentation from the same compiled crates; a warning is an error.
# `cargo doc` would compile polars once more, for ten minutes.
set -euo pipefail
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --test | --nocapture | --no-run) ;;
    --test-run-directory | --test-args) shift ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
exec rustdoc "${arguments[@]}" --deny warnings --out-dir "${CARGO_TARGET_DIR:-target}/doc"
