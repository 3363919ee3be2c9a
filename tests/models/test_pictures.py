"""Models of strokes, lines, frames and skeletons, as tasks train them; and whose shares attention tells."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gatewise
from gatewise.data.config import DataConfig
from gatewise.data.handwriting import read_handwriting
from gatewise.data.media import MediaOptions
from gatewise.data.video import read_video
from gatewise.errors import OptionError
from gatewise.models.config import ModelConfig
from gatewise.models.pictures import line_lstm, skeleton_lstm, stroke_lstm, video_lstm
from gatewise.models.recipes import lstm
from gatewise.models.sequence_model import spread_shares
from gatewise.tasks import SIDES, TASKS, LossConfig
from gatewise.testing.tasks import check_task
from gatewise.training.config import Config, TrainConfig
from gatewise.training.prepare import prepare

COUNT = 16


def strokes(rng):
    """Bars, dashes and slants of different lengths."""
    ways = {"bar": (0, 1), "dash": (1, 0), "slant": (1, 1)}
    names = [list(ways)[i % 3] for i in range(COUNT)]
    items = []
    for name in names:
        steps = rng.integers(3, 9)
        points = np.outer(np.arange(steps), ways[name]) + 0.1 * rng.normal(size=(steps, 2))
        items.append(np.concatenate([points, np.zeros((steps, 1))], 1))
    return read_handwriting(items, names, MediaOptions())


def lines(rng):
    """One to three characters: a bar at the top, one at the bottom."""
    texts = ["".join(rng.choice(list("tb"), size=rng.integers(1, 4))) for _ in range(COUNT)]
    images = []
    for text in texts:
        image = np.zeros((8, 6 * len(text)), dtype=np.uint8)
        for place, character in enumerate(text):
            rows = slice(0, 3) if character == "t" else slice(5, 8)
            image[rows, 6 * place + 1 : 6 * place + 4] = 255
        images.append(image)
    return read_handwriting(images, texts, MediaOptions(height=8, target="text"))


def films(rng):
    """A bright column that moves to the right or to the left."""
    clips, names = [], []
    for i in range(COUNT):
        steps, start = rng.integers(3, 7), rng.integers(8)
        clip = np.zeros((steps, 8, 8), dtype=np.uint8)
        for t in range(steps):
            clip[t, :, (start + (t if i % 2 else -t)) % 8] = 255
        clips.append(clip)
        names.append("right" if i % 2 else "left")
    return read_video(clips, names, MediaOptions())


def skeletons(rng):
    """An arm that goes up or down."""
    clips, names = [], []
    for i in range(COUNT):
        clip = np.tile(rng.normal(size=(4, 3)), (rng.integers(4, 9), 1, 1))
        clip[:, 0, 1] += np.arange(len(clip)) * (1 if i % 2 else -1)
        clips.append(clip)
        names.append("up" if i % 2 else "down")
    return read_video(clips, names, MediaOptions())


WORKS = {
    "strokes": ("handwriting", strokes, "stroke-lstm", {"jitter": 0.0, "path_steps": 8, "stem_channels": (8,)}),
    "lines": ("handwriting", lines, "line-lstm", {"image_channels": (4, 6)}),
    "frames": ("video", films, "video-lstm", {"frame_channels": (4, 6), "frame_features": 8}),
    "skeletons": ("video", skeletons, "skeleton-lstm", {"jitter": 0.0, "resample": 6, "crop": 0.0, "pace": 0.0}),
}


def make(kind, **options):
    name, invent, recipe, given_options = WORKS[kind]
    data = invent(np.random.default_rng(0))
    adapter = SIDES[name].fit(data, DataConfig())
    if recipe == "stroke-lstm":
        given_options = {**given_options, "stem_kernel_sizes": (3,), "stem_strides": (2,)}
    config = ModelConfig(recipe=recipe, hidden_sizes=(8,), **{**given_options, **options})
    return TASKS[name](LossConfig(), adapter), config, adapter, data


@pytest.mark.parametrize("kind", WORKS)
def test_checks_of_every_kind(kind):
    task, config, adapter, data = make(kind)
    check_task(task, config, adapter.encode(data))


def test_checks_with_attention_over_fewer_steps():
    task, config, adapter, data = make("strokes", pool="attention", path_steps=0)
    examples = adapter.encode(data)
    check_task(task, config, examples)
    batch = task.collate(list(examples))
    answers = task.predict(None, batch, task.build(config).eval()(batch))
    assert [len(answer.attention) for answer in answers] == data.steps.tolist()
    assert all(sum(answer.attention) == pytest.approx(1, abs=1e-5) for answer in answers)


def test_shares_of_a_path_are_told_of_no_point():
    """Evenly over the path is not evenly over the points."""
    task, config, adapter, data = make("strokes", pool="attention")
    batch = task.collate(list(adapter.encode(data)))
    assert task.build(config).eval()(batch).attention is None


@pytest.mark.parametrize("kind", WORKS)
def test_the_recipe_follows_from_the_data(kind):
    name, _, recipe, _ = WORKS[kind]
    _, _, adapter, _ = make(kind)
    assert SIDES[name].model(ModelConfig(recipe="auto"), adapter).recipe == recipe


@pytest.mark.parametrize("kind", ["strokes", "skeletons"])
def test_jitter_is_for_training(kind):
    task, config, adapter, data = make(kind, jitter=1.0)
    model = task.build(config)
    batch = task.collate(adapter.encode(data)[:4])
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = [model(batch).scores for _ in range(2)]
        fixed = [model.eval()(batch).scores for _ in range(2)]
    assert not torch.equal(*drawn)
    assert torch.equal(*fixed)


# Attention ------------------------------------------------------------------------------------------------------------


def spread_by_hand(shares, left, steps):
    """The share of every tiny piece of time goes to the step that it lies in."""
    pieces = left * steps
    answer = np.zeros(steps)
    for piece in range(pieces):
        answer[piece * steps // pieces] += shares[piece * left // pieces] * left / pieces
    return answer


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 2**31))
def test_spread_shares_against_pieces(left, steps, seed):
    shares = np.random.default_rng(seed).dirichlet(np.ones(left))
    padded = torch.zeros(1, left + 2, dtype=torch.float64)
    padded[0, :left] = torch.from_numpy(shares)
    got = spread_shares(padded, torch.tensor([left]), torch.tensor([steps]), steps + 3)[0]
    np.testing.assert_allclose(got[:steps].numpy(), spread_by_hand(shares, left, steps), atol=1e-6)
    np.testing.assert_allclose(got[steps:].numpy(), 0, atol=1e-12)


@pytest.mark.parametrize("steps", [32_000, 480_000])
def test_shares_of_long_sequences_do_not_drift(steps):
    """Every step of a stretch has the same share, and together they have that of the stretch."""
    left = steps // 160
    shares = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(left)))[None].float()
    got = spread_shares(shares, torch.tensor([left]), torch.tensor([steps]), steps)
    assert got.dtype == torch.float32
    expected = (shares.double() / 160).repeat_interleave(160, 1)
    np.testing.assert_allclose(got.double().numpy(), expected.numpy(), rtol=1e-5, atol=1e-14)


def test_shares_stay_where_no_step_is_lost():
    shares = torch.rand(2, 5)
    lengths = torch.tensor([5, 2])
    assert spread_shares(shares, lengths, lengths, 5) is shares


@pytest.mark.parametrize("strides", [(1,), (2,), (3,)])
def test_every_row_shares_out_one(strides):
    torch.manual_seed(0)
    model = lstm(2, 3, pool="attention", stem_channels=(4,), stem_kernel_sizes=(3,), stem_strides=strides).eval()
    lengths = torch.tensor([9, 7, 1, 0])
    with torch.no_grad():
        attention = model.run(torch.randn(4, 9, 2), lengths).attention
    assert attention.shape == (4, 9)
    assert (attention >= -1e-6).all()
    torch.testing.assert_close(attention.sum(1), torch.tensor([1.0, 1, 1, 0]), atol=1e-5, rtol=0)
    for row, length in enumerate(lengths.tolist()):
        assert attention[row, length:].abs().max() < 1e-6 if length < 9 else True
    assert lstm(2, 3, pool="max").eval().run(torch.randn(1, 9, 2)).attention is None


def test_a_frame_that_decides_has_the_share():
    """Which of six frames is not black tells nothing; that it is bright at the top or at the bottom does."""
    rng = np.random.default_rng(0)
    clips, names, places = [], [], []
    for i in range(64):
        place = rng.integers(6)
        clip = np.zeros((6, 8, 8), dtype=np.uint8)
        clip[place, slice(0, 4) if i % 2 else slice(4, 8)] = 255
        clips.append(clip)
        names.append("top" if i % 2 else "bottom")
        places.append(place)
    data = read_video(clips, names, MediaOptions())
    adapter = SIDES["video"].fit(data, DataConfig())
    task = TASKS["video"](LossConfig(), adapter)
    torch.manual_seed(0)
    config = ModelConfig(
        recipe="video-lstm", frame_channels=(4,), frame_features=8, hidden_sizes=(4,), dropout=0.0, bidirectional=False
    )
    model = task.build(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    batch = task.collate(list(adapter.encode(data)))
    for _ in range(60):
        outputs = model(batch)
        loss = task.loss(outputs, batch)
        optimizer.zero_grad()
        (loss.total / loss.count).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        outputs = model(batch)
        answers = task.predict(model, batch, outputs)
    assert [answer.value for answer in answers] == names
    before = [sum(answer.attention[:place]) for answer, place in zip(answers, places, strict=True) if place]
    steps = [place / 6 for place in places if place]
    assert np.mean(before) < 0.8 * np.mean(steps), "what comes before the picture tells nothing yet"


@pytest.mark.parametrize("seed", range(3))
def test_signs_are_split_by_class_and_writing_at_random(seed):
    """Of 90 and 10 signs a fifth each; a text is no class."""
    rng = np.random.default_rng(0)
    names = ["common"] * 90 + ["rare"] * 10
    items = [rng.normal(size=(4, 3)) for _ in names]
    config = Config("handwriting", train=TrainConfig(seed=seed))
    prepared = prepare(read_handwriting(items, names, MediaOptions()), None, config)
    assert (prepared.valid_data.targets.count("common"), prepared.valid_data.targets.count("rare")) == (18, 2)
    assert not prepared.notes
    texts = read_handwriting(items, [f"word {k}" for k in range(100)], MediaOptions(target="text"))
    prepared = prepare(texts, None, config)
    assert len(prepared.valid_data) == 20
    assert not [note for note in prepared.notes if "class" in note]


# From a file to answers -----------------------------------------------------------------------------------------------

QUICK = {"train.epochs": 2, "train.batch_size": 4, "train.threads": 1, "train.device": "cpu"}


@pytest.mark.parametrize("kind", WORKS)
def test_trained_kept_and_asked_again(tmp_path, kind):
    name, _, recipe, options = WORKS[kind]
    _, _, _, data = make(kind)
    # Columns of lines end to end, in whole numbers; the others as they are.
    items = [np.asarray(item) if kind != "lines" else (255 * item).astype(np.uint8) for item in data.items]
    content = {"x": np.concatenate(items)}
    answer = {"text" if data.texts else "label": np.array(data.targets)}
    np.savez(tmp_path / "a.npz", **content, lengths=data.steps, **answer)
    np.savez(tmp_path / "b.npz", **content, lengths=data.steps)
    height = {"data.media.height": 8} if kind == "lines" else {}
    settings_of_model = {f"model.{key}": value for key, value in options.items() if not key.startswith("stem")}
    run = gatewise.train(
        name,
        data=tmp_path / "a.npz",
        out=tmp_path / "run",
        settings={**QUICK, "model.hidden_sizes": [8], **height, **settings_of_model},
        report=False,
    )
    assert run.config.model.recipe == recipe
    answers = gatewise.load(tmp_path / "run").predict(tmp_path / "b.npz")
    assert len(answers) == COUNT
    if not data.texts:
        assert set(answers) <= set(data.targets)


def test_what_is_refused():
    with pytest.raises(OptionError, match=r"stem_channels.*got 2, 1 and 2"):
        stroke_lstm(7, 3, stem_kernel_sizes=(3,))
    with pytest.raises(OptionError, match=r"triples of coordinates, got 7"):
        skeleton_lstm(7, 3)
    with pytest.raises(OptionError, match=r"halvings.*got 4"):
        line_lstm(28, 5, halvings=4)
    with pytest.raises(OptionError, match=r"at least 1"):
        video_lstm((8, 8, 0), 3)
