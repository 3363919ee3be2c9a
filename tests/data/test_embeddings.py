import gzip

import numpy as np
import pytest

from gatewise.data.embeddings import RANDOM_STD, read_embeddings
from gatewise.data.vocabulary import SPECIALS, Vocabulary
from gatewise.errors import DataError, OptionError
from gatewise.sequences import PAD, UNK

WORDS = Vocabulary("words", (*SPECIALS, "the", "Cat", "dog", "New York"))
GLOVE = "the 1 2 3\ncat -1 0.5 1e-3\nbird 9 9 9\nNew York 7 8 9\n"


@pytest.mark.parametrize("text", [GLOVE, "4 3\n" + GLOVE, GLOVE.replace("\n", " \n"), GLOVE.replace("the ", "the\t")])
def test_vectors_stand_at_their_words(write, text):
    vectors, found = read_embeddings(write("v.txt", text), WORDS)
    assert (vectors.shape, vectors.dtype, found) == ((8, 3), np.float32, 3)
    assert vectors[4].tolist() == [1, 2, 3] and vectors[7].tolist() == [7, 8, 9]
    assert vectors[5].tolist() == np.array([-1, 0.5, 1e-3], dtype=np.float32).tolist()  # by its lower case
    assert (vectors[PAD] == 0).all()


def test_words_without_a_vector_are_small_random_and_the_same_each_time(write):
    size = 200
    line = "the " + " ".join(["1"] * size)
    first, second = (read_embeddings(write(f"{i}.txt", line), WORDS).vectors for i in range(2))
    assert np.array_equal(first, second)
    others = first[[1, 2, 3, 5, 6, 7]]
    assert 0.9 * RANDOM_STD < others.std() < 1.1 * RANDOM_STD and abs(others.mean()) < 0.01
    assert len(np.unique(others)) == others.size


def test_the_exact_form_goes_before_the_lower_case_in_any_order(write):
    for text in ("cat 1 1\nCat 2 2\n", "Cat 2 2\ncat 1 1\n", "cat 1 1\nCat 2 2\nCat 3 3\ncat 4 4\n"):
        vectors, found = read_embeddings(write("v.txt", text), WORDS)
        assert vectors[5].tolist() == [2, 2] and found == 1


def test_an_unknown_word_may_have_a_vector(write):
    vectors, found = read_embeddings(write("v.txt", "<unk> 5 5\n<pad> 6 6\nthe 1 1"), WORDS)
    assert vectors[UNK].tolist() == [5, 5] and vectors[PAD].tolist() == [0, 0] and found == 1


def test_numbers_as_words_are_no_header(write):
    numbers = Vocabulary("words", (*SPECIALS, "7"))
    vectors, _ = read_embeddings(write("v.txt", "7 1 2\n"), numbers)
    assert vectors[4].tolist() == [1, 2]


def test_compressed(tmp_path):
    path = tmp_path / "v.txt.gz"
    path.write_bytes(gzip.compress(GLOVE.encode()))
    assert read_embeddings(path, WORDS).found == 3
    path.write_bytes(gzip.compress(GLOVE.encode())[:-9])
    with pytest.raises(DataError, match=r"v\.txt\.gz: expected a file that can be read"):
        read_embeddings(path, WORDS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the 1 2 3\ncat 1 2\n", r"v\.txt, row 2: expected a word and 3 numbers as in the first line, got 2"),
        ("2 3\nthe 1 2 x\n", r'v\.txt, row 2: expected a word and 3 numbers, got "the 1 2 x"'),
        ("the 1 nan\n", r"v\.txt, row 1: expected finite numbers"),
        ("the\ncat\n", r'v\.txt, row 1: expected a word and its numbers, got "the"'),
        ("le 1 2\n", r"expected vectors for some of the words, got none"),
        ("", r"expected vectors for some of the words, got none"),
    ],
)
def test_damaged_files(write, text, message):
    with pytest.raises(DataError, match=message):
        read_embeddings(write("v.txt", text), WORDS)


def test_what_has_no_word_vectors(write, tmp_path):
    with pytest.raises(OptionError, match="expected a vocabulary of words, got bytes"):
        read_embeddings(write("v.txt", GLOVE), Vocabulary.fit(["a"], unit="bytes"))
    with pytest.raises(DataError, match="got nothing of that name"):
        read_embeddings(tmp_path / "none.txt", WORDS)
