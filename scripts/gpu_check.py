"""The checks of gpu-check.sh, which says what they are."""

import argparse
import csv
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = ["part", "check", "network", "program", "batch", "precision", "processes", "value", "unit", "state", "note"]
BASELINES = "bottleneck: true, compression: 0.5, exits_after: [3, 6, 11, 14, 19, 22]"
NETWORKS = {
    "msdnet-b7": (ROOT / "benches/cifar100_anytime_b7.yaml").read_text(),
    "resnet-62": "resnet: { blocks_per_stage: 10, channels: 16, exits_after: [4, 8, 14, 18, 24, 28] }\n",
    "densenet-bc-52": f"densenet: {{ layers_per_block: 8, growth: 12, {BASELINES} }}\n",
}
TINY = {
    "msdnet-tiny": "msdnet: { channels: 4, growth: 2, scale_growth: [1, 2, 4], bottleneck: [1, 2, 4], exits: 2, "
    "first_exit: 1, spacing: { even: 1 }, compression: 0.5 }\n",
    "resnet-tiny": "resnet: { blocks_per_stage: 1, channels: 16, exits_after: [1] }\n",
    "densenet-tiny": "densenet: { layers_per_block: 1, growth: 4, bottleneck: true, compression: 0.5, exits_after: [1] }\n",
}
RESUMED = """figure: anytime
dataset: synthetic
validation: 100
training_images: 400
seeds: [0]
training: { epochs: 3, batch_size: 20, learning_rate: 0.05 }
networks:
  - name: MSDNet
    msdnet: { channels: 4, growth: 2, scale_growth: [1, 2, 4], bottleneck: [1, 2, 4], exits: 2, first_exit: 1, spacing: { even: 1 } }
"""


class Skipped(Exception):
    """A check that was left out, and why."""


class Checks:
    """The rows so far, and how much time is left for more."""

    def __init__(self, options):
        self.options = options
        self.rows = []
        self.deadline = time.monotonic() + options.seconds

    def left(self):
        return self.deadline - time.monotonic()

    def row(self, part, check, state="ok", **fields):
        row = {key: fields.get(key, "") for key in COLUMNS}
        row.update(part=part, check=check, state=state)
        self.rows.append(row)
        number = f"{row['value']:.5g} {row['unit']}" if row["value"] != "" else ""
        words = [f"({part})", f"{state:7}", check]
        words += [str(row[key]) for key in ("network", "program", "precision") if row[key]]
        words += [f"batch {row['batch']}" if row["batch"] else "", f"x{row['processes']}" if row["processes"] else ""]
        print(" ".join(word for word in [*words, number, row["note"]] if word), flush=True)

    def attempt(self, part, check, call):
        """Runs a check that adds its own rows; what goes wrong in it becomes a row."""
        try:
            if part != 1 and self.left() <= 0:
                raise Skipped("no time left")
            call()
        except Skipped as why:
            self.row(part, check, "skipped", note=str(why))
        except subprocess.TimeoutExpired as late:
            state = "FAILED" if part == 1 else "skipped"
            self.row(part, check, state, note=f"not done in {late.timeout:.0f} seconds")
        except (subprocess.SubprocessError, OSError, ValueError, KeyError, RuntimeError) as error:
            self.row(part, check, "FAILED", note=" ".join(str(error).split())[-300:])

    def limit(self, part, share=1.0):
        """Seconds that a command may take; part 1 is never cut off by the clock of the others."""
        return 240 if part == 1 else max(1, share * self.left())


def environment(**more):
    # A process that waits for the GPU must not keep cores busy.
    return {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", **more}


def run(command, timeout, **kwargs):
    """Standard output of a program that must succeed; its last words are the error."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment(), **kwargs)
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {(done.stderr or done.stdout)[-400:]}")
    return done.stdout


def lines(output):
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


# (1) --------------------------------------------------------------------------------------------------------------


def golden(checks, tf32):
    options = checks.options
    command = [options.repro, "doctor", "--golden", str(options.golden), "--device", options.device]
    done = subprocess.run(
        [*command, "--tf32", tf32, "--json"], capture_output=True, text=True, timeout=checks.limit(1), env=environment()
    )
    if not done.stdout.startswith("["):
        raise RuntimeError(f"exit {done.returncode}: {done.stderr[-400:]}")
    for found in json.loads(done.stdout):
        state = "ok" if found["state"] == "ok" else "FAILED"
        checks.row(1, f"{found['name']}, TF32 {tf32}", state, note=found["found"])


def machine(checks):
    found = json.loads(run([checks.options.repro, "doctor", "--json"], checks.limit(1)))
    for check in found:
        if check["name"] in ("LibTorch", "CUDA", "processor"):
            checks.row(1, check["name"], "ok" if check["state"] != "fail" else "FAILED", note=check["found"])
    cuda = next(check for check in found if check["name"] == "CUDA")
    if checks.options.device == "cuda" and cuda["state"] != "ok":
        raise RuntimeError(f"no GPU: {cuda['found']}")


def anytime(checks, folder, *more):
    (folder / "tiny.yaml").write_text(RESUMED)
    options = checks.options
    device = ["--device", options.device, "--threads", "1", "--workers", "1", "--deterministic"]
    return [options.repro, "anytime", "tiny.yaml", *device, "--checkpoint-minutes", "0", "--quiet", *more]


def lasting(folder):
    (found,) = (folder / "runs").iterdir()
    return [(found / name).read_bytes() for name in ("checkpoint.safetensors", "train.csv")]


def resumed(checks):
    """A training that is killed in its midst ends with the bytes of one that was not."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        one, two = Path(one), Path(two)
        run(anytime(checks, one), checks.limit(1), cwd=one)
        killed = subprocess.Popen(
            anytime(checks, two), cwd=two, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end, struck = time.monotonic() + checks.limit(1), False
        while killed.poll() is None and time.monotonic() < end:
            if list(two.glob("runs/*/checkpoint-previous.safetensors")):
                killed.kill()
                struck = True
                break
            time.sleep(0.002)
        killed.kill()
        killed.wait()
        if not struck or killed.returncode != -signal.SIGKILL:
            raise RuntimeError(f"it ended with {killed.returncode} and was not killed behind a checkpoint")
        run(anytime(checks, two), checks.limit(1), cwd=two)
        if lasting(one) != lasting(two):
            raise RuntimeError("a training that was killed and resumed ended with other bytes")
    checks.row(1, "killed and resumed: the same bytes", value=1, unit="training")


def part_one(checks):
    checks.attempt(1, "machine", lambda: machine(checks))
    for tf32 in ("off", "on") if checks.options.device == "cuda" else ("off",):
        checks.attempt(1, f"golden, TF32 {tf32}", lambda: golden(checks, tf32))
    checks.attempt(1, "killed and resumed", lambda: resumed(checks))


# (2) --------------------------------------------------------------------------------------------------------------


def network_file(checks, name):
    path = checks.scratch / f"{name}.yaml"
    path.write_text(checks.networks[name])
    return str(path)


def bench(checks, name, *more):
    options = checks.options
    timing = ["--seconds", str(options.round), "--rounds", "1", "--threads", "1", "--json"]
    return [options.repro, "bench", network_file(checks, name), "--device", options.device, *timing, *more]


def told(checks, program, processes, name, what, value, note=""):
    _, batch, precision = what.split("/")
    fields = {"network": name, "program": program, "batch": batch, "precision": precision, "processes": processes}
    checks.row(2, "train", value=value, unit="images/s", note=note, **fields)


def ours(checks, name, processes):
    """Images a second of all processes together: their rates are added, for they run at the same time."""
    sizes = ["--batch", ",".join(map(str, checks.batches))]
    command = bench(checks, name, "--only", "train", *sizes)
    pipe, running = subprocess.PIPE, []
    try:
        with Busy(checks.options.device) as busy:
            for _ in range(processes):
                running.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment()))
            found = [both(process, checks.limit(2)) for process in running]
    finally:
        # One that failed must not leave the others on the GPU of the next check.
        for process in running:
            process.kill()
            process.wait()
    if any(len(rows) != 2 * len(checks.batches) for rows in found):
        raise RuntimeError(f"{[len(rows) for rows in found]} rows instead of {2 * len(checks.batches)} of each process")
    share = busy.share()
    note = f"over these {len(found[0])} rows the GPU is busy {share:.0f} % of the time" if share is not None else ""
    for rows in zip(*found):
        told(checks, "repro", processes, name, rows[0]["what"], sum(row["value"] for row in rows), note)


def both(process, timeout):
    """The JSON lines of a program that was started before."""
    output, error = process.communicate(timeout=timeout)
    if process.returncode:
        raise RuntimeError(f"exit {process.returncode}: {error[-400:]}")
    return lines(output)


class Busy:
    """Asks the driver five times a second in which share of the time the GPU had something to do."""

    def __init__(self, device):
        self.device, self.process = device, None

    def __enter__(self):
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
        try:
            if self.device == "cuda":
                self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            self.process = None
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()

    def share(self):
        """Median of the readings while something ran; none without a driver."""
        if not self.process:
            return None
        output, _ = self.process.communicate()
        busy = [int(line) for line in output.split() if line.isdigit() and int(line) > 0]
        return statistics.median(busy) if busy else None


def pytorch(checks, name, *more):
    options = checks.options
    command = [sys.executable, str(ROOT / "benches/pytorch_gpu.py"), "--network", name, "--device", options.device]
    return [*command, "--seconds", str(options.round), *more]


def eager(checks, name):
    if importlib.util.find_spec("torch") is None:
        raise Skipped("this Python has no PyTorch")
    sizes = ["--batch", ",".join(map(str, checks.batches))]
    for row in lines(run(pytorch(checks, name, *sizes), checks.limit(2))):
        told(checks, "PyTorch eager", 1, name, row["what"], row["value"])


class Compiled:
    """torch.compile takes minutes, so it begins first and is measured last, one network at a time."""

    def __init__(self, checks):
        self.checks, self.running = checks, []
        if checks.options.compile:
            self.running = [(name, precision, self.start(name, precision)) for name, precision in self.wanted()]

    def wanted(self):
        return [(name, precision) for name in self.checks.networks for precision in ("fp32", "bf16")]

    def start(self, name, precision):
        size = ["--batch", str(self.checks.batches[0]), "--precision", precision, "--compile"]
        pipe = subprocess.PIPE
        command = pytorch(self.checks, name, *size)
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment())

    def wait(self, share):
        """Until all have compiled, at most for a share of the time: then nothing else is on the machine."""
        end = time.monotonic() + share * max(0.0, self.checks.left())
        ready = []
        for name, precision, process in self.running:
            os.set_blocking(process.stdout.fileno(), False)
            word = ""
            while not word and process.poll() is None and time.monotonic() < end:
                word = process.stdout.readline()
                time.sleep(0.05)
            os.set_blocking(process.stdout.fileno(), True)
            if word.strip() == "ready":
                ready.append((name, precision, process))
            else:
                process.kill()
                process.wait()
        self.running = ready

    def measure(self):
        for name, precision in self.wanted():
            process = next((p for n, k, p in self.running if (n, k) == (name, precision)), None)
            self.checks.attempt(2, f"torch.compile {name} {precision}", lambda: self.one(name, process))
        self.end()

    def end(self):
        for _, _, process in self.running:
            if process.poll() is None:
                process.kill()

    def one(self, name, process):
        if not process:
            raise Skipped("asked for with --compile" if not self.checks.options.compile else "not compiled in time")
        output, _ = process.communicate("go\n", timeout=self.checks.limit(2))
        for row in lines(output):
            told(self.checks, "PyTorch compiled", 1, name, row["what"], row["value"])


def part_two(checks, compiled):
    compiled.wait(0.4)
    for name in checks.networks:
        checks.attempt(2, f"train {name}", lambda: ours(checks, name, 1))
        checks.attempt(2, f"train {name} x{checks.options.processes}", lambda: ours(checks, name, checks.options.processes))
        checks.attempt(2, f"PyTorch eager {name}", lambda: eager(checks, name))
    compiled.measure()


# (3) --------------------------------------------------------------------------------------------------------------


def inference(checks, name):
    found = lines(run(bench(checks, name, "--only", "inference,early"), checks.limit(3)))
    if not found:
        raise RuntimeError("no rows")
    for row in found:
        early = row.get("early")
        note = f"counted {early['counted']:.3f}, measured {early['measured']:.3f} of all exits" if early else ""
        fields = {"network": name, "program": "repro", "batch": row["what"].split("/")[1], "processes": 1}
        checks.row(3, row["what"], value=row["value"], unit=row["unit"], note=note, **fields)


def part_three(checks):
    checks.attempt(3, "inference", lambda: inference(checks, next(iter(checks.networks))))


# (4) --------------------------------------------------------------------------------------------------------------


def part_four(checks):
    options = checks.options
    if not options.stage:
        raise Skipped("asked for with --stage")
    command = [str(ROOT / "scripts/gpu-stage.sh"), options.stage, str(options.stage_seconds), *options.stage_options]
    environ = environment(REPRO=options.repro, DEVICE=options.device)
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 75):
        raise RuntimeError(f"exit {done.returncode}")
    finished, count = map(int, done.stdout.split()[-2:])
    checks.row(4, f"stage {options.stage}", value=finished, unit=f"of {count} runs finished")


# ------------------------------------------------------------------------------------------------------------------


def write(checks):
    folder = checks.options.out
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "gpu.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(checks.rows)
    (folder / "gpu.md").write_text(page(checks))


def page(checks):
    where = next((row["note"] for row in checks.rows if row["check"] == "CUDA"), "")
    text = [f"# Speed on a GPU\n\n{where}\n\nWritten by `scripts/gpu-check.sh`; all rows: gpu.csv.\n"]
    titles = {1: "Right numbers", 2: "Training, images a second", 3: "Inference and early exit, 256 images", 4: "Stage"}
    for part, title in titles.items():
        rows = [row for row in checks.rows if row["part"] == part]
        if not rows:
            continue
        keys = [key for key in COLUMNS[1:] if any(row[key] != "" for row in rows)]
        shown = [[f"{row[k]:.5g}" if isinstance(row[k], float) else str(row[k]) for k in keys] for row in rows]
        table = [keys, ["---"] * len(keys), *shown]
        text.append(f"## {title}\n\n" + "\n".join("| " + " | ".join(cells) + " |" for cells in table) + "\n")
    text.append(hours(checks))
    return "\n".join(text)


def hours(checks):
    """What a run of the paper's length takes at these speeds: 300 epochs of CIFAR-100's 45,000 images."""
    best = {}
    for row in checks.rows:
        if row["part"] == 2 and row["program"] == "repro" and row["batch"] == "64" and row["processes"] == 1:
            best[row["network"], row["precision"]] = 300 * 45_000 / row["value"] / 3600
    if not best or checks.options.device != "cuda":
        return ""
    found = "".join(f"- {name}, {precision}: {time:.2f} hours\n" for (name, precision), time in best.items())
    return f"## A run of the paper's length\n\n300 epochs of 45,000 images, batch 64, one process alone:\n\n{found}"


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("device", nargs="?", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--seconds", type=float, default=480, help="for parts 1 to 3 together")
    parser.add_argument("--only", default="2,3,4", help="parts besides (1)")
    parser.add_argument("--round", type=float, help="least seconds of a timing")
    parser.add_argument("--processes", type=int, default=4, help="processes that share the GPU in (2)")
    parser.add_argument("--tiny", action="store_true", help="tiny networks; always on cpu")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, help="torch.compile beside it")
    parser.add_argument("--repro", default=os.environ.get("REPRO", str(ROOT / "target/release/repro")))
    parser.add_argument("--golden", type=Path, default=ROOT / "tests/golden")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--stage", default="", help="experiments of (4), with commas")
    parser.add_argument("--stage-seconds", type=int, default=300)
    parser.epilog = "What stands behind -- goes to gpu-stage.sh."
    mine, others = sys.argv[1:], []
    if "--" in mine:
        at = mine.index("--")
        mine, others = mine[:at], mine[at + 1 :]
    options = parser.parse_args(mine)
    options.stage_options = others
    on_gpu = options.device == "cuda"
    options.tiny = options.tiny or not on_gpu
    options.repro = str(Path(options.repro).resolve())
    options.round = options.round or (0.02 if options.tiny else 1.0)
    options.compile = on_gpu if options.compile is None else options.compile
    options.out = options.out or ROOT / "target/gpu-check"
    options.processes = options.processes if on_gpu else min(options.processes, 2)
    return options


def main():
    options = parse()
    checks = Checks(options)
    only = options.only.split(",")
    checks.networks, checks.batches = (TINY, [8, 16]) if options.tiny else (NETWORKS, [64, 256])
    with tempfile.TemporaryDirectory() as scratch:
        checks.scratch = Path(scratch)
        compiled = Compiled(checks) if "2" in only else None
        try:
            part_one(checks)
            write(checks)
            if "2" in only:
                part_two(checks, compiled)
                write(checks)
        finally:
            if compiled:
                compiled.end()
        if "3" in only:
            part_three(checks)
        if "4" in only:
            checks.deadline = time.monotonic() + options.stage_seconds + 60
            checks.attempt(4, "stage", lambda: part_four(checks))
        write(checks)
    skipped = [row["check"] for row in checks.rows if row["state"] == "skipped"]
    skipped += [f"part {part}" for part in "234" if part not in only]
    failed = [row["check"] for row in checks.rows if row["state"] == "FAILED"]
    print(f"{len(checks.rows)} rows, {len(failed)} failed: {', '.join(failed) or 'none'}; "
          f"{len(skipped)} skipped: {', '.join(skipped) or 'none'}; {options.out}/gpu.csv")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
