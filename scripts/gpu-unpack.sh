#!/usr/bin/env bash
# Puts what gpu-pack.sh packed in its places: gpu-unpack.sh FROM [FOLDER]
#
# FROM/repro.xz becomes target/release/repro, which runs on the LibTorch of the PyTorch of PYTHON (python3); FROM's
# data parts, which must all be there, are unpacked into FOLDER.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
from=$(realpath "$1") folder=''
if [ -n "${2:-}" ]; then
  mkdir -p "$2"
  folder=$(realpath "$2")
fi
cd "$(dirname "$0")/.."
mkdir -p target/release
# PyTorch's own folder, and those of the CUDA libraries beside it.
lib=$("${PYTHON:-python3}" -c 'import glob, os, torch
root = os.path.dirname(torch.__file__)
print(":".join([root + "/lib", *sorted(glob.glob(os.path.dirname(root) + "/nvidia/*/lib"))]))')
"${PYTHON:-python3}" - "$from/repro.xz" target/release/repro.bin <<'PYTHON'
import lzma, sys
open(sys.argv[2], "wb").write(lzma.open(sys.argv[1]).read())
PYTHON
chmod +x target/release/repro.bin
# The program looks for LibTorch where it was linked; here it is elsewhere.
printf '#!/bin/sh\nexport LD_LIBRARY_PATH="%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\nexec "%s" "$@"\n' \
  "$lib" "$PWD/target/release/repro.bin" > target/release/repro
chmod +x target/release/repro
if [ -n "$folder" ]; then
  cat "$from"/data.* | tar -C "$folder" -xf -
fi
target/release/repro --version
