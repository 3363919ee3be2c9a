"""One process of the benchmark: a job comes in on standard input, the answer goes out as the last line.

Run as ``python -m gatewise.benchmark.child``; environment variables that choose instruction sets are set before.
"""

import json
import sys
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from gatewise.benchmark.measure import in_turn
from gatewise.benchmark.profile import profile
from gatewise.benchmark.settings import Work
from gatewise.benchmark.workloads import contenders
from gatewise.kernels import record_kernels
from gatewise.kernels.cpu import library
from gatewise.training.allocator import keep_freed_memory


@dataclass(frozen=True)
class Job:
    """What one process does.

    Args:
        task: ``"check"``, ``"measure"`` or ``"profile"``.
        work: with what.
        kernel: ours.
        threads: None: torch's own choice.
        rounds: at least.
        seconds: at least.
        allocator: one of :data:`~gatewise.benchmark.settings.ALLOCATORS`; huge pages are asked for by the environment.
    """

    task: str
    work: Work
    kernel: str = "auto"
    threads: int | None = None
    rounds: int = 5
    seconds: float = 0.5
    allocator: str = "default"

    def to_json(self) -> str:
        """As it goes to the process."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Job":
        """As it comes in."""
        plain = json.loads(text)
        plain["work"]["dtypes"] = tuple(plain["work"]["dtypes"])
        return Job(**plain | {"work": Work(**plain["work"])})


def answer(job: Job) -> dict[str, Any]:
    """Does the job; the answer is ready for JSON.

    Returns:
        ``facts`` of the process, and for a check ``against``, ``kernels``, ``wrong`` and ``not_served`` by contender;
        for a measurement ``ms``, a list of rounds by contender; for a profile ``parts`` by side, or what is ``wrong``.
    """
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    if job.allocator != "default":
        keep_freed_memory()
    found: dict[str, Any] = {"facts": _facts()}
    if job.task == "profile":
        reason = contenders(replace(job.work, group="train"), job.kernel)[1].check()
        parts = None if reason else profile(job.work, job.kernel, job.rounds)
        return found | {"wrong": reason, "parts": parts}
    everyone = contenders(job.work, job.kernel)
    serving = [contender for contender in everyone if contender.not_served is None]
    if job.task == "measure":
        return found | {"ms": in_turn(serving, rounds=job.rounds, seconds=job.seconds)}
    wrong, kernels = {}, {}
    for contender in serving:
        with record_kernels() as ran:
            reason = contender.check()
        # The last entries are those of the reference, where that says what is right.
        kernels[contender.name] = ran[0] if ran else None
        if reason is not None:
            wrong[contender.name] = reason
    return found | {
        "against": {contender.name: contender.against for contender in everyone},
        "kernels": kernels,
        "wrong": wrong,
        "not_served": {c.name: c.not_served for c in everyone if c.not_served is not None},
    }


def _facts() -> dict[str, Any]:
    return {
        "torch": torch.__version__,
        "torch_instruction_set": torch.backends.cpu.get_cpu_capability(),
        "cpu_kernel_instruction_set": None if library.why_not() else library.isa(),
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    """Reads a job, does it, prints the answer."""
    job = Job.from_json(sys.stdin.read())
    print(json.dumps(answer(job)), flush=True)


if __name__ == "__main__":
    main()
