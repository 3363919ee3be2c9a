"""Layers."""

from gatewise.nn import initializers
from gatewise.nn.interchange import from_torch, to_torch
from gatewise.nn.lstm import LSTM
from gatewise.nn.lstm_cell import LSTMCell

__all__ = ["LSTM", "LSTMCell", "from_torch", "initializers", "to_torch"]
