"""Memory and time of forward and backward over long sequences, with and without checkpoints, beside torch's nn.LSTM.

    python benchmarks/speed/long_sequences.py [--steps 4096 16384] [--batch-size 4] [--kernel cpu]

Each figure is of a process of its own, since the system keeps only the largest of each: resident memory beyond what the
process had when the input was made, and the processor's seconds for one pass (the median of ``--passes``, after a short
one). Two layers of both directions, a maximum over time as loss. One thread. Prints a table for Markdown.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

import torch
from torch import nn

from gatewise.nn import LSTM

SIDES = ("torch", "gatewise", "checkpoints")
STEPS = tuple(4096 * 2**n for n in range(6))
INPUT_SIZE, LAYERS = 8, 2


def megabytes() -> float:
    """The most that this process ever held in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # from KiB, as Linux counts


def layers(side: str, hidden_size: int, kernel: str) -> nn.Module:
    """One side, with the same weights as the others."""
    torch.manual_seed(0)
    sizes = (INPUT_SIZE, hidden_size, LAYERS)
    if side == "torch":
        return nn.LSTM(*sizes, batch_first=True, bidirectional=True)
    chunks = 0 if side == "checkpoints" else None
    return LSTM(*sizes, batch_first=True, bidirectional=True, kernel=kernel, checkpoint_steps=chunks)


def one_pass(model: nn.Module, x: torch.Tensor) -> float:
    """Seconds of forward and backward, of the processor: other programs on the machine matter less."""
    begin = time.process_time()
    model(x)[0].amax(1).sum().backward()
    return time.process_time() - begin


def measure(side: str, steps: int, *, batch_size: int, hidden_size: int, kernel: str, passes: int) -> str:
    """Megabytes and seconds, to be read by the process that asked."""
    torch.set_num_threads(1)
    model = layers(side, hidden_size, kernel)
    one_pass(model, torch.randn(batch_size, 64, INPUT_SIZE))
    x = torch.randn(batch_size, steps, INPUT_SIZE)
    before = megabytes()
    seconds = statistics.median(one_pass(model, x) for _ in range(passes))
    return f"{megabytes() - before} {seconds}"


def main() -> None:
    """The table, one line a length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--hidden-size", type=int, default=64)
    parser.add_argument("--kernel", default="auto")
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)  # a process of the table
    given = parser.parse_args()
    if given.side:
        print(measure(given.side, given.steps[0], batch_size=given.batch_size, hidden_size=given.hidden_size,
                      kernel=given.kernel, passes=given.passes))  # fmt: skip
        return
    print("| steps | " + " | ".join(f"{side}, MB" for side in SIDES) + " | " + " | ".join(f"{s}, s" for s in SIDES)
          + " |\n|" + "---|" * (1 + 2 * len(SIDES)))  # fmt: skip
    for steps in given.steps:
        found = [_of_a_process(given, side, steps) for side in SIDES]
        cells = [f"{megabytes:,.0f}" for megabytes, _ in found] + [f"{seconds:.2f}" for _, seconds in found]
        print(f"| {steps:,} | " + " | ".join(cells) + " |", flush=True)


def _of_a_process(given: argparse.Namespace, side: str, steps: int) -> tuple[float, float]:
    options = {"--side": side, "--steps": steps, "--batch-size": given.batch_size, "--kernel": given.kernel,
               "--hidden-size": given.hidden_size, "--passes": given.passes}  # fmt: skip
    words = [str(word) for option in options.items() for word in option]
    answer = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True).stdout
    megabytes, seconds = answer.split()
    return float(megabytes), float(seconds)


if __name__ == "__main__":
    main()
