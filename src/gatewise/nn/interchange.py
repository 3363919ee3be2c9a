"""Modules to and from PyTorch. Names, shapes and gate order are the same, so weights are copied as they are."""

from typing import Any, TypeVar, overload

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from gatewise.errors import OptionError
from gatewise.nn.lstm import LSTM
from gatewise.nn.lstm_cell import LSTMCell

M = TypeVar("M", bound=nn.Module)


@overload
def from_torch(module: nn.LSTM) -> LSTM: ...
@overload
def from_torch(module: nn.LSTMCell) -> LSTMCell: ...
def from_torch(module: nn.LSTM | nn.LSTMCell) -> LSTM | LSTMCell:
    """Ours, with a copy of the weights of PyTorch's; device, dtype and mode as there.

    Args:
        module: a :class:`torch.nn.LSTM` or :class:`torch.nn.LSTMCell`.

    Raises:
        OptionError: it is something else.

    Example:
        >>> from_torch(nn.LSTM(4, 8, batch_first=True))
        LSTM(4, 8, batch_first=True)
    """
    if isinstance(module, nn.LSTM):
        ours: LSTM | LSTMCell = LSTM(module.input_size, module.hidden_size, **_layer_options(module))
    elif isinstance(module, nn.LSTMCell):
        ours = LSTMCell(module.input_size, module.hidden_size, bias=module.bias)
    else:
        raise OptionError(f"from_torch: expected a torch.nn.LSTM or LSTMCell, got {type(module).__name__}.")
    return _with_weights_of(ours, module)


@overload
def to_torch(module: LSTM) -> nn.LSTM: ...
@overload
def to_torch(module: LSTMCell) -> nn.LSTMCell: ...
def to_torch(module: LSTM | LSTMCell) -> nn.LSTM | nn.LSTMCell:
    """PyTorch's, with a copy of our weights; the other way of :func:`from_torch`.

    Args:
        module: an LSTM or LSTMCell with the plain equations.

    Raises:
        OptionError: it has options that PyTorch has not, named; or it is something else.
    """
    if not isinstance(module, LSTM | LSTMCell):
        raise OptionError(f"to_torch: expected a gatewise LSTM or LSTMCell, got {type(module).__name__}.")
    if variants := module.cell.variants():
        raise OptionError(f"to_torch: expected the plain cell, got {module.cell!r}. "
                          f"PyTorch does not offer {', '.join(variants)}.")  # fmt: skip
    if isinstance(module, LSTM) and module.weight_drop:
        raise OptionError(f"to_torch: expected no weight_drop, got {module.weight_drop}. PyTorch does not offer it.")
    if isinstance(module, LSTM):
        theirs: nn.LSTM | nn.LSTMCell = nn.LSTM(module.input_size, module.hidden_size, **_layer_options(module))
    else:
        theirs = nn.LSTMCell(module.input_size, module.hidden_size, bias=module.bias)
    return _with_weights_of(theirs, module)


def _layer_options(module: nn.LSTM | LSTM) -> dict[str, Any]:
    options = ("num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size")
    return {name: getattr(module, name) for name in options}


def _with_weights_of(module: M, source: nn.Module) -> M:
    first = next(source.parameters())
    module.to(first.device, first.dtype)
    if is_parametrized(source):
        raise OptionError(
            f"{type(module).__name__}: expected plain weights, got parametrized ones. "
            "Remove the parametrization first, with torch.nn.utils.parametrize.remove_parametrizations."
        )
    module.load_state_dict(source.state_dict())
    for name, parameter in source.named_parameters():
        module.get_parameter(name).requires_grad_(parameter.requires_grad)
    return module.train(source.training)
