"""Interleaves `repro bench` with pytorch_msdnet.py, keeps the raw numbers, prints the bars.

Run by compare.sh. Needs nothing but Python; torch is used in the other program.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys

NETWORKS = ["cifar100_budget_b5", "cifar100_anytime_b7"]
COLUMNS = ["round", "program", "network", "what", "threads", "value", "unit", "measured"]
HERE = os.path.dirname(os.path.abspath(__file__))
# Multiply-adds of all exits, and how often a training step does them.
MULTIPLY_ADDS = {"cifar100_budget_b5": 58_087_936, "cifar100_anytime_b7": 75_487_744}
TRAINING = 3


def lines(command, environment=None):
    """The JSON lines that a program prints."""
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
    ).stdout
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


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


class Raw:
    """All numbers so far, in a CSV that grows."""

    def __init__(self, path):
        self.path = path
        self.rows = []
        if os.path.exists(path):
            with open(path, newline="") as file:
                self.rows = list(csv.DictReader(file))

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
        }
        if found.get("early"):
            row["measured"] = repr(found["early"]["measured"])
            share = found["early"]["counted"]
            kind = "exit" if found["early"]["exit"] else "ratio"
            row["what"] = f"early/{found['early']['batch']}/{kind}/{share:.2f}"
        self.rows.append({key: str(value) for key, value in row.items()})

    def save(self):
        with open(self.path, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)

    def median(self, program, network, what, threads, column="value"):
        values = [
            float(row[column])
            for row in self.rows
            if (row["program"], row["network"], row["what"]) == (program, network, what)
            and row["threads"] == str(threads)
        ]
        return statistics.median(values) if values else None

    def early(self, network, threads, share):
        """Time of the ratio that counts nearly `share` of the multiply-adds, relative to all exits."""
        start = "early/256/ratio/"
        whats = {row["what"] for row in self.rows if row["what"].startswith(start)}
        near = sorted(whats, key=lambda what: abs(float(what[len(start) :]) - share))
        if not near or abs(float(near[0][len(start) :]) - share) > 0.03:
            return None
        return self.median("ours", network, near[0], threads, "measured")

    def best(self, program, network, what, largest=True):
        """The better of 1 and 2 threads: threads, median."""
        medians = [(self.median(program, network, what, n), n) for n in (1, 2)]
        medians = [(value, n) for value, n in medians if value is not None]
        if not medians:
            return None, None
        value, n = max(medians) if largest else min(medians)
        return n, value


def one_round(raw, round_, options):
    timing = ["--seconds", str(options.seconds), "--rounds", "1"]
    torch = [sys.executable, os.path.join(HERE, "pytorch_msdnet.py"), *timing]
    for network in options.networks.split(","):
        ours = [options.repro, "bench", os.path.join(HERE, network + ".yaml"), "--json", *timing]
        for found in lines([*ours, "--threads", "1,2", "--only", "matmul,train,inference"]):
            raw.add(round_, "ours", network, found)
        for found in lines([*torch, "--network", network, "--only", "matmul,train,eager,easy"]):
            raw.add(round_, "pytorch", network, found)
        for found in lines([*ours, "--threads", "1,2", "--only", "early"]):
            raw.add(round_, "ours", network, found)
        one = [*ours, "--threads", "1", "--only", "train"]
        workers = together([one, one], {"OMP_NUM_THREADS": "1"})
        for first, second in zip(*workers):
            both = {**first, "value": first["value"] + second["value"]}
            raw.add(round_, "ours", network, both, "workers/" + first["what"])
        for program, command in (("ours", [*ours, "--only", "memory"]), ("pytorch", [*torch, "--network", network, "--only", "memory"])):
            for found in lines([*command, "--threads", "2"]):
                raw.add(round_, program, network, found)
        raw.save()
    for found in lines([options.repro, "bench", "--json", *timing, "--only", "sweep"]):
        raw.add(round_, "ours", "", found)
    if raw.median("pytorch", "", "sweep/39x10000x7", 1) is None:
        for found in lines([*torch, "--threads", "", "--only", "sweep"]):
            raw.add(round_, "pytorch", "", found)
    raw.save()


def share(raw, program, network, what, threads, per_s):
    """Multiply-adds a second as a share of the same run's large fp32 matrix product."""
    most = raw.median(program, network, "matmul/fp32", threads)
    passes = TRAINING if "train" in what else 1
    return f"{100 * per_s * passes * MULTIPLY_ADDS[network] / most:.0f} %" if most else ""


def table(raw):
    rows = []

    def bar(name, network, ours, baseline, ratio, wanted, at_least):
        met = ratio >= wanted if at_least else ratio <= wanted
        sign = ">=" if at_least else "<="
        rows.append([name, network, ours, baseline, f"{ratio:.3g}", f"{sign} {wanted:.3g}", "yes" if met else "NO"])

    there = [n for n in NETWORKS if raw.median("ours", n, "memory/256", 2) is not None]
    for network in there:
        n, eager = raw.best("pytorch", network, "train/64/fp32")
        same = raw.median("ours", network, "train/64/fp32", n)
        eager_share = share(raw, "pytorch", network, "train", n, eager)
        bar(
            "training, fp32, same threads", network,
            f"{same:.0f}/s ({share(raw, 'ours', network, 'train', n, same)})",
            f"{eager:.0f}/s ({eager_share}), {n} thr", same / eager, 1.1, True,
        )
        many = raw.median("ours", network, "workers/train/64/bf16", 1)
        bar(
            "training, 2 workers, bf16", network, f"{many:.0f}/s",
            f"{eager:.0f}/s, {n} thr", many / eager, 2, True,
        )
        n, eager = raw.best("pytorch", network, "all/256/eager/fp32")
        m, all_ = raw.best("ours", network, "all/256")
        bar(
            "all exits, batch 256, fp32", network,
            f"{all_:.0f}/s ({share(raw, 'ours', network, '', m, all_)}), {m} thr",
            f"{eager:.0f}/s ({share(raw, 'pytorch', network, '', n, eager)}), {n} thr", all_ / eager, 3, True,
        )
        n, eager = raw.best("pytorch", network, "all/1/eager/fp32")
        for what, name, wanted in (("first/1", "first exit, batch 1", 1 / 6), ("all/1", "all exits, batch 1", 1 / 2)):
            value = raw.median("ours", network, what, 1)
            bar(
                name, network, f"{1e3 / value:.2f} ms", f"{1e3 / eager:.2f} ms, {n} thr",
                eager / value, wanted, False,
            )
        for n in (1, 2):
            took = raw.early(network, n, 0.5)
            if took is None:
                rows.append(["budgeted batch at 50 %", network, "not measured", "", "", ">= 1.7", ""])
            else:
                bar("budgeted batch at 50 %", network, f"{100 * took:.0f} % of the time", f"our all exits, {n} thr", 1 / took, 1.7, True)
        ours, torch = (raw.median(program, network, "memory/256", 2) for program in ("ours", "pytorch"))
        bar("memory, batch 256", network, f"{ours:.0f} MiB", f"{torch:.0f} MiB", ours / torch, 0.7, False)
    ours, loop = (raw.median(program, "", "sweep/39x10000x7", 1) for program in ("ours", "pytorch"))
    if ours and loop:
        bar("threshold sweep", "", f"{1e3 * ours:.1f} ms", f"{loop:.1f} s", ours / loop, 0.01, False)
    for network in there:
        for kind in ("fp32", "bf16"):
            n, easy = raw.best("pytorch", network, f"all/256/frozen/{kind}")
            _, all_ = raw.best("ours", network, "all/256")
            rows.append(
                [f"  frozen, channels last, {kind}, 256", network, f"{all_:.0f}/s (fp32)",
                 f"{easy:.0f}/s, {n} thr", f"{all_ / easy:.3g}", "", ""]
            )
    return rows


def show(rows):
    header = ["bar (share of a large fp32 matrix product)", "network", "ours", "eager PyTorch", "ratio", "bar", "met"]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repro", default="target/release/repro")
    parser.add_argument("--rounds", type=int, default=3, help="0: only the table of what the CSV holds")
    parser.add_argument("--seconds", type=float, default=0.1, help="least length of a timing")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--csv", default="compare.csv")
    options = parser.parse_args()
    raw = Raw(options.csv)
    before = max((int(row["round"]) for row in raw.rows), default=0)
    for round_ in range(before + 1, before + options.rounds + 1):
        one_round(raw, round_, options)
    show(table(raw))


if __name__ == "__main__":
    main()
