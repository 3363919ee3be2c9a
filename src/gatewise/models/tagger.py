"""One tag a word: what the word is and how it is spelt, read in both directions, tagged as a sequence."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from gatewise.cell import Cell
from gatewise.models.encoder import Encoded, Encoder
from gatewise.models.sequence_model import at_the_door, every_length
from gatewise.nn.crf import CRF
from gatewise.nn.dropout import SequenceDropout
from gatewise.nn.embedding import TokenEmbedding
from gatewise.sequences import mask_of_lengths
from gatewise.types import Outputs, Words


class Spelling(nn.Module):
    """A vector a word from its characters: the last states of a BiLSTM over them, both directions.

    Each spelling of a batch is computed once, however often it occurs.

    Args:
        embedding: a vector a character.
        encoder: reads the characters of a word.

    Shape:
        - characters ``[B, T, C]``, 0 beyond each word's last
        - returns ``[B, T, D*H]``; zero for a word without characters

    References:
        Ling et al. 2015, Finding function in form; Lample et al. 2016.
    """

    def __init__(self, embedding: TokenEmbedding, encoder: Encoder) -> None:
        super().__init__()
        self.embedding = embedding
        self.encoder = encoder

    def forward(self, characters: Tensor) -> Tensor:
        batch_size, steps, longest = characters.shape
        if characters.numel() == 0:
            return self.embedding.weight.new_zeros(batch_size, steps, self.encoder.output_size)
        spellings, place = torch.unique(characters.reshape(-1, longest), dim=0, return_inverse=True)
        encoded: Encoded = self.encoder(self.embedding(spellings), (spellings != 0).sum(1))
        last = encoded.last  # [spellings, D*H]
        return last[place].reshape(batch_size, steps, -1)


class Tagger(nn.Module):
    """Scores of the tags of each word.

    Args:
        embedding: a vector a word. Initial vectors are copied to its ``weight``.
        spelling: a vector a word from its characters; None: words go by their number only.
        encoder: reads both, joined.
        head: from the encoder's steps to a score a tag.
        crf: scores whole sequences of tags; None: each word is tagged by itself.
        input_dropout: share of the joined values zeroed in training, one mask a text, the same at every word.

    Shape:
        - inputs: :class:`~gatewise.types.Words` of words ``[B, T]`` and characters ``[B, T, C]``; lengths ``[B]`` or
          None. Padding may hold any number of the vocabularies
        - returns scores ``[B, T, K, K]`` for :mod:`gatewise.nn.crf`; without a CRF ``[B, T, K]``

    Example:
        >>> model = tagger(50, 30, 5, None).eval()
        >>> words = Words(torch.randint(4, 50, (2, 6)), torch.randint(4, 30, (2, 6, 9)))
        >>> model(words, torch.tensor([6, 4])).shape
        torch.Size([2, 6, 5, 5])

    References:
        Huang, Xu & Yu 2015, Bidirectional LSTM-CRF models for sequence tagging; Lample et al. 2016, Neural
        architectures for named entity recognition.
    """

    def __init__(
        self,
        embedding: TokenEmbedding,
        spelling: Spelling | None,
        encoder: Encoder,
        head: nn.Module,
        *,
        crf: CRF | None = None,
        input_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.spelling = spelling
        self.input_dropout = SequenceDropout(input_dropout, locked=True)
        self.encoder = encoder
        self.head = head
        self.crf = crf

    def forward(self, inputs: Words, lengths: Tensor | None = None) -> Tensor:
        return self.run(inputs, lengths).scores

    def run(self, inputs: Words, lengths: Tensor | None = None, state: Any = None) -> Outputs:
        """Scores with everything else that a task may need; ``state`` continues an earlier call."""
        words, characters = inputs
        x = self.embedding(words)
        if self.spelling is not None:
            if lengths is not None:  # what stands in padding is no spelling to compute
                characters = characters.masked_fill(~mask_of_lengths(lengths, words.shape[1])[..., None], 0)
            x = torch.cat([x, self.spelling(characters)], -1)
        x, lengths = at_the_door(x, lengths)
        encoded = self.encoder(self.input_dropout(x), lengths, state)
        emissions = self.head(encoded.steps)[:, : words.shape[1]]  # not the step of padding that the door may put
        scores = emissions if self.crf is None else self.crf(emissions, lengths)
        return Outputs(scores, every_length(x, lengths), encoded.state, encoded.steps)


def tagger(
    vocabulary_size: int,
    num_characters: int,
    num_tags: int,
    allowed: Tensor | None,
    *,
    embedding_size: int = 100,
    embedding_dropout: float = 0.1,
    input_dropout: float = 0.2,
    character_size: int = 25,
    character_hidden_size: int = 50,
    hidden_sizes: tuple[int, ...] = (128,),
    encoder: str = "lstm",
    variational_dropout: float = 0.3,
    dropout: float = 0.3,
    crf: bool = True,
    cell: Cell | None = None,
    kernel: str = "auto",
) -> Tagger:
    """Word vectors beside a BiLSTM over each word's characters → locked dropout → BiLSTM → Dropout → Dense → CRF.

    Args:
        vocabulary_size: words, the special ones included.
        num_characters: characters, the special ones included.
        num_tags: ``K``.
        allowed: bool ``[K+1, K]``: which tag may follow which, from :func:`gatewise.nn.crf.bio_transitions`; None: all.
            Without a CRF, where each word is tagged by itself, it says nothing.
        embedding_size: values of a word's vector.
        embedding_dropout: share of the vocabulary whose vectors are zero for a whole batch: the model must then go by
            the spelling, as with a word that it does not know.
        input_dropout: share of the joined values zeroed, one mask a text.
        character_size: values of a character's vector; 0: words go by their number only.
        character_hidden_size: units per direction of the layer over characters.
        hidden_sizes: units per direction over the words, one number a layer.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``; of words and of characters.
        variational_dropout: share of values zeroed between layers, one mask a text.
        dropout: of what the encoder gives for each word.
        crf: score sequences of tags; otherwise each word by itself.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        A model from words and characters to scores of tags.

    Raises:
        OptionError: an option is out of range.
    """
    spelling = None
    if character_size:
        letters = Encoder(character_size, (character_hidden_size,), kind=encoder, cell=cell, kernel=kernel)
        spelling = Spelling(TokenEmbedding(num_characters, character_size, bound=_unit(character_size)), letters)
    body = Encoder(
        embedding_size + (0 if spelling is None else spelling.encoder.output_size),
        hidden_sizes,
        kind=encoder,
        variational_dropout=variational_dropout,
        cell=cell,
        kernel=kernel,
    )
    return Tagger(
        TokenEmbedding(vocabulary_size, embedding_size, embedding_dropout, bound=_unit(embedding_size)),
        spelling,
        body,
        nn.Sequential(SequenceDropout(dropout), nn.Linear(body.output_size, num_tags)),
        crf=CRF(num_tags, allowed) if crf else None,
        input_dropout=input_dropout,
    )


def _unit(size: int) -> float:
    """The bound of uniform numbers whose vectors have a length of about 1 (Ma & Hovy 2016)."""
    return math.sqrt(3 / size)
