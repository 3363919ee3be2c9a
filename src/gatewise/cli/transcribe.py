"""``gatewise transcribe``."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatewise.cli.common import DeviceOption, RunArgument, SkipBadOption, ThreadsOption, errors, note

if TYPE_CHECKING:
    from gatewise.api import Run
    from gatewise.api.transcription import Transcript

CHUNK = 4096  # bytes of a live stream that are waited for at most: a quarter of a second at 8 kHz


def transcribe(
    run: RunArgument,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help='Recordings, drawings or images of lines. "-": 16-bit samples on standard input, at the rate of the '
            "run, one channel.",
            show_default=False,
        ),
    ],
    beam_size: Annotated[
        int | None, typer.Option(min=1, help="Readings followed side by side; 1 is fastest.  [default: the run's]")
    ] = None,
    lm: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A language model of characters to weigh readings with.")
    ] = None,
    lm_weight: Annotated[float | None, typer.Option(help="Its weight.  [default: the run's, or 0.5 with --lm]")] = None,
    length_bonus: Annotated[float | None, typer.Option(help="Added for each character.  [default: the run's]")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON each: file, text, and where each character is.")
    ] = False,
    skip_bad: SkipBadOption = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Write down what recordings say, or what was written by hand.

    Of one file the text alone; of several, a line each: file, tab, text. A live stream is written down as it comes in
    where the run was trained with model.bidirectional=false, else at its end.

    Example: `gatewise transcribe runs/speech hello.wav`

    Live: `arecord -f S16_LE -r 8000 | gatewise transcribe runs/speech -`
    """
    from gatewise.api import load
    from gatewise.api.transcription import transcripts
    from gatewise.errors import DataError, OptionError

    loaded = load(run, device=device or "auto", threads=threads)
    _ = loaded.search  # another task is told before anything is read
    search: Any = {"beam_size": beam_size, "language_model": lm, "lm_weight": lm_weight, "length_bonus": length_bonus}
    if "-" in files:
        if len(files) > 1:
            raise OptionError(f'FILE: expected "-" alone, got {len(files)} names. Give files or a stream.')
        if skip_bad:
            raise OptionError('--skip-bad: expected files with it, got the stream "-". Leave it out.')
        _check_sound(loaded)
        searches = any(value is not None and value != 1 for value in search.values())
        if not as_json and not searches and _can_stream(loaded):
            if loaded.search.beam_size > 1:
                errors.print("Live: the likeliest path is read, without the search that the run was made with.")
            _live(loaded)
            return
        samples = _samples(sys.stdin.buffer.read())
        _show([one._replace(name="-") for one in transcripts(loaded, [samples], **search)], loaded, as_json)
        return
    found: list[Transcript] = []
    left_out: list[DataError] = []
    for name in files:
        try:
            told = transcripts(loaded, name, **search, skip_bad=skip_bad, on_note=note)
        except DataError as error:  # nothing of this name can be read
            if not skip_bad:
                raise
            left_out.append(error)
            continue
        # A folder or a manifest has names of its own.
        found += [one._replace(name=name) for one in told] if len(told) == 1 else told
    if not found:
        raise left_out[0]
    if left_out:
        note(f"{len(left_out):,} of {len(files):,} files were left out: {str(left_out[0]).rstrip('.')}")
    _show(found, loaded, as_json, named=len(found) + len(left_out) > 1)


def _show(found: "list[Transcript]", run: "Run", as_json: bool, *, named: bool = False) -> None:
    digits = 0 if getattr(run.adapter, "rate", None) is None else 3
    for one in found:
        text = one.text.replace("\n", " ")
        if as_json:
            characters = [
                {"character": character, "start": round(float(start), digits), "end": round(float(end), digits)}
                for character, (start, end) in zip(one.text, one.spans, strict=True)
            ]
            line = json.dumps({"file": one.name, "text": text, "characters": characters}, ensure_ascii=False)
        else:
            line = f"{one.name}\t{text}" if named else text
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _check_sound(run: "Run") -> None:
    from gatewise.errors import RunError

    if (kind := getattr(run.adapter, "kind", None)) != "audio":
        raise RunError(f"{run.path}: expected a run that hears for a stream of samples, got one of {kind}. Name files.")


def _can_stream(run: "Run") -> bool:
    from gatewise.errors import OptionError

    try:
        run.transcriber()
    except OptionError as error:
        sys.stderr.write(f"Note: the text comes at the end of the stream: {error}\n")
        return False
    return True


def _live(run: "Run") -> None:
    live, rest = run.transcriber(), b""
    while data := sys.stdin.buffer.read1(CHUNK):  # type: ignore[union-attr]
        data = rest + data
        even = len(data) // 2 * 2
        rest = data[even:]
        if even:
            sys.stdout.write(live.push(_samples(data[:even])))
            sys.stdout.flush()
    sys.stdout.write(live.finish() + "\n")
    sys.stdout.flush()


def _samples(data: bytes) -> Any:
    """16-bit little-endian samples as -1 to 1; half a sample at the end is left out."""
    import numpy as np

    return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float32) / 32768
