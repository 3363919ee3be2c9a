"""One recording: its header, and its samples as one channel at any rate."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.errors import DataError

# What libsndfile reads by the usual names of files; raw samples have no header and are left out.
SUFFIXES = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64",
    ".sph", ".nist",
)  # fmt: skip
LOUDEST = 1e10  # of a sample: full scale is 1, of integers kept as floats up to 2**31; squares of more overflow
SLIP = 64  # bytes: writers of headers miscount by a few
STREAMED = 0x7FFF0000  # a size from here on means that the writer did not know it: sound that came through a pipe
_FLOATS = ("FLOAT", "DOUBLE")  # formats that can hold what is no finite number


@dataclass(frozen=True)
class Header:
    """What is known of a recording without decoding it.

    Attributes:
        samples: of each channel, at the rate of the file.
        rate: samples a second.
        any_number: whether its format can hold values that are not finite.
    """

    samples: int
    rate: int
    any_number: bool


def library(name: str) -> Any:
    """The module ``soundfile`` or ``soxr``.

    Raises:
        DataError: it is not installed; says how to.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:  # OSError: libsndfile itself is missing
        raise DataError(
            f'audio: expected the library {name}, got none ({error}). Install it: pip install "gatewise[audio]"'
        ) from error


def read_header(path: Path) -> Header:
    """Length and rate of a recording.

    Args:
        path: any format of libsndfile.

    Returns:
        Its header.

    Raises:
        DataError: what is wrong, without the name of the file: whoever asked knows where it comes from.
    """
    soundfile = library("soundfile")
    _check_there(path)
    try:
        info = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise DataError(_reason(error)) from error
    if info.frames < 1 or info.samplerate < 1:
        raise DataError("no samples")
    if missing := _cut_off(path):
        raise DataError(f"{missing:,} bytes less than its header says: cut off")
    return Header(info.frames, info.samplerate, info.subtype in _FLOATS)


def read_samples(path: Path, header: Header, rate: int) -> np.ndarray:
    """A recording at a rate, the mean of its channels.

    Args:
        path: of the file.
        header: as :func:`read_header` gave it.
        rate: samples a second to bring it to.

    Returns:
        ``[resampled_length(samples)]`` float32.

    Raises:
        DataError: as :func:`read_header`; also fewer samples than the header says, or values that are not finite.
    """
    soundfile = library("soundfile")
    _check_there(path)
    try:
        samples, _ = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise DataError(_reason(error)) from error
    if len(samples) != header.samples:
        raise DataError(f"{len(samples):,} samples where its header says {header.samples:,}: cut off")
    return resample(one_channel(samples), header.rate, rate)


def one_channel(samples: np.ndarray) -> np.ndarray:
    """``[T, channels]`` or ``[T]`` to ``[T]`` float32.

    Raises:
        DataError: a value that is not finite, or beyond ``LOUDEST``.
    """
    if not np.isfinite(samples).all():
        place = int(np.argmin(np.isfinite(samples).reshape(len(samples), -1).all(1)))
        raise DataError(f"a value that is not finite, at sample {place:,}")
    if len(samples) and float(np.abs(samples).max()) > LOUDEST:
        place = int(np.argmax(np.abs(samples).reshape(len(samples), -1).max(1)))
        raise DataError(
            f"a value of {float(np.abs(samples[place]).max()):g} where full scale is 1, at sample {place:,}"
        )
    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    return np.ascontiguousarray(mono, dtype=np.float32)


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """``[T]`` at one rate to ``[resampled_length(T)]`` at another, without what the new one cannot hold (soxr, HQ)."""
    if from_rate == to_rate:
        return samples
    made: np.ndarray = library("soxr").resample(samples, from_rate, to_rate, quality="HQ")
    length = resampled_length(len(samples), from_rate, to_rate)
    # The library rounds to the nearest; the last sample of ours then lies beyond the end.
    return np.pad(made, (0, max(0, length - len(made))))[:length].astype(np.float32, copy=False)


def resampled_length(samples: int, from_rate: int, to_rate: int) -> int:
    """How many samples there are at another rate: as long, rounded up.

    >>> resampled_length(44_101, 44_100, 8_000)
    8001
    """
    return -(-samples * to_rate // from_rate)


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise DataError("a folder" if path.is_dir() else "no file of that name")
    if not path.stat().st_size:
        raise DataError("an empty file")


def _cut_off(path: Path) -> int:
    """Bytes that a WAV file should have and has not, of which libsndfile says nothing; 0 for other formats."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return 0
        while len(chunk := file.read(8)) == 8:
            told = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                missing = file.tell() + told - size
                return missing if told < STREAMED and missing > SLIP else 0
            file.seek(told + told % 2, 1)
    return 0


def _reason(error: Exception) -> str:
    """What the library says, without the name of the file, which it repeats."""
    text = getattr(error, "error_string", str(error)).strip().rstrip(".")
    return f"content that cannot be decoded{f' ({text})' if text else ''}"
