"""The compiled library: what was built, what of it runs here, and what it says where it cannot."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from ctypes import POINTER, c_float, c_int32, c_int64, c_uint32, c_void_p
from pathlib import Path

import pytest

from gatewise.errors import KernelUnavailable, OptionError
from gatewise.kernels.cpu import api, library

ROOT = Path(__file__).parents[2]
CSRC = ROOT / "src" / "gatewise" / "kernels" / "cpu" / "csrc"
STRENGTH = ["sse2", "avx2", "avx512", "avx512_bf16"]

built = pytest.mark.skipif(library.why_not() is not None, reason=str(library.why_not()))


def tool(name):
    """Its path, or a skip: the library is used on machines that cannot build it."""
    return shutil.which(name) or pytest.skip(f"{name} is not on this machine")


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def forgetful():
    """The library is looked for anew, in the test and after it."""
    cached = (library._load, library.available_isas, library.functions)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


# What the header says ------------------------------------------------------------------------------------------------

HEADER = re.sub(r"/\*.*?\*/", "", (CSRC / "api.h").read_text(), flags=re.DOTALL)
STRUCTURES = {f"gatewise_{structure.__name__.lower()}": structure for structure in api.STRUCTURES}
TYPES = {"int64_t": c_int64, "int32_t": c_int32, "uint32_t": c_uint32, "float": c_float, "void": None, **STRUCTURES}


def type_of(kind, pointer=""):
    """A C type in ctypes."""
    return c_void_p if pointer else TYPES[kind]


def declared(body):
    """Name and type of each field in a C structure, in order; of a function what it gives and takes."""
    for declaration in body.split(";")[:-1]:
        kind, names = re.fullmatch(r"\s*(?:const )?(\w+) (.*)", declaration, re.DOTALL).groups()
        if function := re.fullmatch(r"\(\*(\w+)\)\((.*)\)", names, re.DOTALL):
            takes = re.findall(r"(\w+) (\*?)\w*(?:,|$)", function[2])
            pointers = [
                POINTER(STRUCTURES[kind]) if kind in STRUCTURES else type_of(kind, star) for kind, star in takes
            ]
            yield function[1], [TYPES[kind], *pointers]
        else:
            for star, name, count in re.findall(r"(\*?)(\w+)(?:\[(\d)\])?", names):
                yield name, type_of(kind, star) * int(count) if count else type_of(kind, star)


def described(structure):
    """The same of one in ctypes."""
    for name, kind in structure._fields_:
        yield name, [kind._restype_, *kind._argtypes_] if hasattr(kind, "_restype_") else kind


def test_structures_are_those_of_the_header():
    found = re.findall(r"typedef struct {([^}]*)} (\w+);", HEADER)
    assert [name for _, name in found] == list(STRUCTURES)
    for body, name in found:
        assert list(described(STRUCTURES[name])) == list(declared(body)), name
    assert int(re.search(r"#define GATEWISE_ABI (\d+)", HEADER)[1]) == api.ABI


# Which instruction set -----------------------------------------------------------------------------------------------


@built
def test_the_strongest_that_runs_here_is_taken(monkeypatch):
    monkeypatch.delenv("GATEWISE_CPU_ISA", raising=False)
    names = library.available_isas()
    assert names
    assert library.isa() == names[-1]
    if "sse2" in names:
        assert list(names) == STRENGTH[: len(names)]


@built
def test_flags_of_the_processor_agree():
    """The kernel of the operating system has its own list."""
    listed = Path("/proc/cpuinfo")
    if "sse2" not in library.available_isas() or not listed.exists():
        pytest.skip("only x86-64 Linux lists them by these names")
    flags = set(re.search(r"^flags\s*:(.*)", listed.read_text(), re.MULTILINE)[1].split())
    avx512 = {"avx2", "fma", "avx512f", "avx512dq", "avx512bw", "avx512vl"}
    needs = {"avx2": {"avx2", "fma"}, "avx512": avx512, "avx512_bf16": avx512 | {"avx512_bf16"}}
    assert [name for name, those in needs.items() if those <= flags] == list(library.available_isas()[1:])


@built
@pytest.mark.parametrize("name", library.available_isas())
def test_each_can_be_forced(monkeypatch, name):
    monkeypatch.setenv("GATEWISE_CPU_ISA", name)
    assert library.isa() == name
    assert library.functions(name).lanes == {"avx2": 8, "avx512": 16, "avx512_bf16": 16}.get(name, 4)


@built
@pytest.mark.parametrize("name", ["avx51", "AVX2", "neon2", "0"])
def test_one_that_does_not_run_here_is_refused_with_those_that_do(monkeypatch, name):
    monkeypatch.setenv("GATEWISE_CPU_ISA", name)
    with pytest.raises(OptionError, match=rf"GATEWISE_CPU_ISA.*{library.available_isas()[0]}.*'{name}'") as caught:
        library.isa()
    assert "\n" not in str(caught.value)


# Where there is none -------------------------------------------------------------------------------------------------


def test_an_installation_without_compiler_says_so(monkeypatch, forgetful, tmp_path):
    monkeypatch.delenv("GATEWISE_CPU_LIBRARY", raising=False)
    monkeypatch.setattr(library, "INSTALLED", tmp_path / "libgatewise_cpu.so")
    assert "no C++ compiler could build" in library.why_not()
    assert library.available_isas() == ()
    assert not library.has_openmp()
    with pytest.raises(KernelUnavailable, match="no C\\+\\+ compiler could build"):
        library.isa()


def test_a_library_that_is_not_there_is_named(monkeypatch, forgetful, tmp_path):
    monkeypatch.setenv("GATEWISE_CPU_LIBRARY", str(tmp_path / "other.so"))
    assert "other.so, which is not there" in library.why_not()


def test_a_file_that_is_no_library_is_named(monkeypatch, forgetful, tmp_path):
    (tmp_path / "other.so").write_text("text")
    monkeypatch.setenv("GATEWISE_CPU_LIBRARY", str(tmp_path / "other.so"))
    assert re.search(r"other\.so cannot be loaded: .", library.why_not())


@pytest.mark.skipif(sys.platform != "linux", reason="finds a library that is not ours by Linux' means")
def test_a_library_of_something_else_is_refused(monkeypatch, forgetful):
    other = next(line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libtorch" in line)
    monkeypatch.setenv("GATEWISE_CPU_LIBRARY", other)
    assert re.search("cannot be loaded: .*gatewise_abi", library.why_not())


@built
def test_a_library_of_another_version_is_refused(monkeypatch, forgetful):
    monkeypatch.setattr(api, "ABI", api.ABI + 1)
    assert "of another version" in library.why_not()


@built
def test_a_library_with_other_structures_is_refused(monkeypatch, forgetful):
    class Longer(ctypes.Structure):
        _fields_ = (("layer", api.Layer), ("more", c_int64))

    monkeypatch.setattr(api, "STRUCTURES", (*api.STRUCTURES[:2], Longer, *api.STRUCTURES[3:]))
    assert "of another version" in library.why_not()


def test_nothing_is_loaded_on_import():
    code = "import gatewise.kernels.cpu.library as library; print(library._load.cache_info().currsize)"
    assert run_python(code) == "0"


# How it was built ----------------------------------------------------------------------------------------------------


@built
@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/maps is Linux'")
def test_there_is_one_openmp_in_the_process():
    code = """
import torch
from gatewise.kernels.cpu import library
assert library.why_not() is None and library.has_openmp()
for path in {line.split()[-1] for line in open("/proc/self/maps") if "omp" in line.split("/")[-1]}:
    print(path)
"""
    (found,) = run_python(code).splitlines()
    assert "gomp" in found


@built
@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/task is Linux'")
def test_its_threads_are_those_of_torch():
    code = """
import ctypes, os
import torch
from gatewise.kernels.cpu import api, library
assert library.has_openmp()
count = lambda: len(os.listdir("/proc/self/task"))
torch.set_num_threads(4)
seed, x, output = torch.tensor([7]), torch.empty(4_000_000), torch.empty(4_000_000)  # nothing has run in parallel yet
before = count()
call = api.Dropout(len(x), 0, 4, 99, seed.data_ptr(), x.data_ptr(), output.data_ptr())
library.functions(library.isa()).dropout(ctypes.byref(call))
ours = count()
x.exp()
print(ours - before, count() - ours)
"""
    assert run_python(code) == "3 0"


@built
def test_only_the_interface_is_exported():
    listed = subprocess.run(
        [tool("nm"), "-D", "--defined-only", library.INSTALLED], capture_output=True, text=True, check=True
    ).stdout
    names = [line.split()[-1] for line in listed.splitlines()]
    assert "gatewise_isa_functions" in names
    assert [name for name in names if not name.startswith("gatewise_")] == []


def objects():
    """What isa.cpp was compiled to, for each instruction set, by the last installation from here."""
    return sorted((ROOT / "build" / "editable").glob("CMakeFiles/gatewise_*.dir/**/isa.cpp.o"))


def weak(listing):
    """Symbols that the linker would take from any one of the objects that have them."""
    return [line for line in listing.splitlines() if line.split()[-2] in "WVu"]


@built
def test_instruction_sets_share_no_code():
    """A function of the standard library compiled with AVX-512 and kept for all would end the program elsewhere."""
    nm, found = tool("nm"), objects()
    if not found:
        pytest.skip("the library was not built in this folder")
    for path in found:
        listing = subprocess.run([nm, "--defined-only", path], capture_output=True, text=True, check=True).stdout
        assert "gatewise_functions_" in listing
        assert weak(listing) == [], path


def test_the_check_sees_a_shared_function(tmp_path):
    compiler, nm = tool("g++"), tool("nm")
    source = tmp_path / "shared.cpp"
    source.write_text("template <class T> T twice(T x) { return x + x; }\ntemplate int twice(int);")
    subprocess.run([compiler, "-c", source, "-o", tmp_path / "shared.o"], check=True)
    listing = subprocess.run([nm, "--defined-only", tmp_path / "shared.o"], capture_output=True, text=True, check=True)
    assert len(weak(listing.stdout)) == 1


def configure(folder, *options):
    """CMake's first half, which compiles nothing of ours."""
    return subprocess.run(
        [tool("cmake"), "-S", ROOT, "-B", folder, *options], capture_output=True, text=True, timeout=120, check=False
    )


def test_without_a_compiler_the_build_succeeds_and_says_so(tmp_path):
    done = configure(tmp_path, "-DCMAKE_CXX_COMPILER=NOTFOUND")
    assert done.returncode == 0, done.stderr
    assert "without its CPU kernel: there is no C++ compiler" in " ".join(done.stderr.split())
    assert configure(tmp_path, "-DGATEWISE_REQUIRE_LIBRARY=ON", "-DCMAKE_CXX_COMPILER=NOTFOUND").returncode != 0


def test_a_compiler_that_is_too_old_is_named(tmp_path):
    tool("g++")
    done = configure(tmp_path, "-DGATEWISE_COMPILER_SERVES=OFF")
    assert done.returncode == 0, done.stderr
    assert "has no C++20" in " ".join(done.stderr.split())


def test_an_instruction_set_that_the_compiler_does_not_know_is_left_out(tmp_path):
    tool("g++")
    if "sse2" not in library.available_isas():
        pytest.skip("only x86-64 has more than one")
    done = configure(tmp_path, "-DGATEWISE_BUILDS_avx512_bf16=OFF")
    assert done.returncode == 0, done.stderr
    assert "instruction sets sse2;avx2;avx512\n" in done.stdout


@pytest.mark.skipif("libasan" not in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer is not here: make asan")
def test_what_is_written_beyond_the_end_is_found():
    code = """
import ctypes, torch
from gatewise.kernels.cpu import api, library
seed, x, output = torch.tensor([7]), torch.ones(1000), torch.ones(900)
call = api.Dropout(1000, 0, 1, 99, seed.data_ptr(), x.data_ptr(), output.data_ptr())
library.functions(library.isa()).dropout(ctypes.byref(call))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "ERROR: AddressSanitizer" in done.stderr
