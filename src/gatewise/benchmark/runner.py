"""Starts the processes that measure, and makes a report of what they answer."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gatewise.benchmark.child import Job
from gatewise.benchmark.machine import machine
from gatewise.benchmark.settings import ISAS, MEMORY_HEAVY, Settings, Work, plan
from gatewise.errors import GatewiseError, OptionError
from gatewise.kernels import select
from gatewise.kernels.cpu import library
from gatewise.kernels.select import check_name, plain_request

HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "THP_MEM_ALLOC_ENABLE": "1"}
"""What has glibc and torch ask for huge pages, where the system gives them to who asks."""

Answer = dict[str, Any]
Execute = Callable[[Job, Settings], Answer]


class BenchmarkError(GatewiseError, RuntimeError):
    """A process that measures has died; says what it said last."""


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest over the processes."""

    median: float
    min: float
    max: float

    @staticmethod
    def of(values: Sequence[float]) -> "Spread":
        """Of one number a process."""
        return Spread(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """One comparison.

    ``ratio`` is torch's time by ours, of variants the variant's time by the plain cell's on the same kernel. It is None
    where ``wrong`` or ``not_served`` says why; then no time is told either.
    """

    group: str
    work: Work
    contender: str
    against: str
    allocator: str
    kernel: str | None = None
    ours_ms: Spread | None = None
    against_ms: Spread | None = None
    ratio: Spread | None = None
    wrong: str | None = None
    not_served: str | None = None


@dataclass
class Report:
    """Everything that was found."""

    machine: dict[str, Any]
    settings: Settings
    rows: list[Row] = field(default_factory=list)
    profiles: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether no check failed."""
        return not any(row.wrong for row in self.rows) and not any(profile["wrong"] for profile in self.profiles)

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        rows = [asdict(row) | {"name": row.work.name} for row in self.rows]
        return {"machine": self.machine, "settings": asdict(self.settings), "rows": rows, "profiles": self.profiles}


def in_child(job: Job, settings: Settings) -> Answer:
    """Does a job in a fresh process.

    Raises:
        BenchmarkError: the process died.
    """
    environment = dict(os.environ)
    if settings.isa is not None:
        environment |= {"GATEWISE_CPU_ISA": settings.isa, **ISAS[settings.isa]}
    if job.allocator == "tuned":
        environment |= HUGE_PAGES
    child = subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        out, err = child.communicate(job.to_json())
    finally:  # also after Ctrl-C
        child.kill()
        child.wait()
    if child.returncode != 0:
        said = err.strip().splitlines()[-1:] or [f"exit code {child.returncode}, which says no more"]
        raise BenchmarkError(f"bench: the process of {job.work.group} ({job.work.name}) died: {said[0]}.")
    answer: Answer = json.loads(out.splitlines()[-1])
    return answer


COMMAND = [sys.executable, "-m", "gatewise.benchmark.child"]


def bench(
    settings: Settings, *, execute: Execute | None = None, watch: Callable[[str, int], None] | None = None
) -> Report:
    """Measures.

    A check of each work comes first. Then every process of every work, the works in turn, so that a slow minute of the
    machine falls on one process of each and not on all processes of one.

    Args:
        settings: what and how.
        execute: does one job; None: :func:`in_child`.
        watch: is told before each job what it is, and how many there are in all.

    Raises:
        OptionError: there is no such kernel, or no such instruction set here.
        KernelUnavailable: the kernel that is named does not run here.
        BenchmarkError: a process died.
    """
    _check_that_it_runs(settings)
    found = machine()
    jobs = _jobs(settings)
    checked: dict[Work, Answer] = {}
    answers: list[tuple[Job, Answer]] = []
    for job in jobs:
        if watch is not None:
            watch(f"{job.task} {job.work.group}", len(jobs))
        if job.task == "measure" and not _is_worth_it(checked[job.work]):
            continue
        answer = (execute or in_child)(job, settings)
        answers.append((job, answer))
        if job.task == "check":
            checked[job.work] = answer
    report = Report(found | answers[0][1]["facts"], settings)
    for work, check in checked.items():
        for allocator in _allocators(work, settings):
            same = [a for job, a in answers if (job.task, job.work, job.allocator) == ("measure", work, allocator)]
            report.rows += _rows(work, allocator, check, same)
    for job, answer in answers:
        if job.task == "profile":
            what = {"name": job.work.name, "dtype": job.work.dtypes[0]}
            report.profiles.append(what | {"wrong": answer["wrong"], "parts_ms": answer["parts"]})
    return report


def _check_that_it_runs(settings: Settings) -> None:
    if check_name(settings.kernel) != "auto":
        select(plain_request("cpu"), settings.kernel)
    if settings.isa is not None and library.why_not() is None and settings.isa not in library.available_isas():
        isas = ", ".join(library.available_isas())
        raise OptionError(f"bench: expected --isa of what runs here, {isas}, got {settings.isa!r}.")


def _jobs(settings: Settings) -> list[Job]:
    """All checks, all measurements, all profiles."""
    works = plan(settings)
    compared = [work for work in works if work.group != "profile"]

    def job(task: str, work: Work, allocator: str = "default") -> Job:
        return Job(task, work, settings.kernel, settings.threads, settings.rounds, settings.seconds, allocator)

    checks = [job("check", work) for work in compared]
    measured = [
        job("measure", work, allocator)
        for _ in range(settings.processes)
        for allocator in settings.allocators
        for work in compared
        if allocator in _allocators(work, settings)
    ]
    return [*checks, *measured, *(job("profile", work) for work in works if work.group == "profile")]


def _is_worth_it(check: Answer) -> bool:
    """Whether there is anyone to measure who is served and right."""
    return any(
        against is not None and name not in check["not_served"] and name not in check["wrong"]
        for name, against in check["against"].items()
    )


def _allocators(work: Work, settings: Settings) -> tuple[str, ...]:
    """Those that a work is measured with: the default alone where memory hardly matters and there is a choice."""
    return settings.allocators if work.group in MEMORY_HEAVY else settings.allocators[:1]


def _rows(work: Work, allocator: str, check: Answer, measured: list[Answer]) -> list[Row]:
    rows = []
    for name, against in check["against"].items():
        if against is None:
            continue
        kernel, wrong = check["kernels"].get(name), check["wrong"]
        reason = wrong.get(name) or (f"{against}: {wrong[against]}" if against in wrong else None)
        row = Row(
            work.group, work, name, against, allocator, kernel, wrong=reason, not_served=check["not_served"].get(name)
        )
        if row.wrong is None and row.not_served is None:
            ours = [statistics.median(answer["ms"][name]) for answer in measured]
            theirs = [statistics.median(answer["ms"][against]) for answer in measured]
            up = work.group != "variants"
            ratios = [b / a if up else a / b for a, b in zip(ours, theirs, strict=True)]
            row = replace(row, ours_ms=Spread.of(ours), against_ms=Spread.of(theirs), ratio=Spread.of(ratios))
        rows.append(row)
    return rows
