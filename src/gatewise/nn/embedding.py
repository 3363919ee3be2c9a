"""From token numbers to vectors."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatewise.errors import OptionError, ShapeError
from gatewise.nn.dropout import dropout_mask


class TokenEmbedding(nn.Module):
    """One learnt vector a token of a vocabulary; in training the vectors of whole words are dropped.

    A word that is dropped is zero wherever it occurs in the batch: the model cannot lean on single words. To begin with
    other vectors than random ones, copy them into ``weight``.

    Args:
        vocabulary_size: tokens, ``V``.
        size: values of a vector, ``E``.
        dropout: share of the vocabulary that is zero for the whole batch; the other vectors are scaled so that the mean
            stays.
        bound: vectors begin uniform in ±bound (0.1: Zaremba, Sutskever & Vinyals 2014). ``sqrt(3 / size)`` gives them
            a length of about 1 whatever their size, which short ones need to be heard (Ma & Hovy 2016).

    Attributes:
        weight: the vectors ``[V, E]``.

    Shape:
        - tokens: integers ``0..V-1`` of any shape; padding too needs a number that exists
        - output: ``[..., E]``, in the dtype of ``weight``

    Raises:
        OptionError: a size is not positive, or ``dropout`` is not in ``[0, 1)``.
        ShapeError: tokens are no integers, or (looked at on a CPU only) not below ``V``.

    Example:
        >>> embedding = TokenEmbedding(5, 3, dropout=0.5)
        >>> x = embedding(torch.tensor([[4, 1, 4], [2, 4, 2]]))
        >>> x.shape, bool((x[0, 0] == x[0, 2]).all() and (x[0, 0] == x[1, 1]).all())
        (torch.Size([2, 3, 3]), True)

    References:
        Gal & Ghahramani 2016 (dropping words); Merity, Keskar & Socher 2018 (the same in a language model).
    """

    def __init__(self, vocabulary_size: int, size: int, dropout: float = 0.0, *, bound: float = 0.1) -> None:
        super().__init__()
        for name, given in {"vocabulary_size": vocabulary_size, "size": size}.items():
            if not isinstance(given, int) or given < 1:
                raise OptionError(f"TokenEmbedding: expected {name} to be a positive integer, got {given!r}.")
        if isinstance(dropout, bool) or not 0 <= dropout < 1:
            raise OptionError(f"TokenEmbedding: expected dropout in [0, 1), got {dropout!r}. "
                              "It is the share of the vocabulary that is zeroed.")  # fmt: skip
        self.dropout, self.bound = float(dropout), bound
        self.weight = nn.Parameter(torch.empty(vocabulary_size, size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in ±bound."""
        nn.init.uniform_(self.weight, -self.bound, self.bound)

    def forward(self, tokens: Tensor) -> Tensor:
        self._check(tokens)
        vectors = F.embedding(tokens, self.weight)
        if not self.training or not self.dropout:
            return vectors
        # One number a word, looked up like the vectors: a mask of V x E would cost more than the layers that follow.
        kept = dropout_mask(self.dropout, (self.weight.shape[0], 1), self.weight)
        return vectors * F.embedding(tokens, kept)

    def _check(self, tokens: Tensor) -> None:
        if tokens.dtype not in (torch.int64, torch.int32):
            raise ShapeError(f"TokenEmbedding: expected token numbers as int64 or int32, got {tokens.dtype}.")
        if tokens.device.type != "cpu" or torch.compiler.is_compiling() or not tokens.numel():
            return  # elsewhere a look at the values would wait for the device
        lowest, highest = tokens.aminmax()
        if lowest < 0 or highest >= len(self.weight):
            raise ShapeError(f"TokenEmbedding: expected token numbers 0 to {len(self.weight) - 1}, got {int(lowest)} "
                             f"to {int(highest)}. The vocabulary of the data must be that of the model.")  # fmt: skip

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        size = f"{self.weight.shape[0]}, {self.weight.shape[1]}"
        return f"{size}, dropout={self.dropout}" if self.dropout else size
