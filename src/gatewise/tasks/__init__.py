"""The tasks, spelled out: a name, the function that makes the task, and its data side."""

from collections.abc import Callable
from typing import Any

from gatewise.data.text import Data
from gatewise.tasks.classification import classification
from gatewise.tasks.forecasting import forecasting
from gatewise.tasks.language_model import language_model
from gatewise.tasks.media import audio_classification, handwriting, speech_to_text, video
from gatewise.tasks.regression import regression
from gatewise.tasks.sides import SIDES, DataSide
from gatewise.tasks.tagging import tagging
from gatewise.tasks.task import LossConfig, Task
from gatewise.tasks.text_classification import text_classification
from gatewise.tasks.translation import summarisation, translation

TASKS: dict[str, Callable[[LossConfig, Any], Task]] = {
    "classification": classification,
    "regression": regression,
    "text-classification": text_classification,
    "tagging": tagging,
    "language-model": language_model,
    "translation": translation,
    "summarisation": summarisation,
    "audio-classification": audio_classification,
    "speech-to-text": speech_to_text,
    "handwriting": handwriting,
    "video": video,
    "forecasting": forecasting,
}

__all__ = ["SIDES", "TASKS", "Data", "DataSide", "LossConfig", "Task"]
