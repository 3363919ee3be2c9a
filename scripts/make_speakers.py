"""Makes the sample `speakers` from the sample `shakespeare`: who says it? The same bytes each time.

python scripts/make_speakers.py src/gatewise/samples/shakespeare/shakespeare.txt.xz src/gatewise/samples/speakers
"""

import lzma
import sys
from collections import Counter, defaultdict
from pathlib import Path

SPEAKERS = 8  # those with the most lines
LINES = 4  # of a passage; a longer speech is several
TEST = 5  # the last fifth of what each of them says


def passages(speech: str) -> list[str]:
    """A speech in parts of at most `LINES` lines, each on one line."""
    lines = speech.split("\n")
    return [" ".join(lines[start : start + LINES]) for start in range(0, len(lines), LINES)]


def speeches(text: str) -> dict[str, list[str]]:
    """What each speaker says, in the order of the plays."""
    found = defaultdict(list)
    for block in text.split("\n\n"):
        head, _, speech = block.strip("\n").partition("\n")
        if head.endswith(":") and speech:
            found[head.removesuffix(":")].append(speech)
    return found


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    """A table with a header, packed."""
    lines = ["text\tspeaker", *("\t".join(row) for row in rows)]
    path.write_bytes(lzma.compress(("\n".join(lines) + "\n").encode(), preset=9 | lzma.PRESET_EXTREME))


def main(source: Path, folder: Path) -> None:
    """Writes train.tsv.xz and test.tsv.xz."""
    said = speeches(lzma.decompress(source.read_bytes()).decode())
    lines = Counter({name: sum(speech.count("\n") + 1 for speech in of_one) for name, of_one in said.items()})
    parts: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    for name, _ in lines.most_common(SPEAKERS):
        cut = len(said[name]) - len(said[name]) // TEST
        for part, of_one in (("train", said[name][:cut]), ("test", said[name][cut:])):
            parts[part] += [(passage, name) for speech in of_one for passage in passages(speech)]
    for part, rows in parts.items():
        write(folder / f"{part}.tsv.xz", rows)
        print(part, len(rows), dict(Counter(name for _, name in rows)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
