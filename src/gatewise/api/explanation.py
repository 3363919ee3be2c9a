"""Why a run answers as it does: which steps of a sequence made the score of its answer."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gatewise.api.pages import check_page
from gatewise.api.questions import Asked, Question, question
from gatewise.api.rows import picked, read_answered
from gatewise.api.steps import as_read, baseline_of, columns_of, step_names
from gatewise.api.tracing import state_before
from gatewise.data.corpus import CorpusAdapter
from gatewise.data.series import SeriesData
from gatewise.errors import OptionError, did_you_mean
from gatewise.inspection.attribution import Attribution, integrated_gradients, occlusion, windows_of
from gatewise.inspection.entries import Entry, entry_of
from gatewise.training.files import write_atomic
from gatewise.training.fit import make_fabric
from gatewise.training.gradients import evaluated, frozen
from gatewise.training.threads import cpu_threads
from gatewise.types import Batch, Prediction

if TYPE_CHECKING:
    import polars

    from gatewise.api.run import Run

METHODS = ("integrated-gradients", "occlusion", "attention")
MOST_CHANNELS = 64  # that are occluded one at a time; of more, all of a step are
WINDOWS_OF_TOKENS = 240  # each token by itself, where there are not more


@dataclass(frozen=True)
class Explanation:
    """What each part of a sequence adds to the score of an answer.

    Attributes:
        row: which sequence, counted from 0.
        axis: the name of each step: tokens, times, numbers of steps.
        features: names of the columns of ``attribution.values``; none where a step has a single value.
        inputs: what stands at each step: ``[T, I]`` as read, in units of the data; frames ``[T, M]`` of log-energies of
            a recording; token numbers ``[T]``.
        attribution: what each adds, and to which score.
        prediction: the run's answer.
        reference: what the answer should have been, as read; None where nobody says.
    """

    row: int
    axis: list[str]
    features: tuple[str, ...]
    inputs: np.ndarray
    attribution: Attribution
    prediction: Prediction
    reference: Any = None

    @property
    def per_step(self) -> np.ndarray:
        """What each step adds, all its features together: ``[T]``."""
        values = self.attribution.values
        return np.asarray(values.reshape(len(values), -1).sum(1))

    def __str__(self) -> str:
        found = self.attribution
        if found.method == "attention":
            return f"Row {self.row}: {found.target}."
        told = (
            f"Row {self.row}: {found.target} is {found.score:.4g}, {found.difference:+.4g} from the baseline's "
            f"{found.score - found.difference:.4g}; values add up to {found.values.sum():+.4g}."
        )
        return told if found.complete else f"{told} After {found.steps:,} points the sum still misses the rest."

    def table(self) -> "polars.DataFrame":
        """``step, name, feature, value``: one row a step and feature."""
        import polars

        values = self.attribution.values.reshape(len(self.axis), -1)
        features = self.features or tuple(str(k) for k in range(values.shape[1]))
        several = values.shape[1] > 1
        return polars.DataFrame(
            {
                "step": np.repeat(np.arange(len(values)), values.shape[1]),
                "name": [name for name in self.axis for _ in range(values.shape[1])],
                "feature": list(features if several else ("",)) * len(values),
                "value": values.ravel(),
            }
        )

    def write(self, path: str | Path) -> Path:
        """Writes a page that shows it, which loads nothing from anywhere.

        Args:
            path: of the file, ``.html``.

        Returns:
            The path.

        Raises:
            OptionError: another suffix.
            RunError: there is no folder to write to.
        """
        from gatewise.reports.attributions import page_of

        target, value = check_page(path), self.prediction.value
        title = (
            f"Why {value}? Row {self.row}" if isinstance(value, str) and len(value) <= 40 else f"Why? Row {self.row}"
        )
        write_atomic(target, page_of(self.attribution, self.axis, self.features, self.inputs, title=title))
        return target


def explain(
    run: "Run",
    data: Any = None,
    targets: Any = None,
    *,
    row: int = 0,
    method: str = "integrated-gradients",
    target: Any = None,
    step: int | None = None,
) -> Explanation:
    """Which parts of a sequence made the run's answer what it is.

    The score explained is, of a class, a tag or a next token, its log-odds against all others; of a number the number
    itself; of a forecast its mean over the horizon; of a text its log-probability. What "nothing" is, is told in
    docs/inspection.md.

    Args:
        run: the trained run.
        data: as in :func:`gatewise.train`, or as ``run.read`` gave them; default: the run's own test file.
        targets: one a sequence, where ``data`` has none in it. They explain nothing: ``reference`` tells that of the
            row.
        row: which sequence, counted from 0: of a language model which stretch (read on from what stands before, which
            stays as it is), of a forecaster which series, whose end is forecast.
        method: ``"integrated-gradients"``, ``"occlusion"``, or ``"attention"`` where the model has it.
        target: which class, tag, target, channel or token; default: the answer that the run gives, the first channel,
            or the token that came.
        step: which answer, where there is one a step: the word tagged, the token after which (default: the last), the
            step ahead (default: the mean of all), the token of a translation (default: the whole).

    Returns:
        The explanation.

    Raises:
        OptionError: a method, row, target or step that there is not.
        DataError: the data cannot be read, or do not fit the run.
        RunError: the task has no scores to explain.
    """
    if method not in METHODS:
        raise OptionError(
            f'method: expected one of {", ".join(METHODS)}, got "{method}". {did_you_mean(str(method), METHODS)}'
        )
    read, answers = read_answered(run, data, targets), None
    if not isinstance(read, SeriesData):  # of which targets say what is forecast
        answers, read = read.targets, replace(read, targets=None)
    ((_, one, example),), whole = picked(run, read, row, name="row")
    row = int(row)
    reference = None if answers is None else answers[row]
    fabric = make_fabric(replace(run.config.train, device=run.device, precision="32"), distributed=False)
    model = run._batch_model.to(fabric.device)
    with cpu_threads(run.threads or run.config.train.threads or 1), evaluated(model), frozen(model):
        batch = _in_dtype(run.task.collate([example]).to(fabric.device), next(model.parameters()).dtype)
        with torch.no_grad():
            state = None
            if isinstance(run.adapter, CorpusAdapter):
                state = state_before(run, model, whole, row, fabric)
            prediction = run.task.predict(model, batch, model(batch, state))[0]
        asked = Asked(run, one, example, batch, prediction, target, step)
        if method == "attention":
            found = _attended(asked)
            entry = entry_of(model, batch) if getattr(run.adapter, "kind", None) == "audio" else None  # of frames
            inputs = as_read(run, one, example) if entry is None else entry.x.cpu().numpy()
            return Explanation(row, step_names(run, one, example, entry), (), inputs, found, prediction, reference)
        wanted = question(asked)
        entry = entry_of(model, wanted.batch, state)
        entry = entry._replace(baseline=baseline_of(run, entry))
        found = _attribute(wanted, entry, method)
    names, places = columns_of(run, entry)
    if found.values.ndim == 2 and len(places) < found.values.shape[1]:
        values = found.values[:, places]  # the others are as they are in the baseline: they add nothing
        found = replace(found, values=values, residual=found.difference - float(values.sum()))
    features = names if found.values.ndim == 2 and found.values.shape[1] == len(names) else ()
    inputs = as_read(run, one, example) if entry.of in ("input", "tokens") else entry.x.cpu().numpy()
    return Explanation(row, step_names(run, one, example, entry), features, inputs, found, prediction, reference)


def _attribute(wanted: Question, entry: Entry, method: str) -> Attribution:
    """Values ``[T, ...]`` of the entry; ``[T]`` of tokens and of points, whose features are no one's own."""

    def score(points: Tensor) -> Tensor:
        return wanted.score(entry.run(points))

    together = entry.of in ("tokens", "points")
    if method == "occlusion":
        single = not together and entry.of == "input" and entry.x.ndim == 2 and entry.x.shape[1] <= MOST_CHANNELS
        windows = windows_of(len(entry.x), WINDOWS_OF_TOKENS) if entry.of == "tokens" else None
        return occlusion(score, entry.x, windows, entry.baseline, each_channel=single, target=wanted.target)
    found = integrated_gradients(score, entry.x, entry.baseline, target=wanted.target)
    values = found.values.reshape(len(found.values), -1)
    return replace(found, values=values.sum(1)) if together else found


def _attended(asked: Asked) -> Attribution:
    """The shares of attention as they are, or those of one step of the answer, or their mean."""
    shares = asked.prediction.attention
    if shares is None:
        raise OptionError(
            'method: expected integrated-gradients or occlusion for a model that does not attend, got "attention". '
            'Train with model.pool "attention".'
        )
    if asked.target is not None:
        raise OptionError(f"target: expected none with attention, got {asked.target!r}. It is no part of one score.")
    values = np.asarray(shares, dtype=np.float64)
    what = "shares of attention"
    if values.ndim == 2:
        if asked.step is not None and not 0 <= asked.step < len(values):
            raise OptionError(f"step: expected 0 to {len(values) - 1}, got {asked.step}. The answer has so many steps.")
        values = values.mean(0) if asked.step is None else values[asked.step]
        what += ", mean over the answer" if asked.step is None else f" at step {asked.step} of the answer"
    elif asked.step is not None:
        raise OptionError(f"step: expected none, got {asked.step}. The answer is for the sequence as a whole.")
    nothing = float("nan")
    return Attribution(values, "attention", what, nothing, nothing, nothing)


def _in_dtype(batch: Batch, dtype: torch.dtype) -> Batch:
    """Inputs in the dtype of the weights."""

    def cast(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(dtype) if value.dtype == torch.float32 else value
        return type(value)(*map(cast, value)) if isinstance(value, tuple) else value

    return batch._replace(inputs=cast(batch.inputs))
