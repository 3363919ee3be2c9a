"""What it costs to sum up the units of the reference model, beside a plain forward pass over the same sequences.

    python benchmarks/speed/trace.py [--sequences 1000] [--steps 512] [--batch-size 64] [--passes 5]

The recipe `bilstm` with one channel (64, 64 and 32 units a direction), in evaluation, one thread. Plain and summing
passes take turns; seconds are the processor's, of the thread that computes: other programs on the machine matter less.
Memory is what the process held at most, beyond what it had when model and sequences were made, in a process of its own.
Prints a row of a table for Markdown.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

import torch
from torch import Tensor, nn

from gatewise.inspection.units import units
from gatewise.models.recipes import bilstm


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # from KiB, as Linux counts


def made(sequences: int, steps: int) -> tuple[nn.Module, Tensor, Tensor]:
    """The model, and numbers to read with two classes."""
    torch.manual_seed(0)
    model = bilstm(input_size=1, num_classes=2).eval()
    return model, torch.randn(sequences, steps, 1), torch.arange(sequences) % 2


def one_pass(side: str, model: nn.Module, x: Tensor, classes: Tensor, batch_size: int) -> float:
    """Seconds of the processor."""
    begin = time.thread_time()
    with torch.inference_mode():
        if side == "plain":
            for start in range(0, len(x), batch_size):
                model(x[start : start + batch_size])
        else:
            units(model, x, classes=classes, batch_size=batch_size)
    return time.thread_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--memory-of", choices=["plain", "units"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, x, classes = made(arguments.sequences, arguments.steps)
    if arguments.memory_of:
        before = megabytes()
        one_pass(arguments.memory_of, model, x, classes, arguments.batch_size)
        print(megabytes() - before)
        return
    memory = {}
    for side in ("plain", "units"):
        command = [sys.executable, *sys.argv, "--memory-of", side]
        memory[side] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    seconds: dict[str, list[float]] = {"plain": [], "units": []}
    for _ in range(arguments.passes):
        for side, found in seconds.items():
            found.append(one_pass(side, model, x, classes, arguments.batch_size))
    ratios = [summed / plain for plain, summed in zip(seconds["plain"], seconds["units"], strict=True)]
    print("| sequences | steps | plain, s | units, s | ratio of bests | median ratio | plain, MB | units, MB |")
    print("|---|---|---|---|---|---|---|---|")
    plain, summed = (min(found) for found in seconds.values())
    print(
        f"| {arguments.sequences:,} | {arguments.steps} | {plain:.2f} | {summed:.2f} | {summed / plain:.2f} | "
        f"{statistics.median(ratios):.2f} | {memory['plain']:.0f} | {memory['units']:.0f} |"
    )


if __name__ == "__main__":
    main()
