"""What the measurements come to: targets, what bounds them, and sentences."""

from __future__ import annotations

import re

import pandas as pd

from dc2book.benchmarks.measurements import TARGETS, at_limit, or_dash, ratio_words, scale_powers

AIMS = {"train_one": 3.3, "train_grid": 4.0, "linear_all_cells": 200.0, "probe": 8.0}
BOUNDS = {
    "linear_all_cells": "a batch reads the weights that the batch before it left, so gene follows "
    "gene: a few sums and one exponential each, and no product of large matrices",
}
OPENING_MS = 5.0
CONSTANT = 1.05
CLEARLY_ABOVE_ONE = 1.1
CELL = re.compile(r"(?P<chapter>\w+), (?P<section>[^:]+): .*; halved by (?P<remedy>.+)$", re.DOTALL)


def verdicts_in_words(judged: pd.DataFrame) -> str:
    """How many ratios reach their target, and how many of them in every pair of runs.

    Parameters
    ----------
    judged
        As from `dc2book.benchmarks.measurements.verdicts`.

    Examples
    --------
    >>> judged = pd.DataFrame({"stage": ["probe"], "met": [True], "low": [2.4], "surely": [False]})
    >>> verdicts_in_words(judged).split(";")[0]
    '1 of 6 ratios reaches its target, 0 of them in every pair of runs'
    """
    met = judged[judged["met"]]
    n_met, n_ranged, n_surely = len(met), int(met["low"].notna().sum()), int(met["surely"].sum())
    reaches = "reaches its target" if n_met == 1 else "reach their target"
    words = f"{n_met} of {len(TARGETS)} ratios {reaches}"
    if 0 < n_ranged < n_met:
        words += f", {n_surely} of the {n_ranged} with a measured range in every pair of runs"
    elif n_ranged:
        of_them = "" if n_surely == n_met else f" {n_surely} of them"
        words += f",{of_them} in every pair of runs"
    missed = judged[~judged["met"]]["stage"].tolist()
    absent = [name for name in TARGETS if name not in set(judged["stage"])]
    words += f"; not reached: {', '.join(missed)}" if missed else ""
    return words + (f"; not measured: {', '.join(absent)}" if absent else "")


def misses(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows below the target of their stage, and best rows below its aim, with what bounds them.

    Parameters
    ----------
    rows
        Of ``bench.json``.

    Returns
    -------
    DataFrame
        stage, threads, asked (target or aim, and its ratio), ratio, of limit, at limit (the ratio
        if ours ran at the limit), what bounds it; empty if everything is reached.
    """
    found = []
    for name, target in TARGETS.items():
        own = rows[(rows["name"] == name) & rows["ratio"].notna()]
        own = own.assign(at_limit=at_limit(own))
        for _, row in own.iterrows():
            best = row["ratio"] == own["ratio"].max()
            aim = AIMS.get(name, target)
            if row["ratio"] >= (aim if best else target):
                continue
            asked = f"target {target:g}" if row["ratio"] < target else f"aim {aim:g}"
            found.append(
                {
                    "stage": name,
                    "threads": str(row["threads"]),
                    "asked": asked,
                    "ratio": ratio_words(row),
                    "of limit": or_dash(row["share_of_limit"], ".0%"),
                    "at limit": or_dash(row["at_limit"], ".1f"),
                    "what bounds it": "; ".join(filter(None, (row["note"], BOUNDS.get(name))))
                    or "–",
                }
            )
    columns = ["stage", "threads", "asked", "ratio", "of limit", "at limit", "what bounds it"]
    return pd.DataFrame(found, columns=columns)


def misses_in_words(table: pd.DataFrame) -> str:
    """How many stages stay below, and which could not reach it at the machine's limit either.

    Parameters
    ----------
    table
        As from `misses`.
    """
    if table.empty:
        return "Every target, and every further aim, is reached"
    asked = table["asked"].str.partition(" ")
    names = table["stage"] + " (threads: " + table["threads"] + ")"
    targets, aims = (names[asked[0] == kind].tolist() for kind in ("target", "aim"))
    parts = [
        f"below {kind}: {', '.join(stages)}"
        for kind, stages in (("their target", targets), ("a further aim only", aims))
        if stages
    ]
    limit = pd.to_numeric(table["at limit"], errors="coerce")
    beyond = names[limit < asked[2].astype(float)].tolist()
    if beyond:
        parts.append(f"above what the measured limit allows: {', '.join(beyond)}")
    words = "; ".join(parts)
    return words[0].upper() + words[1:]


def ceilings_in_words(rows: pd.DataFrame) -> str:
    """The two targets that are no ratios: opening a split, and the memory of the probe."""
    parts = []
    opening = _last(rows, "store_open")
    if opening is not None:
        ms = 1000 / opening["ours"]
        parts.append(f"opening a stored split takes {ms:.2f} ms, where at most {OPENING_MS:g} were"
                     f" asked for ({_met(ms <= OPENING_MS)})")
    memory = _last(rows, "probe_memory")
    if memory is not None:
        parts.append(f"the probe's memory ({memory['note'].partition(';')[0]}) grows by a factor of"
                     f" {memory['ratio']:.2f}, where no growth was asked for"
                     f" ({_met(memory['ratio'] <= CONSTANT)})")
    return "; ".join(parts) or "neither was measured"


def dask_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The same fits on dask workers of one thread each.

    Returns
    -------
    DataFrame
        workers, fits a second, of one worker's rate each (efficiency), ms a fit beside one process
        alone (of a worker's time), sent and received; empty if it was not measured.
    """
    own = rows[rows["name"] == "grid_dask"].sort_values("threads")
    if own.empty:
        return pd.DataFrame()
    one = own.iloc[0]
    each = own["ours"] / own["threads"]
    return pd.DataFrame(
        {
            "workers": own["threads"].astype(str)
            + ["" if "more workers" not in note else " (more than cores)" for note in own["note"]],
            "fits a second": own["ours"].map("{:.2f}".format),
            "of one worker's rate each": (each / (one["ours"] / one["threads"])).map(
                "{:.0%}".format
            ),
            "ms a fit beside one process alone": (1000 / each - 1000 / own["plain"]).map(
                "{:+.0f}".format
            ),
            "on the wire": own["note"].str.rpartition("; ")[2],
        }
    )


def dask_in_words(table: pd.DataFrame) -> str:
    """Efficiency by number of workers; `table` is that of `dask_table`."""
    if table.empty:
        return "The grid on dask was not measured"
    shares = ", ".join(
        f"{share} with {workers}"
        for workers, share in zip(
            table["workers"], table["of one worker's rate each"], strict=True
        )
    )
    return f"Each worker keeps this share of the rate that one worker has alone: {shares}"


def slowest_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """The slowest cells of the quick book, readable: seconds, chapter, section, halved by.

    Parameters
    ----------
    cells
        Second table of `dc2book.benchmarks.measurements.book_tables`.
    """
    found = []
    for row in cells.itertuples():
        match = CELL.match(row.cell)
        parts = match.groupdict() if match else {"chapter": row.cell, "section": "", "remedy": ""}
        found.append({"seconds": row.seconds, "chapter": parts["chapter"],
                      "section": parts["section"], "what would halve it": parts["remedy"]})
    return pd.DataFrame(found)


def gpu_in_words(rows: pd.DataFrame) -> str:
    """Whether anything was measured on a GPU, and how it compares with the processor."""
    own = rows[rows["name"].str.startswith("gpu:")]
    measured = own[own["ours"].notna()]
    if measured.empty:
        return "nothing was measured, since this machine has none"
    return "; ".join(
        f"{row['name'].removeprefix('gpu:')} {row['ours']:,.0f} {row['unit']}, {row['ratio']:.1f}"
        " times as fast as the processor of the same machine"
        for _, row in measured.iterrows()
    )


def growth_in_words(powers: dict[str, float]) -> str:
    """Whether seconds grow faster than the work anywhere.

    Examples
    --------
    >>> growth_in_words({"probe": 1.01, "evaluate": 0.9})
    'none grows clearly faster than its work (largest power 1.01, probe)'
    """
    if not powers:
        return "no growth was measured"
    steep = {name: power for name, power in powers.items() if power > CLEARLY_ABOVE_ONE}
    if steep:
        return "faster than the work grow " + ", ".join(
            f"{name} (power {power:.2f})" for name, power in steep.items()
        )
    most = max(powers, key=powers.get)
    return f"none grows clearly faster than its work (largest power {powers[most]:.2f}, {most})"


def scale_growth_in_words(sizes: pd.DataFrame) -> str:
    """`growth_in_words` of the pieces of full size; `sizes` is that of `speed.scale_table`."""
    return growth_in_words(scale_powers(sizes))


def _last(rows: pd.DataFrame, name: str) -> pd.Series | None:
    own = rows[(rows["name"] == name) & rows["ours"].notna()]
    return None if own.empty else own.iloc[-1]


def _met(met: bool) -> str:
    return "reached" if met else "not reached"
