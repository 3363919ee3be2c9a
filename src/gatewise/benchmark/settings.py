"""What is measured: groups of work, sizes, repetitions."""

from dataclasses import dataclass, replace

from gatewise.errors import OptionError, did_you_mean

GROUPS = ("train", "infer", "layers", "ragged", "variants", "streaming", "language", "generation", "profile")
DTYPES = ("float32", "bfloat16")
ALLOCATORS = ("default", "kept", "tuned")
"""As any Python program has it; with freed memory kept, as gatewise's commands have it; with huge pages as well."""


ISAS = {
    "sse2": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "avx512": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    },
    "avx512_bf16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"},
}
"""What holds torch, oneDNN and MKL to an instruction set; ``GATEWISE_CPU_ISA`` holds the kernels."""

MEMORY_HEAVY = ("train", "infer", "layers", "ragged", "language")
"""Groups whose times depend on the allocator; the others are measured with the first one asked for."""


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Args:
        work: some of :data:`GROUPS`; none: each of them in a short form.
        threads: CPU threads of both sides; None: as many as torch takes.
        batch_sizes: of ``train``, ``infer`` and ``profile``; none: the groups' own.
        processes: fresh processes for each work and allocator.
        rounds: of each process, at least.
        seconds: how long a process measures, at least.
        kernel: ours.
        dtypes: of our side; torch's is float32 in any case. None: the groups' own.
        isa: one of :data:`ISAS`, for both sides; None: all that the machine has.
        allocators: some of :data:`ALLOCATORS`.
        steps: length of the sequences; None: the groups' own.
    """

    work: tuple[str, ...] = ()
    threads: int | None = None
    batch_sizes: tuple[int, ...] = ()
    processes: int = 3
    rounds: int = 5
    seconds: float = 0.5
    kernel: str = "auto"
    dtypes: tuple[str, ...] = ()
    isa: str | None = None
    allocators: tuple[str, ...] = ("default", "tuned")
    steps: int | None = None

    def __post_init__(self) -> None:
        offers: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
            ("WORK", self.work, GROUPS),
            ("--dtype", self.dtypes, DTYPES),
            ("--allocator", self.allocators, ALLOCATORS),
            ("--isa", () if self.isa is None else (self.isa,), tuple(ISAS)),
        )
        for name, given, offered in offers:
            for word in given:
                if word not in offered:
                    raise OptionError(
                        f"bench: expected {name} of {', '.join(offered)}, got {word!r}. {did_you_mean(word, offered)}"
                    )
        if not self.allocators:
            raise OptionError(f"bench: expected --allocator of {', '.join(ALLOCATORS)}, got none. Name one.")
        numbers = {"--batch-size": self.batch_sizes, "--processes": (self.processes,), "--rounds": (self.rounds,)}
        for name, values in numbers.items():
            if any(value < 1 for value in values):
                raise OptionError(f"bench: expected {name} of at least 1, got {min(values)}.")


@dataclass(frozen=True)
class Work:
    """One thing that is measured: a group and its sizes. For models, ``B`` and ``T`` alone are free.

    ``dtypes`` are those of our side. For language models ``I`` is the number of tokens that they know.
    """

    group: str
    T: int = 512
    B: int = 32
    I: int = 1
    H: int = 64
    dtypes: tuple[str, ...] = ("float32",)

    @property
    def name(self) -> str:
        """How it is called under the title of its group."""
        if self.group in ("train", "infer", "profile"):
            return f"batch {self.B}"
        if self.group in ("language", "generation"):
            sizes = f"2 x {self.H}, {self.I:,} tokens known"
            return sizes if self.group == "generation" else f"{sizes}, {self.B} x {self.T} a step"
        return f"one step, batch {self.B}" if self.group == "streaming" else f"{self.T}, {self.B}, {self.I}, {self.H}"


BOTH = ("float32", "bfloat16")

SHORT = (
    Work("train", dtypes=BOTH),
    Work("infer", B=1, dtypes=BOTH),
    Work("infer", dtypes=BOTH),
    Work("layers", I=128),
    Work("ragged", I=128),
    Work("variants", T=100, I=64),
    Work("streaming", T=1, B=1),
    Work("language", T=100, I=65, H=256, dtypes=BOTH),
    Work("generation", T=1, B=1, I=65, H=256),
    Work("profile"),
)
"""Without a name: something of everything, in a minute or two."""

FULL = (
    *(Work(group, B=B, dtypes=BOTH) for group in ("train", "infer") for B in (1, 32, 64)),
    Work("layers", T=100, B=32, I=64, H=64),
    Work("layers", T=512, B=32, I=128, H=64),
    Work("layers", T=100, B=128, I=32, H=256),
    Work("layers", T=50, B=16, I=512, H=512),
    Work("layers", T=512, B=1, I=128, H=64),
    Work("ragged", T=100, B=32, I=64, H=64),
    Work("ragged", T=512, B=32, I=128, H=64),
    Work("ragged", T=100, B=128, I=32, H=256),
    Work("variants", T=100, I=64),
    Work("streaming", T=1, B=1),
    Work("language", T=100, I=65, H=256, dtypes=BOTH),
    Work("language", T=100, I=65, H=512, dtypes=BOTH),
    Work("language", T=64, I=33_280, H=256, dtypes=BOTH),
    Work("generation", T=1, B=1, I=65, H=256),
    Work("generation", T=1, B=1, I=65, H=512),
    Work("generation", T=1, B=1, I=33_280, H=256),
    Work("profile"),
)
"""Groups that are named."""


def plan(settings: Settings) -> list[Work]:
    """What is measured, in order.

    >>> [work.B for work in plan(Settings(work=("infer",)))]
    [1, 32, 64]
    """
    works = [work for work in FULL if work.group in settings.work] if settings.work else list(SHORT)
    if settings.batch_sizes:
        sized = [(replace(work, B=B), work) for work in works for B in settings.batch_sizes]
        fixed = ("layers", "ragged", "variants", "streaming", "language", "generation")
        works = list(dict.fromkeys(work if work.group in fixed else of_size for of_size, work in sized))
        works.sort(key=lambda work: GROUPS.index(work.group))
    if settings.dtypes:
        works = [replace(work, dtypes=settings.dtypes) for work in works]
    if settings.steps:
        works = [
            work if work.group in ("streaming", "generation") else replace(work, T=settings.steps) for work in works
        ]
    return list(dict.fromkeys(works))
