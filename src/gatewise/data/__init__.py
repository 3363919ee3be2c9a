"""Sequences and texts: readers, the fitted scaling, vocabularies and labels, splits and batches.

Files and Python objects become `SequenceData` (`read`, `from_python`) or `TextData` (`text_files`, `conll`, `pairs`).
An `Adapter` fitted on the training part (`split`) turns them into examples; `epoch_order` says which share a batch.
"""

from gatewise.data.adapter import Adapter, adapter_from_json, adapter_to_json
from gatewise.data.arrays import from_python
from gatewise.data.batching import epoch_order, evaluation_order, in_file_order, padding_share, shard
from gatewise.data.dataset import ReadOptions, SequenceData
from gatewise.data.describe import Description, describe
from gatewise.data.read import read
from gatewise.data.scaling import Scaler
from gatewise.data.sequence_adapter import SequenceAdapter
from gatewise.data.split import folds, split, split_notes
from gatewise.data.targets import Labels, Values

__all__ = [
    "Adapter",
    "Description",
    "Labels",
    "ReadOptions",
    "Scaler",
    "SequenceAdapter",
    "SequenceData",
    "Values",
    "adapter_from_json",
    "adapter_to_json",
    "describe",
    "epoch_order",
    "evaluation_order",
    "folds",
    "from_python",
    "in_file_order",
    "padding_share",
    "read",
    "shard",
    "split",
    "split_notes",
]
