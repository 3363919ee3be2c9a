"""What a Python user holds: `train`, `cross_validate`, `load` and `Run`."""

from gatewise.api.comparison import compare
from gatewise.api.experiments import experiment
from gatewise.api.folds import CrossValidation, cross_validate
from gatewise.api.run import Run, load
from gatewise.api.training import train

__all__ = ["CrossValidation", "Run", "compare", "cross_validate", "experiment", "load", "train"]
