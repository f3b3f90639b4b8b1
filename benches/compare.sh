#!/bin/bash
# Ours against plain PyTorch, ONNX Runtime and OpenVINO, the same networks side by side.
#
#   benches/compare.sh [ROUNDS [CSV]]     default: 3 rounds; raw numbers go to benches/compare.csv
#
# REPRO names the program (default target/release/repro), TORCH the folder with the Python torch
# (default .libtorch). OPTIONS go to compare.py, such as "--threads 1 --networks cifar100_budget_b5".
# Wants two quiet cores; three rounds take about 20 minutes. Rounds are added to those that the CSV
# holds already, and the table is of all of them: remove the file to begin anew. The README's table
# is written by: python3 benches/speed_table.py results/speed/compare.csv README.md
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=${TORCH:-.libtorch}:.python PYTHONWARNINGS=ignore
if ! python3 -c 'import onnxruntime, openvino' 2> /dev/null; then
  python3 -m pip install --quiet --disable-pip-version-check --target .python numpy onnxruntime openvino
fi
csv=${2:-benches/compare.csv}
# shellcheck disable=SC2086
python3 benches/compare.py --repro "${REPRO:-target/release/repro}" --rounds "${1:-3}" --csv "$csv" ${OPTIONS:-}
python3 benches/speed_table.py "$csv"
