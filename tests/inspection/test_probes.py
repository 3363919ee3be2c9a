"""Probes: planted units are found and measured, units that know nothing are not, whatever the autocorrelation."""

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn
from torchmetrics.functional.classification import binary_auroc

from gatewise.inspection import probes
from gatewise.inspection.probes import Probe, Probes, Stretch, Unit, areas, binned, probe_text, shifted_figures
from gatewise.inspection.text_properties import Property, text_properties
from gatewise.nn import LSTM
from gatewise.nn.tracing import record_layers

RNG = np.random.default_rng(0)


def slow(count, rng=RNG, share=0.98):
    """A series that changes slowly, as cell states do."""
    noise = rng.normal(size=count)
    found = np.zeros(count)
    for t in range(1, count):
        found[t] = share * found[t - 1] + noise[t]
    return found


def test_areas_are_those_of_torchmetrics():
    cells = torch.randn(2000, 5) * torch.tensor([0.1, 1, 3, 20, 1])
    yes = torch.rand(2000) < (cells[:, 1] > 0) * 0.5 + 0.2
    counts = [torch.stack([torch.bincount(column, minlength=probes.BINS) for column in binned(part).T]).numpy()
              for part in (cells[yes], cells)]  # fmt: skip
    expected = [binary_auroc(column.sigmoid(), yes.int()).item() for column in cells.T]
    np.testing.assert_allclose(areas(*counts), expected, atol=2e-3)  # ties within a bin


@pytest.mark.parametrize("kind", ["number", "yes-no"])
def test_shifts_are_turns_of_one_series_against_the_other(kind):
    cells, values = slow(301), slow(301)
    cells[::7] = 0.25  # ties
    if kind == "yes-no":
        values = (values > 0).astype(float)
    found = shifted_figures(cells, values, kind)
    for shift in (0, 1, 150, 300):
        turned = np.roll(values, shift)
        if kind == "number":
            expected = np.corrcoef(cells, turned)[0, 1]
        else:
            pairs = np.sign(cells[turned > 0][:, None] - cells[turned == 0])
            expected = (pairs.mean() + 1) / 2
        np.testing.assert_allclose(found[shift], expected, atol=1e-10)


class Planted:
    """Pretends to be a model: what its one layer told comes from given cells ``[R, T, H]``."""

    def __init__(self, cells):
        self.cells, self.layer = torch.tensor(cells, dtype=torch.float32), LSTM(1, cells.shape[2])

    def stretches(self, values):
        rows, steps, _ = self.cells.shape
        for start in range(0, steps, 100):
            here = slice(start, min(start + 100, steps))
            yield Stretch(lambda here=here: self.tell(here), values[:, here], np.ones((rows, here.stop - start), bool),
                          range(rows))  # fmt: skip

    def tell(self, here):
        from gatewise.kernels.contract import Gates
        from gatewise.nn.tracing import LayerRun, WholeRun, consumer

        cells = self.cells[:, here].transpose(0, 1)[None]  # [1, t, B, H]
        gates = Gates(*[torch.zeros_like(cells)] * 4, cells, torch.zeros_like(cells))
        whole = WholeRun(self.layer, 0, 1, cells.shape[2], cells.shape[1], None)
        consumer()(LayerRun(whole, 0, slice(0, cells.shape[2]), 0, cells.shape[1], None, gates))


def probed(cells, properties):
    """Cells ``[2, R, T, H]`` and properties ``[2, R, T]`` by name: the probes of the only layer."""
    given = [
        Property(name, "yes-no" if values.dtype == bool else "number", values) for name, values in properties.items()
    ]
    stacked = np.stack([one.values.astype(np.float32) for one in given], -1)  # [2, R, T, P]
    models = [Planted(part) for part in cells]
    layers = {model.layer: "layer" for model in models}
    parts = tuple(part.reshape(-1, len(given)) for part in stacked)
    return probe_text(models[0].stretches(stacked[0]), models[1].stretches(stacked[1]), given, parts, layers)


def test_planted_units_are_found_and_measured_where_they_were_not_chosen():
    shape = (2, 3, 2000)
    position = RNG.integers(0, 40, shape).astype(float).cumsum(-1) % 60
    quoted = np.stack([slow(np.prod(shape)) > 1]).reshape(shape)
    cells = slow(np.prod(shape) * 6).reshape(*shape, 6)
    cells[..., 4] = -0.3 * position + RNG.normal(size=shape)
    cells[..., 2] = quoted * 2.0 + 0.3 * RNG.normal(size=shape)
    found, units = probed(cells, {"position": position, "quoted": quoted})
    assert units == 6
    assert [one.unit for one in found] == [Unit("layer", 0, 4), Unit("layer", 0, 2)]
    assert [one.verdict for one in found] == ["follows", "follows"]
    expected = np.corrcoef(cells[1, ..., 4].ravel(), position[1].ravel())[0, 1]
    assert found[0].held_out == pytest.approx(expected, abs=1e-4)
    in_selection = np.corrcoef(cells[0, ..., 4].ravel(), position[0].ravel())[0, 1]
    assert found[0].selected == pytest.approx(in_selection, abs=1e-4)
    area = binary_auroc(torch.tensor(cells[1, ..., 2].ravel()).sigmoid(), torch.tensor(quoted[1].ravel()).int())
    assert found[1].held_out == pytest.approx(area.item(), abs=1e-4)


def test_slow_units_that_know_nothing_are_no_find():
    """A hundred slow units and a slow property: some correlate by far more than a test of single steps would allow."""
    shape = (2, 2, 3000)
    rng = np.random.default_rng(3)
    verdicts, naive = [], 0
    for _ in range(4):
        cells = np.stack([slow(12000, rng, 0.99).reshape(shape) for _ in range(30)], -1)
        (one,), _ = probed(cells, {"slow": slow(12000, rng, 0.99).reshape(shape)})
        verdicts.append(one.verdict)
        naive += abs(one.held_out) > 2.6 / np.sqrt(6000)
    assert verdicts == ["none"] * 4
    assert naive >= 2  # what a plain p-value would have called certain


def test_what_hardly_occurs_is_said_to():
    shape = (2, 1, 1000)
    rare, one_long = np.zeros(shape, bool), np.zeros(shape, bool)
    rare[..., :3] = True
    one_long[..., 100:600] = True  # many tokens, but a single turn
    cells = RNG.normal(size=(*shape, 3))
    found, _ = probed(cells, {"rare": rare, "one long": one_long, "same": np.full(shape, 2.0)})
    assert [one.verdict for one in found] == ["absent"] * 3
    assert all(one.unit is None for one in found)
    assert "hardly occurs" in str(found[0])


def test_a_unit_that_changes_sides_is_no_find():
    shape = (2, 2, 1000)
    values = RNG.normal(size=shape)
    cells = np.stack([values.copy(), RNG.normal(size=shape)], -1)
    cells[1, ..., 0] *= -1
    (one,), _ = probed(cells, {"sides": values})
    assert one.held_out == pytest.approx(-1)
    assert one.verdict == "none"


def test_layers_directions_and_padding_of_a_real_model():
    """Cells as an LSTM has them, in both directions and over ragged texts, against a trace written out."""
    torch.manual_seed(1)
    lstm = LSTM(4, 5, num_layers=2, batch_first=True, bidirectional=True).double()
    lengths = torch.tensor([40, 23, 31, 40])
    x = torch.randn(4, 40, 4, dtype=torch.float64) * 2
    real = np.arange(40) < lengths.numpy()[:, None]
    cells = torch.zeros(2, 2, 4, 40, 5)

    def watch(run):
        cells[run.whole.layer, run.direction, run.rows, run.start : run.stop] = run.gates.c[0].transpose(0, 1).float()

    with record_layers(watch):
        lstm(x, lengths=lengths)
    values = (3 * cells[1, 1, :, :, 2] + 0.1 * torch.randn(4, 40)).numpy()[..., None]
    given = [Property("planted", "number", np.zeros(0))]
    halves = [[0, 1], [2, 3]]
    stretches = [
        [Stretch(lambda rows=rows: lstm(x[rows], lengths=lengths[rows]), values[rows], real[rows], rows)]
        for rows in halves
    ]
    parts = tuple(values[rows][real[rows]] for rows in halves)
    (one,), units = probe_text(stretches[0], stretches[1], given, parts, {lstm: "lstm"})
    assert units == 20
    assert one.unit == Unit("lstm.l1", 1, 2)
    chosen = cells[1, 1, halves[1], :, 2].numpy()[real[halves[1]]]
    assert one.held_out == pytest.approx(np.corrcoef(chosen, parts[1][:, 0])[0, 1], abs=1e-5)


def test_a_table_and_words():
    found = Probes((Probe("x", "number", Unit("a", 1, 3), 0.8, 0.75, 0.1, "follows"),
                    Probe("y", "yes-no", None, *[float("nan")] * 3, "absent")), 100, 8, ("A note.",))  # fmt: skip
    assert (
        str(found).splitlines()[0]
        == "x: unit 3 of a (reverse) follows it (r 0.75 where it was not chosen, chance ± 0.10)."
    )
    assert str(found).splitlines()[-1] == "A note."
    table = found.table()
    assert table["unit"].to_list() == [3, None]
    assert table["direction"].to_list() == ["reverse", None]  # as in a trace's table, and that of units
    assert table["held_out"].to_list() == [0.75, None]
    assert table.schema["layer"] == pl.String


class Counter(nn.Module):
    """An LSTM by hand: its only cell counts the characters since the last line feed."""

    def __init__(self):
        super().__init__()
        self.lstm = LSTM(1, 1, batch_first=True)
        with torch.no_grad():
            for parameter in self.lstm.parameters():
                parameter.zero_()
            i, f, g, _ = range(4)
            self.lstm.bias_ih_l0[i] = 20.0
            self.lstm.bias_ih_l0[f] = 20.0
            self.lstm.weight_ih_l0[f, 0] = -60.0  # a line feed shuts it
            self.lstm.bias_ih_l0[g] = 0.01


def test_a_cell_that_counts_is_found_to_count():
    lines = RNG.integers(5, 60, 400)
    text = "".join("x" * length + "\n" for length in lines)
    properties = text_properties(list(text))
    model = Counter()
    tokens = torch.tensor([[float(char == "\n")] for char in text])
    half = len(text) // 2
    values = np.stack([one.values.astype(np.float32) for one in properties], 1)

    def part(here):
        count = here.stop - here.start
        return [Stretch(lambda: model.lstm(tokens[None, here]), values[None, here], np.ones((1, count), bool), [0])]

    parts = (values[:half], values[half : 2 * half])
    found, _ = probe_text(part(slice(0, half)), part(slice(half, 2 * half)), properties, parts, {model.lstm: "lstm"})
    assert found[0].name == "position in the line"
    assert found[0].verdict == "follows"
    assert found[0].held_out > 0.85
    assert next(one for one in found if one.name == "inside parentheses").verdict == "absent"
