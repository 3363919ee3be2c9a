"""Jitter makes features that the changed drawing or clip would have; resampling interpolates."""

import numpy as np
import pytest
import torch

from gatewise.data.skeletons import skeleton_features
from gatewise.data.strokes import stroke_features
from gatewise.errors import OptionError
from gatewise.nn.movement import MovementJitter, StrokeJitter, TimeResample, transformed_strokes


def drawing(rng, steps):
    points = np.concatenate([rng.normal(size=(steps, 2)).cumsum(0), rng.random((steps, 1)) < 0.3], 1)
    points[-1, 2] = 1
    return points


def test_a_changed_drawing_has_the_features_of_its_changed_points():
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    lengths = [9, 1, 5, 2]
    drawings = [drawing(rng, steps) for steps in lengths]
    x = torch.full((4, 9, 7), float("nan"))
    for row, points in enumerate(drawings):
        x[row, : len(points)] = torch.from_numpy(stroke_features(points))
    matrices = StrokeJitter(2.0).draw(x)
    changed = transformed_strokes(x, torch.tensor(lengths), matrices)
    for row, points in enumerate(drawings):
        moved = points.copy()
        moved[:, :2] = points[:, :2] @ matrices[row].numpy().astype(np.float64).T
        expected = torch.from_numpy(stroke_features(moved))
        torch.testing.assert_close(changed[row, : len(points)], expected, atol=1e-4, rtol=1e-4)
        assert (changed[row, len(points) :] == 0).all()


def test_strokes_are_changed_in_training_only():
    x = torch.from_numpy(stroke_features(drawing(np.random.default_rng(1), 20)))[None]
    assert StrokeJitter().eval()(x)[0] is x
    assert StrokeJitter(0.0).train()(x)[0] is x
    torch.manual_seed(0)
    once, again = StrokeJitter()(x)[0], StrokeJitter()(x)[0]
    assert (once - again).abs().max() > 0.01
    torch.testing.assert_close(once[..., 6], x[..., 6])


def test_maps_of_the_plane_are_near_the_identity():
    torch.manual_seed(0)
    matrices = StrokeJitter().draw(torch.zeros(4000, 1, 7))
    assert (torch.linalg.det(matrices) > 0).all()
    assert (matrices.mean(0) - torch.eye(2)).abs().max() < 0.05
    assert (matrices.std(0) > 0.1).all()


def test_a_turned_clip_has_the_features_of_its_turned_joints():
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(6, 5, 3)) + 4
    x = torch.from_numpy(skeleton_features(joints))[None]
    torch.manual_seed(0)
    jitter = MovementJitter(1.0).train()
    matrix = jitter.draw(x)[0].numpy().astype(np.float64)
    torch.manual_seed(0)
    changed, _ = jitter(x)
    turned = torch.from_numpy(skeleton_features(joints @ matrix.T))
    ratio = changed[0].norm() / turned.norm()  # the size is measured before
    torch.testing.assert_close(changed[0], turned * ratio, atol=1e-4, rtol=1e-4)
    assert MovementJitter().eval()(x)[0] is x


def test_turns_are_about_the_vertical():
    torch.manual_seed(0)
    jitter = MovementJitter(1.0)
    jitter.STRETCH = 0.0
    matrices = jitter.draw(torch.zeros(2000, 1, 3))
    eye = torch.eye(3).expand_as(matrices)
    torch.testing.assert_close(matrices @ matrices.mT, eye, atol=1e-5, rtol=0)
    assert matrices[:, 0, 2].std() > 2 * matrices[:, 0, 1].std(), "about the second axis most of all"


@pytest.mark.parametrize("steps", [1, 4, 9, 30])
def test_resampling_is_linear_interpolation(steps):
    torch.manual_seed(0)
    x = torch.randn(3, 9, 2)
    lengths = torch.tensor([9, 4, 1])
    y, after = TimeResample(steps).eval()(x, lengths)
    assert after.tolist() == [steps] * 3
    for row, length in enumerate(lengths.tolist()):
        at = np.linspace(0, length - 1, steps) if steps > 1 else np.zeros(1)
        for feature in range(2):
            expected = np.interp(at, np.arange(length), x[row, :length, feature].numpy())
            np.testing.assert_allclose(y[row, :, feature].numpy(), expected, atol=1e-5)


def test_resampling_does_not_see_the_padding():
    x = torch.randn(3, 9, 2)
    lengths = torch.tensor([9, 4, 0])
    resample = TimeResample(5).eval()
    expected = resample(x, lengths)[0]
    x[1, 4:] = float("nan")
    x[2] = float("nan")
    y, after = resample(x, lengths)
    torch.testing.assert_close(y[:2], expected[:2])
    assert (y[2] == 0).all()
    assert after.tolist() == [5, 5, 0]
    assert resample(x[:1])[1] is None


def test_crops_and_pace_in_training():
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 101)[None, :, None].expand(500, -1, -1)
    y, _ = TimeResample(51, crop=0.2, pace=0.5).train()(ramp)
    start, end = y[:, 0, 0], y[:, -1, 0]
    assert 0 <= start.min() < 0.02
    assert 0.18 < start.max() <= 0.2 + 1e-6
    assert 0.8 - 1e-6 <= end.min() < 0.82
    assert end.max() <= 1
    pace = y.diff(dim=1)[..., 0] / ((end - start) / 50)[:, None]
    assert pace.min() > 0.45, "time never stands still"
    assert 1.3 < pace.max() < 1.55
    y, _ = TimeResample(51, crop=0.2, pace=0.5).eval()(ramp[:1])
    torch.testing.assert_close(y[0, :, 0], torch.linspace(0, 1, 51))


def test_what_is_refused():
    with pytest.raises(OptionError, match=r"0 to 10, got -1"):
        StrokeJitter(-1)
    with pytest.raises(OptionError, match=r"0 to 10, got 11"):
        MovementJitter(11)
    for options in ({"steps": 0}, {"steps": 4, "crop": 0.5}, {"steps": 4, "pace": 1.0}):
        with pytest.raises(OptionError, match=r"TimeResample"):
            TimeResample(**options)
