#!/usr/bin/env bash
# Copies finished runs to results/runs, which git keeps, so that a figure can be drawn again without training.
#
#   scripts/keep-runs.sh RUNS [NAME]...
#
# NAME is the beginning of a run's name; without one all finished runs under RUNS are copied. Those runs are made slim
# themselves (`repro runs slim`), so their predictions are made again when they are next needed. Predictions are not copied.
# A run that is kept already with another learning curve stays as it is; delete it first to replace it.
# Surroundings: REPRO (target/release/repro), DATA (data), KEPT (results/runs).
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ -d "$1" ] || { echo "$1 is no folder" >&2; exit 1; }
root=$(cd "$(dirname "$0")/.." && pwd)
repro=${REPRO:-$root/target/release/repro} data=${DATA:-$root/data} kept=${KEPT:-$root/results/runs}
runs=$1 code=0 copied=0
shift

# Whole or not at all: the copy is made under another name.
keep() {
  local from=$runs/$1 to=$kept/$1 part=$kept/$1.part
  if [ -e "$to/train.csv" ] && ! cmp -s "$from/train.csv" "$to/train.csv"; then
    echo "$to has another learning curve, and stays" >&2
    return 1
  fi
  "$repro" runs slim "$from" > /dev/null || return 1
  rm -rf "$part"
  mkdir -p "$part"
  cp "$from"/{run.yaml,train.csv,checkpoint.safetensors} "$part/" || { rm -rf "$part"; return 1; }
  # A run that came in as a card has no times.
  [ ! -e "$from/timing.csv" ] || cp "$from/timing.csv" "$part/" || { rm -rf "$part"; return 1; }
  rm -rf "$to"
  mv "$part" "$to" && echo "$to"
}

for name in $("$repro" runs list --runs "$runs" --data "$data" | awk '/ finished, /{ print $1 }'); do
  for begin in "${@:-}"; do
    [[ $name == "$begin"* ]] || continue
    if keep "$name"; then copied=1; else code=1; fi
    break
  done
done
if [ $copied = 0 ] && [ $code = 0 ]; then
  echo "no finished run under $runs${1:+ whose name begins with $*} (its data set is looked for in $data)" >&2
  code=1
fi
exit $code
