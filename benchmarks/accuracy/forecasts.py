"""Series: the transformers' temperature and load, rates of exchange, and small sets of all kinds.

    python benchmarks/accuracy/forecasts.py

trains on each of the small sets and prints its errors beside those of the baselines on the same windows.
"""

import sys
from typing import Any, NamedTuple

from experiment import DATA, ROOT, Experiment

ETTH = "etth/ETTh1.csv.xz"
# Informer's parts: 12, 4 and 4 months of 30 days; windows reach back across the borders. The scaling that its errors
# are told in is that of the training part, as `scaled_mse` has it.
ETTH_PARTS = {"train": f"{ETTH}@..8640", "valid": f"{ETTH}@8640..11520", "test": f"{ETTH}@11520..14400"}
# Chosen on the validation part.
ETTH_SETTINGS = {
    "data.series.calendar": False,
    "data.series.context_length": 336,
    "loss.unit": "channel",
    "model.patch_size": 24,
    "model.embedding_size": 128,
    "model.hidden_sizes": [128],
    "model.dropout": 0.5,
    "train.batch_size": 128,
    "train.lr": 4e-3,
}
ETTH_EPOCHS = {24: 5, 96: 3}
EXCHANGE = "exchange_rate/exchange_rate.txt.xz"
PUBLISHED_ETTH = {24: "0.650 LSTMa, 0.577 Informer", 96: "0.375 DLinear, 0.370 PatchTST"}

EXPERIMENTS = {
    f"etth-{horizon}": Experiment(
        ETTH_PARTS["train"],
        ETTH_PARTS["test"],
        PUBLISHED_ETTH[horizon] + " (recalled from the papers)",
        {**ETTH_SETTINGS, "data.series.horizon": horizon, "train.epochs": ETTH_EPOCHS[horizon]},
        task="forecasting",
        valid=ETTH_PARTS["valid"],
        metric="scaled_mse",
    )
    for horizon in (24, 96)
}
EXPERIMENTS["exchange-3"] = Experiment(
    f"{EXCHANGE}@..4552",
    f"{EXCHANGE}@6070..",
    "0.0192 RNN-GRU (Lai et al. 2018, recalled); naive 0.0171",
    {
        "data.series.horizon": 3,
        "data.series.context_length": 32,
        "data.series.season": 1,
        "model.skip": "linear-last",
        "loss.unit": "channel",
        "train.batch_size": 128,
        "train.lr": 3e-4,
        "train.epochs": 5,
    },
    task="forecasting",
    valid=f"{EXCHANGE}@4552..6070",
    metric="rse",
)


LAST = {"model.skip": "linear-last", "model.patch_size": 8}  # where the season before tells less than the last value


class Small(NamedTuple):
    """A file below forecast_small: how far to forecast, the season, steps, which columns, and other settings."""

    file: str
    steps: int
    horizon: int
    season: int
    context: int
    target: str | None = None
    more: dict[str, Any] = {}  # noqa: RUF012  never changed
    begins: int = 0  # the first year, where times are years


SMALL = [
    Small("AirPassengers.csv.xz", 144, 12, 12, 36),
    Small("Airline.csv", 144, 12, 12, 36),
    Small("monthly-milk.csv.xz", 168, 12, 12, 36, None, LAST),
    Small("ShampooSales.csv", 36, 3, 12, 12, None, LAST),
    Small("Lynx.csv", 114, 5, 10, 20, begins=1821),
    Small("Longley.csv", 16, 1, 1, 4, "TOTEMP", {**LAST, "data.time": "YEAR"}, begins=1947),
    Small("monthly-sunspots.csv.xz", 2820, 12, 132, 264),
    Small("sunspots_monthly_1749-1983.txt.gz", 2820, 12, 132, 264, None, {"data.series.wrapped": True}),
    Small("taylor.csv.xz", 4032, 48, 336, 672),
    Small("ILINet.csv.xz", 1301, 4, 52, 104, "% WEIGHTED ILI", LAST),
    Small("us_gasoline.csv.xz", 1578, 4, 52, 104),
    Small("heart_rate.csv.xz", 1800, 10, 1, 60),
    Small("seattle-weather.csv", 1461, 7, 7, 56, "temp_max"),
    Small("stocks.csv", 123, 3, 12, 24, "price", {**LAST, "data.id": "symbol"}),
    Small("sp500.csv.gz", 1257, 5, 5, 40, "next_day_return"),
]


def experiment_of(small: Small) -> Experiment:
    """The last fifth of the steps for test, a fifth of the others to choose the best epoch on."""
    file = f"forecast_small/{small.file}"
    border = small.begins + small.steps - max(small.horizon, small.steps // 5)
    settings: dict[str, Any] = {
        "data.series.horizon": small.horizon,
        "data.series.season": small.season,
        "data.series.context_length": small.context,
        "model.skip": "linear-seasonal",
        "model.hidden_sizes": [16],
        "model.embedding_size": 16,
        "model.patch_size": 12,
        "data.series.calendar": False,
        **small.more,
    }
    if small.target is not None:
        settings["data.target"] = [small.target]
    return Experiment(f"{file}@..{border}", f"{file}@{border}..", "", settings, task="forecasting", metric="mase")


EXPERIMENTS |= {f"small-{small.file.split('.')[0].lower()}": experiment_of(small) for small in SMALL}


def compare(name: str, seed: int = 0) -> dict[str, float]:
    """The test error of an experiment and of the baselines on the same windows; trains it where that is not done."""
    import gatewise
    from gatewise.api.training import read_with_targets
    from gatewise.tasks.baselines import baselines
    from gatewise.types import Results

    experiment = EXPERIMENTS[name]
    valid = None if experiment.valid is None else str(DATA / experiment.valid)
    run = gatewise.train(
        "forecasting",
        data=str(DATA / experiment.train),
        valid=valid,
        test=str(DATA / experiment.test),
        out=ROOT / "runs" / "accuracy" / f"{name}-{seed}",
        settings={**experiment.settings, "train.seed": seed, "train.threads": 1, "train.device": "cpu"},
        resume=True,
        progress=False,
        report=False,
    )
    examples, known = (
        run.adapter.encode(read_with_targets(str(DATA / part), None, run.config, run.adapter))
        for part in (experiment.test, experiment.train)
    )
    references = [example.reference for example in examples]
    measure = run.task.metrics[experiment.metric]
    others = baselines(run.adapter, known, examples)
    errors = {other: measure(Results(0.0, answers, references)) for other, answers in others.items()}
    return {"model": run.results["test"][experiment.metric], **errors}


def main() -> None:
    names = sys.argv[1:] or [name for name in EXPERIMENTS if name.startswith("small-")]
    columns = ("model", "naive", "seasonal-naive", "linear")
    print(f"| data | measure | {' | '.join(columns)} |", flush=True)
    for name in names:
        errors = compare(name)
        row = " | ".join(f"{errors[column]:.4f}" if column in errors else "" for column in columns)
        print(f"| {name} | {EXPERIMENTS[name].metric} | {row} |", flush=True)


if __name__ == "__main__":
    main()
