#!/usr/bin/env bash
# Executes the notebooks; a cell that fails fails the script. The executed copies go to
# target/notebooks/, or with --in-place back to notebooks/. --setup only installs what they need.
set -euo pipefail
case ${1:-} in ''|--setup|--in-place) ;; *) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;; esac
cd "$(dirname "$0")/.."
packages=.python
if ! PYTHONPATH=$packages python3 -c 'import nbclient, ipykernel, pandas, matplotlib, tensorboard, onnx, onnxruntime' 2> /dev/null; then
  python3 -m pip install --quiet --disable-pip-version-check --target "$packages" \
    nbclient nbformat ipykernel pandas matplotlib tensorboard onnx onnxruntime
fi
[ "${1:-}" = --setup ] && exit
out=target/notebooks
[ "${1:-}" = --in-place ] && out=notebooks
mkdir -p "$out"
PYTHONPATH=$PWD/$packages MPLBACKEND=module://matplotlib_inline.backend_inline python3 - "$out" <<'PYTHON'
import pathlib, sys
import nbformat
from nbclient import NotebookClient

for path in sorted(pathlib.Path("notebooks").glob("*.ipynb")):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3",
                   resources={"metadata": {"path": "notebooks"}}).execute()
    for cell in notebook.cells:
        # Times and counters would make every execution another file.
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("language_info", None)
    nbformat.write(notebook, pathlib.Path(sys.argv[1]) / path.name)
    print(f"{path}: executed")
PYTHON
