"""The public names: exact, sorted, documented."""

import inspect
import subprocess
import sys

import pytest

import gatewise

PUBLIC = [
    "Augment",
    "Cell",
    "ConfigError",
    "DataError",
    "GatewiseError",
    "InterruptedTraining",
    "KernelUnavailable",
    "LSTM",
    "LSTMCell",
    "OptionError",
    "Run",
    "RunError",
    "SequenceBatchNorm",
    "ShapeError",
    "State",
    "StatefulStep",
    "compare",
    "cross_validate",
    "data",
    "decoding",
    "experiment",
    "from_torch",
    "inspection",
    "kernels",
    "load",
    "nn",
    "recipes",
    "samples",
    "to_torch",
    "trace",
    "train",
    "use_kernel",
]


def test_names_are_exact_and_sorted():
    assert gatewise.__all__ == PUBLIC
    assert dir(gatewise) == PUBLIC
    assert sorted(PUBLIC) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_each_is_there_and_documented(name):
    value = getattr(gatewise, name)
    assert inspect.getdoc(value)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__name__ == name


def test_unknown_name():
    with pytest.raises(AttributeError, match='has no attribute "LSMT"'):
        _ = gatewise.LSMT


def test_recipes_are_functions_of_the_library():
    for recipe in ("lstm", "bilstm", "lstm_fcn"):
        parameters = inspect.signature(getattr(gatewise.recipes, recipe)).parameters
        assert list(parameters)[:2] == ["input_size", "num_classes"]
        assert all(p.kind is p.KEYWORD_ONLY for p in list(parameters.values())[2:])
        assert all(name in getattr(gatewise.recipes, recipe).__doc__ for name in parameters)


def test_parts_of_the_language_models_can_be_had_alone():
    """Layers, the field with its functions, and the searches: without a task, a file or a run."""
    for name in ("CRF", "TokenEmbedding", "bio_transitions", "log_partition", "marginals", "sequence_score", "viterbi"):
        assert name in gatewise.nn.__all__
        assert inspect.getdoc(getattr(gatewise.nn, name))
    for name in gatewise.decoding.__all__:
        assert inspect.getdoc(getattr(gatewise.decoding, name))


def test_what_looks_inside_a_model_can_be_had_alone():
    """Functions, and not the modules of the same name, in whatever order they are imported."""
    names = ("gradient_flow", "integrated_gradients", "memory_horizon", "occlusion", "trace", "units")
    for name in names:
        assert name in gatewise.inspection.__all__
        assert inspect.isfunction(getattr(gatewise.inspection, name))
    assert gatewise.inspection.trace is gatewise.trace
    program = "import gatewise.inspection.units, gatewise; print(gatewise.inspection.units.__name__)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "units\n"
