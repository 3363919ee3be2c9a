"""What comes next in a series: an LSTM over patches of its past, beside a linear map from the past to the horizon."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gatewise.cell import Cell
from gatewise.errors import OptionError, ShapeError, did_you_mean
from gatewise.likelihoods import Likelihood
from gatewise.models.encoder import Encoder
from gatewise.nn.dropout import SequenceDropout
from gatewise.sequences import mask_of_lengths
from gatewise.types import Batch, Outputs, Window

HEADS = ("direct", "autoregressive")
SKIPS = ("none", "last", "seasonal", "linear", "linear-last", "linear-seasonal")
ROWS_AT_ONCE = 1 << 14  # that a decoder draws paths for, whatever the number of windows, channels and paths
SAMPLING_SEED = 0  # of the paths that an autoregressive forecast draws: each forecast of a window is the same


class Layout(NamedTuple):
    """The sizes of a window and of the answer; ``K`` channels, ``C`` steps of context, ``h`` of horizon.

    ``past_size`` counts the values and the marks of the ``K`` channels too; ``season`` in steps, 1 for none.
    """

    num_channels: int
    context_length: int
    horizon: int
    past_size: int
    future_size: int
    static_size: int
    season: int = 1


class Past(NamedTuple):
    """The past of ``R`` rows, ready to be read: a row is a window, or one channel of it.

    ``values [R, C, k]``, zero where nothing was observed, and ``observed [R, C, k]`` (1 or 0) of the row's ``k``
    channels; ``covariates [R, C, c]``, known at every step of the window and zero before its first. ``last [R, k]``:
    the last observed values, zero where none was.
    """

    values: Tensor
    observed: Tensor
    covariates: Tensor
    last: Tensor


class Ready(NamedTuple):
    """What a head makes the answer of, for ``R`` rows of ``k`` channels and ``h`` steps.

    ``state [R, H]`` of the encoder; ``last [R, k]``, the last observed values; ``base [R, h, k]``, what the answer is
    counted from; ``ahead [R, h, F]``, what is known of each step; ``loc`` and ``scale [R, 1, k]`` of the rows.
    """

    state: Tensor
    last: Tensor
    base: Tensor
    ahead: Tensor
    loc: Tensor
    scale: Tensor


class Forecaster(nn.Module):
    r"""Reads a window of a series and answers with the parameters of a likelihood for each step of the horizon.

    The past is cut into patches of some steps, the last one ending with it; a recurrent encoder reads one patch a step
    and a head makes the answer from its last state. Beside it a linear map sees the whole past at once. With
    :math:`x` the scaled past of a channel, :math:`a` its last value (or 0), and :math:`l` the first parameter:

    .. math::
        l = a + W (x - a) + \mathrm{head}(\mathrm{LSTM}(\mathrm{patches}(x)))

    W and the head begin near zero: untrained, the model forecasts the last value (or the window's location).

    Args:
        layout: sizes of a window.
        likelihood: what the answer says.
        encoder: reads the patches; unidirectional, so that nothing is read twice as a series grows.
        patch_size: steps of a patch.
        embedding_size: features of a patch that the encoder sees.
        independent: each channel is a row of its own, with the same weights; else all are read together.
        head: ``"direct"``, all of the horizon at once, or ``"autoregressive"``, a decoder that reads its own answer.
        skip: what the answer is counted from: ``"none"`` (the window's location), the ``"last"`` value, the value a
            season before (``"seasonal"``), or a ``"linear"`` map of the past; ``"linear-last"`` and
            ``"linear-seasonal"`` add a map of the past less its last value.
        decoder_size: units that join the state with what is known of each step ahead, and of the decoder.
        samples: paths that an autoregressive forecast of a distribution draws; with 0 the decoder reads its own point
            forecast, and the bands do not widen with the steps.
        dropout: on the last state.
        cell: of the decoder.
        kernel: of the decoder.

    Shape:
        - window: :class:`~gatewise.types.Window` with ``past [B, C', I]``, ``future [B, h, F]``, ``static [B, S]``.
          Of more than ``C`` steps the last count; fewer are taken as unobserved before. Unobserved values may be
          anything
        - lengths: ``[B]``, real steps at the *end* of each row, or None for all. What is before them may be anything
        - returns ``[B, h, K, P]``

    Raises:
        OptionError: an option does not exist, or a size is below 1.
        ShapeError: a window of other sizes.

    References:
        Salinas et al. 2020 (DeepAR); Zeng et al. 2023 (DLinear, NLinear); Nie et al. 2023 (patches, independent
        channels); Kim et al. 2022 (reversible normalisation: it is done to the window before).
    """

    def __init__(
        self,
        layout: Layout,
        likelihood: Likelihood,
        encoder: Encoder,
        *,
        patch_size: int,
        embedding_size: int,
        independent: bool,
        head: str,
        skip: str,
        decoder_size: int,
        samples: int,
        dropout: float,
        cell: Cell | None = None,
        kernel: str = "auto",
    ) -> None:
        super().__init__()
        _check(patch_size, embedding_size, head, skip, decoder_size, samples, layout)
        self.layout, self.likelihood = layout, likelihood
        self.patch_size = min(patch_size, layout.context_length)
        self.independent, self.skip, self.samples = independent, skip, samples
        channels = 1 if independent else layout.num_channels
        features = 2 * channels + layout.past_size - 2 * layout.num_channels
        self.patches = nn.Linear(self.patch_size * features, embedding_size)
        self.encoder = encoder
        self.static = nn.Linear(layout.static_size, encoder.output_size) if layout.static_size else None
        self.dropout = SequenceDropout(dropout)
        sizes = (encoder.output_size, layout, channels, likelihood, decoder_size)
        self.head = Direct(*sizes) if head == "direct" else Decoder(*sizes, cell=cell, kernel=kernel)
        self.linear = nn.Linear(layout.context_length, layout.horizon) if skip.startswith("linear") else None
        if self.linear is not None:
            nn.init.zeros_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

    @property
    def draws(self) -> bool:
        """Whether quantiles are those of paths that :meth:`sample` draws, not those of the scores."""
        return isinstance(self.head, Decoder) and self.samples > 0 and self.likelihood.quantile is not None

    def forward(self, window: Window, lengths: Tensor | None = None) -> Tensor:
        return self.run(window, lengths).scores

    def run(self, window: Window, lengths: Tensor | None = None, targets: Tensor | None = None) -> Outputs:
        """Scores ``[B, h, K, P]``; ``targets [B, h, K]`` are what an autoregressive head reads in training."""
        fed = None if targets is None or not self.training else self.in_rows(targets)
        scores = self.head(self.read(window, lengths), fed)  # [R, h, k, P]
        every = torch.full((len(window.past),), self.layout.horizon, device=scores.device)
        return Outputs(self.in_windows(scores), every)

    @torch.no_grad()
    def sample(self, window: Window, lengths: Tensor | None = None) -> Tensor:
        """Paths ``[N, B, h, K]``, scaled, that the decoder draws step by step, each reading what it drew.

        The numbers behind the draws are the same for every window and every call. As many paths are drawn at once as
        :data:`ROWS_AT_ONCE` rows hold, so that memory does not grow with their number.
        """
        ready = self.read(window, lengths)
        generator = torch.Generator().manual_seed(SAMPLING_SEED)
        # Stratified at each step: as many paths in each part of the distribution.
        ranks = torch.rand(self.layout.horizon, self.samples, generator=generator).argsort(1).T  # [N, h]
        uniform = (ranks + torch.rand(ranks.shape, generator=generator)) / self.samples
        uniform = uniform.clamp(1e-6, 1 - 1e-6).to(ready.state)
        rows, paths = len(ready.state), []
        for levels in torch.split(uniform, max(1, ROWS_AT_ONCE // max(1, rows))):  # [n, h]
            many = Ready(*(part.repeat(len(levels), *[1] * (part.ndim - 1)) for part in ready))  # [n*R, ...]
            values = self.head(many, uniform=levels.repeat_interleave(rows, 0))
            paths.append(self.in_windows(values[..., None])[..., 0])  # [n*B, h, K]
        drawn = torch.cat(paths)
        return drawn.view(self.samples, len(window.past), *drawn.shape[1:])

    def read(self, window: Window, lengths: Tensor | None) -> Ready:
        """Everything of a window that the head needs."""
        past = self.at_the_door(window, lengths)
        encoded = self.encoder(self.patches(self.in_patches(past)))
        state = encoded.last
        if self.static is not None:
            state = state + self.static(self.repeated(window.static.to(state.dtype)))
        base = self.counted_from(past)
        if self.linear is not None:
            origin = past.last[:, None] if self.skip != "linear" else 0.0
            from_there = (past.values - origin) * past.observed
            base = base + self.linear(from_there.transpose(1, 2)).transpose(1, 2)
        ahead = self.repeated(window.future.to(window.past.dtype))
        return Ready(self.dropout(state), past.last, base, ahead, *self.units(window))

    def counted_from(self, past: Past) -> Tensor:
        """What the answer is counted from before anything is learnt, ``[R, h, k]``."""
        last = past.last[:, None].expand(-1, self.layout.horizon, -1)
        if self.skip in ("none", "linear"):
            return torch.zeros_like(last)
        season, context = self.layout.season, self.layout.context_length
        if self.skip in ("last", "linear-last") or season > context:
            return last
        steps = context - season + torch.arange(self.layout.horizon, device=last.device) % season
        return torch.where(past.observed[:, steps] > 0, past.values[:, steps], last)

    def at_the_door(self, window: Window, lengths: Tensor | None) -> Past:
        """The past in rows of exactly ``C`` steps, zero wherever nothing was observed."""
        layout, K = self.layout, self.layout.num_channels
        past = window.past
        if past.shape[-1] != layout.past_size or window.future.shape[1:] != (layout.horizon, layout.future_size):
            raise ShapeError(
                f"Forecaster: expected a past of {layout.past_size} features and a future of {layout.horizon} steps "
                f"with {layout.future_size}, got {past.shape[-1]} and {tuple(window.future.shape[1:])}. "
                "Give windows of the sizes that the model was made for."
            )
        steps = past.shape[1]
        if lengths is not None:
            real = mask_of_lengths(lengths, steps).flip(1)[..., None]  # the last steps of a row are the real ones
            past = past.masked_fill(~real, 0.0)
        past = past[:, -layout.context_length :]
        past = nn.functional.pad(past, (0, 0, layout.context_length - past.shape[1], 0))
        observed = past[..., K : 2 * K] > 0
        values = past[..., :K].masked_fill(~observed, 0.0)
        place = torch.arange(1, layout.context_length + 1, device=past.device)[:, None] * observed  # [B, C, K]
        last = values.gather(1, place.argmax(1, keepdim=True))[:, 0]
        return Past(
            self.in_rows(values),
            self.in_rows(observed.to(values.dtype)),
            self.repeated(past[..., 2 * K :]),
            self.in_rows(last[:, None])[:, 0],
        )

    def in_patches(self, past: Past) -> Tensor:
        """``[R, ceil(C / p), p * features]``; the first patch begins with zeros where ``p`` does not divide ``C``."""
        x = torch.cat([past.values, past.observed, past.covariates], -1)
        missing = -x.shape[1] % self.patch_size
        x = nn.functional.pad(x, (0, 0, missing, 0))
        return x.reshape(x.shape[0], -1, self.patch_size * x.shape[2])

    def units(self, window: Window) -> tuple[Tensor, Tensor]:
        """Location and scale of each row, ``[R, 1, k]``."""
        return tuple(self.in_rows(part.to(window.past.dtype)[:, None]) for part in (window.loc, window.scale))  # type: ignore[return-value]

    def in_rows(self, x: Tensor) -> Tensor:
        """``[B, T, K]`` as ``[B*K, T, 1]`` where channels are independent, channel after channel of each window."""
        return x.transpose(1, 2).reshape(-1, x.shape[1], 1) if self.independent else x

    def repeated(self, x: Tensor) -> Tensor:
        """What belongs to the whole window, ``[B, ...]``, for each of its rows."""
        return x.repeat_interleave(self.layout.num_channels, 0) if self.independent else x

    def in_windows(self, scores: Tensor) -> Tensor:
        """``[R, h, k, P]`` as ``[B, h, K, P]``."""
        if not self.independent:
            return scores
        return scores.reshape(-1, self.layout.num_channels, *scores.shape[1:2], scores.shape[3]).transpose(1, 2)


class Direct(nn.Module):
    """All steps of the horizon at once; what is known of each step ahead joins through one hidden layer.

    Args:
        state_size: of the encoder's last state.
        layout: sizes of a window.
        channels: ``k``, of a row.
        likelihood: its parameters are the answer.
        decoder_size: units of the hidden layer.
    """

    def __init__(
        self, state_size: int, layout: Layout, channels: int, likelihood: Likelihood, decoder_size: int
    ) -> None:
        super().__init__()
        self.shape = (layout.horizon, channels, likelihood.size)
        self.all_steps = nn.Linear(state_size, layout.horizon * channels * likelihood.size)
        _begin_small(self.all_steps)
        self.each_step: nn.Module | None = None
        if layout.future_size:
            self.of_state = nn.Linear(state_size, decoder_size)
            self.of_step = nn.Linear(layout.future_size, decoder_size, bias=False)
            self.each_step = nn.Linear(decoder_size, channels * likelihood.size)
            _begin_small(self.each_step)

    def forward(self, ready: Ready, fed: Tensor | None = None) -> Tensor:
        """Parameters ``[R, h, k, P]``, the first counted from the base; what is fed to others is not looked at."""
        parameters = self.all_steps(ready.state).view(-1, *self.shape)
        if self.each_step is not None:
            hidden = torch.relu(self.of_state(ready.state)[:, None] + self.of_step(ready.ahead))
            parameters = parameters + self.each_step(hidden).view(-1, *self.shape)
        return _counted_from(ready.base, parameters)


class Decoder(nn.Module):
    """An LSTM over the horizon that reads the value before each step: the true one in training, then its own.

    Args:
        state_size: of the encoder's last state.
        layout: sizes of a window.
        channels: ``k``, of a row.
        likelihood: its parameters are the answer; its point forecast, or a draw, is what is read next.
        decoder_size: units.
        cell: which LSTM equations.
        kernel: which implementation.

    References:
        Salinas et al. 2020 (DeepAR); Williams & Zipser 1989 (teacher forcing).
    """

    def __init__(
        self,
        state_size: int,
        layout: Layout,
        channels: int,
        likelihood: Likelihood,
        decoder_size: int,
        *,
        cell: Cell | None = None,
        kernel: str = "auto",
    ) -> None:
        super().__init__()
        self.likelihood, self.channels = likelihood, channels
        self.begin = nn.Linear(state_size, decoder_size)
        # The value before, whether it is known, where the answer is counted from, and what is known of the step.
        size = 3 * channels + layout.future_size
        self.steps = Encoder(size + decoder_size, (decoder_size,), bidirectional=False, cell=cell, kernel=kernel)
        self.scores = nn.Linear(decoder_size, channels * likelihood.size)
        _begin_small(self.scores)

    def forward(self, ready: Ready, fed: Tensor | None = None, uniform: Tensor | None = None) -> Tensor:
        """Parameters ``[R, h, k, P]``; with ``uniform [R, h]`` the values ``[R, h, k]`` of paths with these ranks.

        ``fed [R, h, k]`` are the values that it reads in training; without them it reads its own.
        """
        state, last, base, ahead, loc, scale = ready
        context = torch.tanh(self.begin(state))[:, None]  # [R, 1, D], seen at every step
        if fed is not None:
            before = torch.cat([last[:, None], fed[:, :-1]], 1)
            known = ~torch.isnan(before)
            inputs = [before.masked_fill(~known, 0.0), known.to(base.dtype), base, ahead]
            x = torch.cat([*inputs, context.expand(-1, base.shape[1], -1)], -1)
            return self.parameters_of(self.steps(x).steps, base)
        carried, before, answers = None, last[:, None], []
        for t in range(base.shape[1]):
            here = base[:, t : t + 1]
            x = torch.cat([before, torch.ones_like(before), here, ahead[:, t : t + 1], context], -1)
            encoded = self.steps(x, None, carried)
            parameters, carried = self.parameters_of(encoded.steps, here), encoded.state
            before = self.value_of(parameters, None if uniform is None else uniform[:, t], loc, scale)
            answers.append(parameters if uniform is None else before)
        return torch.cat(answers, 1)

    def parameters_of(self, steps: Tensor, base: Tensor) -> Tensor:
        """``[R, T, D]`` to ``[R, T, k, P]``."""
        return _counted_from(base, self.scores(steps).view(*steps.shape[:2], self.channels, -1))

    def value_of(self, parameters: Tensor, level: Tensor | None, loc: Tensor, scale: Tensor) -> Tensor:
        """What is read next: the point forecast, or the value at a level of the distribution."""
        if level is None or self.likelihood.quantile is None:
            return self.likelihood.point(parameters, loc, scale)
        levels = level[:, None, None, None].expand(*parameters.shape[:-1], 1)
        return self.likelihood.quantile(parameters, levels, loc, scale)[..., 0].to(parameters.dtype)


def _counted_from(base: Tensor, parameters: Tensor) -> Tensor:
    return torch.cat([parameters[..., :1] + base[..., None], parameters[..., 1:]], -1)


def _begin_small(layer: nn.Linear) -> None:
    """Near zero: at first the answer is what it is counted from."""
    nn.init.normal_(layer.weight, std=1e-3)
    nn.init.zeros_(layer.bias)


def _check(
    patch_size: int, embedding_size: int, head: str, skip: str, decoder_size: int, samples: int, layout: Layout
) -> None:
    for name, given, offered in (("head", head, HEADS), ("skip", skip, SKIPS)):
        if given not in offered:
            raise OptionError(
                f'{name}: expected one of {", ".join(offered)}, got "{given}". {did_you_mean(given, offered)}'
            )
    sizes = {"patch_size": patch_size, "embedding_size": embedding_size, "decoder_size": decoder_size}
    sizes |= {"num_channels": layout.num_channels, "context_length": layout.context_length, "horizon": layout.horizon}
    for name, size in sizes.items():
        if size < 1:
            raise OptionError(f"{name}: expected at least 1, got {size}.")
    if samples < 0:
        raise OptionError(f"samples: expected 0 or more, got {samples}. 100 is a good number.")


class WindowModel(nn.Module):
    """Gives a :class:`Forecaster` the form that tasks train: ``model(batch, state=None) -> Outputs``.

    Args:
        model: the forecaster.
    """

    def __init__(self, model: Forecaster) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, state: Any = None) -> Outputs:
        return self.model.run(batch.inputs, batch.lengths, batch.targets)


def forecaster(
    layout: Layout,
    likelihood: Likelihood,
    *,
    hidden_sizes: tuple[int, ...] = (64,),
    encoder: str = "lstm",
    patch_size: int = 8,
    embedding_size: int = 64,
    independent: bool = True,
    head: str = "direct",
    skip: str = "linear",
    decoder_size: int = 64,
    samples: int = 100,
    dropout: float = 0.3,
    cell: Cell | None = None,
    kernel: str = "auto",
) -> Forecaster:
    """A forecaster: an LSTM over patches, a linear map beside it.

    Args:
        layout: sizes of a window.
        likelihood: what is said of each value (:func:`gatewise.likelihoods.make_likelihood`).
        hidden_sizes: units of each layer over the patches.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``.
        patch_size: steps of a patch.
        embedding_size: features of a patch.
        independent: each channel is read by itself, with the same weights.
        head: ``"direct"`` or ``"autoregressive"``.
        skip: ``"none"``, ``"last"``, ``"seasonal"``, ``"linear"``, ``"linear-last"`` or ``"linear-seasonal"``.
        decoder_size: units of the hidden layer for what is known ahead, or of the decoder.
        samples: paths of an autoregressive forecast of a distribution.
        dropout: between layers, and on the last state.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        The model.
    """
    body = Encoder(
        embedding_size, hidden_sizes, kind=encoder, bidirectional=False, dropout=dropout, cell=cell, kernel=kernel
    )
    return Forecaster(
        layout,
        likelihood,
        body,
        patch_size=patch_size,
        embedding_size=embedding_size,
        independent=independent,
        head=head,
        skip=skip,
        decoder_size=decoder_size,
        samples=samples,
        dropout=dropout,
        cell=cell,
        kernel=kernel,
    )
