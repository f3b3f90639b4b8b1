#!/usr/bin/env bash
# Whether a GPU computes rightly and how fast, beside PyTorch on the same card; then a stage of the experiments.
#
#   scripts/gpu-check.sh [cuda|cpu] [--seconds S] [--only 2,3,4] [--stage EXPERIMENT,.. --stage-seconds S] ...
#
# (1) Golden logits and gradients on the device, 20 steps of each family against the processor's, and a training
#     that is killed and resumed. Never left out; the script fails where one of these fails.
# (2) Images trained a second: fp32 and bf16, batch 64 and 256, MSDNet with 7 exits, ResNet-62 and DenseNet-BC-52
#     with intermediate classifiers, one process and four, beside eager PyTorch and torch.compile; and the share of
#     time in which the GPU computes.
# (3) All exits of 256 images, and early exit as it is counted and as it is measured.
# (4) With --stage: the runs of experiments, as many as --stage-seconds allow; scripts/gpu-stage.sh goes on with
#     them and packs them.
# --seconds (480) is for (1) to (3); what no time is left for is named and counted as skipped. One line a check with
# its number; gpu.csv and gpu.md in --out (target/gpu-check; those in results/speed are of two calls, without part 3). `cpu` does
# the same on the processor with tiny networks. --help names the other options; those behind -- are gpu-stage.sh's.
#
# It needs this checkout, the program (REPRO, default target/release/repro) and a Python with PyTorch. A machine
# that can build makes the program itself. For one that cannot, `scripts/gpu-pack.sh DEST data` packs program
# and data into parts that travel, and `scripts/gpu-unpack.sh DEST data` makes target/release/repro and data/ of them
# there. The program then runs on the LibTorch of that Python's PyTorch, which must be the version it was linked
# with, on a glibc that is not older.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
# LibTorch may be that of a PyTorch, which then serves.
torch=${LIBTORCH:-$PWD/.libtorch/torch}
[ -e "$torch/__init__.py" ] && export PYTHONPATH=$(dirname "$torch")${PYTHONPATH:+:$PYTHONPATH}
exec "$python" scripts/gpu_check.py "$@"
