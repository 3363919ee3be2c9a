"""Two processes over gloo: the same gradient as one, a whole run, a stop together."""

import os
import subprocess
import sys

import numpy as np
import torch
from safetensors.torch import load_file

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

SCRIPT = """
import sys
import numpy as np
import gatewise as gw

rng = np.random.default_rng(0)
y = rng.integers(2, size=40)
x = [rng.normal(label, 1, size=(rng.integers(4, 12), 2)) for label in y]
settings = {
    "train.epochs": 1, "train.batch_size": 32, "train.schedule": "constant", "train.clip_norm": 0.0,
    "train.weight_decay": 0.0, "model.hidden_sizes": [6], "model.dropout": 0.0, "model.augment.noise": 0.0,
    "model.augment.scale": 0.0, "loss.class_weights": "balanced", "train.device": "cpu", "train.threads": 1,
    "train.precision": "64",
}
run = gw.train("classification", data=x, targets=[str(v) for v in y], out=sys.argv[1], settings=settings,
               progress=False, report=False)
print(run.results["validation"]["accuracy"])
"""


def test_two_processes_train_as_one(tmp_path):
    """In float64, ragged, class weights, batch norm: the first step's weights agree; results are written once."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    for name, command in (("one", [sys.executable]), ("two", TORCHRUN)):
        done = subprocess.run(
            [*command, str(script), str(tmp_path / name)],
            env=ENVIRONMENT, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        assert value.dtype in (torch.float64, torch.int64)
        # Adam divides by the gradient's size, which enlarges roundings of tiny ones: a thousandth of its step passes.
        # With statistics of batch norm by process the difference is a whole step.
        torch.testing.assert_close(two[name], value, atol=2e-6, rtol=1e-6, msg=name)


def test_command_line_under_torchrun(tmp_path):
    y = np.array(["a", "b"] * 20)
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).normal(size=(40, 6, 2)) + (y == "a")[:, None, None], y=y)
    words = ["train", "classification", "--data", "data.npz", "--test", "data.npz", "--out", "run", "--epochs", "2"]
    done = subprocess.run(
        [*TORCHRUN, "-m", "gatewise", *words, "--threads", "1"],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"results.json", "report.html", "weights.safetensors"} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }
    assert done.stdout.count("Best epoch") == 1
