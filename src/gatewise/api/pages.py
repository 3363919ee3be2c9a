"""Where a page may be written."""

from pathlib import Path

from gatewise.errors import OptionError, RunError


def check_page(path: str | Path, *, overwrite: bool = True) -> Path:
    """Refuses a file that could not be written, before anything is computed.

    Returns:
        The path.

    Raises:
        OptionError: the name does not end in .html.
        RunError: the file exists, or its folder does not.
    """
    path = Path(path)
    if path.suffix not in (".html", ".htm"):
        raise OptionError(f'out: expected a name ending in .html, got "{path}". What is written is a page.')
    if path.is_dir():
        raise RunError(f"{path}: expected a file, got a folder. Choose another name.")
    if path.exists() and not overwrite:  # on the command line alone
        raise RunError(f"{path}: expected a new file, got one that exists. Choose another --out, or use --overwrite.")
    if not path.parent.is_dir():
        raise RunError(f"{path}: expected a folder to write to, got none at {path.parent}. Make it first.")
    return path
