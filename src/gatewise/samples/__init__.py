"""Small real data sets that come with gatewise, each in a folder with its source and licence."""

from pathlib import Path

from gatewise.errors import OptionError, did_you_mean

SAMPLES = {
    "japanese-vowels": "japanese_vowels",
    "omniglot": "omniglot",
    "shakespeare": "shakespeare",
    "speakers": "speakers",
    "spoken-digits": "spoken_digits",
    "wnut17": "wnut17",
}


def files(name: str) -> list[Path]:
    """The files of a sample.

    >>> [file.name for file in files("japanese-vowels")]
    ['JapaneseVowels_TEST.ts.xz', 'JapaneseVowels_TRAIN.ts.xz', 'README.md']

    Raises:
        OptionError: no sample has this name.
    """
    if name not in SAMPLES:
        raise OptionError(f'sample: expected a name that exists, got "{name}". {did_you_mean(name, SAMPLES)}')
    folder = Path(__file__).parent / SAMPLES[name]
    return sorted(file for file in folder.iterdir() if file.is_file())
