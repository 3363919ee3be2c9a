"""The compiled library: where it lies, which instruction sets of it run here, and why there may be none.

Nothing is loaded before the first question. Two environment variables are read:

``GATEWISE_CPU_ISA``
    the instruction set to use, instead of the strongest that this processor has.
``GATEWISE_CPU_LIBRARY``
    another library than the one installed: an instrumented build, in tests.
"""

import ctypes
import os
from functools import cache
from pathlib import Path

import torch  # noqa: F401  first: the library then finds, by name, the OpenMP that torch has loaded, and shares its threads

from gatewise.errors import KernelUnavailable, OptionError, did_you_mean
from gatewise.kernels.cpu import api

INSTALLED = Path(__file__).parent / "libgatewise_cpu.so"
NOT_BUILT = (
    "gatewise was installed where no C++ compiler could build its library: "
    "install GCC 10 or newer and then gatewise again, or install its wheel"
)


def why_not() -> str | None:
    """Why there is no library to run, in one line; None: there is."""
    library = _load()
    return library if isinstance(library, str) else None


# A graph cannot look for files: the answer is found while compiling. See gatewise.kernels.select.
why_not._dynamo_marked_constant = True  # type: ignore[attr-defined]


@cache
def available_isas() -> tuple[str, ...]:
    """The instruction sets that the library has and this processor runs, weakest first; empty without a library."""
    library = _load()
    if isinstance(library, str):
        return ()
    return tuple(name for name, place in _places(library).items() if library.gatewise_isa_runs(place))


def isa() -> str:
    """The strongest instruction set that runs here, or the one that ``GATEWISE_CPU_ISA`` names.

    Raises:
        OptionError: it names one that does not run here.
        KernelUnavailable: there is no library.
    """
    if reason := why_not():
        raise KernelUnavailable(f"kernel 'cpu': cannot serve, {reason}.")
    return _checked(os.environ.get("GATEWISE_CPU_ISA") or available_isas()[-1])


@cache
def functions(name: str) -> api.Functions:
    """What the library offers for an instruction set of :func:`available_isas`."""
    name, library = _checked(name), _load()
    assert not isinstance(library, str)
    table: api.Functions = library.gatewise_isa_functions(_places(library)[name]).contents
    return table


def has_openmp() -> bool:
    """Whether the library shares torch's threads; it has one thread otherwise."""
    library = _load()
    return not isinstance(library, str) and bool(library.gatewise_openmp())


def memory() -> ctypes.CDLL:
    """The library, for the functions of ``csrc/memory.cpp``."""
    library = _load()
    assert not isinstance(library, str)
    return library


def _checked(name: str) -> str:
    names = available_isas()
    if name not in names:
        raise OptionError(f"GATEWISE_CPU_ISA: expected what runs here, one of {', '.join(names)}, got {name!r}. "
                          f"{did_you_mean(name, names)}")  # fmt: skip
    return name


def _places(library: ctypes.CDLL) -> dict[str, int]:
    return {library.gatewise_isa_name(place).decode(): place for place in range(library.gatewise_isa_count())}


@cache
def _load() -> ctypes.CDLL | str:
    """The library, or why there is none."""
    named = os.environ.get("GATEWISE_CPU_LIBRARY")
    path = Path(named or INSTALLED).absolute()
    if not path.is_file():
        if named:
            return f"GATEWISE_CPU_LIBRARY names {path}, which is not there"
        return NOT_BUILT
    try:
        library = ctypes.CDLL(str(path))
        return _declare(library) or library
    except (OSError, AttributeError) as error:  # AttributeError: a function is not in it
        return f"{path} cannot be loaded: {error}"


def _declare(library: ctypes.CDLL) -> str | None:
    """Tells ctypes what the library's functions take and give. Why the library cannot serve, if so."""
    if not _described(library):
        return f"{library._name} is of another version of gatewise: install gatewise again"
    for function in (library.gatewise_isa_name, library.gatewise_isa_runs, library.gatewise_isa_functions):
        function.argtypes = [ctypes.c_int]
    library.gatewise_isa_name.restype = ctypes.c_char_p
    library.gatewise_isa_functions.restype = ctypes.POINTER(api.Functions)
    library.gatewise_memory_take.argtypes = [ctypes.c_int64]
    library.gatewise_memory_take.restype = ctypes.c_void_p
    library.gatewise_memory_give.argtypes = [ctypes.c_void_p]
    library.gatewise_memory_give.restype = None
    library.gatewise_memory_held.restype = ctypes.c_int64
    return None


def _described(library: ctypes.CDLL) -> bool:
    """Whether :mod:`~gatewise.kernels.cpu.api` is about this library."""
    if library.gatewise_abi() != api.ABI:
        return False
    library.gatewise_structure_bytes.restype = ctypes.c_int64
    sizes = [library.gatewise_structure_bytes(place) for place in range(len(api.STRUCTURES))]
    return sizes == [ctypes.sizeof(structure) for structure in api.STRUCTURES]
