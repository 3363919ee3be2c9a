"""Which layers of a model are looked into, and what they, their directions and their units are called."""

from torch import nn

from gatewise.errors import OptionError
from gatewise.models import decoder, forecaster
from gatewise.models.encoder import RaggedRecurrent
from gatewise.models.tagger import Spelling
from gatewise.nn.lstm import LSTM

DIRECTIONS = ("forward", "reverse")
"""What a number of a direction stands for."""

NOT_OVER_THE_INPUT = (Spelling, decoder.Decoder, forecaster.Decoder)
"""Parts whose layers read something else than the sequences: single words, or answers."""


def layers_by_module(module: nn.Module, *, who: str) -> dict[LSTM, str]:
    """Each LSTM that reads the sequences, with its path in the module; ``"lstm"`` if it is the module itself.

    Args:
        module: a model.
        who: begins the message of an error.

    Raises:
        OptionError: there is none.
    """
    others = {id(part) for owner in module.modules() if isinstance(owner, NOT_OVER_THE_INPUT)
              for part in owner.modules()}  # fmt: skip
    found = {
        part: path_of(part, name)
        for name, part in module.named_modules()
        if isinstance(part, LSTM) and id(part) not in others
    }
    if not found:
        recurrent = sorted({type(part).__name__ for part in module.modules() if isinstance(part, nn.RNNBase)})
        raise OptionError(f"{who}: expected a model with LSTM layers of gatewise, got {type(module).__name__} with "
                          f"{', '.join(recurrent) or 'none'}. Only they can be looked into.")  # fmt: skip
    return found


def path_of(module: nn.Module, name: str) -> str:
    """The path of a recurrent module in a model; of one that is the model itself what it is.

    >>> path_of(LSTM(2, 3), "encoder.layers.0"), path_of(LSTM(2, 3), ""), path_of(nn.GRU(2, 3), "")
    ('encoder.layers.0', 'lstm', 'gru')
    """
    return name or type(module.layer if isinstance(module, RaggedRecurrent) else module).__name__.lower()


def layer_name(name: str, layer: int) -> str:
    """The name of one layer of an LSTM.

    >>> layer_name("encoder.layers.0", 0), layer_name("lstm", 1)
    ('encoder.layers.0', 'lstm.l1')
    """
    return f"{name}.l{layer}" if layer else name


def names_by_layer(module: nn.Module, *, who: str) -> dict[tuple[nn.Module, int], str]:
    """The name of each layer of the LSTMs that read the sequences, by the LSTM and the layer's number in it.

    >>> list(names_by_layer(nn.ModuleDict({"a": LSTM(2, 3, num_layers=2)}), who="example").values())
    ['a', 'a.l1']
    """
    return {
        (lstm, layer): layer_name(path, layer)
        for lstm, path in layers_by_module(module, who=who).items()
        for layer in range(lstm.num_layers)
    }


def unit_name(layer: str, direction: int, unit: int) -> str:
    """What a unit is called.

    >>> unit_name("encoder.layers.0", 0, 7), unit_name("lstm.l1", 1, 7)
    ('unit 7 of encoder.layers.0', 'unit 7 of lstm.l1 (reverse)')
    """
    return f"unit {unit} of {layer}" + (f" ({DIRECTIONS[direction]})" if direction else "")


def zoneout_of(module: nn.Module) -> float:
    """The rate at which the cell of an LSTM is held: outside training c_t is that much of c_{t-1}, and the rest of c*.

    >>> from gatewise.cell import Cell
    >>> zoneout_of(LSTM(2, 3, cell=Cell(zoneout=(0.1, 0.3))))
    0.3
    """
    assert isinstance(module, LSTM)
    return float(module.cell.zoneout[1])


def layer_called(module: nn.Module, name: str) -> tuple[LSTM, int]:
    """The LSTM, and which of its layers, that a trace of the module calls so.

    Raises:
        OptionError: there is none of that name.
    """
    for lstm, path in layers_by_module(module, who="layer").items():
        for layer in range(lstm.num_layers):
            if layer_name(path, layer) == name:
                return lstm, layer
    raise OptionError(f"layer: expected the name of a traced layer, got {name!r}. See the names of a trace's layers.")
