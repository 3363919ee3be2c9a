"""What was heard, drawn or filmed: a class for each, or its transcript."""

from typing import Any

from torch import nn

from gatewise.data.media_adapter import MediaAdapter
from gatewise.data.targets import Labels
from gatewise.errors import ConfigError
from gatewise.models.config import ModelConfig, build, search_of
from gatewise.models.sequence_model import BatchModel
from gatewise.models.transcriber import Transcriber
from gatewise.tasks.classification import of_labels
from gatewise.tasks.collate import with_labels
from gatewise.tasks.task import LossConfig, Task
from gatewise.tasks.transcription import of_transcripts


def audio_classification(config: LossConfig, adapter: MediaAdapter) -> Task:
    """The task of telling recordings apart.

    Args:
        config: class weights and label smoothing.
        adapter: fitted on recordings with class labels.

    Returns:
        The task; its predictions are labels with the probability of each class.
    """
    return _classes("audio-classification", config, adapter)


def speech_to_text(config: LossConfig, adapter: MediaAdapter) -> Task:
    """The task of writing down what is said, by connectionist temporal classification (Graves et al. 2006).

    Args:
        config: nothing of it is used.
        adapter: fitted on recordings with transcripts.

    Returns:
        The task; its predictions are texts.
    """
    return _transcripts("speech-to-text", config, adapter)


def handwriting(config: LossConfig, adapter: MediaAdapter) -> Task:
    """The task of reading strokes of a pen or images of lines: a class for each, or its text.

    Args:
        config: class weights and label smoothing of classes.
        adapter: fitted on strokes or images of lines.

    Returns:
        The task; its predictions are labels with probabilities, or texts.
    """
    of_kind = _classes if adapter.labels is not None else _transcripts
    return of_kind("handwriting", config, adapter)


def video(config: LossConfig, adapter: MediaAdapter) -> Task:
    """The task of telling apart what happens in films or in movements of a skeleton.

    Args:
        config: class weights and label smoothing.
        adapter: fitted on clips with class labels.

    Returns:
        The task; its predictions are labels with the probability of each class.
    """
    return _classes("video", config, adapter)


def sizes_of(adapter: MediaAdapter, recipe: str = "auto") -> dict[str, Any]:
    """What the data decide of a model, by the names of its recipe's first parameters.

    Strokes and skeletons are features as any others, unless the recipe is for nothing else.
    """
    answers = len(adapter.targets.classes) if isinstance(adapter.targets, Labels) else len(adapter.targets)
    scores = {"num_classes" if isinstance(adapter.targets, Labels) else "num_symbols": answers}
    if adapter.kind == "audio":
        return {"sample_rate": int(adapter.rate or 0), **scores}
    if adapter.kind == "frames":
        return {"frame_shape": adapter.shape, **scores}
    own = {("strokes", "stroke-lstm"): "point_size", ("skeletons", "skeleton-lstm"): "joints_size"}
    return {own.get((adapter.kind, recipe), "input_size"): adapter.shape[0], **scores}


def _classes(name: str, config: LossConfig, adapter: MediaAdapter) -> Task:
    if adapter.labels is None:
        raise ConfigError(f"{name}: expected class labels as targets, got transcripts. Train speech-to-text.")

    def build_model(model: ModelConfig) -> nn.Module:
        if model.pool == "none":
            raise ConfigError(f'{name}: expected a pool, got "none". Choose last, mean, max or attention.')
        return BatchModel(build(model, sizes_of(adapter, model.recipe)))

    return of_labels(name, config, adapter.labels, with_labels, build_model)


def _transcripts(name: str, config: LossConfig, adapter: MediaAdapter) -> Task:
    def build_model(model: ModelConfig) -> nn.Module:
        return Transcriber(build(model, sizes_of(adapter)), search_of(model))

    return of_transcripts(name, config, adapter, build_model)
