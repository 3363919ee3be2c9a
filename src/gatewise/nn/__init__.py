"""Layers: PyTorch modules over padded sequences."""

from gatewise.nn import initializers
from gatewise.nn.attention import AttentionPool
from gatewise.nn.augmentation import Augment, Augmentation
from gatewise.nn.dropout import SequenceDropout
from gatewise.nn.interchange import from_torch, to_torch
from gatewise.nn.lstm import LSTM
from gatewise.nn.lstm_cell import LSTMCell
from gatewise.nn.norm import SequenceBatchNorm
from gatewise.nn.stateful import StatefulStep

__all__ = [
    "LSTM",
    "AttentionPool",
    "Augment",
    "Augmentation",
    "LSTMCell",
    "SequenceBatchNorm",
    "SequenceDropout",
    "StatefulStep",
    "from_torch",
    "initializers",
    "to_torch",
]
