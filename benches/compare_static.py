"""MobileNet 1.0, SqueezeNet 1.1 and an MSDNet at 224 pixels: our engine beside ONNX Runtime and OpenVINO, interleaved.

  PYTHONPATH=.libtorch:.python python3 benches/compare_static.py [--rounds 3] [--csv benches/static.csv]

Weights are random. One thread, fp32 (bf16 too where the processor multiplies it). Raw numbers go to the
CSV, their medians to a table for each processor beside it (.md); those in the repository are
results/speed/static.csv and .md. Rounds are added to those that the CSV holds. compare.sh installs what is
needed.
"""

import argparse
import os
import sys
import tempfile

import torch

from compare import HERE, Raw, lines, output_of, processor
from speed_table import PEERS, Numbers

sys.path.insert(0, os.path.join(HERE, "..", "scripts"))
from evaluate_pytorch import MSDNet  # noqa: E402

SIDE = 224
CLASSES = 1000


def normalisation(name, channels):
    ones, zeros = torch.ones(channels), torch.zeros(channels)
    return {
        f"{name}.weight": ones, f"{name}.bias": zeros,
        f"{name}.running_mean": zeros.clone(), f"{name}.running_var": ones.clone(),
    }


def weight(*shape):
    """Of a size that keeps features from growing or vanishing."""
    return torch.randn(shape) * (2 / torch.Size(shape[1:]).numel()) ** 0.5


def mobilenet():
    """MobileNetV1's state: `conv1`, `layers.N` of a depthwise and a pointwise convolution, `linear`."""
    widths = [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    state = {"conv1.weight": weight(32, 3, 3, 3), **normalisation("bn1", 32)}
    before = 32
    for number, width in enumerate(widths):
        name = f"layers.{number}"
        state[f"{name}.conv1.weight"] = weight(before, 1, 3, 3)
        state |= normalisation(f"{name}.bn1", before)
        state[f"{name}.conv2.weight"] = weight(width, before, 1, 1)
        state |= normalisation(f"{name}.bn2", width)
        before = width
    return {**state, "linear.weight": weight(CLASSES, before), "linear.bias": torch.zeros(CLASSES)}


def squeezenet():
    """SqueezeNet 1.1's state with torchvision's names."""
    state = {"features.0.weight": weight(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}
    before = 64
    for place, squeezed in zip([3, 4, 6, 7, 9, 10, 11, 12], [16, 16, 32, 32, 48, 48, 64, 64]):
        parts = {
            "squeeze": (squeezed, before, 1),
            "expand1x1": (4 * squeezed, squeezed, 1),
            "expand3x3": (4 * squeezed, squeezed, 3),
        }
        for part, (out, into, kernel) in parts.items():
            state[f"features.{place}.{part}.weight"] = weight(out, into, kernel, kernel)
            state[f"features.{place}.{part}.bias"] = torch.zeros(out)
        before = 8 * squeezed
    state["classifier.1.weight"] = weight(CLASSES, before, 1, 1)
    return {**state, "classifier.1.bias": torch.zeros(CLASSES)}


def msdnet():
    """The state of the ImageNet MSDNet with base 4 and step 4 of the authors' code, from its PyTorch port."""
    config = {
        "data": "ImageNet", "nChannels": 32, "growthRate": 16, "grFactor": "1-2-4-4", "bnFactor": "1-2-4-4",
        "reduction": 0.5, "nBlocks": 5, "stepmode": "even", "base": 4, "step": 4,
    }
    return MSDNet(config, CLASSES).state_dict()


STATES = {"imagenet_mobilenet": mobilenet, "imagenet_squeezenet": squeezenet, "imagenet_msdnet": msdnet}


def models(network, repro, folder):
    """ONNX models of the whole network and up to its first exit."""
    weights = os.path.join(folder, network + ".pth")
    torch.save(STATES[network](), weights)
    yaml = os.path.join(HERE, network + ".yaml")
    arguments = ["--network", yaml, "--dataset", "imagenet", "--run", os.path.join(folder, "runs")]
    run = output_of([repro, "import", weights, *arguments]).strip()
    paths = [os.path.join(folder, f"{network}-{name}.onnx") for name in ("all", "first")]
    for path, cut in zip(paths, ([], ["--exit", "1"])):
        output_of([repro, "export", run, "--format", "onnx", "--out", path, *cut])
    return paths


def one_round(raw, round_, repro, paths, precisions):
    timing = ["--seconds", "0.1", "--rounds", "1", "--threads", "1"]
    for network, (whole, first) in paths.items():
        ours = [repro, "bench", os.path.join(HERE, network + ".yaml"), "--side", str(SIDE), "--json", *timing]
        ours += ["--only", "inference", "--precision", ",".join(precisions)]
        for found in lines(ours):
            raw.add(round_, "ours", network, found)
        peer = [sys.executable, os.path.join(HERE, "peers.py"), *timing, "--side", str(SIDE)]
        peer += ["--all", whole, "--first", first]
        for runtime in ("onnxruntime", "openvino"):
            for precision in precisions if runtime == "openvino" else precisions[:1]:
                for found in lines([*peer, runtime, "--precision", precision]):
                    raw.add(round_, runtime, network, found)
        raw.save()


def table(processor_name, rows):
    """Medians as Markdown, and ours by the fastest of the runtimes."""
    numbers = Numbers(processor_name, rows)
    rounds = len({row["round"] for row in rows})
    medians = "one round" if rounds == 1 else f"medians of {rounds} interleaved rounds"
    text = f"{processor_name}; {medians}; images a second, {SIDE} pixels a side, one thread.\n\n"
    text += "| network | exits | images together | ours | ONNX Runtime | OpenVINO | ours by the fastest of both |\n"
    text += "| --- | --- | --- | --- | --- | --- | --- |\n"
    networks = {row["network"]: None for row in rows}
    for network in networks:
        # Of one exit, the first is all of them.
        has_exits = numbers.best(["ours"], network, ["all/1"], (1,)) is not None
        for what in ("first/1", *(["all/1"] if has_exits else []), "all/64", "all/256"):
            whats = [what, what + "/bf16"]
            found = [numbers.best([program], network, whats, (1,)) for program in ("ours", *PEERS)]
            cells = " | ".join(f"{value:.1f}" for value in found)
            exits, batch = what.split("/")
            ratio = found[0] / max(found[1:])
            text += f"| {network} | {exits if has_exits else 'all'} | {batch} | {cells} | {ratio:.2f} |\n"
    return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repro", default="target/release/repro")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--csv", default="benches/static.csv")
    options = parser.parse_args()
    name, has_bf16 = processor()
    raw = Raw(options.csv, name)
    before = max((int(row["round"]) for row in raw.rows if row["processor"] == name), default=0)
    with tempfile.TemporaryDirectory() as folder:
        paths = {network: models(network, options.repro, folder) for network in STATES}
        precisions = ["fp32", "bf16"] if has_bf16 else ["fp32"]
        for round_ in range(before + 1, before + options.rounds + 1):
            one_round(raw, round_, options.repro, paths, precisions)
    names = {row["processor"]: None for row in raw.rows}
    tables = [table(name, [row for row in raw.rows if row["processor"] == name]) for name in names]
    with open(os.path.splitext(options.csv)[0] + ".md", "w") as file:
        file.write("\n".join(tables))


if __name__ == "__main__":
    main()
