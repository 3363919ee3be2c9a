"""``gatewise sample``."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.common import output

MANY = 10  # files of a kind, beyond which they are counted


def sample(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which one.", show_default=False)] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to copy it to.")] = Path(),
) -> None:
    """Copy a small real data set to try things on; without a name, list them.

    Example: `gatewise sample japanese-vowels`
    """
    from gatewise import samples
    from gatewise.errors import RunError
    from gatewise.training.files import write_atomic

    if name is None:
        for known in samples.SAMPLES:
            output.print(known, highlight=False, markup=False)
        return
    folder = out / samples.SAMPLES.get(name, name)
    contents = {folder / file.name: file.read_bytes() for file in samples.files(name)}
    for path, content in contents.items():
        if path.exists() and path.read_bytes() != content:
            raise RunError(f"{path}: expected no such file, or the same, got another. Choose another --out.")
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        write_atomic(path, content)
    kinds = Counter(path.suffix for path in contents)
    for path in contents:
        if kinds[path.suffix] <= MANY:
            output.print(str(path), highlight=False, markup=False, soft_wrap=True)
    for suffix, count in kinds.items():
        if count > MANY:
            output.print(f"{folder / f'*{suffix}'}: {count} files", highlight=False, markup=False, soft_wrap=True)
