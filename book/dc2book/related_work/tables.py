"""Tables of the chapter on related work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dc2book.related_work.correlations import INPUTS
from dc2book.related_work.scores import SystemScores
from dc2book.related_work.study import TITLES
from dc2book.related_work.trials import TrialRecord, select
from dc2book.style import LABEL_NAMES
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
    ("attentive_chrome", "deepchrome_own", "Singh 2017, DeepChrome by the released recipe"),
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
            "minus DeepChrome": "" if system == "deepchrome" else half_width(gap, "+.3f"),
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
        gaps = found["difference"].map("{:+.3f}".format)
        table[LABEL_NAMES[labels]] = gaps + ", " + found["verdict"]
    return table


def correlation_table(correlations: pd.DataFrame, other: str) -> pd.DataFrame:
    """One row per mark: its correlations with half the width of their intervals.

    ``correlations``: of `dc2book.related_work.correlations`. ``other``: the second cell type.
    """
    titles = ("mean profile", "four other marks", f"and {other}")
    headers = dict(zip(INPUTS.values(), titles, strict=True))
    text = [half_width(one) for one in correlations.itertuples()]
    shown = correlations.assign(inputs=correlations["inputs"].map(headers), text=text)
    return shown.pivot(index="mark", columns="inputs", values="text")[list(titles)].reset_index()


def attention_tables(
    over_bins: np.ndarray, over_marks: np.ndarray, label: np.ndarray, marks: Sequence[str],
    kb: np.ndarray,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean attention by mark and class: over bins (with column kb), and over marks.

    Attention is ``(gene, mark, bin)`` and ``(gene, mark)``, labels ``(gene,)``, kb ``(bin,)``.
    """
    bins, rows = [], []
    for name, here in (("high", label == 1), ("low", label == 0)):
        for number, mark in enumerate(marks):
            tags = {"mark": mark, "class": name}
            attention = over_bins[here, number].mean(0)
            bins.append(pd.DataFrame(tags | {"kb": kb, "attention": attention}))
            rows.append(tags | {"attention": float(over_marks[here, number].mean())})
    return pd.concat(bins), pd.DataFrame(rows)


def half_width(one: Interval, form: str = ".3f") -> str:
    """An estimate with half the width of its interval, for a narrow table.

    >>> half_width(Interval(-0.05, -0.08, -0.02, 9), "+.3f")
    '-0.050±0.030'
    """
    return f"{one.estimate:{form}}±{(one.high - one.low) / 2:.3f}"


def _seconds(seconds: np.ndarray) -> str:
    mean, fastest, slowest = (f"{one(seconds):.1f}" for one in (np.mean, np.min, np.max))
    return mean if fastest == slowest else f"{mean} ({fastest}-{slowest})"
