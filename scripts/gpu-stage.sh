#!/usr/bin/env bash
# Trains runs of experiments on a GPU for a given time, several at a time, and goes on when it is called again.
#
#   scripts/gpu-stage.sh EXPERIMENT,.. SECONDS [--workers N] [--only FAMILY,..] [--set KEY=VALUE]... [--pack DIR [--part K]]
#
# --only trains the runs of these families alone (resnet, densenet, msdnet): where time is short, the cheap ones first.
# Runs are trained without predictions, which another machine can make of their weights. --pack writes what that
# takes to DIR/runs-K.tar, at most 4 parts of 15 MB a call, from part K on (0). `tar -C runs -xf` unpacks one there;
# a run that is not finished goes on from its checkpoint. The last line: runs finished, runs in all.
# Surroundings: REPRO (target/release/repro), DATA (data), RUNS (runs-gpu), DEVICE (cuda).
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
repro=${REPRO:-target/release/repro} data=${DATA:-data} runs=${RUNS:-runs-gpu} device=${DEVICE:-cuda}
stage=$1 seconds=$2
shift 2
workers=() changes=() pack='' part=0 only=.
while [ $# -gt 0 ]; do
  case $1 in
    --workers) workers=(--workers "$2") ;;
    --set) changes+=(--set "$2") ;;
    --only) only="\"network\":\{\"(${2//,/|})\"" ;;
    --pack) pack=$2 ;;
    --part) part=$2 ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
# A worker computes on the GPU; its threads on the processor only wait.
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
mkdir -p "$runs"
"$repro" sweep plan ${stage//,/ } ${changes[@]+"${changes[@]}"} --data "$data" --runs "$runs" > "$runs/plan.jsonl"
grep -E "$only" "$runs/plan.jsonl" \
  | awk '{ sub(/"index":[0-9]+/, "\"index\":" NR - 1) } 1' > "$runs/manifest.jsonl" ||
  { echo "no run of $stage matches --only" >&2; exit 2; }

code=0
if [ "$seconds" -gt 0 ]; then
  # Asked to stop, every worker saves; the last to do so has 20 seconds.
  timeout --preserve-status -s TERM -k 20 "$seconds" "$repro" sweep run --manifest "$runs/manifest.jsonl" \
    --data "$data" --runs "$runs" --device "$device" --threads 1 --only-train --checkpoint-epochs 5 \
    ${workers[@]+"${workers[@]}"} >&2 || code=$?
fi
if [ -n "$pack" ]; then
  # A run whose worker is still ending stays as it is; the others are packed all the same.
  "$repro" runs slim --runs "$runs" > /dev/null || true
  "${PYTHON:-python3}" scripts/gpu_runs.py "$runs" "$pack" "$part"
fi
# Of the manifest's runs alone: others may lie beside them.
status=$("$repro" sweep status "$runs/manifest.jsonl" --data "$data" --runs "$runs" --json)
echo "$(grep -c '"state": *"done"' <<< "$status" || true) $(wc -l < "$runs/manifest.jsonl")"
[ "$code" = 0 ] || exit "$code"
