"""What pictures of sound and of frames are made from: a spectrogram, and a PNG, by numpy alone."""

import base64
import struct
import zlib
from typing import NamedTuple

import numpy as np

MELS = 40
COLUMNS = 220  # of a spectrogram at most
WINDOW = 0.025  # seconds, unless the columns are further apart;
WIDEST = 0.1  # then so many at most: of a very long recording, moments are shown
HOP = 0.005  # seconds between columns at least
FLOOR = 60  # decibels below the loudest, and what is fainter
SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = {1: 0, 3: 2, 4: 6}  # channels to PNG's number of the kind of colour


class Spectrogram(NamedTuple):
    """Loudness by frequency and time.

    Attributes:
        decibels: ``[M, F]``, 0 for the loudest to :data:`FLOOR` below it.
        start, step: seconds of the middle of the first column, and from one to the next.
        hertz: ``[M]``, the middle of each band.
    """

    decibels: np.ndarray
    start: float
    step: float
    hertz: np.ndarray


def mel(hertz: np.ndarray | float) -> np.ndarray:
    """Frequencies on the mel scale, 2595 log10(1 + f / 700) (O'Shaughnessy 1987)."""
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz, dtype=np.float64) / 700))


def from_mel(mels: np.ndarray | float) -> np.ndarray:
    """The inverse of :func:`mel`, in hertz."""
    return np.asarray(700 * (10 ** (np.asarray(mels, dtype=np.float64) / 2595) - 1))


def spectrogram(wave: np.ndarray, rate: float, *, mels: int = MELS, columns: int = COLUMNS) -> Spectrogram:
    """Power in bands of equal width on the mel scale, for a picture of at most so many columns.

    Args:
        wave: ``[T]``; what is not finite counts as silence.
        rate: samples a second.
        mels: bands, from 0 Hz to half the rate.
        columns: at most; of a long recording they lie further apart.

    Returns:
        At least one column, even of an empty recording.
    """
    wave = np.nan_to_num(np.asarray(wave, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    hop = max(round(HOP * rate), -(-len(wave) // columns), 1)
    window = max(round(WINDOW * rate), min(round(1.5 * hop), round(WIDEST * rate)), 2)
    count = max(1, -(-len(wave) // hop))
    size = 1 << max(window, round(rate / 12)).bit_length()
    padded = np.concatenate([np.zeros(window // 2), wave, np.zeros(window + hop)])
    frames = padded[np.arange(count)[:, None] * hop + np.arange(window)] * np.hanning(window)
    power = np.abs(np.fft.rfft(frames, size)) ** 2  # [F, bins]
    edges = from_mel(np.linspace(0, float(mel(rate / 2)), mels + 2))
    bins = np.arange(power.shape[1]) * rate / size
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    bands = power @ np.clip(np.minimum(rise, fall), 0, None).T  # [F, M]
    loudest = bands.max()
    decibels = np.full(bands.shape, -float(FLOOR))
    if loudest > 0:
        decibels = np.clip(10 * np.log10(np.maximum(bands / loudest, 1e-12)), -FLOOR, 0)
    return Spectrogram(decibels.T, 0.0, hop / rate, edges[1:-1])


def loudness(wave: np.ndarray) -> float:
    """Root mean square in decibels below full scale; minus infinity for silence, NaN for nothing."""
    if not len(wave):
        return float("nan")
    power = float(np.mean(np.square(np.nan_to_num(np.asarray(wave, dtype=np.float64)))))
    return 10 * float(np.log10(power)) if power > 0 else float("-inf")


def png(pixels: np.ndarray) -> bytes:
    """A picture as a PNG file.

    Args:
        pixels: uint8 ``[H, W]``, or ``[H, W, C]`` with 1, 3 or 4 channels.

    Returns:
        The bytes of the file (PNG, ISO/IEC 15948), each row unfiltered.
    """
    rows = pixels.reshape(*pixels.shape[:2], -1)
    height, width, channels = rows.shape

    def chunk(name: bytes, content: bytes) -> bytes:
        whole = name + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, COLOURS[channels], 0, 0, 0)
    flat = np.concatenate([np.zeros((height, 1), np.uint8), rows.reshape(height, -1)], axis=1)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(flat.tobytes(), 9)) + chunk(b"IEND", b"")


def data_uri(pixels: np.ndarray) -> str:
    """A picture as the address of itself, ``data:image/png;base64,...``."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode("ascii")


def smaller(pixels: np.ndarray, longest: int) -> np.ndarray:
    """A picture ``[H, W, C]`` of which every n-th pixel, the mean of its block, is kept, so that no side is longer."""
    height, width, channels = pixels.shape
    step = -(-max(height, width) // longest)
    if step == 1:
        return pixels
    padded = np.pad(pixels, ((0, -height % step), (0, -width % step), (0, 0)), mode="edge").astype(np.float64)
    blocks = padded.reshape(padded.shape[0] // step, step, -1, step, channels)
    return np.asarray(blocks.mean(axis=(1, 3)).round().astype(np.uint8))
