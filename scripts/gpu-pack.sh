#!/usr/bin/env bash
# Packs what gpu-check.sh needs on a machine that cannot build: gpu-pack.sh DEST [FOLDER]
#
# DEST/repro.xz is the program (REPRO, default target/release/repro) without its symbols, DEST/data.00, .01, .. are
# the files of FOLDER, 48 MB a part: for machines to which little can be sent at a time. gpu-unpack.sh puts both in
# their places there.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
dest=$1 folder=${2:-}
mkdir -p "$dest"
strip -o "$dest/repro" "${REPRO:-target/release/repro}"
xz -T0 -f "$dest/repro"
if [ -n "$folder" ]; then
  rm -f "$dest"/data.[0-9][0-9]
  tar -C "$folder" -cf - . | split -b 48000000 -d -a 2 - "$dest/data."
fi
ls -l "$dest"
