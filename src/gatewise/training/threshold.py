"""Two classes: from which probability on the second is said."""

import numpy as np

from gatewise.data.targets import Labels
from gatewise.types import Results


def choose_threshold(labels: Labels, results: Results) -> float:
    """The threshold with the best balanced accuracy on these results (Youden's J).

    Args:
        labels: two classes.
        results: of validation data; never of those that are measured with it.

    Returns:
        Halfway between the probabilities that it separates; 0.5 where only one class occurs.
    """
    score = np.array([prediction.probabilities[1] for prediction in results.predictions if prediction.probabilities])
    positive = np.array([reference == labels.classes[1] for reference in results.references])
    if positive.all() or not positive.any():
        return 0.5
    values = np.unique(score)
    candidates = np.concatenate([[0.5], (values[:-1] + values[1:]) / 2])
    said = score[None] > candidates[:, None]  # [candidates, N]
    quality = said[:, positive].mean(1) + (~said[:, ~positive]).mean(1)
    best = candidates[quality >= quality.max() - 1e-12]
    # Among equals the one nearest to 0.5: the others are an accident of few examples.
    return float(best[np.argmin(np.abs(best - 0.5))])
