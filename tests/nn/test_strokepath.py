"""The path of a pen at equal distances: against its definition written out, one drawing at a time."""

import numpy as np
import pytest
import torch

from gatewise.data.strokes import stroke_features
from gatewise.errors import OptionError
from gatewise.nn.strokepath import CENTRES, IN_THE_AIR, WIDTHS, StrokePath

STEPS = 24


def drawing(rng, steps, lifts=0.25):
    points = np.concatenate([rng.normal(size=(steps, 2)).cumsum(0), rng.random((steps, 1)) < lifts], 1)
    points[-1, 2] = 1
    return points


def batch_of(drawings, fill=0.0):
    x = torch.full((len(drawings), max(map(len, drawings)), 7), fill)
    for row, points in enumerate(drawings):
        x[row, : len(points)] = torch.from_numpy(stroke_features(points))
    return x, torch.tensor([len(points) for points in drawings])


def by_hand(features):
    """Positions and context of one drawing."""
    places, pens = features[:, :2].astype(np.float64), features[:, 6]
    ways = np.linalg.norm(np.diff(places, axis=0), axis=1) * np.where(pens[:-1] > 0.5, IN_THE_AIR, 1)
    until = np.concatenate([[0], np.cumsum(ways)])
    wanted = np.linspace(0, until[-1], STEPS)
    path = np.stack([np.interp(wanted, until, places[:, axis]) for axis in range(2)], 1)
    air = np.zeros(STEPS, dtype=bool)
    for n, place in enumerate(wanted):
        for t in np.flatnonzero(pens[:-1] > 0.5):
            air[n] |= until[t] + 1e-6 < place < until[t + 1] - 1e-6
    centres = [*(-np.array(CENTRES[:0:-1])), *CENTRES]
    widths = [*WIDTHS[:0:-1], *WIDTHS]
    context = np.zeros((STEPS, len(centres), len(centres)))
    for n in range(STEPS):
        for m in np.flatnonzero(~air):
            across, along = (
                np.exp(-(((path[m] - path[n])[axis] - centres) ** 2) / (2 * np.square(widths))) for axis in range(2)
            )
            context[n] += np.outer(across, along) * 8 / STEPS
    return path, air, context.reshape(STEPS, -1)


@pytest.mark.parametrize("seed", range(4))
def test_the_path_as_written_out(seed):
    rng = np.random.default_rng(seed)
    x, lengths = batch_of([drawing(rng, steps) for steps in (12, 2, 7)])
    y, after = StrokePath(STEPS)(x, lengths)
    assert y.shape == (3, STEPS, StrokePath.OUTPUT_SIZE)
    assert after.tolist() == [STEPS] * 3
    for row, length in enumerate(lengths.tolist()):
        path, air, context = by_hand(x[row, :length].numpy())
        np.testing.assert_allclose(y[row, :, :2].numpy(), path, atol=1e-4)
        np.testing.assert_array_equal(y[row, :, 6].numpy(), air)
        np.testing.assert_allclose(y[row, :, 7:].numpy(), context, atol=2e-3)
        ways = np.diff(path, axis=0, prepend=path[:1])
        np.testing.assert_allclose(y[row, :, 2:4].numpy(), ways * STEPS / 8, atol=1e-3)
        norms = y[row, :, 4:6].norm(dim=-1)
        np.testing.assert_allclose(norms[1:].numpy(), 1, atol=1e-3)


def test_the_pace_of_the_pen_does_not_matter():
    rng = np.random.default_rng(0)
    slow = drawing(rng, 8, lifts=0)
    # Every way in four pieces, unevenly.
    share = np.array([0.0, 0.1, 0.2, 0.7])
    pieces = slow[:-1, None, :2] + share[None, :, None] * np.diff(slow[:, :2], axis=0)[:, None]
    fast = np.concatenate([pieces.reshape(-1, 2), slow[-1:, :2]])
    fast = np.concatenate([fast, np.arange(len(fast))[:, None] == len(fast) - 1], 1)
    x, lengths = batch_of([slow, fast])
    y, _ = StrokePath(STEPS)(x, lengths)
    torch.testing.assert_close(y[0], y[1], atol=1e-3, rtol=1e-3)


def test_the_surroundings_do_not_depend_on_the_order():
    rng = np.random.default_rng(0)
    forwards = drawing(rng, 9, lifts=0)
    backwards = forwards[::-1].copy()
    backwards[:, 2] = backwards[::-1, 2]
    x, lengths = batch_of([forwards, backwards])
    y, _ = StrokePath(STEPS)(x, lengths)
    torch.testing.assert_close(y[0, :, 7:], y[1, :, 7:].flip(0), atol=1e-3, rtol=1e-3)
    assert (y[0, 1:, 4:6] - y[1, 1:, 4:6]).abs().max() > 0.5, "directions do"


@pytest.mark.parametrize("fill", [0.0, 1e9, float("nan")])
def test_a_drawing_does_not_see_the_batch(fill):
    rng = np.random.default_rng(0)
    drawings = [drawing(rng, steps) for steps in (9, 1, 4)]
    x, lengths = batch_of(drawings, fill)
    path = StrokePath(STEPS)
    together, after = path(torch.cat([x, torch.full((1, 9, 7), fill)]), torch.cat([lengths, torch.tensor([0])]))
    assert after.tolist() == [STEPS, STEPS, STEPS, 0]
    assert (together[3] == 0).all()
    assert torch.isfinite(together).all()
    for row, length in enumerate(lengths.tolist()):
        alone, none = path(x[row : row + 1, :length])
        assert none is None
        torch.testing.assert_close(together[row], alone[0])


def test_a_dot_is_a_dot():
    x, _ = batch_of([np.array([[3, 4, 1]])])
    y, _ = StrokePath(4)(x)
    assert (y[..., :7] == 0).all()


def test_what_is_refused():
    with pytest.raises(OptionError, match="at least 2 steps, got 1"):
        StrokePath(1)
