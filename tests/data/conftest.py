from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("gatewise", deadline=None)  # a busy machine is no failure
settings.load_profile("gatewise")

ARCHIVES = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def archive() -> Callable[[str], Path]:
    """The path of a public data file; skips the test where the archives do not lie beside the checkout."""

    def find(name: str) -> Path:
        path = ARCHIVES / name
        if not path.exists():
            pytest.skip(f"needs the public data set {name} beside the checkout")
        return path

    return find


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a file of this name and text and returns its path."""

    def to_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return to_file
