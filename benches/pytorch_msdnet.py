"""MSDNet in plain PyTorch, in the usual style, and how fast it is.

Prints one JSON object a line: {"what", "threads", "value", "unit", ...}. Run by compare.py with
the Python torch of the repository: PYTHONPATH=.libtorch python3 benches/pytorch_msdnet.py ...
"""

import argparse
import json
import math
import resource
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

SCALES = 3
CHANNELS = 16
GROWTH = 6
FACTORS = [1, 2, 4]
BOTTLENECK = [1, 2, 4]
CLASSES = 100
# Layers in each block.
NETWORKS = {
    "cifar100_budget_b5": [1, 2, 3, 4, 5],
    "cifar100_anytime_b7": [4, 2, 2, 2, 2, 2, 2],
}


def conv_bn_relu(inputs, outputs, kernel=3, stride=1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def bottlenecked(inputs, outputs, factor, stride=1):
    width = min(inputs, outputs * factor)
    return nn.Sequential(
        conv_bn_relu(inputs, width, 1), conv_bn_relu(width, outputs, 3, stride)
    )


class Stem(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = nn.ModuleList()
        inputs = 3
        for scale, factor in enumerate(FACTORS):
            outputs = CHANNELS * factor
            stride = 1 if scale == 0 else 2
            self.scales.append(conv_bn_relu(inputs, outputs, 3, stride))
            inputs = outputs

    def forward(self, x):
        outputs = []
        for scale in self.scales:
            x = scale(x)
            outputs.append(x)
        return outputs


class Layer(nn.Module):
    """One layer; `channels` are those of the scales before it, the first of which it may drop."""

    def __init__(self, channels, finest, drops):
        super().__init__()
        self.first = int(drops)
        self.regular = nn.ModuleList()
        self.strided = nn.ModuleList()
        self.channels = []
        for position in range(self.first, len(channels)):
            scale = finest + position - self.first
            growth = GROWTH * FACTORS[scale]
            if position == 0:
                regular = growth
                self.strided.append(nn.Identity())
            else:
                strided = growth // 2
                regular = growth - strided
                self.strided.append(
                    bottlenecked(channels[position - 1], strided, BOTTLENECK[scale - 1], 2)
                )
            self.regular.append(bottlenecked(channels[position], regular, BOTTLENECK[scale]))
            self.channels.append(channels[position] + growth)

    def forward(self, x):
        outputs = []
        for i, (regular, strided) in enumerate(zip(self.regular, self.strided)):
            position = i + self.first
            parts = [x[position]]
            if position > 0:
                parts.append(strided(x[position - 1]))
            parts.append(regular(x[position]))
            outputs.append(torch.cat(parts, dim=1))
        return outputs


class Transition(nn.Module):
    def __init__(self, channels, finest):
        super().__init__()
        factors = FACTORS[finest:]
        self.channels = [c // factor // 2 * factor for c, factor in zip(channels, factors)]
        self.scales = nn.ModuleList(
            conv_bn_relu(c, half, 1) for c, half in zip(channels, self.channels)
        )

    def forward(self, x):
        return [scale(x[i]) for i, scale in enumerate(self.scales)]


class Classifier(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.features = nn.Sequential(
            conv_bn_relu(channels, 128, 3, 2), conv_bn_relu(128, 128, 3, 2), nn.AvgPool2d(2)
        )
        self.linear = nn.Linear(128, CLASSES)

    def forward(self, x):
        return self.linear(torch.flatten(self.features(x), 1))


class MSDNet(nn.Module):
    def __init__(self, steps):
        super().__init__()
        interval = math.ceil(sum(steps) / SCALES)
        channels = [CHANNELS * factor for factor in FACTORS]
        self.stem = Stem()
        self.blocks = nn.ModuleList()
        self.classifiers = nn.ModuleList()
        layer = 0
        for step in steps:
            block = []
            for _ in range(step):
                layer += 1
                finest = (layer - 1) // interval
                drops = layer > 1 and finest > (layer - 2) // interval
                block.append(Layer(channels, finest, drops))
                channels = block[-1].channels
                if drops:
                    block.append(Transition(channels, finest))
                    channels = block[-1].channels
            self.blocks.append(nn.Sequential(*block))
            self.classifiers.append(Classifier(channels[-1]))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan = module.kernel_size[0] ** 2 * module.out_channels
                nn.init.normal_(module.weight, 0, math.sqrt(2 / fan))

    def forward(self, x):
        x = self.stem(x)
        logits = []
        for block, classifier in zip(self.blocks, self.classifiers):
            x = block(x)
            logits.append(classifier(x[-1]))
        return logits


# Timings of which the median is taken.
ROUNDS = 3


def seconds_each(run, least):
    """Median over rounds of the time of one call; a round takes at least `least` seconds."""
    run()
    start = time.perf_counter()
    run()
    once = time.perf_counter() - start
    calls = max(1, math.ceil(least / once))
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            run()
        times.append((time.perf_counter() - start) / calls)
    return sorted(times)[len(times) // 2]


def tell(what, threads, value, unit):
    print(json.dumps({"what": what, "threads": threads, "value": value, "unit": unit}), flush=True)


def training(steps, threads, least):
    model = MSDNet(steps).train()
    optimiser = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
    images, labels = torch.randn(64, 3, 32, 32), torch.randint(0, CLASSES, (64,))

    def step():
        loss = sum(F.cross_entropy(logits, labels) for logits in model(images))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    tell("train/64/fp32", threads, 64 / seconds_each(step, least), "images/s")


def inference(model, images, name, threads, least):
    with torch.inference_mode():
        each = seconds_each(lambda: model(images), least)
    tell(name, threads, len(images) / each, "images/s")


def easy_form(model, images, kind):
    """Frozen, channels last, perhaps in bfloat16: what a few lines make of the model."""
    model = model.to(kind).to(memory_format=torch.channels_last)
    images = images.to(kind).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        traced = torch.jit.trace(model, images, check_trace=False)
    return torch.jit.freeze(traced), images


def sweep(images=10_000, exits=7, ratios=39):
    """Thresholds on a hold-out, then images one by one from exit to exit, as is usually written."""
    torch.manual_seed(0)
    confidence = [torch.rand(images) for _ in range(exits)]
    correct = [torch.rand(images) < 0.5 for _ in range(exits)]
    costs = [float(k + 1) for k in range(exits)]
    start = time.perf_counter()
    for i in range(1, ratios + 1):
        ratio = i / 20
        shares = torch.exp(torch.log(torch.tensor(ratio)) * torch.arange(1, exits + 1))
        shares /= shares.sum()
        thresholds = torch.full((exits,), 1e8)
        gone = torch.zeros(images)
        for k in range(exits - 1):
            _, order = confidence[k].sort(descending=True)
            wanted = int(images * shares[k])
            count = 0
            for place in range(images):
                image = order[place]
                if gone[image] == 0:
                    count += 1
                    if count == wanted:
                        thresholds[k] = confidence[k][image]
                        break
            gone.add_(confidence[k].ge(thresholds[k]).type_as(gone))
        thresholds[exits - 1] = -1e8
        right, cost = 0, 0.0
        for image in range(images):
            for k in range(exits):
                if confidence[k][image].item() >= thresholds[k]:
                    right += int(correct[k][image].item())
                    cost += costs[k]
                    break
    tell("sweep/39x10000x7", 1, time.perf_counter() - start, "s")


def matmul(threads, kind, name, least):
    a, b = torch.randn(2048, 2048).to(kind), torch.randn(2048, 2048).to(kind)
    each = seconds_each(lambda: a @ b, least)
    tell(f"matmul/{name}", threads, 2048**3 / each, "multiply-adds/s")


def memory(model):
    with torch.inference_mode():
        model(torch.randn(256, 3, 32, 32))
    tell("memory/256", torch.get_num_threads(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", choices=NETWORKS, default="cifar100_budget_b5")
    parser.add_argument("--only", default="train,eager,easy,matmul,sweep", help="what to measure")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=3, help="timings, of which the median is told")
    parser.add_argument("--seconds", type=float, default=0.7, help="least length of a round")
    options = parser.parse_args()
    global ROUNDS
    ROUNDS = options.rounds
    steps, only, least = NETWORKS[options.network], options.only.split(","), options.seconds
    for threads in (int(n) for n in options.threads.split(",") if n):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        model = MSDNet(steps).eval()
        if "memory" in only:
            memory(model)
        if "matmul" in only:
            matmul(threads, torch.float32, "fp32", least)
            matmul(threads, torch.bfloat16, "bf16", least)
        if "train" in only:
            training(steps, threads, least)
        for batch in (1, 64, 256):
            images = torch.randn(batch, 3, 32, 32)
            if "eager" in only:
                inference(model, images, f"all/{batch}/eager/fp32", threads, least)
            if "easy" in only and batch in (1, 256):
                for kind, name in ((torch.float32, "fp32"), (torch.bfloat16, "bf16")):
                    frozen, given = easy_form(MSDNet(steps).eval(), images, kind)
                    inference(frozen, given, f"all/{batch}/frozen/{name}", threads, least)
    if "sweep" in only:
        sweep()


if __name__ == "__main__":
    main()
