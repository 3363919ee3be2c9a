import re

import pytest

from gatewise.data.vocabulary import Vocabulary
from gatewise.reports import shading
from gatewise.reports.shading import Shade
from gatewise.sequences import EOS

TEXTS = [
    "Don't pay 3.5, (now)!",
    "My brother-in-law  said: no\nnever",
    "naïve cafe\u0301 👩‍👩‍👧 👍🏽 🌬️!",
    "הכלב רץ, קديم يركض",
    "犬は庭を走り回って",
    "",
    "x",
]
UNITS = ["words", "characters", "bytes", "subwords"]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_the_text_and_cover_every_token(unit, text):
    vocabulary = Vocabulary.fit(TEXTS, unit=unit, size=300 if unit == "subwords" else None)
    pieces = shading.pieces_of_text(vocabulary, text)
    if unit == "words":
        assert "".join(piece.text for piece in pieces) == " ".join(text.split())
    else:
        assert "".join(piece.text for piece in pieces) == text
    ends = [0, *(piece.end for piece in pieces)]
    assert [piece.start for piece in pieces] == ends[:-1]
    assert ends[-1] == len(vocabulary.encode(text))


@pytest.mark.parametrize("unit", UNITS)
def test_numbers_give_the_text_back(unit):
    vocabulary = Vocabulary.fit(TEXTS, unit=unit, size=300 if unit == "subwords" else None)
    for text in TEXTS:
        numbers = vocabulary.encode(text).tolist()
        pieces = shading.pieces_of_numbers(vocabulary, [*numbers, EOS, *numbers])
        shown = "".join(piece.text for piece in pieces)
        once = vocabulary.decode(numbers)
        assert shown.replace(" ", "") == f"{once}\n{once}".replace(" ", "")
        assert "\N{REPLACEMENT CHARACTER}" not in shown


@pytest.mark.parametrize("unit", ["characters", "bytes"])
def test_what_makes_one_sign_stays_together(unit):
    vocabulary = Vocabulary.fit(TEXTS, unit=unit)
    pieces = [piece.text for piece in shading.pieces_of_text(vocabulary, TEXTS[2])]
    assert {"e\u0301", "👩‍👩‍👧", "👍🏽", "🌬️"} <= set(pieces)


def test_bytes_that_are_no_text_are_shown_one_by_one():
    vocabulary = Vocabulary.fit(["a"], unit="bytes")
    pieces = shading.pieces_of_numbers(vocabulary, [0xFF + 4] * 20 + [ord("a") + 4])
    assert [piece.text for piece in pieces] == ["\N{REPLACEMENT CHARACTER}"] * 20 + ["a"]


def test_attention_shades_in_proportion_to_the_largest_share():
    vocabulary = Vocabulary.fit(["good bad <so> &"])
    shares = [0.1, 0.6, 0.0, 0.3, *[0.0] * 6]
    html = shading.attended(vocabulary, "so good & bad" + " so" * 6, shares, limit=100)
    assert re.findall(r'--s:([\d.]+)" title="([\d.]+)%">(\w+)<', html) == [
        ("0.17", "10.0", "so"),
        ("1.00", "60.0", "good"),
        ("0.50", "30.0", "bad"),
    ]
    assert "&amp;" in html
    assert 'dir="auto"' in html


def test_attention_that_is_spread_evenly_is_pale():
    vocabulary = Vocabulary.fit(["a"])
    html = shading.attended(vocabulary, "a " * 50, [0.02] * 50, limit=1000)
    assert re.findall(r"--s:([\d.]+)", html) == ["0.25"] * 50
    assert "--s:1.00" in shading.attended(vocabulary, "a", [1.0], limit=9)


def test_a_text_that_was_cut_is_not_shaded_beyond():
    vocabulary = Vocabulary.fit(["a b c d"])
    html = shading.attended(vocabulary, "a b c d", [0.5, 0.5], limit=100)
    assert re.findall(r"<span[^>]*>(\w)</span>", html) == ["a", "b"]
    assert "c d" in html


def test_no_attention_no_tokens_and_nan():
    vocabulary = Vocabulary.fit(["a b"])
    assert "<span" not in shading.attended(vocabulary, "a b", None, limit=9)
    assert "(empty)" in shading.attended(vocabulary, "", [1.0], limit=9)
    assert "nan" not in shading.attended(vocabulary, "a b", [float("nan")] * 2, limit=9)


def test_of_a_long_text_the_stretch_with_most_attention_is_shown():
    words = [f"word{k}" for k in range(10_000)]
    vocabulary = Vocabulary.fit([" ".join(words)])
    shares = [0.0] * 10_000
    shares[7_000], shares[7_003] = 0.5, 0.4
    html = shading.attended(vocabulary, " ".join(words), shares, limit=300)
    shown = re.sub(r"<[^>]*>", "", html)
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) <= 302
    kept = shown.strip("…").split()
    assert {"word7000", "word7003"} <= set(kept)
    assert kept.index("word7000") > 3
    assert kept.index("word7003") < len(kept) - 3


@pytest.mark.parametrize("lengths", [[1], [50], [1] * 9, [4, 50, 4], [50, 4, 4]])
def test_a_window_is_never_empty_and_never_too_long(lengths):
    for best in range(len(lengths)):
        weights = [float(i == best) for i in range(len(lengths))]
        first, last = shading.window(lengths, weights, 10)
        assert first <= best < last
        assert sum(lengths[first:last]) <= 10 or last - first == 1


def test_line_ends_and_spaces_are_marked_only_where_they_matter():
    html = shading.shaded(
        [Shade("a"), Shade("\n", 0.9, "3 bits"), Shade("\n", 0.01), Shade(" ", 0.5)], kind="surprisal"
    )
    assert html == (
        '<p class="passage surprisal" dir="auto">a<span style="--s:0.90" title="3 bits">↵</span>\n\n'
        '<span style="--s:0.50"> </span></p>'
    )


def test_clip_keeps_words_and_signs_whole():
    assert shading.clip("one two three", 8) == "one two…"
    assert shading.clip("  one\n two ", 80) == "one two"
    assert shading.clip("👍🏽" * 3, 1) == "👍🏽…"
    assert shading.clip("👩‍👩‍👧👩‍👩‍👧", 2).startswith("👩‍👩")
    assert len(shading.clip("x" * 100_000, 50)) == 51
