"""Small files to train on, and the settings for it."""

import numpy as np


def write_wide(path, *, rows=24, steps=8, seed=0, labels=("down", "up"), header=True):
    """A wide CSV: two classes told apart by their mean."""
    rng = np.random.default_rng(seed)
    lines = [",".join([*(f"t{t}" for t in range(steps)), "label"])] if header else []
    for row in range(rows):
        k = row % len(labels)
        lines.append(",".join([*(f"{value:.4f}" for value in rng.normal(2 * k, 1, steps)), labels[k]]))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_long(path, *, recordings=24, seed=0, people=6):
    """A long CSV: ragged, two channels, a person for each recording."""
    rng = np.random.default_rng(seed)
    lines = ["recording,person,t,x,y,label,score"]
    for recording in range(recordings):
        k = recording % 2
        for t in range(rng.integers(3, 9)):
            x, y = rng.normal(2 * k, 1, 2)
            lines.append(f"r{recording},p{recording % people},{t},{x:.4f},{y:.4f},{'up' if k else 'down'},{k + 0.5}")
    path.write_text("\n".join(lines) + "\n")
    return path


QUICK = ("--epochs", "2", "--set", "model.hidden_sizes=[4]", "--seed", "1", "--threads", "1")
