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
    order = np.argsort(-score, kind="stable")
    score, positive = score[order], positive[order]
    # Saying the second class for the first n: the true and false ones among them.
    true, false = np.cumsum(positive), np.cumsum(~positive)
    borders = np.flatnonzero(np.diff(score))  # after the last of equal scores
    # Between two scores; 0.5; above all of them; below all of them.
    candidates = np.append((score[borders] + score[borders + 1]) / 2, [0.5, (1 + score[0]) / 2, score[-1] / 2])
    said = np.append(borders + 1, [np.count_nonzero(score > 0.5), 0, len(score)])
    true, false = np.append(0, true)[said], np.append(0, false)[said]
    quality = true / positive.sum() - false / (~positive).sum()
    best = candidates[quality >= quality.max() - 1e-12]
    # Among equals the one nearest to 0.5: the others are an accident of few examples.
    return float(best[np.argmin(np.abs(best - 0.5))])
