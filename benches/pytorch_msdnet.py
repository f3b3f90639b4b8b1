"""How fast the MSDNet of scripts/evaluate_pytorch.py is: plain PyTorch, in the usual style.

Prints one JSON object a line: {"what", "threads", "value", "unit", ...}. Run by compare.py with
the Python torch of the repository: PYTHONPATH=.libtorch python3 benches/pytorch_msdnet.py ...
"""

import argparse
import json
import os
import resource
import sys
import time

import torch
import torch.nn.functional as F

import clock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scripts"))
from evaluate_pytorch import MSDNet  # noqa: E402

CLASSES = 100
COMMON = {
    "data": "cifar100", "nChannels": 16, "growthRate": 6, "grFactor": "1-2-4", "bnFactor": "1-2-4", "reduction": 0.5,
}
NETWORKS = {
    "cifar100_budget_b5": {**COMMON, "nBlocks": 5, "stepmode": "lin_grow", "base": 1, "step": 1},
    "cifar100_anytime_b7": {**COMMON, "nBlocks": 7, "stepmode": "even", "base": 4, "step": 2},
}

KINDS = {"fp32": torch.float32, "bf16": torch.bfloat16}

# Timings of which the median is taken.
ROUNDS = 3


def seconds_each(run, least):
    return clock.seconds_each(run, least, ROUNDS)


def tell(what, threads, value, unit):
    print(json.dumps({"what": what, "threads": threads, "value": value, "unit": unit}), flush=True)


def training(config, threads, least, best=None):
    """A step of 64 images: in the usual style, or with channels last in the precision `best`, one of KINDS."""
    model = MSDNet(config, CLASSES).train()
    images, labels = torch.randn(64, 3, 32, 32), torch.randint(0, CLASSES, (64,))
    if best:
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
    )

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=best == "bf16"):
            loss = sum(F.cross_entropy(logits, labels) for logits in model(images))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    name = f"train/64/best/{best}" if best else "train/64/fp32"
    tell(name, threads, 64 / seconds_each(step, least), "images/s")


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
    parser.add_argument("--precision", default="fp32,bf16", help="bf16 takes minutes where it is emulated")
    parser.add_argument("--save", help="only write random weights to this .pth.tar")
    options = parser.parse_args()
    if options.save:
        torch.manual_seed(0)
        torch.save(MSDNet(NETWORKS[options.network], CLASSES).state_dict(), options.save)
        return
    global ROUNDS
    ROUNDS = options.rounds
    kinds = [(KINDS[name], name) for name in options.precision.split(",")]
    config, only, least = NETWORKS[options.network], options.only.split(","), options.seconds
    for threads in (int(n) for n in options.threads.split(",") if n):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        model = MSDNet(config, CLASSES).eval()
        if "memory" in only:
            memory(model)
        if "matmul" in only:
            for kind, name in kinds:
                matmul(threads, kind, name, least)
        if "train" in only:
            for best in (None, *(name for _, name in kinds)):
                training(config, threads, least, best)
        for batch in (1, 64, 256):
            images = torch.randn(batch, 3, 32, 32)
            if "eager" in only:
                inference(model, images, f"all/{batch}/eager/fp32", threads, least)
            if "easy" in only and batch in (1, 256):
                for kind, name in kinds:
                    frozen, given = easy_form(MSDNet(config, CLASSES).eval(), images, kind)
                    inference(frozen, given, f"all/{batch}/frozen/{name}", threads, least)
    if "sweep" in only:
        sweep()


if __name__ == "__main__":
    main()
