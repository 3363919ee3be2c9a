"""From scores to text: drawing tokens, one after another, and searching for the best answer.

The functions know no model: they take a function from a token to scores. ``gatewise.decoding.generate`` draws a whole
text.
"""

from gatewise.decoding.beam import Hypothesis, beam_search
from gatewise.decoding.sampling import sample

__all__ = ["Hypothesis", "beam_search", "sample"]
