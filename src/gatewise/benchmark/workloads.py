"""What builds each group of work, for both sides with the same inputs and weights."""

from collections.abc import Callable

from gatewise.benchmark.contender import Contender
from gatewise.benchmark.language_works import generation, language
from gatewise.benchmark.layer_works import layers, variants
from gatewise.benchmark.model_works import infer, streaming, train
from gatewise.benchmark.settings import Work

BUILDERS: dict[str, Callable[[Work, str], list[Contender]]] = {
    "train": train,
    "infer": infer,
    "layers": layers,
    "ragged": layers,
    "variants": variants,
    "streaming": streaming,
    "language": language,
    "generation": generation,
}


def contenders(work: Work, kernel: str) -> list[Contender]:
    """Those of a work, the one that others are compared with before them."""
    return BUILDERS[work.group](work, kernel)
