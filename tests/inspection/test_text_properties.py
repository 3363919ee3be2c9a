"""Properties of a text against a reader that goes through it character by character."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewise.inspection.text_properties import text_properties

WORD = "'\N{RIGHT SINGLE QUOTATION MARK}"


def read(text):
    """One dictionary a character, written down as one reads."""
    found = []
    line = word = sentence = lines = indentation = depth = brackets = curly = 0
    straight = leading = False
    lower, leading = False, True
    for i, char in enumerate(text):
        before = text[i - 1] if i else ""
        if before == "\n":
            line, indentation, leading = 0, 0, True
        if i > 1 and text[i - 2 : i] == "\n\n":
            lines = depth = brackets = curly = 0
            straight = False
        if before and before in ".!?" and char not in ".!?":
            sentence = 0
        in_word = char.isalnum() or (char in WORD and before.isalnum() and bool(before))
        word = word + 1 if in_word else 0
        lower = in_word and ((word > 1 and lower) or char.islower())
        if char not in " \t":
            leading = False
        elif leading:
            indentation += 4 if char == "\t" else 1
        if char == "\n" and before != "\n":
            lines += 1
        straight ^= char == '"'
        curly = max(0, curly + (char == "\N{LEFT DOUBLE QUOTATION MARK}") - (char == "\N{RIGHT DOUBLE QUOTATION MARK}"))
        depth = max(0, depth + (char == "(") - (char == ")"))
        brackets = max(0, brackets + (char in "[{") - (char in "]}"))
        found.append(
            {
                "position in the line": line,
                "position in the word": word,
                "position in the sentence": sentence,
                "lines since an empty line": lines,
                "indentation of the line": indentation,
                "inside double quotes": straight or curly > 0,
                "inside parentheses": depth > 0,
                "inside brackets or braces": brackets > 0,
                "a capital letter": char.isupper(),
                "a word in capitals": in_word and word >= 2 and not lower and not char.isdigit(),
                "a digit": char.isdigit(),
            }
        )
        line, sentence = line + 1, sentence + 1
    return found


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet="aB7 .!\n\n\t\"()[}'\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}é", min_size=1)
)
def test_properties_are_those_of_a_reader(text):
    expected = read(text)
    for one in text_properties(list(text)):
        assert one.values.tolist() == [place[one.name] for place in expected], (one.name, text)


def test_longer_tokens_have_the_number_of_their_end_and_the_yes_of_any_part():
    pieces = ["He", " said", ' "YES', '"', "\n"]
    found = {one.name: one for one in text_properties(pieces)}
    assert found["position in the line"].values.tolist() == [1, 6, 11, 12, 13]
    assert found["inside double quotes"].values.tolist() == [False, False, True, False, False]
    assert found["a capital letter"].values.tolist() == [True, False, True, False, False]
    assert found["position in the line"].values.dtype == np.float32
    assert found["a capital letter"].kind == "yes-no"


def test_a_property_knows_nothing_of_what_comes():
    text = "The (first \"line\n\n  SECOND) it's 3.\nx"
    whole = text_properties(list(text))
    for end in range(1, len(text)):
        for one, other in zip(text_properties(list(text[:end])), whole, strict=True):
            np.testing.assert_array_equal(one.values, other.values[:end], err_msg=one.name)
