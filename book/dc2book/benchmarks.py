"""What `make bench` and `make scale` measured, as tables and figures of the benchmarks page.

The last measurement of this machine is shown where a whole one is there (``_build``), else the one
that is kept with the book (``book/reference/speed``); a table always says which.  Rows of stages
that a file does not hold are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dc2book import style
from dc2book.record.context import find_upwards
from dc2lib.crosscell.experiments import planned_experiments, training_size
from dc2lib.datasets import published
from dc2lib.errors import DataError
from dc2lib.labels import RULES
from dc2lib.training.fit import PAPER, TUNED, Recipe
from dc2lib.training.grid import trainings
from dc2lib.training.grid_fits import Fit

BUILT = Path("_build")
KEPT = Path("book") / "reference" / "speed"
BENCH, SCALE = "bench.json", "scale.json"
REQUIRED = {BENCH: ("name", {"train_one", "evaluate", "side_by_side:step"}),
            SCALE: ("piece", {"ingest"})}
TARGETS = {  # ratio to the plain way, by stage, in the order of the page; nan: none was set
    "csv_to_store": 25.0,
    "bootstrap": np.nan,
    "train_one": 2.6,
    "train_grid": 4.0,
    "grid_dask": np.nan,
    "linear_all_cells": 50.0,
    "evaluate": 3.3,
    "probe": 2.5,
}
PARTS = {  # of training, timed in one process alone and in two at once
    "step": "a training step",
    "step_products": "its matrix products, nothing else",
    "product": "a large matrix product",
    "copy": "copying memory",
}
PIECES = {
    "ingest": "CSV files to store",
    "linear": "linear baseline, five restarts",
    "inclusive_epoch": "one epoch of Inclusive All",
    "test_on_rest": "Test-on-Rest, every pair",
}
FULL_TRAIN, FULL_VALID = 6601, 6601
WORKERS = (2, 32)
TRAINING_FLOP, EVALUATION_FLOP = 4.745e6, 1.736e6
CLEARLY_ABOVE_ONE = 1.1
INK, ACCENT = style.OTHER_COLOURS[:2]


@dataclass(frozen=True)
class Measurement:
    """One measured file: its rows, and what it says about machine and date."""

    rows: pd.DataFrame
    about: dict[str, Any]
    kept: bool  # with the book; else it is the last of this machine

    def sentence(self) -> str:
        """Which measurement, when, on what machine."""
        about = self.about
        return (
            f"{'kept with the book' if self.kept else 'the last on the machine of this build'}, "
            f"{about['date'][:10]}, {about['processor']}, {about['cores']} cores, "
            f"{about['memory_gib']:.0f} GiB, "
            f"{'no GPU' if about['accelerator'] == 'none' else about['accelerator']}, "
            f"load by other work {about['load']:.1f}"
        )


def measurement(name: str) -> Measurement:
    """The measurement in ``"bench.json"`` or ``"scale.json"``, in this folder or one above it.

    One of this machine that lacks rows that the page cannot do without does not count.  Raises
    DataError if a file cannot be read, or there is none.
    """
    column, needed = REQUIRED[name]
    for place in (BUILT, KEPT):
        path = find_upwards(place / name)
        if path is None:
            continue
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            rows, about = pd.DataFrame(read["rows"]), read["about"]
            if needed <= set(rows[column]):
                return Measurement(rows, about, place == KEPT)
        except (ValueError, KeyError) as error:
            raise DataError(f"{path}: not what make bench or make scale writes ({error}); delete it"
                            " and run it again") from None
    raise DataError(f"no whole {name} in {BUILT} or {KEPT}; run make bench and make scale")


def stage_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Ours against the plain way, a row per stage and number of threads, as text.

    Columns stage (with the unit of its rates), threads, ours, plain, ratio (of the pairs: median,
    lowest to highest), target, of limit, at limit (the ratio if ours ran at the limit).
    """
    own = _in_order(rows.sort_values("threads", kind="stable"))
    low, high = (_column(own, f"ratio_{end}") for end in ("low", "high"))
    ranges = [f" ({a:.1f}–{b:.1f})" if a == a else "" for a, b in zip(low, high, strict=True)]
    return pd.DataFrame({
        "stage": own["name"] + ", " + own["unit"],
        "threads": own["threads"].astype(str),
        "ours": own["ours"].map(_rate),
        "plain": own["plain"].map(_rate),
        "ratio": _texts(own["ratio"], ".1f") + ranges,
        "target": _texts(own["name"].map(TARGETS), "g"),
        "of limit": _texts(own["share_of_limit"], ".0%"),
        "at limit": _texts(_ratio_at_limit(own), ".1f"),
    })


def reached_ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Ratio of each measured stage with a target, and whether it reaches it.

    A stage that was timed with several numbers of threads counts with the fewest.  Columns stage,
    ratio, low and high (of a pair of runs; NaN where no range was measured), target, met, at_limit
    (the ratio if ours ran at the limit, NaN without one).
    """
    own = rows[rows["ratio"].notna() & rows["name"].map(TARGETS).notna()].reset_index(drop=True)
    own = _in_order(own.loc[own.groupby("name")["threads"].idxmin()]).reset_index(drop=True)
    target = own["name"].map(TARGETS)
    return pd.DataFrame({
        "stage": own["name"], "ratio": own["ratio"],
        "low": _column(own, "ratio_low"), "high": _column(own, "ratio_high"),
        "target": target, "met": own["ratio"] >= target, "at_limit": _ratio_at_limit(own),
    })


def side_by_side(rows: pd.DataFrame) -> pd.DataFrame:
    """Rates of a training step and its parts in one process and, in sum, in two at once.

    Columns part (a key of `PARTS`), unit, alone, together, estimate (together by alone, the median
    of the pairs of runs), low, high (of a pair).
    """
    own = rows.assign(part=rows["name"].str.removeprefix("side_by_side:")).set_index("part")
    own = own.loc[[part for part in PARTS if part in own.index]].reset_index()
    return own.rename(columns={"ours": "together", "plain": "alone", "ratio": "estimate",
                               "ratio_low": "low", "ratio_high": "high"})[
        ["part", "unit", "alone", "together", "estimate", "low", "high"]]


def products_share(parts: pd.DataFrame) -> float:
    """Share of a training step's time that its matrix products take; from `side_by_side`.

    >>> products_share(pd.DataFrame({"part": ["step", "step_products"], "alone": [70.0, 100.0]}))
    0.7
    """
    alone = parts.set_index("part")["alone"]
    return float(alone["step"] / alone["step_products"])


def range_confidence(pairs: int) -> float:
    """Confidence that the range of as many independent ratios holds their true median.

    It does not if all lie on one side of it: 2 in 2 to the power of their number.

    >>> range_confidence(5)
    0.9375
    """
    return 1 - 2.0 ** (1 - pairs)


def growth(rows: pd.DataFrame) -> pd.DataFrame:
    """Seconds by amount of work: columns stage, work, seconds."""
    own = rows[rows["name"].str.startswith("growth:")]
    return pd.DataFrame({"stage": own["name"].str.split(":").str[1],
                         "work": own["work"].astype(int), "seconds": own["ours"].astype(float)})


def scale_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Seconds, peak memory and disk of each piece by number of cell types, its parts together.

    A number of cell types whose parts are not all there is left out, and so are the rows of a
    rehearsal of the whole book.

    Returns columns stage (the piece), n (cell types), work (what seconds should grow with),
    seconds, peak_mib, disk_mib.
    """
    rows = rows[rows["piece"].isin(PIECES)]
    rows = rows.assign(disk_mib=_column(rows, "disk_mib"), pairs=_column(rows, "pairs"))
    table = rows.groupby(["piece", "cells"], sort=False).agg(
        seconds=("seconds", "sum"), peak_mib=("peak_mib", "max"), disk_mib=("disk_mib", "max"),
        pairs=("pairs", "sum")).reset_index().rename(columns={"piece": "stage", "cells": "n"})
    in_pairs = table["stage"] == "test_on_rest"
    table["work"] = table["n"].where(~in_pairs, table["n"] ** 2).astype(int)
    whole = ~in_pairs | (table["pairs"] == table["work"])
    columns = ["stage", "n", "work", "seconds", "peak_mib", "disk_mib"]
    return table.loc[whole, columns].reset_index(drop=True)


def rehearsal_table(rows: pd.DataFrame) -> pd.DataFrame:
    """What a reader's two commands took with simulated cell types (``make rehearsal``).

    Columns command, run (``"killed"`` and run again, or ``"undisturbed"``), n (cell types), genes,
    seconds, peak_mib, load (by other work), processor, date (its day); no row where none was
    measured.
    """
    columns = ["command", "run", "n", "genes", "seconds", "peak_mib", "load", "processor", "date"]
    own = rows[rows["piece"].str.startswith("make ")]
    own = own.rename(columns={"piece": "command", "cells": "n"}).reindex(columns=columns)
    return own.assign(date=own["date"].astype(str).str[:10],
                      processor=own["processor"].astype(object).fillna("not recorded"))


def growth_powers(table: pd.DataFrame) -> pd.DataFrame:
    """Power of the work that the seconds of each stage grow with, where sizes differ.

    Least squares of the logarithms.  Columns stage, estimate.
    """
    return pd.DataFrame([
        {"stage": name,
         "estimate": float(np.polyfit(np.log(part["work"]), np.log(part["seconds"]), 1)[0])}
        for name, part in table.groupby("stage", sort=False) if len(part) > 1
    ])


@dataclass(frozen=True)
class Speed:
    """Genes a second in training (forward and backward) and in evaluation, of one worker."""

    passes: float
    evaluations: float


@dataclass(frozen=True)
class Cost:
    """What a grid takes if every training runs all its epochs."""

    fits: int
    trainings: int  #: that serve the fits
    gene_passes: int  #: genes times epochs, over all trainings
    longest: int  #: gene passes of the longest training, which bounds how far more workers help
    evaluations: int  #: validation genes times epochs, over all fits

    def hours(self, speed: Speed, workers: int = 1) -> float:
        """Hours on so many workers of this speed; at least those of the longest training."""
        seconds = self.gene_passes / speed.passes + self.evaluations / speed.evaluations
        return max(seconds / workers, self.longest / speed.passes) / 3600


def grid_cost(fits: Iterable[Fit], n_train: int, n_valid: int) -> Cost:
    """Count a grid of cell types with so many training and validation genes; none need exist."""
    groups = trainings(list(fits))
    passes = [group[0].recipe.epochs * training_size(group[0], n_train) for group in groups]
    evaluations = sum(group[0].recipe.epochs * n_valid * len(group) for group in groups)
    return Cost(sum(map(len, groups)), len(groups), sum(passes), max(passes), evaluations)


def full_grid(recipe: Recipe) -> Cost:
    """All cross-cell experiments of the paper under both label rules, 56 cell types, counted."""
    base = Fit("deepchrome_average", recipe, ("",), "", "", orientation="gene")
    correlation = published.rpkm_correlation("aligned")
    fits = [one for rule in RULES for one in planned_experiments(
        replace(base, labels=rule), correlation, n_random=10).values()]
    return grid_cost(fits, FULL_TRAIN, FULL_VALID)


def grid_hours(rows: pd.DataFrame, gpu_teraflops: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hours of the full grid at the rates of one thread, on 2 and 32 workers and, assumed, a GPU.

    ``rows``: of ``bench.json``. ``gpu_teraflops``: sustained 10^12 operations a second that a GPU
    is assumed to reach; nothing is measured.

    Returns measured hours (recipe, workers, estimate) and a GPU's estimated ones (recipe,
    estimate). Raises DataError if training or evaluation with one thread was not measured.
    """
    speed = Speed(_one_thread(rows, "train_one"), _one_thread(rows, "evaluate"))
    assumed = Speed(gpu_teraflops * 1e12 / TRAINING_FLOP, gpu_teraflops * 1e12 / EVALUATION_FLOP)
    costs = {"paper": full_grid(PAPER), "tuned": full_grid(TUNED)}
    measured = [{"recipe": name, "workers": n, "estimate": cost.hours(speed, n)}
                for n in WORKERS for name, cost in costs.items()]
    estimated = [{"recipe": name, "estimate": cost.hours(assumed)} for name, cost in costs.items()]
    return pd.DataFrame(measured), pd.DataFrame(estimated)


def plot_ratios(table: pd.DataFrame) -> Figure:
    """How many times as fast as the plain way, a bar per stage, with its target and limit.

    ``table``: as from `reached_ratios`.
    """
    fig, axis = plt.subplots(figsize=(6.4, 0.9 + 0.42 * len(table)))
    places = range(len(table))
    axis.barh(places, table["ratio"] - 1, left=1, color=ACCENT, height=0.55)
    reach = np.abs(table[["low", "high"]].to_numpy() - table[["ratio"]].to_numpy())
    axis.errorbar(table["ratio"], places, xerr=reach.T, color=INK, linestyle="none", elinewidth=1.2,
                  capsize=3, label="lowest and highest pair of runs")
    axis.plot(table["target"], places, "|", color=INK, markersize=16, markeredgewidth=2,
              label="target")
    axis.plot(table["at_limit"], places, "D", color=INK, markersize=5, markerfacecolor="none",
              label="at the limit of this machine")
    axis.axvline(1, color=INK, linewidth=0.8)
    axis.set_xscale("log")
    axis.set_xlim(0.8, 2.2 * table[["high", "ratio", "target", "at_limit"]].max(axis=None))
    axis.set_yticks(places, [f"{row.stage}  {row.ratio:.1f}" for row in table.itertuples()])
    axis.invert_yaxis()
    axis.set_xlabel("times as fast as the plain way (log scale)")
    fig.legend(loc="outside upper right", ncols=3)
    return fig


def plot_full_size(table: pd.DataFrame) -> Figure:
    """Seconds against the number of cell types, or of pairs, a panel per piece of work.

    ``table``: as from `scale_table`.  The line is proportional, through the largest size.
    """
    parts = style.split_by(table.sort_values("work"), "stage")
    fig, panels = style.panels({name: parts[name] for name in PIECES if name in parts}, (4.6, 1.9),
                               PIECES, down=True, sharex=False, ylabel="seconds")
    for axis, name, part in panels:
        last = part.iloc[-1]
        axis.plot([0, last["work"]], [0, last["seconds"]], color=INK, linewidth=0.9, zorder=1)
        axis.plot(part["work"], part["seconds"], "o", color=ACCENT, zorder=2)
        axis.set(xlabel="pairs" if name == "test_on_rest" else "cell types", xlim=(0, None),
                 ylim=(0, None))
    return fig


def _one_thread(rows: pd.DataFrame, name: str) -> float:
    measured = rows[(rows["name"] == name) & (rows["threads"] == 1)]
    if measured.empty:
        raise DataError(f"{name} was not measured with one thread; run `make bench`")
    return float(measured["ours"].iloc[-1])


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of stages that have a target, in the order of the page."""
    own, place = rows[rows["name"].isin(TARGETS)], list(TARGETS).index
    return own.sort_values("name", key=lambda names: names.map(place), kind="stable")


def _column(rows: pd.DataFrame, name: str) -> pd.Series:
    """The numbers of a column that other measurements lack."""
    return rows[name].astype(float) if name in rows else pd.Series(np.nan, rows.index)


def _ratio_at_limit(rows: pd.DataFrame) -> pd.Series:
    return rows["ratio"].astype(float) / rows["share_of_limit"].astype(float)


def _texts(values: pd.Series, form: str) -> pd.Series:
    return values.astype(float).map(lambda one: "–" if np.isnan(one) else format(one, form))


def _rate(value: float | None) -> str:
    if pd.isna(value):
        return "not measured"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
