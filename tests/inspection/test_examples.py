"""Where units are most active, beside a search through the whole trace."""

import pytest
import torch

from gatewise.inspection.examples import Strongest
from gatewise.inspection.layers import names_by_layer
from gatewise.inspection.trace import trace
from gatewise.nn.lstm import LSTM
from gatewise.nn.tracing import record_layers


@pytest.mark.parametrize("length", [9, 700])  # 700 steps run in several pieces
def test_the_strongest_places_are_those_of_a_search_through_the_trace(length):
    torch.manual_seed(0)
    lstm = LSTM(3, 24, num_layers=2, bidirectional=True, batch_first=True)
    x = torch.randn(45, length, 3)  # more rows than a piece has
    lengths = torch.randint(1, length + 1, (45,))
    lengths[7] = 0
    found = Strongest(names_by_layer(lstm, who="test"), each=4)
    with record_layers(found.consume):
        for rows in (range(30), range(30, 45)):
            lstm(x[rows], lengths=lengths[rows])
            found.finish(list(rows))
    whole = trace(lstm, x, lengths)
    for layer in whole.layers:
        real = torch.arange(layer.cell.shape[1]) < layer.lengths[:, None]
        for kind, values in (("input", layer.input_gate), ("cell", layer.cell)):
            size = values.abs().masked_fill(~real[..., None, None], -1)  # [B, T, D, H]
            most = size.amax(1)
            top = most.topk(4, dim=0)
            places = found.found[layer.name][kind]
            torch.testing.assert_close(places.value.abs(), top.values.permute(1, 2, 0), atol=1e-5, rtol=0)
            assert (places.sequence != 7).all()
            for d, unit, k in ((0, 3, 0), (1, 20, 3), (1, 0, 1)):
                row, at = int(places.sequence[d, unit, k]), float(places.place[d, unit, k])
                found_step = int(at * int(layer.lengths[row]))
                assert float(size[row, found_step, d, unit]) == pytest.approx(float(most[row, d, unit]), abs=1e-5)
                assert float(values[row, found_step, d, unit]) == pytest.approx(
                    float(places.value[d, unit, k]), abs=1e-5
                )


def test_fewer_sequences_than_places_leave_the_rest_empty():
    lstm = LSTM(2, 5, batch_first=True)
    found = Strongest(names_by_layer(lstm, who="test"), each=3)
    with record_layers(found.consume):
        lstm(torch.randn(2, 4, 2), lengths=torch.tensor([4, 0]))
        found.finish([10, 11])
    places = found.found["lstm"]["input"]
    assert (places.sequence[..., 0] == 10).all()
    assert (places.sequence[..., 1:] == -1).all()


def test_of_several_rows_of_a_sequence_the_strongest_counts():
    lstm = LSTM(2, 5, batch_first=True)
    x = torch.randn(6, 4, 2)  # two sequences of three channels each
    found = Strongest(names_by_layer(lstm, who="test"), each=2)
    with record_layers(found.consume):
        lstm(x)
        found.finish([0, 1])
    gate = trace(lstm, x).layers[0].input_gate[:, :, 0]  # [B, T, H]
    most = gate.amax(1).view(2, 3, 5).amax(1)  # [2, H]
    torch.testing.assert_close(found.found["lstm"]["input"].value[0], most.sort(0, descending=True).values.T)
