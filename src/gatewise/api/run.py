"""`Run`: a trained model with its data's side and its measurements."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from gatewise.api.explanation import Explanation, explain
from gatewise.api.explorer import inspect
from gatewise.api.forecasting import Backtest, LiveForecast, backtest, forecast
from gatewise.api.generation import generate
from gatewise.api.memory import Memory, memory
from gatewise.api.probing import probe
from gatewise.api.rows import Rows
from gatewise.api.tracing import RunTrace, trace, units
from gatewise.api.transcription import LiveTranscriber, transcripts
from gatewise.data.adapter import Adapter, Labelled, labels_of
from gatewise.data.series_files import file_of
from gatewise.data.targets import Labels
from gatewise.errors import DataError, RunError
from gatewise.inspection.memory import STEPS
from gatewise.inspection.probes import Probes
from gatewise.inspection.trace import MAX_BYTES
from gatewise.inspection.units import UnitSummary
from gatewise.models.seq2seq import Seq2Seq
from gatewise.models.transcriber import Search
from gatewise.reports.report import Measured, Report, render
from gatewise.tasks import SIDES, TASKS, Data, Task
from gatewise.training.checkpoint import load_into
from gatewise.training.config import Config
from gatewise.training.evaluate import OnBatch, measure, run_model
from gatewise.training.files import write_atomic
from gatewise.training.fit import make_fabric, training_padding
from gatewise.training.prepare import Prepared, prepare
from gatewise.training.run import RunDirectory
from gatewise.training.threads import cpu_threads
from gatewise.training.threshold import choose_threshold
from gatewise.types import Results

if TYPE_CHECKING:
    import polars


def load(run: str | Path, *, device: str = "auto", threads: int | None = None) -> "Run":
    """A trained run.

    Args:
        run: its directory.
        device: where to compute.
        threads: CPU threads; default: as it was trained.

    Returns:
        The run; its weights are read when first needed.

    Raises:
        RunError: there is no run, or it is damaged.
    """
    directory = RunDirectory(Path(run))
    loaded = Run(directory, device=device, threads=threads)
    _ = loaded.config, loaded.adapter  # damage is told now, not at the first prediction
    return loaded


class Run:
    """A trained model with its data's side and its measurements; comes from :func:`train` or :func:`load`.

    Attributes:
        path: the run directory.
        device: where to compute.
        threads: CPU threads; None for as many as it was trained with.
    """

    def __init__(self, directory: RunDirectory, *, device: str = "auto", threads: int | None = None) -> None:
        self.directory = directory
        self.path = directory.path
        self.device = device
        self.threads = threads

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, task={self.config.task!r})"

    @cached_property
    def config(self) -> Config:
        """Every setting it was trained with."""
        return self.directory.read_config()

    @cached_property
    def adapter(self) -> Adapter:
        """What was measured on its training data."""
        return self.directory.read_adapter()

    @cached_property
    def task(self) -> Task:
        """What it predicts."""
        return TASKS[self.config.task](self.config.loss, self.adapter)

    @cached_property
    def model(self) -> nn.Module:
        """The model with its best weights, in evaluation mode: ``model(x, lengths=None) -> scores``.

        It is on the CPU until the run first predicts elsewhere.
        """
        return self._batch_model.get_submodule("model")

    @cached_property
    def _batch_model(self) -> nn.Module:
        model = fresh_model(self.task, self.config)
        weights = self.directory.read_weights()
        if any(value.dtype == torch.float64 for value in weights.values()):
            model.double()  # trained with precision 64
        load_into(model, weights, source=self.directory.file("weights.safetensors"))
        return model.eval()

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels of a classification, in the order of its probabilities."""
        labels = self._labels
        return () if labels is None else labels.classes

    @property
    def _labels(self) -> Labels | None:
        return labels_of(self.adapter)

    @property
    def history(self) -> list[dict[str, Any]]:
        """One entry an epoch, as in ``metrics.jsonl``."""
        return self.directory.read_metrics()

    @property
    def results(self) -> dict[str, Any]:
        """Metrics of the best weights by data set (``"validation"``, ``"test"``), as in ``results.json``."""
        return self.directory.read_results()

    def evaluate(self, data: Any = None, targets: Any = None, *, on_batch: OnBatch | None = None) -> dict[str, float]:
        """Measures the model.

        Args:
            data: as in :func:`train`; default: the run's own test file.
            targets: one a sequence, where ``data`` has none in it.
            on_batch: told how many sequences were done.

        Returns:
            ``count``, ``loss`` and the metrics of the task.

        Raises:
            DataError: the data cannot be read, have no targets, or do not fit the run.
        """
        return measure(self.task, self.run(self.read(data, targets, require_target=True), on_batch=on_batch))

    def predict(self, data: Any) -> list[Any]:
        """The answer to each sequence: a label, a number, a list of numbers, or such for every step.

        To each text a label, a list of tags, or a text; of a language model the
        :class:`~gatewise.data.corpus.Surprisal` of each stretch. Labels are text, also where numbers were given:
        ``"1"`` for the label 1.

        Args:
            data: as in :func:`train`; targets are not needed.

        Raises:
            DataError: the data cannot be read, or do not fit the run.
        """
        return [prediction.value for prediction in self.run(self.read(data)).predictions]

    def predict_proba(self, data: Any) -> np.ndarray:
        """The probability of each class: ``[N, K]`` float64, in the order of :attr:`classes`.

        Args:
            data: as in :func:`train`; targets are not needed.

        Raises:
            RunError: the run's task gives no probabilities.
            DataError: the data cannot be read, or do not fit the run.
        """
        if self._labels is None:
            raise RunError(
                f"{self.path}: expected a classification for probabilities, got a run of {self.config.task}."
            )
        rows = [prediction.probabilities for prediction in self.run(self.read(data)).predictions]
        return np.array(rows, dtype=np.float64).reshape(-1, len(self.classes))

    def generate(
        self,
        prompt: str = "",
        *,
        max_length: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int = 0,
        on_note: Callable[[str], None] | None = None,
    ) -> Iterator[str]:
        """A language model writes on; see :func:`gatewise.api.generation.generate`."""
        return generate(
            self,
            prompt,
            max_length=max_length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            on_note=on_note,
        )

    def forecast(
        self, data: Any = None, *, horizon: int | None = None, on_note: Callable[[str], None] | None = None
    ) -> "polars.DataFrame":
        """What comes after the end of each series; see :func:`gatewise.api.forecasting.forecast`."""
        return forecast(self, data, horizon=horizon, on_note=on_note)

    def backtest(
        self, data: Any = None, *, windows: int = 20, stride: int = 1, on_batch: OnBatch | None = None
    ) -> Backtest:
        """How well it would have forecast what is known by now; see :func:`gatewise.api.forecasting.backtest`."""
        return backtest(self, data, windows=windows, stride=stride, on_batch=on_batch)

    def live_forecast(self, data: Any) -> LiveForecast:
        """Series that grow, forecast at any time; see :class:`gatewise.api.forecasting.LiveForecast`."""
        return LiveForecast(self, data)

    def explain(
        self,
        data: Any = None,
        targets: Any = None,
        *,
        row: int = 0,
        method: str = "integrated-gradients",
        target: Any = None,
        step: int | None = None,
    ) -> Explanation:
        """Which parts of a sequence made the answer; see :func:`gatewise.api.explanation.explain`."""
        return explain(self, data, targets, row=row, method=method, target=target, step=step)

    def inspect(
        self,
        data: Any = None,
        targets: Any = None,
        *,
        out: str | Path | None = None,
        rows: Rows | None = None,
        count: int | None = None,
    ) -> Path:
        """Writes a page to look inside; see :func:`gatewise.api.explorer.inspect`."""
        return inspect(self, data, targets, out=out, rows=rows, count=count)

    def probe(self, data: Any = None, targets: Any = None, *, on_tokens: OnBatch | None = None) -> Probes:
        """Units that follow a property of the text; see :func:`gatewise.api.probing.probe`."""
        return probe(self, data, targets, on_tokens=on_tokens or (lambda tokens: None))

    def memory(
        self,
        data: Any = None,
        targets: Any = None,
        *,
        rows: Rows | None = None,
        count: int | None = None,
        steps: int = STEPS,
        seed: int = 0,
        on_batch: OnBatch | None = None,
    ) -> Memory:
        """How far back its answers reach, and how gradients get there; see :func:`gatewise.api.memory.memory`."""
        return memory(
            self, self._batch_model, data, targets, rows=rows, count=count, steps=steps, seed=seed, on_batch=on_batch
        )

    def trace(
        self,
        data: Any = None,
        targets: Any = None,
        *,
        rows: Rows = 0,
        steps: tuple[int, int] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> RunTrace:
        """Every gate and state inside, while it reads some sequences; see :func:`gatewise.api.tracing.trace`."""
        return trace(self, data, targets, rows=rows, steps=steps, max_bytes=max_bytes)

    def units(
        self, data: Any = None, targets: Any = None, *, on_batch: OnBatch | None = None
    ) -> tuple[UnitSummary, ...]:
        """What each unit does over a whole data set; see :func:`gatewise.api.tracing.units`."""
        return units(self, data, targets, on_batch=on_batch)

    def translate(self, texts: Sequence[str], *, beam_size: int | None = None) -> list[str]:
        """The answer to each text, of a translation or summarisation.

        A blank text has a blank answer: pairs with a blank side are not learnt from.

        Args:
            texts: sources; none is fine.
            beam_size: answers to follow side by side; None for as many as the model was made with.

        Raises:
            RunError: the run's task gives no texts.
        """
        model = self.model
        if not isinstance(model, Seq2Seq):
            raise RunError(
                f"{self.path}: expected a translation or summarisation, got a run of {self.config.task}. Train one."
            )
        before = model.beam_size
        model.beam_size = beam_size or before
        filled = [text for text in texts if not isinstance(text, str) or text.strip()]  # what is no text is refused
        try:
            answers = iter(self.predict(filled) if filled else [])
            return ["" if isinstance(text, str) and not text.strip() else next(answers) for text in texts]
        finally:
            model.beam_size = before

    def transcribe(
        self,
        data: Any,
        *,
        beam_size: int | None = None,
        language_model: "Run | str | Path | None" = None,
        lm_weight: float | None = None,
        length_bonus: float | None = None,
    ) -> list[str]:
        """What recordings or drawings say, a text each; see :func:`gatewise.api.transcription.transcripts`."""
        found = transcripts(
            self,
            data,
            beam_size=beam_size,
            language_model=language_model,
            lm_weight=lm_weight,
            length_bonus=length_bonus,
        )
        return [one.text for one in found]

    def transcriber(self) -> LiveTranscriber:
        """Writes down a live stream, part by part; see :class:`gatewise.api.transcription.LiveTranscriber`.

        Raises:
            RunError: the run gives no transcripts.
            OptionError: the model looks ahead.
        """
        return LiveTranscriber(self)

    @property
    def search(self) -> Search:
        """How a transcriber's scores become text; its options may be set.

        Raises:
            RunError: the run gives no transcripts.
        """
        search = dict(self._batch_model.named_children()).get("search")
        if not isinstance(search, Search):
            raise RunError(
                f"{self.path}: expected a run that gives transcripts, got one of {self.config.task}. Train one."
            )
        return search

    def read(
        self, data: Any = None, targets: Any = None, *, require_target: bool = False, skip_bad: bool = False
    ) -> Data:
        """Data as read, with the columns that the run was trained with.

        Args:
            data: as in :func:`train`; default: the run's own test file.
            targets: one a sequence, where ``data`` has none in it.
            require_target: whether data without targets are an error.
            skip_bad: recordings, drawings and films: leave out what cannot be read, and count it in ``skipped``; also
                where the run was not trained so.
        """
        if data is None:
            data = self.config.data.test
            if data is not None and not is_there(data):
                raise DataError(
                    f"{data}: expected the run's own test file, got nothing of that name in {Path.cwd()}. "
                    "Go to where it was trained, or name a file."
                )
        if data is None:
            raise DataError(f"{self.path}: expected data, got none, and the run has no test file. Name a file.")
        if require_target:
            return read_with_targets(data, targets, self.config, self.adapter)
        settings = self.config.data
        if skip_bad:
            settings = replace(settings, media=replace(settings.media, skip_bad=True))
        if isinstance(data, Data):  # read already
            return replace(data, targets=None)
        found: Data = SIDES[self.config.task].read(data, targets, settings, self.adapter, False)
        return replace(found, targets=None)  # answers are not looked at, right or wrong

    def run(self, data: Data, *, on_batch: OnBatch | None = None) -> Results:
        """Predictions and references of data as read."""
        settings = replace(self.config.train, device=self.device)
        fabric = make_fabric(settings, distributed=False)
        model = fabric.setup_module(self._batch_model).eval()  # Fabric's wrapper begins in training mode
        with cpu_threads(self.threads or settings.threads or 1):
            return run_model(
                self.task,
                model,
                self.adapter.encode(data),
                fabric=fabric,
                batch_size=2 * settings.batch_size,
                on_batch=on_batch or (lambda sequences: None),
            )

    def write_report(self, data: Any = None) -> Path:
        """Writes ``report.html`` anew: with the run's own validation and test data, and with ``data`` beside them.

        Args:
            data: more data with answers, as in :func:`train`.

        Returns:
            The path of the page.

        Raises:
            RunError: the run's data were given in Python and cannot be read again.
        """
        prepared = self._prepared_again()
        sets = {"validation": prepared.valid_data} if prepared.valid else {}
        if self.config.data.test is not None:
            sets["test"] = self.read(self.config.data.test, require_target=True)
        if data is not None:
            more = self.read(data, require_target=True)
            sets[Path(more.source).name] = more
        return self._write_report([self._measure(name, part) for name, part in sets.items()], prepared)

    def _write_report(self, measured: Sequence[Measured], prepared: Prepared) -> Path:
        page = Report(
            title=self.path.name,
            config=self.config,
            versions=self.directory.versions(),
            adapter=self.adapter,
            history=self.history,
            train_data=prepared.train_data,
            measured=measured,
            padding=training_padding(prepared.train, self.config.train),
            parameters=sum(parameter.numel() for parameter in self._batch_model.parameters()),
            seconds=sum(line["seconds"] for line in self.history),
            device=_device_in_words(self.device, self.config.train.threads),
        )
        path = self.directory.file("report.html")
        write_atomic(path, render(page))
        return path

    def _measure(self, name: str, data: Data) -> Measured:
        results = self.run(data)
        return Measured(name, data, results, measure(self.task, results))

    def _prepared_again(self) -> Prepared:
        if self.config.data.train is None:
            raise RunError(
                f"{self.path}: expected a run trained from a file, got one trained from data in memory. "
                "Its report was written when it was trained."
            )
        data = read_with_targets(self.config.data.train, None, self.config)
        return prepare(data, read_optional(self.config.data.valid, self.config), self.config)

    def finish(self, prepared: Prepared, test_data: Data | None, *, report: bool) -> None:
        """The end of a training: chooses the threshold if asked for, measures, writes results and report."""
        chosen = {} if self.config.threshold == 0.5 else {"threshold": self._set_threshold(prepared)}
        measured = [self._measure("validation", prepared.valid_data)] if prepared.valid else []
        if test_data is not None:
            measured.append(self._measure("test", test_data))
        best = max((line["epoch"] for line in self.history if line["best"]), default=0)
        summary: dict[str, Any] = {item.name: dict(item.metrics) for item in measured}
        self.directory.write_results({"best_epoch": best, "epochs": len(self.history), **chosen, **summary})
        if report:
            self._write_report(measured, prepared)

    def _set_threshold(self, prepared: Prepared) -> float:
        """Puts the threshold that was asked for, or chosen, into the adapter."""
        labels = self._labels
        assert labels is not None  # refused before the training otherwise
        threshold = self.config.threshold
        if threshold == "auto":
            threshold = choose_threshold(labels, self.run(prepared.valid_data))
        assert isinstance(self.adapter, Labelled)
        adapter = self.adapter.with_labels(replace(labels, threshold=threshold))
        self.directory.write_adapter(adapter)
        self.adapter = adapter
        self.__dict__.pop("task", None)  # it was made with the adapter as it was
        return threshold


def is_there(data: str) -> bool:
    """Whether the file, each of two files "SOURCE,TARGET", or the one of "FILE@FROM..UNTIL" exists."""
    return Path(file_of(data)).exists() or all(Path(part).exists() for part in data.split(","))


def read_with_targets(data: Any, targets: Any, config: Config, adapter: Adapter | None = None) -> Data:
    """Data with a target for every sequence, in any form that :func:`train` takes.

    Raises:
        DataError: there are no data, or no targets.
    """
    if data is None:
        raise DataError("data: expected a file to learn from, got none. Name it with --data.")
    side = SIDES[config.task]
    found: Data = side.read(data, targets, config.data, adapter, True)
    if found.targets is None and not side.unsupervised:
        raise DataError(
            f"{found.source}: expected a target for every sequence, got none. "
            "Name the target column with --target, or give targets."
        )
    return found


def read_optional(data: Any, config: Config) -> Data | None:
    """Data with a target for every sequence, or None where no data are given."""
    return None if data is None else read_with_targets(data, None, config)


def fresh_model(task: Task, config: Config) -> nn.Module:
    """A model with initial weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        return task.build(config.model)


def _device_in_words(device: str, threads: int) -> str:
    if device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
        return torch.cuda.get_device_name(device if device != "auto" else None)
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}" if device in ("auto", "cpu") else device
