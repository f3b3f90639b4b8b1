#!/bin/bash
# Adds a family of networks and an exit policy to a copy of the program, each as a file and a row, compiles the copy
# and uses both: counted, drawn, trained, predicted, in figures, in `classify`. What CONTRIBUTING says of a new family
# and a new policy is what this does. It needs a checkout that has been built, and compiles our two packages once (a minute).
# Usage: scripts/toys.sh
set -euo pipefail
cd "$(dirname "$0")/.."
own=$PWD
export LIBTORCH=${LIBTORCH:-$own/.libtorch/torch}
# Beside what is compiled, so that dependencies are linked into the copy and not compiled again.
target=${CARGO_TARGET_DIR:-target}
place=$(mktemp -d -p "$target" toys.XXXXXX)
place=$(realpath "$place")
trap 'rm -rf "$place"' EXIT

mkdir -p "$place/program" "$place/target/release" "$place/use"
git ls-files -z -- src core experiments assets data benches .cargo Cargo.toml Cargo.lock build.rs clippy.toml |
  tar --null -T - -c | tar -x -C "$place/program"
# What cargo may write in place is copied.
cp -al "$target/release/deps" "$place/target/release"
cp -a "$target/release/build" "$target/release/.fingerprint" "$place/target/release"

# row FILE AFTER ROW: puts ROW behind the only line that begins with AFTER.
row() {
  [ "$(grep -c "^ *$2" "$1")" = 1 ] || { echo "$1: not one row begins with $2" >&2; exit 1; }
  sed -i "/^ *$2/a $3" "$1"
}
(
  cd "$place/program"
  cp "$own/tests/toys/toy.rs" core/src/models/toy.rs
  row core/src/models/mod.rs 'Squeezenet, squeezenet,' 'Toy, toy, "Toy", "A network of maxima.";'
  cp "$own/tests/toys/at_exit.rs" core/src/eval/policy/at_exit.rs
  row core/src/eval/policy.rs 'optimised:' 'at_exit: AtExit = AT_EXIT;'
  CARGO_TARGET_DIR="$place/target" cargo --config 'profile.release.package.repro-core.opt-level=0' build --release --bin repro
)

cd "$place/use"
repro() { "$place/target/release/repro" "$@"; }
# has WHAT FILE PATTERN...: every pattern is in the file.
has() {
  local what=$1 file=$2 pattern
  shift 2
  for pattern in "$@"; do
    grep -Eq -- "$pattern" "$file" || { echo "$what: $file lacks $pattern" >&2; cat "$file" >&2; exit 1; }
  done
  echo "$what: right"
}
header='dataset: synthetic
validation: 40
training_images: 80
seeds: [0]
training: { epochs: 1, batch_size: 20, learning_rate: 0.1, schedule: { cosine: {} } }'
entry='  - { name: Toy, toy: { growth: 4, exits_after: [2] } }'
printf 'figure: anytime\n%s\nnetworks:\n%s\n' "$header" "$entry" > toys.yaml
printf 'figure: budgeted-batch\n%s\nbudgeted: { policies: [max-softmax, at-exit] }\nnetworks:\n%s\n' "$header" "$entry" > leave.yaml
printf 'figure: fig-intermediate\n%s\nnetworks:\n  - { name: Toy, toy: { growth: 4 }, positions: [1, 3] }\n' "$header" > places.yaml
echo 'toy: { growth: 4, exits_after: [2] }' > toy.yaml

# 16 x 16 pixels: 27 x 4 in the stem, 9 x 4n x 4 in layer n; 12 x 10 and 24 x 10 in the classifiers.
repro costs toy.yaml --dataset cifar10 > costs
has counted costs '138,?360' '580,?968'
repro draw toy.yaml --dataset cifar10 -o toy > drawn
has drawn toy.svg 'layer of maxima' 'toy-2exits-g4'
repro anytime toys.yaml --device cpu --threads 1 -q > said
has 'trained, in a figure' results/toys/figure.csv '^Toy,Toy,0,1,' '^Toy,Toy,0,2,'
run=$(basename runs/toy-2exits-*)
repro predict "$run" --split test --device cpu -q > said
has predicted said '^image,exit,label,predicted,confidence' '^[0-9]+,1,' '^[0-9]+,2,'
repro fig-intermediate places.yaml --device cpu --threads 1 -q > said
has 'by position' results/places/figure.csv '^Toy,.*,0,1,0\.2,' '^Toy,.*,0,3,0\.6,'
repro budgeted-batch leave.yaml --device cpu --threads 1 -q > said
has 'policy in a figure' results/leave/exits_taken.csv ',at-exit,1' ',at-exit,2'
for exit in 1 2; do
  repro classify "$run" "$own/assets" --policy at-exit --ratio $exit --json > classified
  has "classify at exit $exit" classified "\"exit\":$exit,"
done
