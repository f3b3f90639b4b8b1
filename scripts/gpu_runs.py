"""Packs run folders into tar files small enough to travel: gpu_runs.py RUNS DEST FIRST

Part k is DEST/runs-k.tar with as many whole folders as 15 MB hold; the four parts from FIRST on are written, and
DEST/SUMMARY says how many there are. Finished runs come first. Left out is what the runs do without: the checkpoint
before the last, predictions, locks.
"""

import sys
import tarfile
from pathlib import Path

SIZE = 15_000_000
PARTS = 4
KEPT = ["run.yaml", "train.csv", "timing.csv", "holdout.csv", "failed.txt", "checkpoint.safetensors"]


def is_finished(folder):
    """A slim checkpoint holds no momentum, and only finished runs are slim."""
    with open(folder / "checkpoint.safetensors", "rb") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
    return b'"momentum.' not in header


def files(folder):
    return [folder / name for name in KEPT if (folder / name).is_file()]


def parts(folders):
    """Lists of folders, each below the size."""
    full, size = [[]], 0
    for folder in folders:
        bytes_ = sum(file.stat().st_size + 1024 for file in files(folder))
        if full[-1] and size + bytes_ > SIZE:
            full.append([])
            size = 0
        full[-1].append(folder)
        size += bytes_
    return full


def main():
    runs, dest, first = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    dest.mkdir(parents=True, exist_ok=True)
    folders = sorted(path.parent for path in runs.glob("*/checkpoint.safetensors"))
    finished = [folder for folder in folders if is_finished(folder)]
    all_parts = parts(finished + [folder for folder in folders if folder not in finished])
    for number, part in list(enumerate(all_parts))[first : first + PARTS]:
        with tarfile.open(dest / f"runs-{number}.tar", "w") as tar:
            for file in (file for folder in part for file in files(folder)):
                tar.add(file, arcname=str(file.relative_to(runs)))
    text = f"{len(finished)} finished runs and {len(folders) - len(finished)} others in {len(all_parts)} parts\n"
    (dest / "SUMMARY").write_text(text)
    sys.stderr.write(text)


if __name__ == "__main__":
    main()
