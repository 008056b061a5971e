"""Tables of the chapter on related work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dc2book.related_work.correlations import Correlations
from dc2book.related_work.pairs import WAYS
from dc2book.related_work.scores import SystemScores
from dc2book.related_work.study import TITLES
from dc2book.related_work.trials import TrialRecord, select
from dc2lib.baselines.systems import SYSTEMS
from dc2lib.evaluation.statistics import Interval

MISSING = {
    "karlic": "34 further modifications, T cells: five marks",
    "cheng": "bins around the end of the transcript: 100 bins around its start",
    "costa": "binding affinities of transcription factors: mark totals alone",
    "dong_best_bin": "six further marks, the gene's body and end: bins around the start",
    "dong_all_bins": "as above, with every bin",
    "ho": "methylation of DNA, further regions: five mark totals",
    "deepchrome": "nothing",
    "attentive_chrome": "nothing",
    "boosting": "nothing",
    "shallow_chrome": "peaks of a peak caller: the highest smoothed level",
    "linear": "nothing",
}
PUBLISHED_ORDERS = [
    ("costa", "karlic", "Costa 2011"),
    ("deepchrome", "cheng", "Singh 2016"),
    ("deepchrome", "dong_best_bin", "Singh 2016"),
    ("attentive_chrome", "deepchrome_own", "Singh 2017, recipes as published"),
    ("attentive_chrome", "deepchrome", "Singh 2017, one recipe"),
    ("shallow_chrome", "deepchrome", "Frasca 2022"),
    ("shallow_chrome", "attentive_chrome", "Frasca 2022"),
]

COMPARED = [
    ("attentive_chrome", "deepchrome"),
    ("joint_lstm", "attentive_chrome"),
    ("joint_lstm", "deepchrome"),
    ("deepchrome_own", "deepchrome"),
    ("attentive_chrome", "deepchrome_own"),
    ("cheng_balanced", "cheng"),
]


def systems_table() -> pd.DataFrame:
    """Who described which system, and what of its inputs is missing and what stands in."""
    rows = [(one.title, str(one.year), MISSING[name]) for name, one in SYSTEMS.items()]
    columns = ["system", "described", "missing here: what stands in"]
    return pd.DataFrame(rows, columns=columns).sort_values(
        "described", kind="stable", ignore_index=True
    )


def summary_table(
    numeric: SystemScores, released: SystemScores, records: Sequence[TrialRecord]
) -> pd.DataFrame:
    """One row per system, best first: AUROC by label rule, the gap to DeepChrome, and the cost."""
    rows = []
    for system in numeric.best_first():
        fits = select(records, system, "numeric")
        gap = numeric.difference(system, "deepchrome")
        rows.append({
            "system": TITLES[system],
            "numeric labels": half_width(numeric.interval(system, "auroc")),
            "minus DeepChrome": "" if system == "deepchrome" else signed_half_width(gap),
            "released labels": half_width(released.interval(system, "auroc")),
            "parameters": f"{round(np.mean([one.parameters for one in fits])):,}",
            "seconds (range)": _seconds(np.array([one.seconds for one in fits])),
        })
    return pd.DataFrame(rows)


def orders_table(orders: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Published orders beside what is found under each label rule.

    ``orders``: by label rule, from `dc2book.related_work.scores.check_published_orders`.
    """
    first = next(iter(orders.values()))
    table = pd.DataFrame({
        "better > worse": [
            f"{TITLES[one.better]} > {TITLES[one.worse]}" for one in first.itertuples()
        ],
        "reported by": first["source"],
    })
    for labels, found in orders.items():
        table[f"{labels} labels"] = found["difference"].map(signed) + ", " + found["verdict"]
    return table


def correlation_table(correlations: Correlations, other: str) -> pd.DataFrame:
    """One row per mark: its correlations with half the width of their intervals.

    ``other``: name of the second cell type.
    """
    headers = dict(zip(WAYS, ("mean profile", "four other marks", f"and {other}"), strict=True))
    return pd.DataFrame([
        {"mark": mark}
        | {name: half_width(correlations.interval(mark, way)) for way, name in headers.items()}
        for mark in correlations.marks
    ])


def interval_rows(table: pd.DataFrame, column: str, tags: Sequence[str]) -> pd.DataFrame:
    """A column of intervals as estimate, low, high and n beside some of the other columns.

    Rows without an interval are left out.
    """
    rows = table[table[column].notna()]
    ends = pd.DataFrame(
        [vars(one) for one in rows[column]], rows.index, ["estimate", "low", "high", "n"]
    )
    return rows[list(tags)].join(ends)


def attention_tables(
    over_bins: np.ndarray, over_marks: np.ndarray, label: np.ndarray, marks: Sequence[str],
    kb: np.ndarray,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean attention by mark and class: over bins (with column kb), and over marks.

    Attention is ``(gene, mark, bin)`` and ``(gene, mark)``, labels ``(gene,)``, kb ``(bin,)``.
    """
    classes = {"high": label == 1, "low": label == 0}
    bins = [
        pd.DataFrame({"mark": mark, "class": name, "kb": kb,
                      "attention": over_bins[here, number].mean(0)})
        for number, mark in enumerate(marks) for name, here in classes.items()
    ]
    rows = [
        {"mark": mark, "class": name, "attention": float(over_marks[here, number].mean())}
        for name, here in classes.items() for number, mark in enumerate(marks)
    ]
    return pd.concat(bins), pd.DataFrame(rows)


def half_width(interval: Interval) -> str:
    """An estimate with half the width of its interval, for a narrow table."""
    return f"{interval.estimate:.3f}±{(interval.high - interval.low) / 2:.3f}"


def signed(gap: Interval) -> str:
    """A difference with its interval; what rounds to zero has no sign.

    >>> signed(Interval(-0.0001, -0.012, 0.011, 9))
    '0.000 [-0.012, +0.011]'
    """
    value, low, high = (
        "0.000" if abs(one) < 0.0005 else f"{one:+.3f}" for one in (gap.estimate, gap.low, gap.high)
    )
    return f"{value} [{low}, {high}]"


def signed_half_width(gap: Interval) -> str:
    """A difference with half the width of its interval, for a narrow table.

    >>> signed_half_width(Interval(-0.05, -0.08, -0.02, 9))
    '-0.050±0.030'
    """
    return f"{signed(gap).split()[0]}±{(gap.high - gap.low) / 2:.3f}"


def _seconds(seconds: np.ndarray) -> str:
    mean, fastest, slowest = (
        f"{one:.1f}" for one in (seconds.mean(), seconds.min(), seconds.max())
    )
    if slowest == "0.0":
        return "< 0.1"
    return mean if fastest == slowest else f"{mean} ({fastest}-{slowest})"
