"""Films and skeletons: as they are read, and what a model is given of them."""

import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import gatewise
from gatewise.data.clips import even, fit_array, fitted
from gatewise.data.handwriting import read_handwriting
from gatewise.data.media import MediaOptions
from gatewise.data.skeletons import skeleton_features
from gatewise.data.video import read_video
from gatewise.errors import DataError

ACTIONS = Path(__file__).parents[3] / "shared" / "data" / "skeleton_msraction3d" / "msraction3d.npz"
FRAMES, HEIGHT, WIDTH = 10, 24, 32


def read(data, targets=None, *, texts=False, require=True, **options):
    return read_video(data, targets, MediaOptions(**options), texts=texts, require_target=require)


def film(path, *, frames=FRAMES, height=HEIGHT, width=WIDTH, codec="ffv1"):
    """Frame t is all red by 20 t, with a green upper half."""
    av = pytest.importorskip("av", reason="needs av")
    path.parent.mkdir(exist_ok=True, parents=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(10))
        stream.width, stream.height = width, height
        stream.pix_fmt = {"ffv1": "bgr0", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        stream.bit_rate = 8_000_000
        for picture in pictures(frames, height, width):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def pictures(frames=FRAMES, height=HEIGHT, width=WIDTH):
    clip = np.zeros((frames, height, width, 3), dtype=np.uint8)
    clip[..., 0] = 20 * np.arange(frames)[:, None, None]
    clip[:, : height // 2, :, 1] = 200
    return clip


# Films ----------------------------------------------------------------------------------------------------------------


def test_a_film_comes_out_as_it_went_in(tmp_path):
    film(tmp_path / "up" / "a.mkv")
    film(tmp_path / "down" / "b.mkv", frames=3)
    data = read(tmp_path, size=None)  # the longer side of the first film: nothing is scaled
    assert (data.kind, data.targets, data.steps.tolist()) == ("frames", ["down", "up"], [3, FRAMES])
    edge = (WIDTH - HEIGHT) // 2
    np.testing.assert_array_equal(data.items[1][:, edge:-edge], pictures())
    np.testing.assert_array_equal(data.items[0][:, edge:-edge], pictures(3))
    assert not data.items[1][:, [*range(edge), *range(-edge, 0)]].any()
    assert data.items[0].dtype == np.uint8


def test_frames_are_fitted_into_a_square(tmp_path):
    data = read(film(tmp_path / "a.mkv"), size=16, require=False)
    clip = data.items[0]
    assert clip.shape == (FRAMES, 16, 16, 3)
    assert (clip[:, :2] == 0).all(), "12 rows in the middle of 16"
    assert (clip[:, 14:] == 0).all()
    np.testing.assert_allclose(clip[:, 8:13, :, 0], np.broadcast_to(20 * np.arange(10)[:, None, None], (10, 5, 16)))
    assert (clip[:, 2:7, :, 1] == 200).all()
    assert "16 x 16" in data.layout


def test_films_of_different_shapes_end_at_the_longer_side_of_the_first(tmp_path):
    film(tmp_path / "a.mkv")
    film(tmp_path / "b.mkv", height=48, width=16)
    clips = read(tmp_path, size=None, require=False).items
    assert clips[0].shape[1:] == clips[1].shape[1:] == (WIDTH, WIDTH, 3)
    assert clips[1][5, :, 11:21].any(-1).all(), "11 columns in the middle"
    assert (clips[1][:, :, :10] == 0).all()


def test_films_for_a_trained_run_get_its_size_though_nobody_gave_any(tmp_path):
    """Test data, and what is predicted, begin with a film of another size than those learnt from."""
    for k in range(4):
        film(tmp_path / "train" / "ab"[k % 2] / f"{k}.mkv", frames=3)
        film(tmp_path / "test" / "ab"[k % 2] / f"{k}.mkv", frames=3, height=40, width=48)
    settings = {"data.media.size": None, "train.epochs": 1, "model.hidden_sizes": [4], "model.frame_channels": [4]}
    options = {"out": tmp_path / "run", "settings": settings, "progress": False, "report": False}
    gatewise.train("video", data=tmp_path / "train", test=tmp_path / "test", **options)
    run = gatewise.load(tmp_path / "run")
    assert run.config.data.media.size == WIDTH
    assert len(run.predict(tmp_path / "test")) == 4


def test_a_film_that_changes_while_it_is_learnt_from(tmp_path):
    film(tmp_path / "a.mkv")
    data = read(tmp_path, require=False)
    film(tmp_path / "a.mkv", frames=FRAMES + 1)  # would be stretched over the places of the other
    with pytest.raises(DataError, match=r"a\.mkv: expected the file as it was at first, got another content"):
        data.items[0]


def test_some_frames_evenly_over_the_film(tmp_path):
    film(tmp_path / "a.mkv")
    data = read(tmp_path, frames=3, require=False)
    assert data.steps.tolist() == [3]
    assert (data.items[0][:, 32, 32, 0] // 20).tolist() == even(10, 3).tolist() == [1, 5, 8]


@given(st.integers(1, 500), st.integers(1, 60))
def test_even_places(count, most):
    places = even(count, most)
    assert len(places) == min(count, most)
    assert places[0] >= 0
    assert places[-1] < count
    gaps = np.diff(places)
    assert len(gaps) == 0 or (gaps.min() >= 1 and np.ptp(gaps) <= 1)
    assert abs((places.mean() + 0.5) - count / 2) <= 1, "in the middle"


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mpeg4"), ("a.avi", "mjpeg"), ("a.mkv", "mpeg4")])
def test_steps_are_known_before_decoding(tmp_path, name, codec):
    data = read(film(tmp_path / name, codec=codec, frames=12), require=False)
    assert data.steps.tolist() == [12]
    clip = data.items[0]
    assert len(clip) == 12
    assert np.abs(clip[:, 40, 32, 0].astype(int) - 20 * np.arange(12)).max() < 30


def test_a_film_that_was_held_upright():
    rotated = []
    frame = SimpleNamespace(width=4, height=2, rotation=90)

    def reformat(**how):
        rotated.append((how["width"], how["height"]))
        picture = np.zeros((how["height"], how["width"], 3), dtype=np.uint8)
        picture[0] = 9  # the upper edge as stored is the left one as seen
        return SimpleNamespace(to_ndarray=lambda: picture)

    frame.reformat = reformat
    picture = fitted(frame, (8, 8))
    assert rotated == [(8, 4)]
    assert (picture[:, 2] == 9).all()
    assert (picture[:, 3:] == 0).all()
    assert (picture[:, :2] == 0).all()


def test_a_manifest(tmp_path):
    film(tmp_path / "clips" / "a.mkv")
    (tmp_path / "metadata.csv").write_text("file_name,label,who\nclips/a.mkv,wave,anna\n")
    data = read(tmp_path, group="who")
    assert (data.targets, data.groups, list(data.ids)) == (["wave"], ["anna"], ["clips/a.mkv"])
    in_python = read([{"file_name": str(tmp_path / "clips" / "a.mkv"), "label": "wave"}])
    assert in_python.targets == ["wave"]
    listed = read([tmp_path / "clips" / "a.mkv"], ["wave"])
    np.testing.assert_array_equal(listed.items[0], data.items[0])


def test_transcripts_are_no_classes(tmp_path):
    film(tmp_path / "a.mkv")
    (tmp_path / "metadata.csv").write_text("file_name,text\na.mkv,hello\n")
    with pytest.raises(DataError, match=r"metadata\.csv: expected class labels, got transcripts"):
        read(tmp_path)


def bad(folder):
    """A good film, one that is none, one cut off, one of sound alone, one that is not there."""
    av = pytest.importorskip("av", reason="needs av")
    film(folder / "good.mkv")
    (folder / "text.mp4").write_text("no film at all " * 50)
    content = film(folder / "cut.mp4", codec="mpeg4").read_bytes()
    (folder / "cut.mp4").write_bytes(content[: len(content) // 2])  # its table of contents stands at the end
    with av.open(str(folder / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    names = ["good.mkv", "text.mp4", "cut.mp4", "sound.mkv", "gone.mp4"]
    (folder / "metadata.csv").write_text("file_name,label\n" + "".join(f"{name},{name}\n" for name in names))
    return names


def test_bad_films_are_told(tmp_path):
    for row, name in enumerate(bad(tmp_path)[1:], 3):
        (tmp_path / "metadata.csv").write_text(f"file_name,label\ngood.mkv,a\n{name},b\n")
        with pytest.raises(DataError, match=rf"metadata\.csv, row 3: .*{name}: expected a fil"):
            read(tmp_path)
        assert row


def test_bad_films_may_be_skipped(tmp_path):
    names = bad(tmp_path)
    data = read(tmp_path, skip_bad=True)
    assert data.targets == ["good.mkv"]
    (told,) = data.skipped
    assert told.startswith("4 of 5 films were left out: ")
    assert all(name in told for name in names[1:4])
    assert told.endswith(" and 1 more.")


def test_damage_behind_the_beginning_is_found_in_decoding(tmp_path):
    path = film(tmp_path / "a.avi", codec="mjpeg", frames=40)
    content = bytearray(path.read_bytes())
    # The pictures are overwritten, what the container says stays: packets can still be counted.
    at = content.find(b"\xff\xd8", len(content) // 4)
    while at >= 0:
        end = content.find(b"\xff\xd9", at)
        content[at:end] = bytes(end - at)
        at = content.find(b"\xff\xd8", end)
    path.write_bytes(bytes(content))
    data = read(tmp_path, require=False)
    with pytest.raises(DataError, match=r"a\.avi: expected"):
        data.items[0]
    with pytest.raises(DataError, match=r"got none of 1"):
        read(tmp_path, require=False, skip_bad=True)


# Frames and skeletons in arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("stacked", [True, False])
def test_frames_in_arrays(tmp_path, channels, stacked):
    shape = (2, 4, 6, 8) if channels is None else (2, 4, 6, 8, channels)
    clips = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    content = {"x": clips} if stacked else {"x": clips.reshape(8, *shape[2:]), "lengths": [4, 4]}
    np.savez(tmp_path / "a.npz", label=[1, 0], classes=["a", "b"], **content)
    data = read(tmp_path / "a.npz")
    assert (data.kind, data.targets, data.steps.tolist()) == ("frames", ["b", "a"], [4, 4])
    np.testing.assert_array_equal(data.items[1].reshape(clips[1].shape), clips[1])
    assert data.items[0].shape == (4, 6, 8, channels or 1)
    np.testing.assert_array_equal(read(list(clips), ["b", "a"]).items[1], data.items[1])


def test_large_frames_in_arrays_are_made_smaller():
    clip = np.zeros((2, 64, 32), dtype=np.uint8)
    clip[:, :32] = 100
    small = fit_array(clip, 16)
    assert small.shape == (2, 16, 8, 1)
    assert (small[:, :7] == 100).all()
    assert (small[:, 9:] == 0).all()


def test_skeletons_in_arrays(tmp_path):
    joints = np.random.default_rng(0).normal(size=(7, 5, 4)).astype(np.float32)
    np.savez(tmp_path / "a.npz", x=joints, lengths=[3, 4], y=["a", "b"], who=["p", "q"], names=["n1", "n2"])
    data = read(tmp_path / "a.npz", group="who")
    assert (data.kind, data.steps.tolist(), data.groups, data.ids) == ("skeletons", [3, 4], ["p", "q"], ["n1", "n2"])
    np.testing.assert_array_equal(data.items[1], joints[3:, :, :3])
    assert "5 joints" in data.layout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": np.zeros((2, 3, 4, 5), np.int32)}, "uint8 or skeletons as fractions in x, got int32"),
        ({"x": np.zeros((2, 3, 4, 5, 2), np.uint8)}, r"with 3 dimensions end to end or 4 stacked, got shape"),
        ({"x": np.zeros((6, 4, 5))}, r"lengths beside x of shape \(6, 4, 5\)"),
        ({"x": np.zeros((6, 4, 5)), "lengths": [6]}, r"item 0: expected frames .* float64 of shape \(6, 4, 5\)"),
        ({"x": np.zeros((2, 0, 4, 3))}, r"item 0: expected a clip, got shape \(0, 4, 3\)"),
        ({"x": np.zeros((1, 2, 4, 3)), "text": ["a b"]}, "expected class labels, got transcripts"),
    ],
)
def test_what_is_wrong_with_arrays(tmp_path, content, message):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(DataError, match=rf"a\.npz.*{message}"):
        read(tmp_path / "a.npz")


def test_clips_of_different_shapes_in_python():
    with pytest.raises(DataError, match=r"item 1: expected frames of shape \(4, 4\) as in the first, got \(5, 4\)"):
        read([np.zeros((2, 4, 4), np.uint8), np.zeros((2, 5, 4), np.uint8)], ["a", "b"])


# Features of skeletons ------------------------------------------------------------------------------------------------

clips = st.integers(1, 6).flatmap(
    lambda steps: arrays(np.float64, (steps, 4, 3), elements=st.integers(-50, 50).map(lambda n: n / 10))
)


@settings(max_examples=60, deadline=None)
@given(clips, st.sampled_from([0.5, 3.0]), st.integers(1, 9))
def test_features_do_not_change_with_place_and_size(joints, factor, shift):
    joints = joints + 100  # away from the origin: no frame counts as not seen
    features = skeleton_features(joints)
    assert features.shape == (len(joints), 24)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    np.testing.assert_allclose(skeleton_features(factor * joints + shift), features, atol=1e-4, rtol=1e-4)


def test_features_as_written_out():
    rng = np.random.default_rng(3)
    joints = rng.normal(size=(5, 4, 3)) + np.array([3, 1, 2])
    features = skeleton_features(joints).reshape(5, 2, 4, 3)
    root = joints.mean(1, keepdims=True)
    size = np.sqrt(np.mean([np.sum((joint - root[t, 0]) ** 2) for t in range(5) for joint in joints[t]]))
    np.testing.assert_allclose(features[:, 0], (joints - root) / size, atol=1e-6)
    np.testing.assert_allclose(features[1:, 1], 10 * (joints[1:] - joints[:-1]) / size, atol=1e-5)
    assert (features[0, 1] == 0).all()


def test_frames_that_were_not_seen_stand_still():
    joints = np.random.default_rng(0).normal(size=(6, 4, 3))
    gaps = joints.copy()
    gaps[[0, 3]] = 0
    gaps[4, 2, 1] = np.nan
    filled = joints[[1, 1, 2, 2, 2, 5]]
    features = skeleton_features(gaps)
    assert np.isfinite(features).all()
    size = np.linalg.norm(skeleton_features(filled)) / np.linalg.norm(features)  # gaps do not count for the size
    np.testing.assert_allclose(features * size, skeleton_features(filled), atol=1e-5)
    assert (skeleton_features(np.zeros((3, 4, 3))) == 0).all()


@pytest.mark.skipif(not ACTIONS.exists(), reason="needs ../shared/data/skeleton_msraction3d")
def test_msr_action_3d_is_read_as_it_lies_there():
    data = read(ACTIONS, require=False)
    assert (data.kind, len(data), data.targets, data.ids[0]) == ("skeletons", 567, None, "a01_s01_e01")
    assert all(np.isfinite(skeleton_features(item)).all() for item in data.items)


@pytest.mark.parametrize(("library", "extra", "name"), [("av", "video", "a.mp4"), ("PIL", "images", "a.png")])
def test_a_library_that_is_missing(tmp_path, monkeypatch, library, extra, name):
    (tmp_path / name).write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, library, None)
    reader = read_video if library == "av" else read_handwriting
    with pytest.raises(DataError, match=rf'pip install "gatewise\[{extra}\]"'):
        reader(tmp_path, None, MediaOptions(), require_target=False)
