#!/usr/bin/env bash
# Copies finished runs to results/runs, which git keeps, so that a figure can be drawn again without training.
#
#   scripts/keep-runs.sh RUNS [NAME]...
#
# NAME is the beginning of a run's name; without one all finished runs under RUNS are copied. They are made slim first
# (`repro runs slim`). Predictions stay behind: they are made again where they are needed.
# Surroundings: REPRO (target/release/repro), DATA (data), KEPT (results/runs).
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
repro=${REPRO:-target/release/repro} data=${DATA:-data} kept=${KEPT:-results/runs} runs=$1
shift
finished=$("$repro" runs list --runs "$runs" --data "$data" | awk '/ finished, /{ print $1 }')
for name in $finished; do
  for begin in "${@:-}"; do
    [[ $name == "$begin"* ]] || continue
    "$repro" runs slim "$name" --runs "$runs" > /dev/null
    mkdir -p "$kept/$name"
    cp "$runs/$name"/{run.yaml,train.csv,timing.csv,checkpoint.safetensors} "$kept/$name/"
    echo "$kept/$name"
  done
done
