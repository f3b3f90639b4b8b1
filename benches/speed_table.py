"""The README's tables of speed, one a processor, from the raw numbers of compare.py.

  python3 benches/speed_table.py CSV [README]    prints them; with README, writes them between its marks
"""

import csv
import statistics
import sys
import textwrap

NETWORKS = ["cifar100_budget_b5", "cifar100_anytime_b7"]
PEERS = ["onnxruntime", "openvino"]
MARKS = ("<!-- speed -->\n", "<!-- /speed -->\n")


def by_processor(path):
    """The rows of a CSV by their processor, the last one measured first."""
    groups = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            groups.setdefault(row.get("processor") or "AMD EPYC with bf16", []).append(row)
    return [Numbers(name, rows) for name, rows in reversed(groups.items())]


class Numbers:
    """Medians over the rounds on one processor."""

    def __init__(self, processor, rows):
        self.processor = processor
        self.rows = rows

    def median(self, program, network, what, threads, column="value"):
        values = [
            float(row[column])
            for row in self.rows
            if (row["program"], row["network"], row["what"]) == (program, network, what)
            and row["threads"] == str(threads)
        ]
        return statistics.median(values) if values else None

    def best(self, programs, network, whats, threads):
        """The largest median; none where nothing was measured."""
        found = [
            self.median(program, network, what, n) for program in programs for what in whats for n in threads
        ]
        return max((value for value in found if value is not None), default=None)

    def half(self, network, ending):
        """How many times faster than all exits a batch is that counts half of the multiply-adds."""
        start = "early/256/ratio/"
        shares = {
            row["what"]: abs(float(row["what"].removesuffix(ending).removeprefix(start)) - 0.5)
            for row in self.rows
            if row["network"] == network
            and row["what"].startswith(start)
            and (row["what"].endswith("/bf16") == (ending != ""))
        }
        what = min(shares, key=shares.get, default=None)
        if what is None or shares[what] > 0.03:
            return None
        return 1 / self.median("ours", network, what, 1, "measured")


def rate(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def against(ours, other, unit="/s"):
    """How many times faster, and both rates."""
    if ours is None or other is None:
        return None
    return f"{ours / other:.2g}x ({rate(ours)} and {rate(other)}{unit})"


def rows(numbers):
    """Each row's name and what it says of a network."""
    either = ["", "/bf16"]
    best = numbers.best

    def peers(what, endings, threads=(1,)):
        whats = [what + ending for ending in endings]
        return lambda n: against(best(["ours"], n, whats, threads), best(PEERS, n, whats, threads))

    def pytorch(ours, theirs, threads):
        return lambda n: against(best(["ours"], n, ours, threads), best(["pytorch"], n, theirs, threads))

    def half(ending):
        def cell(network):
            times = numbers.half(network, ending)
            return times and f"{times:.2g}x"

        return cell

    def memory(network):
        ours, other = (numbers.median(program, network, "memory/256", 2) for program in ("ours", "pytorch"))
        return ours and other and f"{ours / other:.2f} of its {other:,.0f} MiB"

    fastest = "the fastest of ONNX Runtime and OpenVINO"
    yield f"one image, answer at the first exit, against {fastest}", peers("first/1", either)
    yield f"one image, all exits, against {fastest}", peers("all/1", either)
    yield f"batch 64, all exits, against {fastest}", peers("all/64", either)
    yield f"batch 256, all exits, against {fastest}", peers("all/256", either)
    yield "batch 64, all exits, fp32 against their fp32", peers("all/64", [""])
    yield "batch 256, all exits, fp32 against their fp32", peers("all/256", [""])
    yield f"batch 256, all exits, two threads, against {fastest}", peers("all/256", either, (2,))
    yield "batch 256 that counts half of the multiply-adds, against our own all exits, fp32", half("")
    yield "batch 256 that counts half of the multiply-adds, against our own all exits, bf16", half("/bf16")
    train = ["train/64/fp32", "train/64/bf16"]
    forms = ["train/64/best/fp32", "train/64/best/bf16"]

    def best_form(network):
        measured = best(["pytorch"], network, forms, (1,)) is not None
        return pytorch(train, ["train/64/fp32", *forms], (1,))(network) if measured else None

    yield "training, batch 64, one thread, against PyTorch's best form", best_form
    yield "training, batch 64, fp32, two threads, against eager PyTorch", pytorch(train[:1], train[:1], (2,))
    yield "training, batch 64, two processes in bf16, against eager PyTorch on two threads", lambda n: against(
        numbers.median("ours", n, "workers/train/64/bf16", 1), numbers.median("pytorch", n, "train/64/fp32", 2)
    )
    eager = ["all/256/eager/fp32"]
    yield "batch 256, all exits, fp32, two threads, against eager PyTorch", pytorch(["all/256"], eager, (2,))
    yield "one image, all exits, against eager PyTorch", pytorch(["all/1"], ["all/1/eager/fp32"], (1,))
    yield "memory of inference, batch 256, against eager PyTorch", memory


def thresholds(numbers):
    what = "sweep/39x10000x7"
    ours, loop = (numbers.median(program, "", what, 1) for program in ("ours", "pytorch"))
    if ours and loop:
        yield f"Thresholds for 39 ratios, 10,000 images, 7 exits: {1e3 * ours:.1f} ms, a Python loop {loop:.1f} s."


def described(numbers):
    """The machine and how often it was measured."""
    rounds = len({row["round"] for row in numbers.rows})
    products = []
    for kind in ("fp32", "bf16"):
        rates = [numbers.median("ours", network, f"matmul/{kind}", 1) for network in NETWORKS]
        products += [f"{kind} {max(rates) / 1e9:.0f} G" for rates in [[r for r in rates if r]] if rates]
    text = (
        f"{numbers.processor}; medians of {rounds} interleaved rounds; multiply-adds a second of a large "
        f"matrix product on one thread: {', '.join(products)}. Images a second, one thread where nothing else is said."
    )
    return textwrap.fill(text, 120)


def table(numbers):
    lines = [described(numbers), "", f"| | {' | '.join(NETWORKS)} |", "| --- | --- | --- |"]
    for name, cell in rows(numbers):
        cells = [cell(network) for network in NETWORKS]
        if any(cells):
            lines.append(f"| {name} | {' | '.join(text or 'not measured' for text in cells)} |")
    return "\n".join(lines + [""] + list(thresholds(numbers))).rstrip() + "\n"


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    text = "\n".join(table(numbers) for numbers in by_processor(sys.argv[1]))
    if len(sys.argv) > 2:
        with open(sys.argv[2]) as file:
            before, rest = file.read().split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        with open(sys.argv[2], "w") as file:
            file.write(before + MARKS[0] + text + MARKS[1] + after)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
