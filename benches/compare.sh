#!/bin/bash
# Ours against plain PyTorch, the same networks side by side, and whether the bars are met.
#
#   benches/compare.sh [ROUNDS [CSV]]     default: 3 rounds; raw numbers go to benches/compare.csv
#
# REPRO names the program (default target/release/repro), TORCH the folder with the Python torch
# (default .libtorch). Wants two quiet cores; three rounds end within 10 minutes. Rounds are added to
# those that the CSV holds already, and the table is of all of them: remove the file to begin anew.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=${TORCH:-.libtorch} PYTHONWARNINGS=ignore
exec python3 benches/compare.py --repro "${REPRO:-target/release/repro}" --rounds "${1:-3}" --csv "${2:-benches/compare.csv}"
