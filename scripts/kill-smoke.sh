#!/bin/bash
# Kills `repro anytime smoke` at random moments and starts it again until it is done, TIMES times for each of the
# default options and --workers 1, 2 and 3. Its files must have the bytes of a run that was left alone.
# Usage: scripts/kill-smoke.sh [TIMES, default 50] [PROGRAM, default target/release/repro]
set -u
times=${1:-50}
[[ $times =~ ^[1-9][0-9]*$ ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
program=$(realpath "${2:-target/release/repro}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# Everything but what a clock, a place or a lock says.
bytes() {
  (cd "$1" && find runs results -type f ! -name lock ! -name timing.csv ! -name run.yaml ! -name run.json \
    ! -name checkpoint-previous.safetensors -print0 | sort -z | xargs -0 sha256sum)
}

# How many of the 3 runs have logged their last epoch.
finished() {
  local count=0 log
  for log in "$1"/runs/*/train.csv; do
    [ -e "$log" ] && [ "$(wc -l < "$log")" -ge 3 ] && count=$((count + 1))
  done
  echo $count
}

# Waits until one run is left, at most until the program ends.
until_one_is_left() {
  while kill -0 "$2" 2>/dev/null && [ "$(finished "$1")" -lt 2 ]; do sleep 0.01; done
}

mkdir "$place/alone"
start=$(date +%s%N)
(cd "$place/alone" && "$program" anytime smoke -q > said 2>&1) || { cat "$place/alone/said"; exit 1; }
whole=$((($(date +%s%N) - start) / 1000000))
bytes "$place/alone" > "$place/expected"
echo "left alone: $whole ms, $(wc -l < "$place/expected") files"

wrong=0
for options in "" "--workers 1" "--workers 2" "--workers 3"; do
  kills=0 left_one=0
  for ((i = 0; i < times; i++)); do
    folder=$place/killed
    rm -rf "$folder" && mkdir "$folder"
    starts=$((2 + RANDOM % 3))
    for ((k = 0; k < starts; k++)); do
      (cd "$folder" && exec "$program" anytime smoke -q $options > said 2>&1) &
      child=$!
      if ((k == 0 && i % 3 == 0)); then
        until_one_is_left "$folder" $child
      else
        sleep "$(printf '%d.%03d' $((whole * (RANDOM % 90) / 100000)) $((whole * (RANDOM % 90) / 100 % 1000)))"
      fi
      signal=$([ $((RANDOM % 3)) = 0 ] && echo TERM || echo KILL)
      if kill -$signal $child 2>/dev/null; then
        kills=$((kills + 1))
        [ "$(finished "$folder")" = 2 ] && left_one=$((left_one + 1))
      fi
      wait $child 2>/dev/null
    done
    (cd "$folder" && "$program" anytime smoke -q $options > said 2>&1) ||
      { echo "[$options] $i: not finished: $(cat "$folder/said")"; wrong=$((wrong + 1)); continue; }
    bytes "$folder" > "$place/found"
    cmp -s "$place/expected" "$place/found" ||
      { echo "[$options] $i: other bytes:"; diff "$place/expected" "$place/found" | grep '^>'; wrong=$((wrong + 1)); }
  done
  echo "[${options:-default options}] $times times, $kills kills, $left_one of them with one run left"
done
[ $wrong = 0 ] && echo "all bytes as those of the run that was left alone" || { echo "$wrong differ"; exit 1; }
