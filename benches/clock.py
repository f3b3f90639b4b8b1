"""Medians of repeated timings, for the programs that compare.py runs."""

import math
import time


def seconds_each(run, least, rounds):
    """Median over rounds of the time of one call; a round takes at least `least` seconds."""
    run()
    start = time.perf_counter()
    run()
    once = time.perf_counter() - start
    calls = max(1, math.ceil(least / once))
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            run()
        times.append((time.perf_counter() - start) / calls)
    return sorted(times)[len(times) // 2]
