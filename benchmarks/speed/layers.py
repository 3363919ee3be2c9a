"""Speed of the layer beside torch's own, and of a training step with and without freed memory kept.

    python benchmarks/speed/layers.py [--threads 1] [--rounds 7]

Ours and torch's run in turn in one process; the median of several rounds counts. What is measured in two processes
(memory kept or not) is said. Nothing is printed for a kernel whose output is not torch's.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import gatewise
from gatewise.testing import assert_as_accurate
from gatewise.training.allocator import keep_freed_memory

SHAPES = [  # T, B, I, H, directions
    (100, 32, 64, 64, 2),
    (512, 32, 128, 64, 2),
    (100, 128, 32, 256, 1),
]


def milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def interleaved(works: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median of each, run in turn."""
    for work in works:
        work()
    times = [[milliseconds(work) for work in works] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def train_ours(layer: nn.Module, x: Tensor, lengths: Tensor | None) -> Tensor:
    output, _ = layer(x, lengths=lengths)
    output.sum().backward()
    return output  # type: ignore[no-any-return]


def train_torchs(layer: nn.Module, x: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        output, _ = layer(x)
    else:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        output, _ = nn.utils.rnn.pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=x.shape[1])
    output.sum().backward()
    return output


def layers(rounds: int) -> None:
    print("| layer (T, B, I, H, directions), forward and backward | gatewise, ms | torch, ms | torch / gatewise |")
    print("|---|---|---|---|")
    for T, B, I, H, D in SHAPES:
        theirs = nn.LSTM(I, H, batch_first=True, bidirectional=D == 2)
        ours = gatewise.LSTM(I, H, batch_first=True, bidirectional=D == 2)
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(B, T, I)
        ragged = torch.linspace(0.1 * T, T, B).long()
        for name, lengths in (("", None), (", ragged (55 % full)", ragged)):
            outputs = train_ours(ours, x, lengths), train_torchs(theirs, x, lengths)
            truth = train_torchs(theirs.double(), x.double(), lengths)
            theirs.float()
            assert_as_accurate(*outputs, truth, what="speed")
            a, b = interleaved(
                [
                    lambda o=ours, x=x, n=lengths: train_ours(o, x, n),
                    lambda t=theirs, x=x, n=lengths: train_torchs(t, x, n),
                ],
                rounds,
            )
            print(f"| {T}, {B}, {I}, {H}, {D}{name} | {a:.1f} | {b:.1f} | {b / a:.2f} |", flush=True)


def reference_step(rounds: int) -> float:
    """Milliseconds of a training step of the founding architecture, batch 32."""
    torch.manual_seed(0)
    model = gatewise.recipes.bilstm(input_size=1, num_classes=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)
    x, y = torch.randn(32, 512, 1), torch.randint(2, (32,))

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return interleaved([step], rounds)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--step", choices=["kept", "returned"], help="only the step, its milliseconds")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.step:
        if arguments.step == "kept":
            keep_freed_memory()
        print(reference_step(arguments.rounds))
        return
    print(f"{platform.processor() or platform.machine()}, {arguments.threads} thread(s), torch {torch.__version__}\n")
    layers(arguments.rounds)
    print("\n| training step of `bilstm`, batch 32, 512 steps; three processes each | ms |")
    print("|---|---|")
    for name in ("returned", "kept"):
        command = [sys.executable, __file__, "--threads", str(arguments.threads), "--step", name]
        runs = [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(3)]
        print(
            f"| freed memory {name} | {statistics.median(runs):.0f} ({min(runs):.0f} to {max(runs):.0f}) |", flush=True
        )


if __name__ == "__main__":
    main()
