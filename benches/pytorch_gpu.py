"""Training speed of MSDNet, ResNet and DenseNet with intermediate classifiers in PyTorch, eager or compiled.

    pytorch_gpu.py --network NAME --device cuda --batch 64,256 --precision fp32,bf16 [--compile]

Prints one JSON object a line, as `repro bench --json` does. The images lie on the device already and are not
augmented, which favours PyTorch; channels last, cuDNN's search and the optimiser's joined form are on. With --compile
it prints `ready` once everything is compiled, and measures when a line comes on standard input. Run by
scripts/gpu_check.py.
"""

import argparse
import json
import math
import os
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scripts"))
from evaluate_pytorch import MSDNet  # noqa: E402

CLASSES = 100
MSDNET = {"data": "cifar100", "stepmode": "even", "reduction": 0.5, "grFactor": "1-2-4", "bnFactor": "1-2-4"}
B7 = {**MSDNET, "nChannels": 16, "growthRate": 6, "nBlocks": 7, "base": 4, "step": 2}
TINY = {**MSDNET, "nChannels": 4, "growthRate": 2, "nBlocks": 2, "base": 1, "step": 1}


def pooled(channels):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))


def norm_relu(channels):
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


class Block(nn.Module):
    """Two convolutions and a shortcut that pads with zeros."""

    def __init__(self, before, channels, stride):
        super().__init__()
        self.stride, self.added = stride, channels - before
        self.way = nn.Sequential(
            nn.Conv2d(before, channels, 3, stride, 1, bias=False), *norm_relu(channels),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels),
        )

    def forward(self, x):
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))
        return F.relu(self.way(x) + shortcut)


class Dense(nn.Module):
    """A composite layer with a bottleneck; its output joins its input."""

    def __init__(self, before, growth):
        super().__init__()
        self.way = nn.Sequential(
            *norm_relu(before), nn.Conv2d(before, 4 * growth, 1, bias=False),
            *norm_relu(4 * growth), nn.Conv2d(4 * growth, growth, 3, 1, 1, bias=False),
        )

    def forward(self, x):
        return torch.cat([x, self.way(x)], 1)


class Chain(nn.Module):
    """Steps one after another; after some of them stands a classifier."""

    def __init__(self, steps, classifiers):
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.classifiers = nn.ModuleDict({str(at): c for at, c in classifiers.items()})

    def forward(self, x):
        logits = []
        for at, step in enumerate(self.steps):
            x = step(x)
            if str(at) in self.classifiers:
                logits.append(self.classifiers[str(at)](x))
        return logits


def resnet(blocks, exits):
    steps = [nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), *norm_relu(16))]
    classifiers, channels = {}, 16
    for block in range(3 * blocks):
        stride = 2 if block and block % blocks == 0 else 1
        before, channels = channels, channels * stride
        steps.append(Block(before, channels, stride))
        if block + 1 in exits or block + 1 == 3 * blocks:
            classifiers[len(steps) - 1] = pooled(channels)
    return Chain(steps, classifiers)


def densenet(layers, growth, exits):
    steps = [nn.Conv2d(3, 2 * growth, 3, 1, 1, bias=False)]
    classifiers, channels = {}, 2 * growth
    for layer in range(3 * layers):
        entry = []
        if layer and layer % layers == 0:
            half = channels // 2
            entry = [*norm_relu(channels), nn.Conv2d(channels, half, 1, bias=False), nn.AvgPool2d(2)]
            channels = half
        steps.append(nn.Sequential(*entry, Dense(channels, growth)))
        channels += growth
        if layer + 1 in exits or layer + 1 == 3 * layers:
            # The maps that the classifier normalises are read by the next layer as well.
            classifiers[len(steps) - 1] = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), pooled(channels))
    return Chain(steps, classifiers)


NETWORKS = {
    "msdnet-b7": lambda: MSDNet(B7, CLASSES),
    "resnet-62": lambda: resnet(10, [4, 8, 14, 18, 24, 28]),
    "densenet-bc-52": lambda: densenet(8, 12, [3, 6, 11, 14, 19, 22]),
    "msdnet-tiny": lambda: MSDNet(TINY, CLASSES),
    "resnet-tiny": lambda: resnet(1, [1]),
    "densenet-tiny": lambda: densenet(1, 4, [1]),
}


def stepper(options, batch, precision):
    """A function that takes one training step."""
    torch.manual_seed(0)
    model = NETWORKS[options.network]().to(options.device).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    images = torch.randn(batch, 3, 32, 32, device=options.device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (batch,), device=options.device)
    run = torch.compile(model) if options.compile else model

    def step():
        with torch.autocast(options.device, torch.bfloat16, enabled=precision == "bf16"):
            loss = sum(F.cross_entropy(logits.float(), labels) for logits in run(images))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    for _ in range(3):
        step()
    return step


def synchronise(device):
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_each(step, options):
    """Median over rounds of the time of a step; a round takes at least --seconds."""
    times = []
    synchronise(options.device)
    start = time.perf_counter()
    step()
    synchronise(options.device)
    calls = max(1, math.ceil(options.seconds / (time.perf_counter() - start)))
    for _ in range(options.rounds):
        start = time.perf_counter()
        for _ in range(calls):
            step()
        synchronise(options.device)
        times.append((time.perf_counter() - start) / calls)
    return sorted(times)[len(times) // 2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--batch", default="64")
    parser.add_argument("--precision", default="fp32,bf16")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    rows = [(int(b), p) for b in options.batch.split(",") for p in options.precision.split(",")]
    ready = {row: stepper(options, *row) for row in rows} if options.compile else {}
    if options.compile:
        print("ready", flush=True)
        sys.stdin.readline()
    for batch, precision in rows:
        step = ready.get((batch, precision)) or stepper(options, batch, precision)
        value = batch / seconds_each(step, options)
        found = {"network": options.network, "what": f"train/{batch}/{precision}", "value": value, "unit": "images/s"}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
