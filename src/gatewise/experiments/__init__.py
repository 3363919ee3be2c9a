"""The experiments that made the LSTM: founding problems, and the networks that solve them or do not."""

from gatewise.experiments.learning import Finished, Settings, learn
from gatewise.experiments.models import MODELS, Network
from gatewise.experiments.page import experiment_page
from gatewise.experiments.picture import check_picture, draw_picture
from gatewise.experiments.problems import PROBLEMS, Problem, Sample, problem
from gatewise.experiments.results import Results, Summary, read_results
from gatewise.experiments.runner import Plan, prepare, run

__all__ = [
    "MODELS",
    "PROBLEMS",
    "Finished",
    "Network",
    "Plan",
    "Problem",
    "Results",
    "Sample",
    "Settings",
    "Summary",
    "check_picture",
    "draw_picture",
    "experiment_page",
    "learn",
    "prepare",
    "problem",
    "read_results",
    "run",
]
