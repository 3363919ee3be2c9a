"""Which kernel serves. A fast path that silently falls back breaks unseen, so every refusal has a reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from gatewise.cell import Cell
from gatewise.errors import KernelUnavailable, OptionError, did_you_mean
from gatewise.kernels.contract import Inputs, Kernel, Request
from gatewise.kernels.cpu import library
from gatewise.kernels.cpu.kernel import cpu
from gatewise.kernels.native import native
from gatewise.kernels.reference import reference
from gatewise.types import State

KERNELS: tuple[Kernel, ...] = (cpu, native, reference)
"""Every kernel there is."""

AUTO = {
    "cpu": ("cpu", "native", "reference"),
    "cuda": ("native", "reference"),
}
"""What ``kernel="auto"`` tries, in this order, by device; the first that can serve does. From the benchmark."""

AUTO_ELSEWHERE = ("native", "reference")
"""The same for any other device."""

_forced: ContextVar[str] = ContextVar("gatewise_kernel", default="auto")
_record: ContextVar[list[str] | None] = ContextVar("gatewise_record", default=None)


def check_name(name: str) -> str:
    """The name itself, if it is ``"auto"`` or a kernel's.

    Raises:
        OptionError: there is no such kernel.
    """
    names = ["auto", *(kernel.name for kernel in KERNELS)]
    if name not in names:
        raise OptionError(f"kernel: expected one of {', '.join(names)}, got {name!r}. {did_you_mean(str(name), names)}")
    return name


@contextmanager
def use_kernel(name: str) -> Iterator[None]:
    """Every layer inside the ``with`` runs on this kernel, whatever it was built with; ``"auto"`` lifts an outer one.

    Holds for this thread or task only. A compiled model keeps the kernel that it was compiled with.

    Args:
        name: ``"auto"`` or a kernel's name.

    Raises:
        OptionError: there is no such kernel.

    Example:
        >>> from gatewise.nn.lstm import LSTM
        >>> with use_kernel("reference"), record_kernels() as ran:
        ...     _ = LSTM(4, 8)(torch.randn(5, 3, 4))
        >>> ran
        ['reference']
    """
    token = _forced.set(check_name(name))
    try:
        yield
    finally:
        _forced.reset(token)


@contextmanager
def record_kernels() -> Iterator[list[str]]:
    """The name of each kernel that runs inside the ``with``, one for each layer run, in order."""
    ran: list[str] = []
    token = _record.set(ran)
    try:
        yield ran
    finally:
        _record.reset(token)


def _name_in_force(name: str) -> str:
    forced = _forced.get()
    return name if forced == "auto" else forced


# A graph cannot read context variables: the choice is made while compiling. This is all that
# torch.compiler.assume_constant_result does, after importing the compiler, which takes longer than torch itself.
_name_in_force._dynamo_marked_constant = True  # type: ignore[attr-defined]


def forced_kernel() -> str:
    """The name that :func:`use_kernel` has put in force here; ``"auto"``: none."""
    return _name_in_force("auto")


def select(request: Request, name: str = "auto") -> Kernel:
    """The kernel for a request: the named one, or for ``"auto"`` the first that can serve.

    Raises:
        KernelUnavailable: the named kernel cannot serve, or none can; with the reasons.
    """
    name = _name_in_force(name)
    if name != "auto":
        kernel = _by_name(name)
        if reason := kernel.why_not(request):
            raise KernelUnavailable(f"kernel {name!r}: cannot serve, {reason}. "
                                    f"Use kernel='auto', or change what it names.")  # fmt: skip
        return kernel
    for candidate in AUTO.get(request.device, AUTO_ELSEWHERE):
        kernel = _by_name(candidate)
        if kernel.why_not(request) is None:
            return kernel
    reasons = "; ".join(f"{name}: {reason}" for name, reason in explain(request).items())
    raise KernelUnavailable(f"kernel 'auto': no kernel can serve this. {reasons}.")


def run_layer(request: Request, inputs: Inputs, name: str = "auto") -> tuple[Tensor, State]:
    """Runs one layer on the kernel that :func:`select` gives."""
    kernel = select(request, name)
    if not request.compiling:
        note(kernel.name)
    return kernel.run(request, inputs)


def note(name: str) -> None:
    """For :func:`record_kernels`: this one runs now."""
    ran = _record.get()
    if ran is not None:
        ran.append(name)


def explain(request: Request | None = None) -> dict[str, str | None]:
    """Each kernel's name, in the order in which ``"auto"`` tries them, and why it cannot serve; None: it can.

    Args:
        request: default: a plain float32 layer on the CPU.

    Example:
        >>> list(explain())
        ['cpu', 'native', 'reference']
        >>> explain(Request(Cell(peephole=True), torch.float32, "cpu", 64, 128))["native"]
        'torch.nn.LSTM does not offer peephole'
    """
    request = request or plain_request("cpu")
    order = AUTO.get(request.device, AUTO_ELSEWHERE)
    rest = [kernel.name for kernel in KERNELS if kernel.name not in order]
    return {name: _by_name(name).why_not(request) for name in (*order, *rest)}


def plain_request(device: str) -> Request:
    """A plain float32 layer of usual size, to ask what runs on a device."""
    return Request(Cell(), torch.float32, device, 64, 128, steps=100, batch_size=32)


def describe() -> list[str]:
    """Which kernels run on this machine's devices, and why the others do not: lines to print."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    lines = []
    for device in devices:
        lines.append(f"{device}:")
        lines += [f"  {name:<12}{reason or 'runs'}" for name, reason in explain(plain_request(device)).items()]
    if library.why_not() is None:
        lines.append(f"The kernel cpu runs here on {', '.join(library.available_isas())}; in use: {library.isa()}.")
    return lines


def _by_name(name: str) -> Kernel:
    return next(kernel for kernel in KERNELS if kernel.name == name)
