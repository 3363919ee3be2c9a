"""Layers: PyTorch modules over padded sequences."""

from gatewise.nn import initializers
from gatewise.nn.attention import AdditiveAttention, AttentionPool, MultiplicativeAttention
from gatewise.nn.augmentation import Augment, Augmentation
from gatewise.nn.crf import CRF, bio_transitions, log_partition, marginals, sequence_score, viterbi
from gatewise.nn.dropout import SequenceDropout
from gatewise.nn.embedding import TokenEmbedding
from gatewise.nn.interchange import from_torch, to_torch
from gatewise.nn.lstm import LSTM
from gatewise.nn.lstm_cell import LSTMCell
from gatewise.nn.masking import Masking, Perturbation
from gatewise.nn.norm import SequenceBatchNorm
from gatewise.nn.spectrogram import LogMel, LogMelStream
from gatewise.nn.stateful import StatefulStep

__all__ = [
    "CRF",
    "LSTM",
    "AdditiveAttention",
    "AttentionPool",
    "Augment",
    "Augmentation",
    "LSTMCell",
    "LogMel",
    "LogMelStream",
    "Masking",
    "MultiplicativeAttention",
    "Perturbation",
    "SequenceBatchNorm",
    "SequenceDropout",
    "StatefulStep",
    "TokenEmbedding",
    "bio_transitions",
    "from_torch",
    "initializers",
    "log_partition",
    "marginals",
    "sequence_score",
    "to_torch",
    "viterbi",
]
