"""What happens inside a model: traces, summaries of units, memory, and why an answer came out.

These are for any module with :class:`gatewise.LSTM` layers; ``trace``, ``units``, ``memory``, ``explain``, ``probe``
and ``inspect`` of a :class:`gatewise.Run` are the same with the words of its data.
"""

from gatewise.inspection.attribution import Attribution, integrated_gradients, occlusion
from gatewise.inspection.flow import GradientFlow, gradient_flow
from gatewise.inspection.memory import Horizon, memory_horizon
from gatewise.inspection.trace import LayerTrace, Trace, trace
from gatewise.inspection.units import UnitSummary, units

__all__ = [
    "Attribution",
    "GradientFlow",
    "Horizon",
    "LayerTrace",
    "Trace",
    "UnitSummary",
    "gradient_flow",
    "integrated_gradients",
    "memory_horizon",
    "occlusion",
    "trace",
    "units",
]
