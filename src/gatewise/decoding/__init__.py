"""From scores to text: drawing tokens, one after another, and searching for the best answer.

The functions know no model: they take a function from a token to scores, or the scores of every step.
``gatewise.decoding.generate`` draws a whole text.
"""

from gatewise.decoding.beam import Hypothesis, beam_search
from gatewise.decoding.ctc import align, best_path, prefix_beam_search
from gatewise.decoding.sampling import sample

__all__ = ["Hypothesis", "align", "beam_search", "best_path", "prefix_beam_search", "sample"]
