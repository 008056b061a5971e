"""What `make bench` and `make scale` measured, as tables of the book.

The last measurement of this machine is shown where a whole one is there (``_build``), else the one
that is kept with the book (``book/reference/speed``); a table always says which.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dc2lib.crosscell.cost import Cost, Speed, grid_cost
from dc2lib.crosscell.experiments import planned_experiments
from dc2lib.datasets import published
from dc2lib.errors import DataError
from dc2lib.labels import RULES
from dc2lib.training.fit import PAPER, TUNED, Recipe
from dc2lib.training.grid_fits import Fit

BUILT = Path("_build")
KEPT = Path("book") / "reference" / "speed"
BENCH, SCALE = "bench.json", "scale.json"
TARGETS = {
    "csv_to_store": 25.0,
    "train_one": 1.7,
    "train_grid": 2.5,
    "linear_all_cells": 50.0,
    "probe": 2.5,
    "evaluate": 3.0,
}
NEEDED = {
    BENCH: ("csv_to_store", "train_one", "evaluate", "growth:csv_to_store:1"),
    SCALE: ("ingest",),
}
NAMES = {BENCH: "name", SCALE: "piece"}
PIECES = ("ingest", "linear", "inclusive_epoch", "test_on_rest")
APART = ("book_quick", "growth", "grid_dask", "gpu")
ORDER = (
    "csv_to_store", "store_open", "bootstrap", "train_one", "train_grid", "time_to_auroc",
    "linear_all_cells", "evaluate", "probe_float32", "probe", "probe_3_million", "probe_memory",
)  # fmt: skip
FULL_TRAIN, FULL_VALID = 6601, 6601
WORKERS = (2, 32)
TRAINING_FLOP, EVALUATION_FLOP = 4.745e6, 1.736e6


@dataclass(frozen=True)
class Measurement:
    """One measured file.

    Attributes
    ----------
    rows : DataFrame
    about : dict
        Machine, versions, sizes and date.
    kept : bool
        Whether it is the one kept with the book, not the last of this machine.
    """

    rows: pd.DataFrame
    about: dict[str, Any]
    kept: bool

    def sentence(self) -> str:
        """Which measurement, when, on what machine."""
        which = "kept with the book" if self.kept else "the last on the machine of this build"
        accelerator = self.about["accelerator"]
        device = "no GPU" if accelerator == "none" else accelerator
        return (
            f"{which}, {self.about['date'][:10]}, {self.about['processor']}, "
            f"{self.about['cores']} cores, {self.about['memory_gib']:.0f} GiB, {device}, "
            f"load by other work {self.about['load']:.1f}"
        )


def measurement(name: str, root: Path | None = None) -> Measurement:
    """The measurement in `name`, ``"bench.json"`` or ``"scale.json"``.

    One of this machine that lacks stages or pieces that the book needs does not count.

    Parameters
    ----------
    name
    root
        Folder that holds ``_build`` and ``book``; default this one or one above it.

    Raises
    ------
    DataError
        If a file cannot be read, or there is none.
    """
    for place in (BUILT, KEPT):
        path = _found(place / name, root)
        if path is None:
            continue
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            rows, about = pd.DataFrame(read["rows"]), read["about"]
            if set(NEEDED[name]) <= set(rows[NAMES[name]]):
                return Measurement(rows, about, place == KEPT)
        except (ValueError, KeyError) as error:
            raise DataError(
                f"{path}: not what make bench or make scale writes ({error}); delete it and run"
                " it again"
            ) from None
    raise DataError(f"no whole {name} in {BUILT} or {KEPT}; run make bench and make scale")


def stage_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Ours against the plain way, a row a stage and number of threads, with the target beside it.

    Returns
    -------
    DataFrame
        stage (with the unit of its rates), threads, ours, plain, ratio (of the pairs: median,
        lowest to highest), target, of limit, at limit (the ratio if ours ran at the limit); texts
        where a number may be absent.
    """
    own = _ordered(rows[~rows["name"].map(_stage).isin(APART)])
    return pd.DataFrame(
        {
            "stage": own["name"] + ", " + own["unit"],
            "threads": own["threads"].astype(str),
            "ours": own["ours"].map(_rate),
            "plain": own["plain"].map(_rate),
            "ratio": [ratio_words(row) for _, row in own.iterrows()],
            "target": own["name"].map(lambda name: or_dash(TARGETS.get(name), "g")),
            "of limit": own["share_of_limit"].map(lambda share: or_dash(share, ".0%")),
            "at limit": at_limit(own).map(lambda ratio: or_dash(ratio, ".1f")),
        }
    )


def verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Best ratio of each stage with a target, and whether it reaches it.

    Returns
    -------
    DataFrame
        stage, ratio, low and high (of a pair of runs, NaN where no range was measured), target,
        met (by the median), surely (in every pair), at_limit (the ratio if ours ran at the limit,
        NaN without one); stages that were not measured are missing.
    """
    own = rows[rows["name"].isin(TARGETS) & rows["ratio"].notna()]
    best = own.loc[own.groupby("name")["ratio"].idxmax()].set_index("name")
    best = best.loc[[name for name in TARGETS if name in best.index]]
    table = pd.DataFrame(
        {"stage": best.index, "ratio": best["ratio"].to_numpy(), "target": best.index.map(TARGETS)}
    )
    low, high = (_column(best, f"ratio_{end}").to_numpy() for end in ("low", "high"))
    return table.assign(
        low=low,
        high=high,
        met=table["ratio"] >= table["target"],
        surely=low >= table["target"],
        at_limit=at_limit(best).to_numpy(),
    )


def ratio_words(row: pd.Series) -> str:
    """The median ratio of the pairs of runs and the lowest and highest; a dash without a ratio."""
    middle = or_dash(row["ratio"], ".1f")
    low, high = (row.get(f"ratio_{end}") for end in ("low", "high"))
    return middle if low is None or np.isnan(low) else f"{middle} ({low:.1f}–{high:.1f})"


def range_confidence(pairs: int) -> float:
    """Confidence that the range of as many independent ratios holds their true median.

    It does not if all lie on one side of it: 2 in 2 to the power of their number.

    Examples
    --------
    >>> range_confidence(5)
    0.9375
    """
    return 1 - 2.0 ** (1 - pairs)


def at_limit(rows: pd.DataFrame) -> pd.Series:
    """Ratio to the plain way if ours ran at the machine's limit; NaN where there is no limit."""
    return rows["ratio"].astype(float) / rows["share_of_limit"].astype(float)


def notes(rows: pd.DataFrame) -> pd.DataFrame:
    """Stage, threads and note of every row that has one.

    Those of growth, the book and the grid on dask have tables of their own.
    """
    apart = rows["name"].map(_stage).isin(("growth", "book_quick", "grid_dask"))
    noted = _ordered(rows[(rows["note"] != "") & ~apart])
    return pd.DataFrame(
        {"stage": noted["name"], "threads": noted["threads"].astype(str), "note": noted["note"]}
    )


def book_tables(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Seconds of each chapter of the quick book, and of its slowest cells.

    Returns
    -------
    chapters : DataFrame
        chapter, seconds; the slowest first, empty if no quick book was built.
    cells : DataFrame
        place, seconds, cell (with what would halve it).
    """
    own = rows[rows["name"].str.startswith("book_quick:")]
    within = own["name"].str.removeprefix("book_quick:")
    is_cell = within.str.startswith("cell ")
    chapters = pd.DataFrame({"chapter": within[~is_cell], "seconds": own["ours"][~is_cell]})
    places = within[is_cell].str.removeprefix("cell ")
    cells = {"place": places, "seconds": own["ours"][is_cell], "cell": own["note"][is_cell]}
    return chapters, pd.DataFrame(cells)


def growth(rows: pd.DataFrame) -> pd.DataFrame:
    """Seconds by amount of work, and the power of the work that they grow with.

    Returns
    -------
    DataFrame
        what, work, unit, seconds, power (of the whole series; 1 is linear).
    """
    own = rows[rows["name"].map(_stage) == "growth"]
    parts = [part for _, part in own.groupby(own["name"].str.split(":").str[1], sort=False)]
    tables = [
        pd.DataFrame(
            {
                "what": part["name"].str.split(":").str[1],
                "work": part["work"].astype(int),
                "unit": part["note"],
                "seconds": part["ours"],
                "power": growth_power(part["work"], part["ours"]),
            }
        )
        for part in parts
    ]
    columns = ["what", "work", "unit", "seconds", "power"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def scale_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Seconds, peak memory and disk of each piece by number of cell types, its parts together.

    A number of cell types whose parts are not all there is left out.

    Returns
    -------
    DataFrame
        piece, cells, work (what seconds should grow with), seconds, peak_mib, disk_mib.
    """
    found = []
    for (piece, cells), part in rows.groupby(["piece", "cells"], sort=False):
        if piece == "test_on_rest" and part["pairs"].sum() != cells**2:
            continue
        disk = part["disk_mib"].max() if "disk_mib" in part else np.nan
        found.append(
            {
                "piece": piece,
                "cells": int(cells),
                "work": int(cells**2 if piece == "test_on_rest" else cells),
                "seconds": float(part["seconds"].sum()),
                "peak_mib": float(part["peak_mib"].max()),
                "disk_mib": float(disk),
            }
        )
    columns = ["piece", "cells", "work", "seconds", "peak_mib", "disk_mib"]
    return pd.DataFrame(found, columns=columns)


def scale_powers(table: pd.DataFrame) -> dict[str, float]:
    """Power of the work that the seconds of each piece grow with, where two sizes were measured.

    Parameters
    ----------
    table
        As from `scale_table`.
    """
    return {
        piece: growth_power(part["work"], part["seconds"])
        for piece, part in table.groupby("piece", sort=False)
        if len(part) > 1
    }


def scale_words(table: pd.DataFrame) -> str:
    """Largest number of cell types of every piece and its power; what was not measured."""
    largest = table.groupby("piece", sort=False)["cells"].max()
    powers = scale_powers(table)
    found = [
        f"{piece} up to {largest[piece]} cell types"
        + (f", power {powers[piece]:.2f}" if piece in powers else ", one size only")
        for piece in PIECES
        if piece in largest
    ]
    absent = [piece for piece in PIECES if piece not in largest]
    return "; ".join(found) + (f"; not measured: {', '.join(absent)}" if absent else "")


def growth_power(work: Iterable[float], seconds: Iterable[float]) -> float:
    """Power p of the best fit of seconds ~ work ** p (least squares of the logarithms).

    Examples
    --------
    >>> round(growth_power([1, 2, 4], [3, 6, 12]), 3)
    1.0
    """
    x, y = np.log(np.asarray(list(work), float)), np.log(np.asarray(list(seconds), float))
    return float(np.polyfit(x, y, 1)[0]) if len(x) > 1 else float("nan")


def full_grid(recipe: Recipe) -> Cost:
    """All cross-cell experiments of the paper under both label rules, 56 cell types, counted."""
    base = Fit("deepchrome_average", recipe, ("",), "", "", orientation="gene")
    correlation = published.rpkm_correlation("aligned")
    fits = [
        one
        for rule in RULES
        for one in planned_experiments(
            replace(base, labels=rule), correlation, n_random=10
        ).values()
    ]
    return grid_cost(fits, FULL_TRAIN, FULL_VALID)


def grid_hours(rows: pd.DataFrame, gpu_teraflops: float) -> pd.DataFrame:
    """Hours of the full grid at the rates of one thread, on 2 and 32 workers and, assumed, a GPU.

    Parameters
    ----------
    rows
        Of ``bench.json``.
    gpu_teraflops
        Sustained 10^12 operations a second that a GPU is assumed to reach; nothing is measured.

    Returns
    -------
    DataFrame
        recipe, gene_passes, hours_2, hours_32, hours_gpu.

    Raises
    ------
    DataError
        If training or evaluation with one thread was not measured.
    """
    speed = Speed(_one_thread(rows, "train_one"), _one_thread(rows, "evaluate"))
    assumed = Speed(gpu_teraflops * 1e12 / TRAINING_FLOP, gpu_teraflops * 1e12 / EVALUATION_FLOP)
    found = []
    for name, recipe in (("paper", PAPER), ("tuned", TUNED)):
        cost = full_grid(recipe)
        hours = {f"hours_{n}": cost.hours(speed, n) for n in WORKERS}
        hours["hours_gpu"] = cost.hours(assumed)
        found.append({"recipe": name, "gene_passes": cost.gene_passes, **hours})
    return pd.DataFrame(found)


def _one_thread(rows: pd.DataFrame, name: str) -> float:
    found = rows[(rows["name"] == name) & (rows["threads"] == 1)]
    if found.empty:
        raise DataError(f"{name} was not measured with one thread; run `make bench`")
    return float(found["ours"].iloc[-1])


def _column(rows: pd.DataFrame, name: str) -> pd.Series:
    """The numbers of a column that older measurements lack."""
    return rows[name].astype(float) if name in rows else pd.Series(np.nan, rows.index)


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of `ORDER`, then by threads; others last, as they come."""
    place = rows["name"].map({name: place for place, name in enumerate(ORDER)}).fillna(len(ORDER))
    return rows.assign(place=place).sort_values(["place", "threads"], kind="stable")


def _stage(name: str) -> str:
    return name.partition(":")[0]


def _rate(value: float | None) -> str:
    if value is None or np.isnan(value):
        return "not measured"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def or_dash(value: float | None, form: str) -> str:
    """The number in a format; a dash where there is none."""
    return "–" if value is None or np.isnan(value) else format(value, form)


def _found(path: Path, root: Path | None) -> Path | None:
    here = Path.cwd()
    for folder in (root,) if root is not None else (here, *here.parents):
        if (folder / path).is_file():
            return folder / path
    return None
