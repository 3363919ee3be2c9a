"""`gatewise bench` on tiny sizes: what it prints is whole, and nothing fast but wrong gets a figure."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gatewise.benchmark import GROUPS, Settings, bench, runner
from gatewise.benchmark.child import Job, answer
from gatewise.benchmark.layer_works import CELLS
from gatewise.benchmark.profile import Marks
from gatewise.benchmark.settings import plan
from gatewise.benchmark.tables import tables
from gatewise.kernels.native import native
from gatewise.types import State

select = importlib.import_module("gatewise.kernels.select")  # the package has a function of this name

TINY = ("--threads", "1", "--processes", "1", "--rounds", "1", "--seconds", "0", "--steps", "3", "--batch-size", "2")


@pytest.fixture
def here(monkeypatch):
    """Jobs run in this process: quicker, and what is patched here counts."""
    monkeypatch.setattr(runner, "in_child", lambda job, settings: answer(job))


class Wrong:
    """PyTorch's numbers, all of them too large."""

    name = "wrong"
    why_not = staticmethod(native.why_not)

    def run(self, request, inputs):
        output, state = native.run(request, inputs)
        return output + 0.1, State(state.h + 0.1, state.c)


@pytest.fixture
def wrong(here, monkeypatch):
    """A kernel that computes nonsense is the first choice."""
    monkeypatch.setattr(select, "KERNELS", (Wrong(), *select.KERNELS))
    monkeypatch.setattr(select, "AUTO", {"cpu": ("wrong", *select.AUTO["cpu"])})


def test_everything(gatewise, here):
    answer = gatewise("bench", *TINY, "--json")
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    assert {row["group"] for row in report["rows"]} == set(GROUPS) - {"profile"}
    assert {"processor", "cores", "threads", "torch", "gatewise", "load_average", "busy"} <= report["machine"].keys()
    for row in report["rows"]:
        assert row["wrong"] is None
        if row["not_served"] is None:
            assert row["kernel"] in [kernel.name for kernel in select.KERNELS]
            ours, against, ratio = row["ours_ms"], row["against_ms"], row["ratio"]
            expected = ours["median"] / against["median"]
            expected = expected if row["group"] == "variants" else 1 / expected
            assert ratio["median"] == pytest.approx(expected)  # of one process
            assert ratio["min"] <= ratio["median"] <= ratio["max"]
    assert {row["allocator"] for row in report["rows"] if row["group"] == "train"} == {"default", "tuned"}
    assert {row["contender"] for row in report["rows"] if row["group"] == "train"} == {"float32", "bfloat16"}
    assert {row["contender"] for row in report["rows"] if row["group"] == "variants"} == set(CELLS)
    (profile,) = report["profiles"]
    for side in ("gatewise", "torch"):
        parts = profile["parts_ms"][side]
        assert len(parts) == 10
        assert all(part > 0 for part in parts.values())
        assert list(parts)[-2:] == ["LSTM 2, backward", "LSTM 1, backward"]


@pytest.mark.parametrize("more", [(), ("--markdown",)])
def test_tables(gatewise, here, more):
    answer = gatewise("bench", "layers", "streaming", *TINY, *more)
    assert answer.code == 0, answer.err
    for part in ("torch / gatewise", "Streaming", "µs", "thread(s)", "rounds or more", "3, 32, 128, 64, tuned"):
        assert part in answer.out
    assert ("| ---: |" in answer.out) == bool(more)


def test_in_processes_of_their_own(gatewise):
    """The real thing, held to AVX2, twice."""
    words = ("--processes", "2", "--rounds", "1", "--seconds", "0", "--threads", "1", "--isa", "avx2")
    answer = gatewise("bench", "streaming", *words, "--kernel", "native", "--json")
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    assert report["machine"]["threads"] == 1
    assert report["machine"]["torch_instruction_set"] in ("AVX2", "NO AVX", "DEFAULT")
    assert [row["kernel"] for row in report["rows"]] == ["native"]
    assert report["settings"]["processes"] == 2


def test_nothing_is_told_of_the_speed_of_a_wrong_kernel(gatewise, wrong):
    answer = gatewise("bench", "layers", "ragged", "train", "infer", "streaming", *TINY, "--allocator", "default")
    assert answer.code == 1
    rows = json.loads(gatewise("bench", "layers", "train", "variants", *TINY, "--json").out)["rows"]
    assert rows
    for row in rows:
        if row["kernel"] == "wrong":
            assert row["wrong"]
            assert row["ratio"] is row["ours_ms"] is row["against_ms"] is None
        elif row["group"] == "variants":  # the reference kernel's are right all the same
            assert row["ratio"] or row["wrong"].startswith("plain cell on wrong")
    assert "wrong: " in answer.out.replace("\n", " ")


def test_a_wrong_gradient_is_seen(wrong, monkeypatch):
    def run(self, request, inputs):
        output, state = native.run(request, inputs)
        return output + 0.1 * (output - output.detach()), state

    monkeypatch.setattr(Wrong, "run", run)
    settings = Settings(work=("layers", "profile"), steps=3, processes=1, rounds=1, seconds=0, threads=1)
    report = bench(settings)
    assert not report.is_right
    assert all("gradient" in row.wrong for row in report.rows)
    assert "gradient" in report.profiles[0]["wrong"]
    assert report.profiles[0]["parts_ms"] is None
    assert "wrong: gradient" in list(tables(report))[-1].to_markdown()


def test_a_kernel_that_does_not_serve(gatewise, here):
    answer = gatewise("bench", "variants", "layers", *TINY, "--kernel", "native")
    assert answer.code == 0
    assert "not served" in answer.out


def test_mistakes(mistake):
    assert 'Did you mean "train"?' in mistake("bench", "trian")
    assert 'Did you mean "reference"?' in mistake("bench", "--kernel", "refrence")
    assert "float16" in mistake("bench", "--dtype", "float16")
    assert "two" in mistake("bench", "--batch-size", "two")
    assert "avx3" in mistake("bench", "--isa", "avx3")
    assert "at least 1" in mistake("bench", "--batch-size", "0")
    assert "--processes" in mistake("bench", "--processes", "0")
    assert "--allocator" in mistake("bench", "--allocator", "")


def test_a_process_that_dies_is_told_in_a_line(gatewise, monkeypatch):
    monkeypatch.setattr(runner, "COMMAND", [sys.executable, "-c", "import os; os.abort()"])
    answer = gatewise("bench", "streaming", *TINY)
    assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
    assert "the process of streaming" in answer.err
    monkeypatch.setattr(runner, "COMMAND", [sys.executable, "-c", "raise RuntimeError('no memory left')"])
    assert "no memory left" in gatewise("bench", "streaming", *TINY).err


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are looked for in /proc")
def test_ctrl_c_leaves_no_process():
    command = [sys.executable, "-m", "gatewise", "bench", "train", "--threads", "1", "--seconds", "600"]
    parent = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, text=True
    )
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    end = time.monotonic() + 60
    try:
        while not (pids := children.read_text().split()) and time.monotonic() < end:
            time.sleep(0.05)
        os.kill(parent.pid, signal.SIGINT)  # the parent alone, as `kill -INT` does
        out, err = parent.communicate(timeout=60)
    finally:
        if parent.poll() is None:  # where the test fails, it must not leave ten minutes of work behind
            os.killpg(parent.pid, signal.SIGKILL)
    assert pids
    assert (parent.returncode, out) == (130, ""), err
    assert "Traceback" not in err
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_every_work_runs_once_in_a_plan():
    for group in GROUPS:
        works = plan(Settings(work=(group,)))
        assert works
        assert {work.group for work in works} == {group}
        assert len(set(works)) == len(works)
    assert [work.B for work in plan(Settings(work=("train", "layers"), batch_sizes=(256,)))] == [
        256,
        32,
        32,
        128,
        16,
        1,
    ]


def test_a_job_survives_the_way_to_its_process():
    for work in plan(Settings()):
        job = Job("measure", work, threads=2, allocator="tuned")
        assert Job.from_json(job.to_json()) == job


def test_marks_add_up():
    mark = Marks()
    start = time.perf_counter()
    for part in ("a", "b", "a"):
        mark(part)
        time.sleep(0.002)
    times = mark.milliseconds()
    assert list(times) == ["a", "b"]
    assert sum(times.values()) <= 1e3 * (time.perf_counter() - start)
    assert times["a"] >= 4
    assert mark.marks == []
