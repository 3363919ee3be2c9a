"""From one sequence of tokens to another: encoder, attention and decoder."""

from typing import Any

import torch
from torch import Tensor, nn

from gatewise.cell import Cell
from gatewise.errors import OptionError, ShapeError
from gatewise.models.decoder import Decoder, DecoderState, reorder
from gatewise.models.encoder import Encoder
from gatewise.nn.dropout import SequenceDropout
from gatewise.nn.embedding import TokenEmbedding
from gatewise.sequences import PAD, mask_of_lengths
from gatewise.types import Batch, Outputs, Pair


class Seq2Seq(nn.Module):
    """Reads a source, then writes an answer; while it writes it looks at the source.

    Args:
        encoder: over the embedded source; in both directions, as a rule.
        decoder: over its steps; it begins from its last states.
        source_embedding: of the source's tokens; None: that of the answer's, where both share their numbers.
        input_dropout: on the embedded source, one mask a sequence.
        beam_size: answers that a search follows side by side.
        length_penalty: its exponent; above 0 a search prefers longer answers.
        max_answer: most tokens that it gives.

    Shape:
        - inputs: :class:`~gatewise.types.Pair` of ``source [B, T]`` and ``shifted [B, S]`` (or None); lengths ``[B]``
          of the source, or None. Padding may hold any token
        - returns scores ``[B, S, V]`` before the softmax; when copying, log-probabilities, which a softmax leaves alone

    Raises:
        OptionError: an option of the search is out of range.

    Example:
        >>> model = seq2seq(10, 12, embedding_size=4, hidden_sizes=(3,), decoder_size=5).eval()
        >>> source, answer = torch.tensor([[4, 5, 3]]), torch.tensor([[2, 7, 8]])
        >>> outputs = model.run(Pair(source, answer), torch.tensor([3]))
        >>> state = model.start(outputs.encoded, torch.tensor([3]), source)
        >>> log_probs, state = model.step(answer[:, 0], state)
        >>> bool(torch.allclose(log_probs[0, 4:], outputs.scores[0, 0].log_softmax(0)[4:], atol=1e-5))
        True

    References:
        Sutskever, Vinyals & Le 2014; Bahdanau, Cho & Bengio 2015; Luong, Pham & Manning 2015.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        source_embedding: TokenEmbedding | None = None,
        *,
        input_dropout: float = 0.0,
        beam_size: int = 5,
        length_penalty: float = 1.0,
        max_answer: int = 100,
    ) -> None:
        super().__init__()
        for name, count in {"beam_size": beam_size, "max_answer": max_answer}.items():
            if count < 1:
                raise OptionError(f"{name}: expected at least 1, got {count}.")
        if not length_penalty >= 0:
            raise OptionError(f"length_penalty: expected at least 0, got {length_penalty}. 0 prefers short answers.")
        self.beam_size, self.length_penalty, self.max_answer = beam_size, length_penalty, max_answer
        self.source_embedding = source_embedding
        self.input_dropout = SequenceDropout(input_dropout, locked=True)
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, inputs: Pair, lengths: Tensor | None = None) -> Tensor:
        return self.run(inputs, lengths).scores

    def run(
        self, inputs: Pair, lengths: Tensor | None = None, state: Any = None, target_lengths: Tensor | None = None
    ) -> Outputs:
        """Scores, the encoded source and the attention.

        Args:
            inputs: without an answer so far there are no scores, ``[B, 0, V]``, and no attention.
            lengths: ``[B]``, real steps of each source.
            state: not used: nothing goes on from one pair to the next.
            target_lengths: ``[B]``, real steps of each answer, for whoever reads the scores; None for all ``S``.

        Raises:
            ShapeError: a length below 0 or above T.
        """
        source, lengths = _at_the_door(inputs.source, lengths)
        embedding = self.decoder.embedding if self.source_embedding is None else self.source_embedding
        encoded = self.encoder(self.input_dropout(embedding(source)), lengths).steps
        if inputs.shifted is None:
            scores, attention = encoded.new_zeros(len(source), 0, len(self.decoder.embedding.weight)), None
        else:
            scores, attention = self.decoder(inputs.shifted, self.start(encoded, lengths, source))
        if target_lengths is None:
            target_lengths = torch.full((len(source),), scores.shape[1], device=source.device)
        return Outputs(scores, target_lengths, encoded=encoded, attention=attention)

    def start(self, encoded: Tensor, lengths: Tensor | None, source: Tensor) -> DecoderState:
        """Where an answer begins: one row a source.

        Args:
            encoded: ``[B, T, M]``, as in the outputs of :meth:`run`.
            lengths: ``[B]``, or None.
            source: ``[B, T]``.
        """
        source, lengths = _at_the_door(source, lengths)
        mask = None if lengths is None else mask_of_lengths(lengths, source.shape[1])
        memory = self.decoder.attention.prepare(encoded, mask)
        return self.decoder.start(self._last(encoded, lengths), memory, source)

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """One token further: ``tokens [N]`` to log-probabilities ``[N, V]``; see :meth:`Decoder.step`."""
        return self.decoder.step(tokens, state)

    @staticmethod
    def reorder(state: DecoderState, rows: Tensor, kept: Tensor | None = None) -> DecoderState:
        """Other answers in the place of those in the state; see :func:`gatewise.models.decoder.reorder`."""
        return reorder(state, rows, kept)

    def _last(self, encoded: Tensor, lengths: Tensor | None) -> Tensor:
        """The last hidden state ``[B, M]`` of each direction: found in the steps, so that they are all one needs."""
        if lengths is None:
            forward = encoded[:, -1]
        else:
            forward = encoded[torch.arange(len(encoded), device=encoded.device), (lengths - 1).clamp(min=0)]
        if not self.encoder.layers[-1].bidirectional:
            return forward
        H = encoded.shape[2] // 2
        return torch.cat([forward[:, :H], encoded[:, 0, H:]], 1)


class PairModel(nn.Module):
    """Gives a :class:`Seq2Seq` the form that tasks train: ``model(batch, state=None) -> Outputs``.

    Args:
        model: what it wraps.
    """

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, state: Any = None) -> Outputs:
        return self.model.run(batch.inputs, batch.lengths, state, batch.target_lengths)


def seq2seq(
    source_size: int,
    target_size: int,
    *,
    embedding_size: int = 256,
    embedding_dropout: float = 0.1,
    input_dropout: float = 0.3,
    hidden_sizes: tuple[int, ...] = (256,),
    variational_dropout: float = 0.3,
    decoder_size: int = 512,
    attention: str = "additive",
    input_feeding: bool = True,
    dropout: float = 0.3,
    tied: bool = True,
    copy: bool = False,
    sampling_decay: float = 0.0,
    beam_size: int = 5,
    length_penalty: float = 1.0,
    max_answer: int = 100,
    cell: Cell | None = None,
    kernel: str = "auto",
) -> Seq2Seq:
    """Translation: a bidirectional encoder and a decoder of as many layers, with attention.

    Args:
        source_size: tokens of the source's vocabulary.
        target_size: tokens of the answer's vocabulary, ``V``.
        embedding_size: features of a token.
        embedding_dropout: share of each vocabulary that is dropped whole in a training step.
        input_dropout: share of the features of embedded tokens that is zeroed, the same at every step.
        hidden_sizes: units per direction, one number a layer of the encoder.
        variational_dropout: between layers.
        decoder_size: units of each layer of the decoder.
        attention: ``"additive"`` (Bahdanau) or ``"multiplicative"`` (Luong).
        input_feeding: what was attended to at a step is an input of the next one.
        dropout: before the scores.
        tied: the weights of the scores are the embeddings of the answer.
        copy: answers may copy tokens of the source; both then share one embedding.
        sampling_decay: after so many training steps the decoder mostly reads its own answers; 0 for never.
        beam_size: answers that a search follows side by side.
        length_penalty: above 0 a search prefers longer answers.
        max_answer: most tokens of an answer.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        A model of encoder and decoder.

    Raises:
        OptionError: copying between two vocabularies, or an option out of range.
    """
    if copy and source_size != target_size:
        raise OptionError(
            f"copy: expected one vocabulary for source and answer, got {source_size} and {target_size} tokens. "
            "Fit it on both together."
        )
    encoder = Encoder(embedding_size, hidden_sizes, variational_dropout=variational_dropout, cell=cell, kernel=kernel)
    decoder = Decoder(
        TokenEmbedding(target_size, embedding_size, embedding_dropout),
        encoder.output_size,
        decoder_size,
        num_layers=len(hidden_sizes),
        attention=attention,
        input_feeding=input_feeding,
        input_dropout=input_dropout,
        variational_dropout=variational_dropout,
        dropout=dropout,
        tied=tied,
        copy=copy,
        sampling_decay=sampling_decay,
        cell=cell,
        kernel=kernel,
    )
    return Seq2Seq(
        encoder,
        decoder,
        None if copy else TokenEmbedding(source_size, embedding_size, embedding_dropout),
        input_dropout=input_dropout,
        beam_size=beam_size,
        length_penalty=length_penalty,
        max_answer=max_answer,
    )


def pointer(
    source_size: int,
    target_size: int,
    *,
    embedding_size: int = 128,
    embedding_dropout: float = 0.1,
    input_dropout: float = 0.2,
    hidden_sizes: tuple[int, ...] = (256,),
    variational_dropout: float = 0.2,
    decoder_size: int = 256,
    attention: str = "additive",
    input_feeding: bool = True,
    dropout: float = 0.2,
    tied: bool = True,
    copy: bool = True,
    sampling_decay: float = 0.0,
    beam_size: int = 5,
    length_penalty: float = 1.0,
    max_answer: int = 40,
    cell: Cell | None = None,
    kernel: str = "auto",
) -> Seq2Seq:
    """Summarisation: as :func:`seq2seq`, but words of the source may be copied (See, Liu & Manning 2017).

    Args:
        source_size: tokens of the vocabulary.
        target_size: the same number: source and answer share it.
        embedding_size: features of a token.
        embedding_dropout: share of the vocabulary that is dropped whole in a training step.
        input_dropout: share of the features of embedded tokens that is zeroed, the same at every step.
        hidden_sizes: units per direction, one number a layer of the encoder.
        variational_dropout: between layers.
        decoder_size: units of each layer of the decoder.
        attention: ``"additive"`` or ``"multiplicative"``.
        input_feeding: what was attended to at a step is an input of the next one.
        dropout: before the scores.
        tied: the weights of the scores are the embeddings.
        copy: False for a model without it, to compare with.
        sampling_decay: after so many training steps the decoder mostly reads its own answers; 0 for never.
        beam_size: answers that a search follows side by side.
        length_penalty: above 0 a search prefers longer answers.
        max_answer: most tokens of an answer.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        A model of encoder and decoder.

    Raises:
        OptionError: as :func:`seq2seq`.
    """
    return seq2seq(
        source_size,
        target_size,
        embedding_size=embedding_size,
        embedding_dropout=embedding_dropout,
        input_dropout=input_dropout,
        hidden_sizes=hidden_sizes,
        variational_dropout=variational_dropout,
        decoder_size=decoder_size,
        attention=attention,
        input_feeding=input_feeding,
        dropout=dropout,
        tied=tied,
        copy=copy,
        sampling_decay=sampling_decay,
        beam_size=beam_size,
        length_penalty=length_penalty,
        max_answer=max_answer,
        cell=cell,
        kernel=kernel,
    )


def _at_the_door(source: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Checks lengths, and drops those that say nothing: kernels are faster without.

    Raises:
        ShapeError: a length below 0 or above T.
    """
    if source.shape[1] == 0:  # one step of padding: the layers then have something to look at
        return source.new_full((len(source), 1), PAD), torch.zeros(len(source), dtype=torch.int64, device=source.device)
    if lengths is None or torch.compiler.is_compiling() or not len(source):
        return source, lengths
    shortest, longest = lengths.aminmax()
    if shortest < 0 or longest > source.shape[1]:
        raise ShapeError(f"lengths: expected 0 to {source.shape[1]} steps, got {lengths.tolist()}.")
    return source, None if shortest == source.shape[1] else lengths
