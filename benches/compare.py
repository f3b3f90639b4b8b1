"""Interleaves `repro bench` with PyTorch, ONNX Runtime and OpenVINO; keeps the raw numbers.

Run by compare.sh. Needs nothing but Python; the packages are used in the other programs.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile

NETWORKS = ["cifar100_budget_b5", "cifar100_anytime_b7"]
COLUMNS = ["round", "program", "network", "what", "threads", "value", "unit", "measured", "processor"]
HERE = os.path.dirname(os.path.abspath(__file__))


def output_of(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def lines(command):
    """The JSON lines that a program prints."""
    return [json.loads(line) for line in output_of(command).splitlines() if line.startswith("{")]


def together(commands, environment):
    """As `lines`, of programs that run at the same time."""
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
        for command in commands
    ]
    results = []
    for process in running:
        output, _ = process.communicate()
        if process.returncode != 0:
            sys.exit(f"{process.args} failed")
        results.append([json.loads(line) for line in output.splitlines() if line.startswith("{")])
    return results


def processor():
    """Name, family and model, and whether it multiplies bfloat16 (Linux on x86-64)."""
    facts = {}
    with open("/proc/cpuinfo") as file:
        for line in file:
            key, _, value = line.partition(":")
            facts.setdefault(key.strip(), value.strip())
    known = [facts.get(key, "?") for key in ("model name", "cpu family", "model")]
    return "{} family {} model {}".format(*known), "avx512_bf16" in facts.get("flags", "").split()


class Raw:
    """All numbers so far, in a CSV that grows."""

    def __init__(self, path, processor_name):
        self.path = path
        self.processor = processor_name
        self.rows = []
        if os.path.exists(path):
            with open(path, newline="") as file:
                self.rows = list(csv.DictReader(file))

    def has(self, program, what):
        return any((row["program"], row["what"]) == (program, what) for row in self.rows)

    def add(self, round_, program, network, found, what=None):
        row = {
            "round": round_,
            "program": program,
            "network": network,
            "what": what or found["what"],
            "threads": found["threads"],
            "value": repr(found["value"]),
            "unit": found["unit"],
            "measured": "",
            "processor": self.processor,
        }
        if found.get("early"):
            row["measured"] = repr(found["early"]["measured"])
            share = found["early"]["counted"]
            kind = "exit" if found["early"]["exit"] else "ratio"
            row["what"] = f"early/{found['early']['batch']}/{kind}/{share:.2f}"
        if found.get("precision") == "bf16":
            row["what"] += "/bf16"
        self.rows.append({key: str(value) for key, value in row.items()})

    def save(self):
        with open(self.path, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


def models(network, options, folder):
    """ONNX models of the network with random weights: with every exit, and cut at the first."""
    weights = os.path.join(folder, network + ".pth.tar")
    torch = [sys.executable, os.path.join(HERE, "pytorch_msdnet.py")]
    output_of([*torch, "--network", network, "--save", weights])
    yaml = os.path.join(HERE, network + ".yaml")
    runs = os.path.join(folder, "runs")
    run = [options.repro, "import", weights, "--network", yaml, "--dataset", "cifar100", "--run", runs]
    run = output_of(run).strip()
    paths = [os.path.join(folder, f"{network}-{name}.onnx") for name in ("all", "first")]
    for path, cut in zip(paths, ([], ["--exit", "1"])):
        output_of([options.repro, "export", run, "--format", "onnx", "--out", path, *cut])
    return paths


def peers(network, options, folder, timing, has_bf16):
    """Commands of the runtimes for the network, by the name of each."""
    every, first = models(network, options, folder)
    peer = [sys.executable, os.path.join(HERE, "peers.py"), *timing, "--all", every, "--first", first]
    yield "onnxruntime", [*peer, "onnxruntime"]
    yield "openvino", [*peer, "openvino"]
    if has_bf16:
        yield "openvino", [*peer, "openvino", "--precision", "bf16"]


def one_round(raw, round_, options, folder, has_bf16):
    timing = ["--seconds", str(options.seconds), "--rounds", "1"]
    torch = [sys.executable, os.path.join(HERE, "pytorch_msdnet.py"), *timing]
    threads = ["--threads", options.threads]
    precisions = "fp32,bf16" if has_bf16 else "fp32"
    for network in options.networks.split(","):
        ours = [options.repro, "bench", os.path.join(HERE, network + ".yaml"), "--json", *timing]
        ours += ["--precision", precisions]
        for found in lines([*ours, *threads, "--only", "matmul,train,inference,early"]):
            raw.add(round_, "ours", network, found)
        for name, command in peers(network, options, folder, timing, has_bf16):
            for found in lines([*command, *threads]):
                raw.add(round_, name, network, found)
        torch_now = [*torch, "--network", network, *threads, "--precision", precisions]
        for found in lines([*torch_now, "--only", "matmul,train,eager,easy"]):
            raw.add(round_, "pytorch", network, found)
        one = [*ours, "--threads", "1", "--only", "train"]
        workers = together([one, one], {"OMP_NUM_THREADS": "1"})
        for first, second in zip(*workers):
            both = {**first, "value": first["value"] + second["value"]}
            raw.add(round_, "ours", network, both, "workers/" + first["what"])
        for program, command in (("ours", ours), ("pytorch", [*torch, "--network", network])):
            for found in lines([*command, "--only", "memory", "--threads", "2"]):
                raw.add(round_, program, network, found)
        raw.save()
    for found in lines([options.repro, "bench", "--json", *timing, "--only", "sweep"]):
        raw.add(round_, "ours", "", found)
    if not raw.has("pytorch", "sweep/39x10000x7"):
        for found in lines([*torch, "--threads", "", "--only", "sweep"]):
            raw.add(round_, "pytorch", "", found)
    raw.save()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repro", default="target/release/repro")
    parser.add_argument("--rounds", type=int, default=3, help="0: only the table of what the CSV holds")
    parser.add_argument("--seconds", type=float, default=0.1, help="least length of a timing")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--csv", default="compare.csv")
    options = parser.parse_args()
    name, has_bf16 = processor()
    raw = Raw(options.csv, name)
    before = max((int(row["round"]) for row in raw.rows), default=0)
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(before + 1, before + options.rounds + 1):
            one_round(raw, round_, options, folder, has_bf16)


if __name__ == "__main__":
    main()
