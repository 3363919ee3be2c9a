"""One class a text: embedding, encoder, pool, head."""

from typing import Any

from torch import Tensor, nn

from gatewise.cell import Cell
from gatewise.errors import OptionError
from gatewise.models.encoder import Encoder
from gatewise.models.sequence_model import at_the_door, every_length
from gatewise.nn.attention import AttentionPool, make_pool
from gatewise.nn.dropout import SequenceDropout
from gatewise.nn.embedding import TokenEmbedding
from gatewise.sequences import mask_of_lengths
from gatewise.types import Outputs


class TextClassifier(nn.Module):
    """Scores for a text, from the numbers of its tokens.

    Args:
        embedding: a vector a token. Initial vectors are copied to its ``weight``.
        encoder: reads the vectors.
        pool: reduces the steps to one vector (:mod:`gatewise.nn.attention`).
        head: from the pooled vector to the scores.
        input_dropout: share of the embedded values zeroed in training, one mask a text, the same at every token.

    Shape:
        - inputs ``[B, T]`` token numbers, lengths ``[B]`` or None; padding may hold any number of the vocabulary
        - returns scores ``[B, K]``; ``run`` adds the ``attention [B, T]`` of a pool that attends

    Example:
        >>> import torch
        >>> model = text_lstm(50, 2).eval()
        >>> tokens = torch.randint(4, 50, (2, 6))
        >>> alone = model(tokens[1:, :4])
        >>> outputs = model.run(tokens, torch.tensor([6, 4]))
        >>> bool(torch.allclose(alone[0], outputs.scores[1], atol=1e-5)), bool((outputs.attention[1, 4:] == 0).all())
        (True, True)
    """

    def __init__(
        self,
        embedding: TokenEmbedding,
        encoder: Encoder,
        pool: nn.Module,
        head: nn.Module,
        *,
        input_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.input_dropout = SequenceDropout(input_dropout, locked=True)
        self.encoder = encoder
        self.pool = pool
        self.head = head

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.run(inputs, lengths).scores

    def run(self, inputs: Tensor, lengths: Tensor | None = None, state: Any = None) -> Outputs:
        """Scores with everything else that a task may need; ``state`` continues an earlier call."""
        x, lengths = at_the_door(self.embedding(inputs), lengths)
        encoded = self.encoder(self.input_dropout(x), lengths, state)
        mask = None if lengths is None else mask_of_lengths(lengths, x.shape[1])
        attention = None
        if isinstance(self.pool, AttentionPool):
            shares = self.pool.weights(encoded.steps, mask)
            pooled = (shares[:, None] @ encoded.steps).squeeze(1)
            attention = shares[:, : inputs.shape[1]]  # none where the door put a step of padding
        else:
            pooled = self.pool(encoded.steps, mask, encoded.last)
        return Outputs(self.head(pooled), every_length(x, lengths), encoded.state, encoded.steps, attention)


def text_lstm(
    vocabulary_size: int,
    num_classes: int,
    *,
    embedding_size: int = 200,
    embedding_dropout: float = 0.1,
    input_dropout: float = 0.3,
    hidden_sizes: tuple[int, ...] = (128,),
    encoder: str = "lstm",
    bidirectional: bool = True,
    variational_dropout: float = 0.3,
    weight_drop: float = 0.0,
    pool: str = "attention",
    dense_size: int | None = None,
    dropout: float = 0.5,
    cell: Cell | None = None,
    kernel: str = "auto",
) -> TextClassifier:
    """Embedding → locked dropout → BiLSTM → attention over the tokens → Dropout → Dense.

    Args:
        vocabulary_size: tokens, the special ones included.
        num_classes: scores per text.
        embedding_size: values of a token's vector.
        embedding_dropout: share of the vocabulary whose vectors are zero for a whole batch.
        input_dropout: share of the embedded values zeroed, one mask a text.
        hidden_sizes: units per direction, one number a layer.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``.
        bidirectional: read the text in both directions.
        variational_dropout: share of values zeroed between layers, one mask a text.
        weight_drop: share of the recurrent weights zeroed in training; only for ``encoder="lstm"``.
        pool: ``"last"``, ``"mean"``, ``"max"`` or ``"attention"``.
        dense_size: units of a layer with ReLU before the scores; None for no such layer.
        dropout: of the pooled vector.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        A model from token numbers to scores.

    Raises:
        OptionError: ``pool`` is ``"none"``, or an option is out of range.

    References:
        Yang et al. 2016 (BiRNN with attention as pooling); Gal & Ghahramani 2016 (locked dropout, words dropped whole).
    """
    if pool == "none":
        raise OptionError('text_lstm: expected a pool, got "none". For an answer per word use the recipe tagger.')
    if dense_size is not None and dense_size < 1:
        raise OptionError(f"text_lstm: expected dense_size of at least 1 or None, got {dense_size}.")
    body = Encoder(
        embedding_size,
        hidden_sizes,
        kind=encoder,
        bidirectional=bidirectional,
        variational_dropout=variational_dropout,
        weight_drop=weight_drop,
        cell=cell,
        kernel=kernel,
    )
    size = body.output_size
    layers: list[nn.Module] = [SequenceDropout(dropout)]
    if dense_size is not None:
        layers += [nn.Linear(size, dense_size), nn.ReLU()]
        size = dense_size
    head = nn.Sequential(*layers, nn.Linear(size, num_classes))
    return TextClassifier(
        TokenEmbedding(vocabulary_size, embedding_size, embedding_dropout),
        body,
        make_pool(pool, body.output_size),
        head,
        input_dropout=input_dropout,
    )
