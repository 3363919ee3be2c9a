"""Runs that are trained in a moment, for tests that look into them."""

import numpy as np

import gatewise

RATE = 2000  # samples a second, of tones
SETTINGS = {"train.epochs": 2, "train.threads": 1, "model.hidden_sizes": [4]}


def trained(task, out, data, targets=None, **settings):
    return gatewise.train(
        task, data=data, targets=targets, out=out, settings={**SETTINGS, **settings}, progress=False, report=False
    )


def trained_on_tones(out):
    """A run on eight short recordings, each a high or a low tone between quiet ends; and the recordings."""
    rng, time = np.random.default_rng(0), np.arange(1200) / RATE
    sounds = []
    for row in range(8):
        wave = np.where((time > 0.2) & (time < 0.4), np.sin(2 * np.pi * (200 if row % 2 else 600) * time), 0.0)
        sounds.append((wave + 0.001 * rng.normal(size=1200)).astype(np.float32))
    names = ["low" if row % 2 else "high" for row in range(8)]
    more = {"data.media.rate": RATE, "model.recipe": "audio-lstm", "model.mel_bands": 6, "data.valid_fraction": 0.0}
    return trained("audio-classification", out, sounds, names, **more), sounds
