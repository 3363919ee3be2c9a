"""Timing in turn: whatever slows the machine for a moment slows both sides."""

import gc
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch

from gatewise.benchmark.contender import Contender

AT_LEAST = 0.02
"""Seconds that a contender runs in each round: the clock, and one short interruption, then matter little."""


def in_turn(contenders: Sequence[Contender], *, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Milliseconds of each contender in each round: A B C, A B C, ... after a warm-up.

    Args:
        contenders: those that run.
        rounds: at least so many.
        seconds: at least so long in all.

    Returns:
        By name, one number a round: the mean of the calls in that round.
    """
    calls = {}
    for contender in contenders:
        _seconds(contender, 1)
        calls[contender.name] = max(1, math.ceil(AT_LEAST / max(_seconds(contender, 1), 1e-7)))
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    gc.collect()
    gc.disable()
    try:
        end = time.perf_counter() + seconds
        done = 0
        while done < rounds or time.perf_counter() < end:
            for contender in contenders:
                count = calls[contender.name]
                times[contender.name].append(1e3 * _seconds(contender, count) / count)
            done += 1
    finally:
        gc.enable()
    return times


def _seconds(contender: Contender, calls: int) -> float:
    run: Callable[[], object] = contender.run
    with torch.inference_mode() if contender.inference else nullcontext():
        start = time.perf_counter()
        for _ in range(calls):
            run()
        return time.perf_counter() - start
