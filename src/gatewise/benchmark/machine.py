"""What the figures were taken on."""

import os
import platform
from pathlib import Path
from typing import Any

BUSY = 0.5
"""Load average from which on something else clearly runs."""


def machine() -> dict[str, Any]:
    """Processor, cores, load and versions; torch's own facts come from the processes that measure."""
    from gatewise import __version__

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": _processor(),
        "cores": _cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "huge_pages": _huge_pages(),
        "load_average": load,
        "busy": load is not None and load > BUSY,
        "gatewise": __version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _huge_pages() -> str:
    """The system's rule: always, madvise (who asks) or never."""
    rule = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return rule.read_text().split("[")[1].split("]")[0] if rule.exists() else "unknown"
