import base64
import html
import io
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewise import metrics
from gatewise.reports import edits, media_plots, pixels, transcripts
from gatewise.reports.edits import Edit
from gatewise.reports.media_plots import Letter
from gatewise.reports.report import Measured, render
from gatewise.types import Prediction, Results
from reports import invented_media

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
NAMES = (
    "sounds",
    "sounds, many classes",
    "sounds, all right",
    "drawings",
    "drawings without attention",
    "images",
    "clips",
    "grey clips",
    "skeletons",
    "speech",
    "speech without spans",
    "speech, all right",
    "lines to text",
    "strokes to text",
)
HOSTILE = ("audio", "strokes", "lines", "frames", "skeletons", "audio to text", "strokes to text", "lines to text")


@pytest.fixture(scope="module")
def runs():
    return invented_media.every_report()


@pytest.fixture(scope="module")
def hostile():
    return invented_media.hostile()


def shown(run):
    """The page without its scripts."""
    return re.sub(r"<script.*?</script>", "", render(run), flags=re.DOTALL)


def test_all_are_tested(runs, hostile):
    assert set(NAMES) == runs.keys()
    assert set(HOSTILE) == hostile.keys()


@pytest.mark.parametrize("name", NAMES)
def test_page_is_whole_and_accessible(runs, read, name):
    page = read(runs[name])
    assert not any(tag in ("link", "iframe", "img", "object", "base", "audio") for tag, _ in page.elements)
    levels = [int(tag[1]) for tag, _ in page.headings]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    charts = [attributes for _, attributes in page.elements if attributes.get("class") == "chart"]
    assert len(charts) == len(page.figures) > 8
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    assert not re.search(r"\bnan\b|\binf\b|None", page.text)
    assert len(str(page.figures)) < 1.5e6  # beside the 4.6 MB of the library that draws


@pytest.mark.parametrize("name", HOSTILE)
def test_users_text_is_escaped(hostile, read, name):
    page = read(hostile[name])
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert len(scripts) == len(page.figures) + 3
    assert not any(tag in ("img", "b") for tag, _ in page.elements)
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    assert "alert(1)" in page.text
    pictures = str(page.figures).replace("<b>[", "").replace("]</b>", "")
    assert not re.search(r"<(script|img|b)\b", pictures)


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
@pytest.mark.parametrize("name", ["frames", "audio to text"])
def test_every_figure_is_drawn(hostile, name, tmp_path):
    content = render(hostile[name])
    page = tmp_path / "report.html"
    page.write_text(content, encoding="utf-8")
    command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=8000", "--dump-dom"]
    drawn = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    assert drawn.count('class="chart js-plotly-plot"') == content.count('class="chart"')
    assert '<img src="http' not in drawn
    if name == "frames":
        assert len(re.findall(r'<image[^>]* (?:xlink:)?href="data:image/png', drawn)) >= 8


class Counting(Sequence):
    """Items that remember which of them were loaded."""

    def __init__(self, items):
        self.items, self.loaded = items, Counter()

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        self.loaded[index] += 1
        return self.items[index]


@pytest.mark.parametrize("make", [invented_media.classified, invented_media.transcribed])
def test_only_what_is_shown_is_loaded(make):
    run = make("strokes", counts=(300, 20, 200))
    train, test = Counting(run.train_data.items), Counting(run.measured[1].data.items)
    measured = replace(run.measured[1], data=replace(run.measured[1].data, items=test))
    run = replace(run, train_data=replace(run.train_data, items=train), measured=[run.measured[0], measured])
    render(run)
    assert 0 < len(train.loaded) <= 12 and 0 < len(test.loaded) <= 16
    assert set(train.loaded.values()) | set(test.loaded.values()) == {1}


# The data ------------------------------------------------------------------------------------------------------------


def test_sizes_are_in_seconds_where_there_are_any(runs, read):
    for name, unit in (("sounds", "Seconds"), ("drawings", "Points"), ("clips", "Seconds"), ("grey clips", "Frames")):
        run = runs[name]
        noun = run.train_data.noun.capitalize()
        rows = read(run).table("Set", noun, "In all", f"{unit}: fewest", "median", "most")
        for row, split in zip(rows, run.splits.values(), strict=True):
            lengths = split.steps / (split.rate or 1)
            assert row[1] == str(len(split))
            assert [float(cell.replace(",", "")) for cell in row[3:]] == pytest.approx(
                [lengths.min(), np.median(lengths), lengths.max()], rel=5e-3
            )


def test_groups_that_are_in_training_are_told(runs, read):
    run = runs["drawings"]
    test = run.measured[1].data
    data = replace(test, groups=["ann" if k % 2 else "somebody new" for k in range(len(test))])
    run = replace(run, measured=[run.measured[0], replace(run.measured[1], data=data)])
    rows = read(run).table("Set", "Which", "Groups", "Of them in training")
    assert rows[2] == ["test", "ann, somebody new", "2", "1"]
    assert rows[0][2:] == ["3", "—"]


def test_what_was_left_out_is_told(runs, read):
    run = runs["images"]
    run = replace(run, train_data=replace(run.train_data, skipped=("2 of 42 images were left out: a.png (torn).",)))
    assert "training: 2 of 42 images were left out: a.png (torn)." in read(run).text


def test_accuracy_by_group_by_brute_force(runs, read):
    test = runs["sounds"].measured[1]
    answers = zip(test.data.groups, test.results.predictions, test.results.references, strict=True)
    found = [(group, p.value == right) for group, p, right in answers]
    rows = read(runs["sounds"]).table("Group", "Recordings", "Right", "Accuracy")
    for group, count, right, _ in rows:
        hits = [hit for name, hit in found if name == group]
        assert (int(count), int(right)) == (len(hits), sum(hits))
    shares = [int(right) / int(count) for _, count, right, _ in rows]
    assert shares == sorted(shares)


def test_alphabet_and_sizes_of_transcripts(runs, read):
    run = runs["speech"]
    rows = read(run).table(
        "Set", "Characters", "fewest", "median", "most", "Words", "Different texts", "Characters a second"
    )
    for row, split in zip(rows, run.splits.values(), strict=True):
        lengths = [len(text) for text in (text.strip() for text in split.targets)]
        assert [float(cell.replace(",", "")) for cell in row[1:7]] == [
            sum(lengths),
            min(lengths),
            np.median(lengths),
            max(lengths),
            sum(len(text.split()) for text in split.targets),
            len({text.strip() for text in split.targets}),
        ]
        assert float(row[7]) == pytest.approx(sum(lengths) / (split.steps.sum() / split.rate), rel=5e-3)
    counts = Counter("".join(run.train_data.targets))
    assert f"{len(counts)} characters can be written" in read(run).text
    assert f"The commonest: {counts.most_common(1)[0][0]} ({counts.most_common(1)[0][1]})" in read(run).text


# Transcripts ---------------------------------------------------------------------------------------------------------


def answered(run, pairs):
    """The run with these references and answers as its test data."""
    test = run.measured[1]
    data = test.data.subset(range(len(pairs)))
    data = replace(data, targets=[right for right, _ in pairs])
    results = Results(0.3, [Prediction(said) for _, said in pairs], [right for right, _ in pairs])
    values = {"count": len(pairs), "loss": 0.3}
    for name, of in (("wer", metrics.wer), ("cer", metrics.cer)):
        values[name] = of([said for _, said in pairs], [right for right, _ in pairs])
    return replace(run, measured=[run.measured[0], Measured("test", data, results, values)])


def test_headline_of_transcripts_by_brute_force(runs, read):
    run = runs["speech without spans"]
    page, test = read(run), run.measured[1]
    said, right = [p.value for p in test.results.predictions], test.results.references
    assert f"Word error rate, test {metrics.wer(said, right):.1%} " in page.text
    assert f"Character error rate, test {metrics.cer(said, right):.1%} " in page.text
    ends = [float(end) / 100 for end in re.search(r"between ([\d.]+)% and ([\d.]+)%", page.text).groups()]
    assert ends[0] < metrics.wer(said, right) < ends[1]
    common = Counter(run.train_data.targets).most_common(1)[0][0]
    baseline = min(metrics.wer([common] * len(right), right), 1.0)
    assert f"Baseline word error rate {baseline:.1%} ".replace("100.0%", "100%") in page.text


def test_no_mistake_has_an_interval_too(runs, read):
    text = read(runs["speech, all right"]).text
    assert "95% sure: fewer than 11.4% of the recordings have a mistake" in text  # Wilson's interval of 0 of 30
    assert "Every character is right." in text and "Every word is right." in text


def test_what_was_written_for_what(runs, read):
    pairs = [("one two", "one to"), ("one two", "ene two"), ("one", "onne"), ("two one", "two  one"), ("one", "ene")]
    page = read(answered(runs["speech"], pairs))
    assert page.table("Right", "Written", "Times", "Of this character") == [
        ["o", "e", "2", f"{2 / 8:.1%}"],
        ["w", "(nothing)", "1", f"{1 / 3:.1%}"],
        ["(nothing)", "n", "1", "—"],
        ["(nothing)", "(space)", "1", "—"],
    ]
    assert "Of 27 characters: 2 replaced (7.4%), 1 left out (3.7%), 2 put in (7.4%)." in page.text
    rows = page.table("Right", "Written", "Times", "Of this word")
    assert rows[0] == ["one", "ene", "2", "40.0%"]
    assert sorted(rows[1:]) == [["one", "onne", "1", "20.0%"], ["two", "to", "1", "33.3%"]]


def test_every_text_stands_beside_its_reference(runs, read):
    run = runs["speech without spans"]
    test = run.measured[1]
    rows = read(run).table("Row", "Reference", "Written", "Mistakes")
    assert [int(row[0]) for row in rows] == list(range(30))
    for row, right, prediction in zip(rows, test.results.references, test.results.predictions, strict=True):
        assert row[1:3] == [right, " ".join(prediction.value.split())]
        assert row[3] == f"{metrics.edit_distance(prediction.value, right)} of {len(right)}"


def test_lists_of_many_texts_are_cut(runs, read, monkeypatch):
    monkeypatch.setattr(transcripts, "LISTED", 7)
    monkeypatch.setattr(transcripts, "COMPARED", 20)
    page = read(replace(runs["speech without spans"], title="cut"))
    assert len(page.table("Row", "Reference", "Written", "Mistakes")) == 7
    assert "Of 30 texts 20, drawn by lot, were compared in detail." in page.text
    assert "7 of them" in page.text


def test_errors_by_length_and_by_group_by_brute_force(runs, read):
    run = runs["speech"]
    test = run.measured[1]
    found = [
        (metrics.edit_distance(p.value, right.strip()), len(right.strip()), group)
        for p, right, group in zip(test.results.predictions, test.results.references, test.data.groups, strict=True)
    ]
    for group, count, _, rate in read(run).table("Group", "Recordings", "Word errors", "Character errors"):
        part = [one for one in found if one[2] == group]
        assert int(count) == len(part)
        assert rate == f"{sum(one[0] for one in part) / sum(one[1] for one in part):.1%}"
    figure = read(run).figure("Bars: character error rate")
    (bars,) = figure["data"]
    assert sum(int(text.split()[0]) for text in bars["customdata"]) == len(found)
    for name, rate in zip(figure["layout"]["xaxis"]["ticktext"], bars["y"], strict=True):
        low, _, high = name.partition(" to ")
        part = [one for one in found if int(low) <= one[1] <= int(high or low)]
        assert rate == pytest.approx(sum(one[0] for one in part) / sum(one[1] for one in part), rel=1e-5)


def test_worst_and_best_are_those(runs):
    run = runs["speech"]
    test = run.measured[1]
    part = shown(run).split("<h3>Transcripts</h3>")[-1].split("<h3>")[0]
    groups = re.split(r"<h4>.*?</h4>", part)[1:]
    rates = [
        metrics.edit_distance(p.value, right) / max(len(right), 1)
        for p, right in zip(test.results.predictions, test.results.references, strict=True)
    ]
    places = [[int(row) for row in re.findall(r"row (\d+),", group)] for group in groups]
    assert [len(group) for group in places] == [4, 3, 4]
    assert [rates[i] for i in places[0]] == sorted(rates, reverse=True)[:4]
    assert [rates[i] for i in places[2]] == sorted(rates)[:4]
    assert min(rates) <= rates[places[1][0]] <= max(rates)


def test_changes_hold_both_texts():
    right, written = 'on<e> & "two"', "one> & &'two\""
    content = transcripts.changes(edits.align(right, written))
    marked = re.sub(r"\[<del>(.*?)</del>→<ins>(.*?)</ins>\]", r"{\1|\2}", content)
    plain = re.sub(r"<[^>]*>", "", marked)
    assert html.unescape(re.sub(r"\{(.*?)\|.*?\}", r"\1", plain)).replace("␣", " ") == right
    assert html.unescape(re.sub(r"\{.*?\|(.*?)\}", r"\1", plain)).replace("␣", " ") == written


def test_characters_stand_where_they_were_read(runs, read):
    run = runs["speech"]
    test = run.measured[1]
    place = max(range(3, 33), key=lambda i: len(test.results.predictions[i].value))
    prediction = test.results.predictions[place]
    one = transcripts.Compared(place, edits.align(test.results.references[place], prediction.value), [])
    letters = transcripts._letters(test, one)
    assert "".join(letter.text for letter in letters) == prediction.value
    figure = media_plots.audio(test.data.items[place], 8000.0, letters=letters)
    middles = np.asarray(prediction.spans).mean(1) / 8000
    assert [note.x for note in figure.layout.annotations] == pytest.approx(middles.tolist())
    bands = [(shape.x0 * 8000, shape.x1 * 8000) for shape in figure.layout.shapes]
    assert np.allclose(bands, prediction.spans)
    wrong = [note.text for note in figure.layout.annotations if note.text.startswith("<b>[")]
    assert len(wrong) == sum(not edit.same for edit in one.characters if edit.written is not None)


def test_answers_without_spans_are_not_marked(runs, read):
    figures = [f for f in read(runs["speech without spans"]).figures if f["data"][0]["type"] == "heatmap"]
    assert len(figures) > 8 and not any(f["layout"].get("annotations") for f in figures)
    assert "stands where the model read it" not in read(runs["speech without spans"]).text


# Edits ---------------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.text("abc ", max_size=9), st.text("abc ", max_size=9))
def test_edits_are_the_fewest_and_keep_the_most(right, written):
    found = edits.align(right, written)
    assert "".join(edit.right or "" for edit in found) == right
    assert "".join(edit.written or "" for edit in found) == written
    assert edits.mistakes(found) == metrics.edit_distance(written, right)
    assert (edits.mistakes(found), -sum(edit.same for edit in found)) == _best(right, written)


def _best(right, written, memory=None):
    """Fewest edits, and minus the most characters kept with so many, by trying everything."""
    memory = {} if memory is None else memory
    key = len(right), len(written)
    if key not in memory:
        ways = [(0, 0)] if not right and not written else []
        if right:
            ways.append((_best(right[1:], written, memory), (1, 0)))
        if written:
            ways.append((_best(right, written[1:], memory), (1, 0)))
        if right and written:
            same = right[0] == written[0]
            ways.append((_best(right[1:], written[1:], memory), (int(not same), -int(same))))
        memory[key] = min((rest[0] + step[0], rest[1] + step[1]) for rest, step in ways) if key != (0, 0) else (0, 0)
    return memory[key]


def test_words_are_aligned_too():
    found = edits.align(["one", "two", "three"], ["one", "too", "three", "four"])
    assert found == [Edit("one", "one"), Edit("two", "too"), Edit("three", "three"), Edit(None, "four")]


def test_bootstrap_is_as_wide_as_theory_says():
    rng = np.random.default_rng(0)
    counts = rng.integers(5, 30, 400).astype(float)
    wrong = rng.binomial(counts.astype(int), 0.2).astype(float)
    low, high = edits.bootstrap(wrong, counts)
    rate = wrong.sum() / counts.sum()
    deviation = np.sqrt(((wrong - rate * counts) ** 2).sum()) / counts.sum()
    assert low == pytest.approx(rate - 1.96 * deviation, abs=0.15 * deviation)
    assert high == pytest.approx(rate + 1.96 * deviation, abs=0.15 * deviation)
    assert edits.bootstrap(np.array([1.0, 1.0]), np.array([4.0, 4.0])) == (0.25, 0.25)


# Pictures ------------------------------------------------------------------------------------------------------------


def test_spectrogram_is_its_definition():
    rng = np.random.default_rng(1)
    wave, rate, mels = rng.normal(0, 0.1, 300), 2000, 5
    found = pixels.spectrogram(wave, rate, mels=mels, columns=1000)
    hop, window = 10, 50
    size = 256  # the power of two above both a twelfth of the rate and the window
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 1000 / 700), mels + 2) / 2595) - 1)
    expected = np.zeros((mels, 30))
    for column in range(30):
        frame = [
            wave[i] if 0 <= i < 300 else 0.0 for i in range(column * hop - window // 2, column * hop + window // 2)
        ]
        power = np.abs(np.fft.fft(np.array(frame) * np.hanning(window), size)[: size // 2 + 1]) ** 2
        for band in range(mels):
            low, middle, high = edges[band : band + 3]
            for k, value in enumerate(power):
                f = k * rate / size
                weight = min((f - low) / (middle - low), (high - f) / (high - middle))
                expected[band, column] += max(weight, 0.0) * value
    decibels = 10 * np.log10(expected / expected.max())
    assert found.decibels.shape == decibels.shape
    assert np.allclose(found.decibels, np.maximum(decibels, -60), atol=1e-6)
    assert found.hertz == pytest.approx(edges[1:-1]) and found.step == hop / rate


@pytest.mark.parametrize(("samples", "rate"), [(0, 8000), (1, 8000), (3000, 8000), (480_000, 16_000), (44_100, 44_100)])
def test_a_tone_is_seen_where_it_is(samples, rate):
    time = np.arange(samples) / rate
    found = pixels.spectrogram(np.sin(2 * np.pi * 1000 * time), rate)
    assert found.decibels.shape[1] <= 220 and found.decibels.shape[0] == 40
    assert found.decibels.shape[1] * found.step >= samples / rate
    if samples > 1:
        middle = found.decibels[:, found.decibels.shape[1] // 2]
        assert abs(pixels.mel(found.hertz[middle.argmax()]) - pixels.mel(1000)) < 0.6 * pixels.mel(rate / 2) / 41


def test_ten_times_fainter_is_twenty_decibels():
    time = np.arange(8000) / 8000
    wave = np.sin(2 * np.pi * 700 * time) * np.where(time < 0.5, 1.0, 0.1)
    found = pixels.spectrogram(wave, 8000)
    loud, faint = (found.decibels[:, int(t / found.step)].max() for t in (0.25, 0.75))
    assert loud - faint == pytest.approx(20, abs=0.1)
    assert pixels.loudness(wave[:4000]) == pytest.approx(-3.01, abs=0.01)
    assert pixels.loudness(np.zeros(4)) == float("-inf")
    assert (pixels.spectrogram(np.full(100, np.nan), 8000).decibels == -60).all()


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (1, 1, 3), (64, 48, 3), (3, 3, 4)])
def test_png_is_read_by_others(shape):
    image = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    opened = np.asarray(image.open(io.BytesIO(pixels.png(values))))
    assert np.array_equal(opened, values.squeeze(-1) if values.shape[-1] == 1 and values.ndim == 3 else values)
    content = pixels.data_uri(values).removeprefix("data:image/png;base64,")
    assert base64.b64decode(content) == pixels.png(values)


def test_smaller_pictures_are_means_of_blocks():
    values = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    found = pixels.smaller(values, 40)
    assert found.shape == (30, 40, 3)
    assert found[4, 7].tolist() == values[12:15, 21:24].astype(float).mean((0, 1)).round().tolist()
    assert pixels.smaller(values, 120) is values
    assert pixels.smaller(values, 50).shape == (30, 40, 3)


def test_attention_is_drawn_over_time_and_told_in_words(runs, read):
    test = runs["sounds"].measured[1]
    place = 5
    shares = np.array(test.results.predictions[place].attention)
    figure = media_plots.audio(test.data.items[place], 8000.0, shares=shares)
    (strip,) = [trace for trace in figure.data if trace.type == "scatter" and trace.fill == "tozeroy"]
    assert len(strip.y) == min(len(shares), 240) and sum(strip.y) == pytest.approx(1, abs=2e-3)
    middle = np.dot(strip.x, strip.y)  # seconds
    each = len(test.data.items[place]) / 8000 / len(shares)  # seconds of a frame
    assert middle == pytest.approx(np.dot((np.arange(len(shares)) + 0.5) * each, shares), abs=2e-3)
    labels = [attributes.get("aria-label", "") for _, attributes in read(runs["sounds"]).elements]
    assert sum("Most attention, " in label for label in labels) == len(_strips(read(runs["sounds"])))
    assert not _strips(read(runs["sounds, all right"]))


def _strips(page):
    return [figure for figure in page.figures if any(trace.get("fill") == "tozeroy" for trace in figure["data"])]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=90))
def test_each_stroke_is_drawn_once_and_no_way_in_the_air(pen):
    points = np.stack([np.arange(len(pen)), np.arange(len(pen)) ** 2 % 7, pen], axis=1).astype(np.float32)
    figure = media_plots.strokes(points)
    ways = []
    for trace in figure.data:
        if trace.mode == "lines":
            ways += [(a, b) for a, b in pairwise(trace.x) if a is not None and b is not None and b != a]
    assert sorted(ways) == [(i, i + 1) for i in range(len(pen) - 1) if not pen[i]]
    dots = [x for trace in figure.data if trace.mode == "markers" for x in trace.x]
    alone = [i for i in range(len(pen)) if (i == 0 or pen[i - 1]) and (pen[i] or i == len(pen) - 1)]
    assert set(alone) <= set(dots)


def test_colours_run_from_blue_to_orange():
    assert (media_plots.colour(0), media_plots.colour(0.5), media_plots.colour(1)) == ("#0072B2", "#CC79A7", "#D55E00")


def test_frames_and_their_shares():
    image = pytest.importorskip("PIL.Image")
    clip = np.random.default_rng(0).integers(0, 256, (20, 12, 16, 3), dtype=np.uint8)
    shares = np.random.default_rng(1).dirichlet(np.ones(20))
    figure = media_plots.frames(clip, rate=10.0, shares=shares)
    stretches = media_plots.stretches_of(20)
    assert np.concatenate(stretches).tolist() == list(range(20)) and [len(part) for part in stretches] == [3] * 6 + [2]
    (bars,) = figure.data
    assert bars.y == pytest.approx([shares[part].sum() for part in stretches], rel=1e-5)
    for picture, part, name in zip(figure.layout.images, stretches, figure.layout.xaxis.ticktext, strict=True):
        opened = image.open(io.BytesIO(base64.b64decode(picture.source.removeprefix("data:image/png;base64,"))))
        assert np.array_equal(np.asarray(opened), clip[part[len(part) // 2]])
        assert name == f"{part[len(part) // 2] / 10:.1f} s"


def test_bones_are_the_shortest_tree():
    joints = np.random.default_rng(0).normal(0, 1, (15, 9, 3))
    bones = media_plots.bones_of(joints)
    mean = np.linalg.norm(joints[:, :, None] - joints[:, None], axis=-1).mean(0)
    edges = sorted((mean[a, b], a, b) for a in range(9) for b in range(a))
    root = list(range(9))
    length = 0.0
    for distance, a, b in edges:  # Kruskal's way
        if root[a] != root[b]:
            length += distance
            root = [root[a] if value == root[b] else value for value in root]
    assert len(bones) == 8
    assert sum(mean[a, b] for a, b in bones) == pytest.approx(length)
    assert media_plots.bones_of(joints[:, :1]) == [] == media_plots.bones_of(joints[:0])


def test_poses_keep_their_shape_and_fit():
    joints = np.random.default_rng(0).normal(0, 1, (11, 5, 3))
    figure = media_plots.skeleton(joints)
    poses = [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "markers"]
    places = [int(part[len(part) // 2]) for part in media_plots.stretches_of(11)]
    scale = None
    for k, (trace, place) in enumerate(zip(poses, places, strict=True)):
        x, y = np.array(trace.x), np.array(trace.y)
        assert np.abs(x - k).max() <= 0.5 and np.abs(y).max() <= 0.8
        ratio = (x.max() - x.min()) / np.ptp(joints[place, :, 0])
        scale = scale or ratio
        assert ratio == pytest.approx(scale, rel=1e-3)
        assert (y.max() - y.min()) / np.ptp(joints[place, :, 1]) == pytest.approx(scale, rel=1e-3)


def test_letters_over_a_line_and_under_strokes():
    letters = [Letter("a", 0.0, 0.5), Letter(" ", 0.5, 1.0, right=False)]
    figure = media_plots.line_image(np.zeros((20, 28)), letters=letters)
    assert [note.x for note in figure.layout.annotations] == [4.5, 14.5]
    assert [note.text for note in figure.layout.annotations] == ["a", "<b>[␣]</b>"]
    points = np.stack([np.arange(10.0), np.zeros(10), np.zeros(10)], axis=1)
    notes = media_plots.strokes(points, letters=letters).layout.annotations
    assert [note.x for note in notes] == [2.0, 7.0]
