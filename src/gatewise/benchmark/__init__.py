"""Speed of gatewise beside PyTorch on this machine, and where a training step's time goes.

``settings`` says what to measure, ``workloads`` builds it for both sides, ``child`` measures in a process of its own,
``bench`` (in ``runner``) starts those processes and makes a report of what they answer.
"""

from gatewise.benchmark.runner import BenchmarkError, Report, Row, bench
from gatewise.benchmark.settings import GROUPS, Settings

__all__ = ["GROUPS", "BenchmarkError", "Report", "Row", "Settings", "bench"]
