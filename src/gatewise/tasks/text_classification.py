"""One class per text."""

import numpy as np
import torch
from torch import nn

from gatewise.data.text_adapters import TextAdapter
from gatewise.errors import ConfigError
from gatewise.models.config import ModelConfig, build
from gatewise.models.sequence_model import BatchModel
from gatewise.tasks.classification import of_labels
from gatewise.tasks.collate import tokens_with_labels
from gatewise.tasks.task import LossConfig, Task


def text_classification(config: LossConfig, adapter: TextAdapter) -> Task:
    """The task of telling texts apart: their sentiment, topic, language.

    Args:
        config: class weights and label smoothing.
        adapter: fitted on the training data.

    Returns:
        The task; its predictions are labels with the probability of each class and, where the model pools by attention,
        the share of each token.
    """
    sizes = {"vocabulary_size": len(adapter.vocabulary), "num_classes": len(adapter.labels.classes)}

    def build_model(model: ModelConfig) -> nn.Module:
        if model.pool == "none":
            raise ConfigError('text-classification: expected a pool, got "none". Choose last, mean, max or attention.')
        built = build(model, sizes)
        begin_with(built, adapter.vectors)
        return BatchModel(built)

    return of_labels("text-classification", config, adapter.labels, tokens_with_labels, build_model)


def begin_with(model: nn.Module, vectors: np.ndarray | None) -> None:
    """Puts given word vectors in the place of the random ones of a model's ``embedding``."""
    if vectors is not None:
        with torch.no_grad():
            model.get_parameter("embedding.weight").copy_(torch.from_numpy(vectors))
