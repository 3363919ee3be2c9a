"""The largest resident memory of a few training steps of the reference model, beyond what the process had before.

    python benchmarks/speed/memory.py {gatewise,torch} [--batch-size 32]

One side a process: the system keeps only the largest figure of each.
"""

import argparse
import resource

import torch
from torch import nn

from gatewise.benchmark.models import ours, torchs

STEPS = 4


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # from KiB, as Linux counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=["gatewise", "torch"])
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model: nn.Module = torchs() if arguments.side == "torch" else ours(torchs(), "cpu")
    optimizer = torch.optim.Adam(model.train().parameters())
    x, y = torch.randn(arguments.batch_size, 512, 1), torch.randint(2, (arguments.batch_size,))
    before = megabytes()
    for _ in range(STEPS):
        optimizer.zero_grad()
        scores = model(x)[0] if arguments.side == "torch" else model(x)
        nn.functional.cross_entropy(scores, y).backward()
        optimizer.step()
    print(f"{arguments.side}, batch {arguments.batch_size}: {megabytes() - before:.0f} MB")


if __name__ == "__main__":
    main()
