"""Which layers of a model are looked into, and what they are called."""

from torch import nn

from gatewise.errors import OptionError
from gatewise.models import decoder, forecaster
from gatewise.models.tagger import Spelling
from gatewise.nn.lstm import LSTM

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
        part: name or "lstm"
        for name, part in module.named_modules()
        if isinstance(part, LSTM) and id(part) not in others
    }
    if not found:
        recurrent = sorted({type(part).__name__ for part in module.modules() if isinstance(part, nn.RNNBase)})
        raise OptionError(f"{who}: expected a model with LSTM layers of gatewise, got {type(module).__name__} with "
                          f"{', '.join(recurrent) or 'none'}. Only they can be looked into.")  # fmt: skip
    return found


def layer_name(name: str, layer: int) -> str:
    """The name of one layer of an LSTM.

    >>> layer_name("encoder.layers.0", 0), layer_name("lstm", 1)
    ('encoder.layers.0', 'lstm.l1')
    """
    return f"{name}.l{layer}" if layer else name


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
