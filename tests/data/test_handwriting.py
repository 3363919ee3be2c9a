"""Strokes and images of lines: as they are read, and what a model is given of them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gatewise.data.handwriting import read_handwriting
from gatewise.data.images import is_dark_on_light, line_of
from gatewise.data.inkml import read_inkml
from gatewise.data.media import MediaOptions
from gatewise.data.strokes import FEATURES, stroke_features
from gatewise.errors import DataError

OMNIGLOT = Path(__file__).parents[3] / "shared" / "data" / "omniglot_strokes" / "omniglot_strokes.npz"
ANGLE = np.array([[0, 0, 0], [10, 0, 0], [10, 5, 1]])
DOT = np.array([[3, 4, 1]])


def read(data, targets=None, *, texts=False, require=True, **options):
    return read_handwriting(data, targets, MediaOptions(**options), texts=texts, require_target=require)


def written(folder, name="ink.npz", **content):
    np.savez(folder / name, **content)
    return folder / name


# Features of strokes --------------------------------------------------------------------------------------------------

whole = st.integers(-1000, 1000)
drawings = (
    st.integers(1, 12)
    .flatmap(
        lambda n: st.tuples(
            arrays(np.int64, (n, 2), elements=whole), arrays(np.int64, (n, 1), elements=st.integers(0, 1))
        )
    )
    .map(lambda parts: np.concatenate(parts, 1).astype(np.float64))
)


@settings(max_examples=60, deadline=None)
@given(drawings, st.sampled_from([0.25, 2.0, 64.0]), st.integers(-500, 500))
def test_features_do_not_change_with_place_and_size(points, factor, shift):
    moved = points * [factor, factor, 1] + [shift, -shift, 0]
    np.testing.assert_allclose(stroke_features(moved), stroke_features(points), atol=2e-6)


@settings(max_examples=60, deadline=None)
@given(drawings)
def test_features_are_finite_and_fill_the_square(points):
    features = stroke_features(points)
    assert features.shape == (len(points), len(FEATURES))
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    sides = np.ptp(features[:, :2], axis=0)
    spread = np.ptp(points[:, :2], axis=0).max() > 0
    assert sides.max() == pytest.approx(2.0 if spread else 0.0, abs=1e-6)
    np.testing.assert_array_equal(features[:, 6], points[:, 2])


def test_features_as_written_out():
    drawing = np.array([[0, 0, 0], [3, 4, 0], [3, 10, 1], [9, 10, 0], [9, 0, 1]], dtype=float)
    features = stroke_features(drawing)
    np.testing.assert_allclose(features[:, 0] * 5 + 4.5, drawing[:, 0], atol=1e-6)  # half of the larger side is 5
    np.testing.assert_allclose(features[:, 1] * 5 + 5, drawing[:, 1], atol=1e-6)
    drawn = np.sqrt((25 + 36 + 100) / 3)  # the way of 6 from (3, 10) to (9, 10) is in the air
    ways = np.array([[0, 0], [3, 4], [0, 6], [6, 0], [0, -10]])
    np.testing.assert_allclose(features[:, 2:4] * drawn, ways, atol=1e-5)
    np.testing.assert_allclose(features[:, 4:6], [[0, 0], [0.6, 0.8], [0, 1], [1, 0], [0, -1]], atol=1e-6)


def test_a_dot_has_only_its_pen():
    np.testing.assert_array_equal(stroke_features(DOT), [[0, 0, 0, 0, 0, 0, 1]])


# Strokes in arrays ----------------------------------------------------------------------------------------------------


def test_points_end_to_end_with_the_pen_beside_them(tmp_path):
    file = written(
        tmp_path,
        xy=np.concatenate([ANGLE, DOT])[:, :2],
        pen_up=np.array([0, 0, 1, 1]),
        lengths=[3, 1],
        label=[1, 0],
        classes=["dot", "angle"],
        drawer=[7, 9],
    )
    data = read(file, group="drawer")
    assert data.kind == "strokes"
    assert data.steps.tolist() == [3, 1]
    assert data.targets == ["angle", "dot"]
    assert data.classes == ("dot", "angle")
    assert data.groups == ["7", "9"]
    assert not data.texts
    np.testing.assert_array_equal(data.items[0], ANGLE)
    np.testing.assert_array_equal(data.items[1], [[0, 0, 1]])


@pytest.mark.parametrize("stacked", [True, False])
def test_forms_of_the_same_drawings(tmp_path, stacked):
    two = np.stack([ANGLE, ANGLE * [2, 2, 1]])
    content = {"x": two} if stacked else {"x": two.reshape(6, 3), "lengths": np.array([3, 3])}
    data = read(written(tmp_path, **content, y=["a", "b"]))
    np.testing.assert_array_equal(data.items[1], two[1])
    assert data.targets == ["a", "b"]


def test_stacked_points_are_cut_to_their_lengths(tmp_path):
    data = read(written(tmp_path, x=np.stack([ANGLE, ANGLE]), lengths=[2, 3], y=["a", "b"]))
    assert data.steps.tolist() == [2, 3]
    assert data.items[0][:, 2].tolist() == [0, 1], "the pen is lifted after the last point"


@pytest.mark.parametrize("y_up", [None, False, True])
def test_the_file_says_which_way_y_counts(tmp_path, y_up):
    """A drawing is read the same whatever is beside it: above 0, below 0 or both."""
    bar, above = np.array([[5.0, -1], [5, -4]]), np.array([[0.0, 7], [1, 9]])
    said = {} if y_up is None else {"y_up": y_up}
    alone = read(written(tmp_path, xy=bar, lengths=[2], y=["bar"], **said))
    together = read(written(tmp_path, xy=np.concatenate([bar, above]), lengths=[2, 2], y=["bar", "line"], **said))
    expected = [0, 3] if y_up else [0, -3]  # on a screen -4 is above -1, on graph paper below
    assert alone.items[0][:, 1].tolist() == together.items[0][:, 1].tolist() == expected
    assert ("upwards (y_up)" if y_up else "downwards") in alone.layout


def test_y_that_is_never_above_0_is_told(tmp_path):
    below = written(tmp_path, xy=ANGLE[:, :2] - [0, 9], lengths=[3], y=["a"])
    assert "if it counts upwards, save y_up=True" in read(below).layout
    assert "y_up" not in read(written(tmp_path, xy=ANGLE[:, :2], lengths=[3], y=["a"])).layout


def test_a_text_array_makes_transcripts_and_a_label_classes(tmp_path):
    file = written(tmp_path, xy=np.tile(ANGLE[:, :2], (2, 1)), lengths=[3, 3], text=["2.0 a", "b"], label=["u", "v"])
    assert (read(file).targets, read(file).texts) == (["2.0 a", "b"], True)
    named = read(file, target="label")
    assert (named.targets, named.texts) == (["u", "v"], False)


def test_what_a_run_was_trained_on_decides(tmp_path):
    file = written(tmp_path, xy=ANGLE[:, :2], lengths=[3], word=["ab"])
    assert not read(file, target="word").texts
    assert read(file, target="word", texts=True).texts
    assert read(file, require=False).targets is None
    assert read(file, target="gone", require=False).targets is None
    with pytest.raises(DataError, match=r'ink\.npz: expected an array "wrod".*Did you mean "word"'):
        read(file, target="wrod")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"z": ANGLE}, r'expected an array "xy" or "x", got z'),
        ({"x": ANGLE}, r"lengths beside x of shape \(3, 3\)"),
        ({"x": ANGLE, "lengths": [1, 1]}, r"sum to the 3 steps of x, got a sum of 2"),
        ({"x": ANGLE, "lengths": [1.5, 1.5]}, r"whole numbers.*float64"),
        ({"x": ANGLE, "lengths": [3, 0]}, r"item 1: expected a drawing, got no point"),
        ({"x": ANGLE * [1, np.nan, 1], "lengths": [2, 1]}, r"item 0, point 0: expected finite numbers"),
        ({"x": ANGLE, "lengths": [3], "pen_up": [1]}, r"pen_up of shape \(3,\).*\(1,\)"),
        ({"x": ANGLE, "lengths": [3], "y": ["a", "b"]}, r"y of shape \(1,\), got \(2,\)"),
        ({"x": ANGLE, "lengths": [3], "y": [5], "classes": ["a", "b"]}, r"from 0 to 1.*got 5"),
        ({"x": ANGLE, "lengths": [3], "y": [""]}, r"item 0, y: expected a target, got none"),
        ({"x": np.array(["a"])}, r"expected numbers in x, got <U1"),
        (
            {"x": ANGLE, "lengths": [3], "y_up": [True, False]},
            r"y_up to be one True or False, got bool of shape \(2,\)",
        ),
        ({"x": ANGLE, "lengths": [3], "y_up": "yes"}, r"y_up to be one True or False, got <U3"),
        ({"x": ANGLE, "lengths": [3], "y_up": 2}, r"y_up to be one True or False, got int64"),
    ],
)
def test_what_is_wrong_with_arrays(tmp_path, content, message):
    with pytest.raises(DataError, match=rf"ink\.npz.*{message}"):
        read(written(tmp_path, **{name: np.asarray(value) for name, value in content.items()}))


def test_bad_drawings_may_be_skipped(tmp_path):
    file = written(tmp_path, x=np.concatenate([DOT, ANGLE]), lengths=[1, 0, 3], y=["a", "b", "c"])
    data = read(file, skip_bad=True)
    assert data.targets == ["a", "c"]
    assert data.steps.tolist() == [1, 3]
    assert len(data.skipped) == 1
    assert data.skipped[0].startswith("1 of 3 drawings was left out: ")
    assert "item 1" in data.skipped[0]


def test_drawings_in_python():
    data = read([ANGLE, DOT], ["angle", 1.0])
    assert (data.kind, data.targets, data.source) == ("strokes", ["angle", "1"], "memory")
    assert read(([ANGLE], ["a b"]), target="text").texts
    assert read(data) is data
    with pytest.raises(DataError, match=r"expected 1 targets.*got 2"):
        read([ANGLE], ["a", "b"])


@pytest.mark.skipif(not OMNIGLOT.exists(), reason="needs ../shared/data/omniglot_strokes")
def test_omniglot_is_read_as_it_lies_there():
    data = read(OMNIGLOT, group="drawer")
    assert len(data) == 4840
    assert len(data.classes) == 242
    assert data.targets[0] == "Balinese/character01"
    assert len(set(data.groups)) == 20
    assert "save y_up=True" in data.layout, "it counts upwards and does not say so"
    with np.load(OMNIGLOT) as file:
        first = file["xy"][: file["lengths"][0]]
    np.testing.assert_allclose(data.items[0][:, 1], first[:, 1].astype(float) - first[0, 1])


# InkML ----------------------------------------------------------------------------------------------------------------

INK = """<?xml version="1.0"?>
<ink xmlns="http://www.w3.org/2003/InkML">
  <annotation type="truth"> x + 1 </annotation>
  <trace>10 0, 9.5 -4,
     8 .5</trace>
  <trace type="penUp">8 0, 3 3</trace>
  <trace>1e1 2</trace>
</ink>"""


def test_an_inkml_file(tmp_path):
    (tmp_path / "a.inkml").write_text(INK)
    data = read(tmp_path / "a.inkml")
    np.testing.assert_allclose(data.items[0], [[0, 0, 0], [-0.5, -4, 0], [-2, 0.5, 1], [0, 2, 1]])
    assert (data.targets, data.texts, data.steps.tolist()) == (["x + 1"], True, [4])


def test_channels_of_a_trace_format(tmp_path):
    form = '<traceFormat><channel name="T"/><channel name="Y"/><channel name="X"/></traceFormat>'
    (tmp_path / "a.inkml").write_text(f"<ink>{form}<trace>100 1 2, 110 3 4</trace></ink>")
    np.testing.assert_allclose(read_inkml(tmp_path / "a.inkml")[0].points, [[0, 0, 0], [2, 2, 1]])


def test_groups_of_a_file_are_drawings_of_their_own(tmp_path):
    group = '<traceGroup><annotation type="label">{}</annotation><trace>0 0, {} 1</trace></traceGroup>'
    (tmp_path / "a.inkml").write_text("<ink>" + group.format("one", 1) + group.format("two", 2) + "</ink>")
    data = read(tmp_path / "a.inkml")
    assert (data.targets, data.texts, data.ids) == (["one", "two"], False, ["a.inkml#0", "a.inkml#1"])
    assert data.items[1][1].tolist() == [2, 1, 1]


def test_a_folder_of_inkml_with_a_folder_a_class(tmp_path):
    for name in ("p", "q"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.inkml").write_text("<ink><trace>0 0, 1 1</trace></ink>")
    assert read(tmp_path).targets == ["p", "q"]


def test_inkml_without_an_answer(tmp_path):
    (tmp_path / "a.inkml").write_text(INK)
    (tmp_path / "b.inkml").write_text("<ink><trace>0 0, 1 1</trace></ink>")
    with pytest.raises(DataError, match=r"b\.inkml: expected an annotation of type truth"):
        read(tmp_path)
    assert read(tmp_path, require=False).targets is None


BOMB = '<!DOCTYPE ink [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><ink><trace>&b; 0</trace></ink>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, r'without entities, got "a"'),
        ('<!DOCTYPE ink [<!ENTITY f SYSTEM "file:///etc/hostname">]><ink>&f;</ink>', 'without entities, got "f"'),
        ("<ink><trace>1 2", "expected InkML, got something else"),
        ("no xml", "expected InkML, got something else"),
        ("<svg/>", "begins with <ink>, got <svg>"),
        ("<ink/>", "traces with points, got none"),
        ("<ink><trace>1 2, 3</trace></ink>", 'trace 0: expected points of decimal X and Y, got "3"'),
        ("<ink><trace>1 2, '3 '4</trace></ink>", "without differences"),
        ("<ink><trace>#1F 2</trace></ink>", "hexadecimal"),
        ('<ink><traceFormat><channel name="F"/></traceFormat><trace>1</trace></ink>', "channels X and Y, got F"),
    ],
)
def test_what_is_wrong_with_inkml(tmp_path, content, message):
    (tmp_path / "a.inkml").write_text(content)
    with pytest.raises(DataError, match=rf"a\.inkml.*{message}"):
        read(tmp_path / "a.inkml", require=False)
    (tmp_path / "good.inkml").write_text(INK)
    data = read(tmp_path, skip_bad=True, require=False)
    assert (len(data), len(data.skipped)) == (1, 1)


# Lines ----------------------------------------------------------------------------------------------------------------


def page(height=20, width=50, ink=0, paper=255):
    """A bar of ink in columns 10 to 14."""
    image = np.full((height, width), paper, dtype=np.uint8)
    image[:, 10:15] = ink
    return image


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0), (30, 180)])
def test_ink_is_1_whatever_the_paper(ink, paper):
    line = line_of(page(ink=ink, paper=paper), 20)
    expected = np.zeros((50, 20), dtype=np.float32)
    expected[10:15] = abs(ink - paper) / 255
    np.testing.assert_allclose(line, expected, atol=1e-6)


def test_paper_without_ink_is_zeros():
    assert (line_of(np.full((5, 5), 77, dtype=np.uint8), 5) == 0).all()


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, (6, 9)))
def test_a_negative_reads_the_same(image):
    grey = image.astype(np.float64)
    if abs(grey.mean() - np.median(grey)) > 1e-9:  # else there is no telling which is the paper
        assert is_dark_on_light(image) != is_dark_on_light(255 - image)
        np.testing.assert_allclose(line_of(image, 6), line_of(255 - image, 6), atol=1e-6)


def test_scaling_keeps_the_aspect_and_the_amount_of_ink():
    line = line_of(page(height=40, width=100), 10)
    assert line.shape == (25, 10)
    assert line.mean() == pytest.approx(0.05, abs=0.005)
    np.testing.assert_allclose(line, line[:, :1].repeat(10, 1), atol=1e-6)


MODES = {
    "L": lambda image, _: image,
    "1": lambda image, _: image.convert("1"),
    "RGB": lambda image, _: image.convert("RGB"),
    "RGBA": lambda image, _: image.convert("RGBA"),
    "P": lambda image, _: image.convert("P"),
    "LA": lambda image, _: image.convert("LA"),
    "I;16": lambda image, pil: pil.fromarray(np.asarray(image).astype(np.uint16) * 257),
}


@pytest.mark.parametrize("mode", MODES)
def test_images_of_any_mode(tmp_path, mode):
    pil = pytest.importorskip("PIL.Image", reason="needs pillow")
    MODES[mode](pil.fromarray(page()), pil).save(tmp_path / "a.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,bar\n")
    data = read(tmp_path, height=20)
    assert (data.kind, data.targets, data.texts) == ("lines", ["bar"], True)
    np.testing.assert_allclose(data.items[0], line_of(page(), 20), atol=1e-6)
    assert "dark on light" in data.layout


def test_what_is_transparent_is_paper(tmp_path):
    pil = pytest.importorskip("PIL.Image", reason="needs pillow")
    image = np.zeros((20, 50, 4), dtype=np.uint8)  # black ink on nothing
    image[:, 10:15, 3] = 255
    pil.fromarray(image).save(tmp_path / "a.png")
    np.testing.assert_allclose(read(tmp_path, require=False, height=20).items[0], line_of(page(), 20), atol=1e-6)


def test_images_held_upright(tmp_path):
    pil = pytest.importorskip("PIL.Image", reason="needs pillow")
    image = pil.fromarray(np.rot90(page()).copy())  # counter-clockwise; 6 says: turn clockwise to look at it
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    data = read(tmp_path, require=False, height=20)
    assert data.steps.tolist() == [50]
    np.testing.assert_allclose(data.items[0], line_of(page(), 20), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(4, 40))
def test_steps_are_known_without_loading(tmp_path_factory, width, height, to_height):
    pil = pytest.importorskip("PIL.Image", reason="needs pillow")
    folder = tmp_path_factory.mktemp("sizes")
    pil.fromarray(np.zeros((height, width), dtype=np.uint8)).save(folder / "a.png")
    data = read(folder, require=False, height=to_height)
    assert data.items[0].shape == (data.steps[0], to_height)


def test_a_folder_a_class(tmp_path):
    pil = pytest.importorskip("PIL.Image", reason="needs pillow")
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        pil.fromarray(page()).save(tmp_path / name / "1.png")
    data = read(tmp_path)
    assert (data.targets, data.texts, list(data.ids)) == (["cat", "dog"], False, ["cat/1.png", "dog/1.png"])


def manifest(folder):
    """One good image, one cut off, one that is no image, and one that is not there."""
    pil = pytest.importorskip("PIL.Image", reason="needs pillow")
    noise = np.random.default_rng(0).integers(0, 256, (30, 90)).astype(np.uint8)
    pil.fromarray(noise).save(folder / "good.png")
    content = (folder / "good.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])
    (folder / "text.png").write_text("no image")
    rows = "".join(f"{name}.png,{name}\n" for name in ("good", "cut", "text", "gone"))
    (folder / "metadata.csv").write_text("file_name,text\n" + rows)
    return folder


def test_an_image_that_changes_while_it_is_learnt_from(tmp_path, monkeypatch):
    pil = pytest.importorskip("PIL.Image", reason="needs pillow")
    monkeypatch.setattr("gatewise.data.media.KEPT", 0)  # as of data larger than what is kept
    for name in ("a", "b"):
        pil.fromarray(page()).save(tmp_path / f"{name}.png")
    data = read(tmp_path, require=False, height=20)
    assert data.items[0].shape == data.items[0].shape == (50, 20)
    pil.fromarray(page(width=80)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: expected the file as it was at first, got another content"):
        data.items[0]
    (tmp_path / "b.png").unlink()
    with pytest.raises(DataError, match=r"b\.png: expected the file as it was at first, got none of that name"):
        data.items[1]


def test_bad_images_are_told(tmp_path):
    with pytest.raises(DataError, match=r"metadata\.csv, row 4: .*text\.png: expected an image"):
        read(manifest(tmp_path))
    (tmp_path / "metadata.csv").write_text("file_name,text\ngone.png,x\n")
    with pytest.raises(DataError, match=r"metadata\.csv, row 2: .*gone\.png: expected a file, got nothing"):
        read(tmp_path)
    (tmp_path / "metadata.csv").write_text("file_name,text\ncut.png,x\n")
    with pytest.raises(DataError, match=r"cut\.png: expected an image, got damaged"):
        read(tmp_path)


def test_bad_images_may_be_skipped(tmp_path):
    data = read(manifest(tmp_path), skip_bad=True)
    assert data.targets == ["good"]
    (told,) = data.skipped
    assert told.startswith("3 of 4 images were left out: ")
    assert told.index("cut.png") < told.index("text.png") < told.index("gone.png")


@pytest.mark.parametrize("stacked", [True, False])
def test_images_in_arrays(tmp_path, stacked):
    images = np.stack([page(), page(ink=255, paper=0)])
    columns = {"x": np.concatenate([image.T for image in images]), "lengths": np.array([50, 50])}
    data = read(written(tmp_path, **({"x": images} if stacked else columns), text=["a", "b"]), height=20)
    assert (data.kind, data.steps.tolist()) == ("lines", [50, 50])
    for item in data.items:
        np.testing.assert_allclose(item, line_of(page(), 20), atol=1e-6)
    in_python = read(list(images), ["a", "b"], height=20)
    np.testing.assert_array_equal(in_python.items[1], data.items[1])


def test_pixels_out_of_range():
    with pytest.raises(DataError, match=r"item 0: expected pixels from 0 to 255.*got 0 to 300"):
        read([page().astype(np.int64) * 300 // 255], ["a"])
    with pytest.raises(DataError, match=r"item 0: expected finite pixels"):
        read([np.full((9, 9), np.nan)], ["a"])


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.docx").write_text("x")
    with pytest.raises(DataError, match=r'a\.docx: expected images .*got "\.docx"'):
        read(tmp_path / "a.docx")
    with pytest.raises(DataError, match=r"expected images .*got only 1 \.docx"):
        read(tmp_path)
