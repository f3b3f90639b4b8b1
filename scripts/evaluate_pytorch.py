#!/usr/bin/env python3
"""Counts the right answers of an MSDNet's exits in PyTorch: an evaluation of its own, to compare with.

    evaluate_pytorch.py WEIGHTS --network FILE.json --data DIR [--dataset cifar100]

WEIGHTS is a state dict with the reference port's names (.safetensors, or a file of torch.save). FILE.json has the
port's arguments under "config" or alone: nBlocks, stepmode, step, base, nChannels, growthRate, grFactor, bnFactor,
reduction, data. DIR holds cifar-100-binary or cifar-10-batches-bin; for `--dataset folder:PATH` the images of
PATH/test or PATH/val are read with Pillow. Prints `exit,correct,images` as CSV.

The network is written from the paper (section 4) and shares no line with the program that it checks.
"""

import argparse
import json
import math
import struct
from pathlib import Path

import torch
from torch import nn

NORM = {
    "cifar10": ((0.4914, 0.4824, 0.4467), (0.2471, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "folder": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def unit(c_in, c_out, kernel, stride=1, bias=False):
    return [
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=bias),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    ]


class Net(nn.Module):
    """A sequence called `net`, after the names of the state dict."""

    def __init__(self, *layers):
        super().__init__()
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x)


def branch(c_in, c_out, factor, stride):
    inner = min(c_in, factor * c_out)
    return Net(*unit(c_in, inner, 1), *unit(inner, c_out, 3, stride))


class Stem(nn.Module):
    def __init__(self, widths, imagenet):
        super().__init__()
        if imagenet:
            first = nn.Sequential(*unit(3, widths[0], 7, 2, bias=True), nn.MaxPool2d(3, 2, 1))
        else:
            first = Net(*unit(3, widths[0], 3))
        rest = [Net(*unit(a, b, 3, 2)) for a, b in zip(widths, widths[1:])]
        self.layers = nn.ModuleList([first, *rest])

    def forward(self, x):
        scales = []
        for layer in self.layers:
            x = layer(x)
            scales.append(x)
        return scales


class Node(nn.Module):
    """x_l^s: the input, the strided branch from the finer scale, the regular branch."""

    def __init__(self, c_in, c_finer, growth, factors):
        super().__init__()
        regular = growth
        self.conv_down = None
        if c_finer is not None:
            regular = growth - growth // 2
            self.conv_down = branch(c_finer, growth // 2, factors[0], 2)
        self.conv_normal = branch(c_in, regular, factors[1], 1)

    def forward(self, x, finer):
        down = [] if self.conv_down is None else [self.conv_down(finer)]
        return torch.cat([x, *down, self.conv_normal(x)], 1)


class Layer(nn.Module):
    """One depth step at the scales that are left; it may drop the finest."""

    def __init__(self, widths, growths, factors, drops):
        super().__init__()
        self.first = int(drops)
        nodes = []
        for at in range(self.first, len(widths)):
            finer = widths[at - 1] if at else None
            pair = (factors[at - 1] if at else None, factors[at])
            nodes.append(Node(widths[at], finer, growths[at], pair))
        self.layers = nn.ModuleList(nodes)

    def forward(self, scales):
        places = range(self.first, len(scales))
        return [n(scales[at], scales[at - 1] if at else None) for n, at in zip(self.layers, places)]


class Transition(nn.Module):
    def __init__(self, widths, targets):
        super().__init__()
        self.m = nn.ModuleList([Net(*unit(a, b, 1)) for a, b in zip(widths, targets)])

    def forward(self, scales):
        return [convolution(x) for convolution, x in zip(self.m, scales)]


class Classifier(nn.Module):
    def __init__(self, c_in, width, classes):
        super().__init__()
        self.m = nn.Sequential(Net(*unit(c_in, width, 3, 2)), Net(*unit(width, width, 3, 2)))
        self.linear = nn.Linear(width, classes)

    def forward(self, scales):
        return self.linear(self.m(scales[-1]).mean((2, 3)))


class MSDNet(nn.Module):
    def __init__(self, config, classes):
        super().__init__()
        imagenet = config["data"].lower() == "imagenet"
        scales = [int(n) for n in config["grFactor"].split("-")]
        factors = [int(n) for n in config["bnFactor"].split("-")]
        growths = [config["growthRate"] * n for n in scales]
        steps = [config["base"]]
        for i in range(1, config["nBlocks"]):
            grows = config["stepmode"] == "lin_grow"
            steps.append(config["step"] * i + 1 if grows else config["step"])
        interval = math.ceil(sum(steps) / len(scales))
        widths = [config["nChannels"] * n for n in scales]
        self.blocks, self.classifier = nn.ModuleList(), nn.ModuleList()
        depth, dropped = 0, 0
        for block, step in enumerate(steps):
            entries = [Stem(widths, imagenet)] if block == 0 else []
            for _ in range(step):
                depth += 1
                drops = (depth - 1) // interval > dropped
                entries.append(Layer(widths, growths[dropped:], factors[dropped:], drops))
                if drops:
                    dropped += 1
                    widths = widths[1:]
                widths = [w + g for w, g in zip(widths, growths[dropped:])]
                if drops and config["reduction"] > 0:
                    left = [math.floor(config["reduction"] * (w // n)) * n for w, n in zip(widths, scales[dropped:])]
                    entries.append(Transition(widths, left))
                    widths = left
            self.blocks.append(nn.Sequential(*entries))
            width = widths[-1] if imagenet else 128
            self.classifier.append(Classifier(widths[-1], width, classes))

    def forward(self, x):
        logits = []
        for block, classifier in zip(self.blocks, self.classifier):
            x = block(x)
            logits.append(classifier(x))
        return logits


def safetensors(path):
    kinds = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64}
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    header.pop("__metadata__", None)
    state = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        part = torch.frombuffer(bytearray(body[begin:end]), dtype=kinds[entry["dtype"]])
        state[name] = part.reshape(entry["shape"])
    return state


def load_state(path):
    if str(path).endswith(".safetensors"):
        return safetensors(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def cifar(folder, files, label_bytes):
    data = b"".join((folder / name).read_bytes() for name in files)
    rows = torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(-1, label_bytes + 3072)
    return rows[:, label_bytes:].reshape(-1, 3, 32, 32), rows[:, label_bytes - 1].long()


def folder_images(root):
    import numpy
    from PIL import Image

    classes = sorted(p.name for p in (root / "train").iterdir() if p.is_dir())
    part = root / "test" if (root / "test").is_dir() else root / "val"
    images, labels = [], []
    for label, name in enumerate(classes):
        for path in sorted((part / name).iterdir()):
            if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
                continue
            image = Image.open(path).convert("RGB")
            w, h = image.size
            size = (256, 256 * h // w) if w <= h else (256 * w // h, 256)
            image = image.resize(size, Image.Resampling.BILINEAR)
            left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
            image = image.crop((left, top, left + 224, top + 224))
            images.append(torch.from_numpy(numpy.array(image)).permute(2, 0, 1))
            labels.append(label)
    return torch.stack(images), torch.tensor(labels), len(classes)


def images_of(dataset, data):
    if dataset.startswith("folder:"):
        images, labels, classes = folder_images(Path(dataset.removeprefix("folder:")))
        return images, labels, classes, NORM["folder"]
    if dataset == "cifar10":
        return *cifar(data / "cifar-10-batches-bin", ["test_batch.bin"], 1), 10, NORM[dataset]
    if dataset == "cifar100":
        return *cifar(data / "cifar-100-binary", ["test.bin"], 2), 100, NORM[dataset]
    raise SystemExit(f"--dataset {dataset}: expected cifar10, cifar100 or folder:PATH")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--network", required=True)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--dataset", default="cifar100")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = json.loads(Path(args.network).read_text())
    config = config.get("config", config)
    images, labels, classes, (mean, std) = images_of(args.dataset, args.data)
    network = MSDNet(config, classes)
    network.load_state_dict(load_state(args.weights))
    network.eval()
    mean, std = (torch.tensor(n).reshape(1, 3, 1, 1) for n in (mean, std))
    correct = [0] * len(network.blocks)
    with torch.no_grad():
        for begin in range(0, len(labels), 250):
            x = (images[begin : begin + 250].float() / 255 - mean) / std
            for exit, logits in enumerate(network(x)):
                correct[exit] += int((logits.argmax(1) == labels[begin : begin + 250]).sum())
    print("exit,correct,images")
    for exit, count in enumerate(correct):
        print(f"{exit + 1},{count},{len(labels)}")


if __name__ == "__main__":
    main()
