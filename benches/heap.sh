#!/bin/bash
# What core/src/heap.rs brings: images trained a second with glibc's default and with the kept heap,
# interleaved, one thread, and their ratio.
#
#   benches/heap.sh [EXPERIMENT [INDEX]]     default: the first run of smoke
#
# INDEX is the run in the experiment's plan. REPRO names the program, DATA the data folder.
set -euo pipefail

repro=$(realpath "${REPRO:-target/release/repro}")
data=$(realpath -m "${DATA:-data}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$repro" sweep plan "${1:-smoke}" --data "$data" --runs "$place/none" > "$place/m.jsonl"

# Images a second, over all epochs, with REPRO_HEAP=$1.
measure() {
  rm -rf "$place/runs"
  REPRO_HEAP=$1 "$repro" sweep run --manifest "$place/m.jsonl" --index "${2:-0}" \
    --runs "$place/runs" --data "$data" --device cpu --threads 1 --quiet > /dev/null
  awk -F, 'FNR > 1 { images += $2 * $3; seconds += $3 } END { printf "%.1f", images / seconds }' "$place"/runs/*/timing.csv
}

echo "round,default,kept,ratio"
for round in 1 2 3; do
  default=$(measure default "${2:-0}")
  kept=$(measure keep "${2:-0}")
  echo "$round,$default,$kept,$(awk -v a="$kept" -v b="$default" 'BEGIN { printf "%.3f", a / b }')"
done
