#!/bin/bash
# Two one-thread workers against one process with two threads, on the runs of a quick experiment:
# images trained a second in all, interleaved, and their ratio.
#
#   benches/workers.sh [EXPERIMENT [KEY=VALUE...]]     default: anytime-quick
#
# REPRO names the program (default target/release/repro). Ends within 8 minutes: no round is begun that
# would pass them if it took as long as the longest so far. Wants a quiet machine with 2 cores or more.
set -euo pipefail

repro=$(realpath "${REPRO:-target/release/repro}")
data=$(realpath -m "${DATA:-data}")
experiment=${1:-anytime-quick}
changes=()
for change in "${@:2}"; do changes+=(--set "$change"); done
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$repro" sweep plan "$experiment" ${changes[@]+"${changes[@]}"} --data "$data" --runs "$place/none" > "$place/m.jsonl"

# Trains every run afresh in $1 with the options that follow, and prints images a second in all.
measure() {
  local runs=$1 began ended
  shift
  rm -rf "$runs"
  began=$(date +%s.%N)
  "$repro" sweep run --manifest "$place/m.jsonl" --runs "$runs" --data "$data" --device cpu --quiet "$@"
  ended=$(date +%s.%N)
  awk -F, -v began="$began" -v ended="$ended" \
    'FNR > 1 { images += $2 * $3 } END { printf "%.1f\n", images / (ended - began) }' "$runs"/*/timing.csv
}

start=$SECONDS
longest=0
{
echo "round,two_workers,one_process,ratio"
for round in 1 2 3 4 5; do
  if [ $((SECONDS - start + longest)) -gt 450 ]; then break; fi
  began=$SECONDS
  workers=$(measure "$place/a" --workers 2 --threads 1)
  process=$(measure "$place/b" --workers 1 --threads 2)
  took=$((SECONDS - began))
  if [ $took -gt $longest ]; then longest=$took; fi
  echo "$round,$workers,$process,$(awk -v a="$workers" -v b="$process" 'BEGIN { printf "%.3f", a / b }')"
done
} | tee "$place/rounds.csv"
awk -F, 'NR > 1 { a += $2; b += $3; n++ }
  END { printf "mean of %d rounds: %.0f images/s against %.0f, ratio %.2f\n", n, a / n, b / n, a / b }' "$place/rounds.csv"
