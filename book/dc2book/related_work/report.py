"""Tables and sentences of the chapter on related work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from dc2book.related_work.ranking import Ranking, least_wilcoxon_pvalue
from dc2book.related_work.scores import METRICS, Judged, judge
from dc2book.related_work.sentences import signed
from dc2book.related_work.trials import TrialRecord
from dc2lib.baselines.systems import ALL, SYSTEMS
from dc2lib.evaluation.scores import auroc
from dc2lib.evaluation.statistics import Interval, compared

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
    ("attentive_chrome", "deepchrome", "Singh 2017"),
    ("shallow_chrome", "deepchrome", "Frasca 2022"),
    ("shallow_chrome", "attentive_chrome", "Frasca 2022"),
]
HEADERS = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}


def systems_table() -> pd.DataFrame:
    """Who described which system, and what of its inputs is missing and what stands in."""
    by_year = sorted(SYSTEMS, key=lambda name: SYSTEMS[name].year)
    return pd.DataFrame(
        [
            {
                "system": SYSTEMS[name].title,
                "described": str(SYSTEMS[name].year),
                "missing here: what stands in": MISSING[name],
            }
            for name in by_year
        ]
    )


def selected(
    records: Iterable[TrialRecord], system: str, labels: str, cell: str | None = None
) -> list[TrialRecord]:
    """The records of one system under one label rule, of one cell type or of all."""
    return [
        one
        for one in records
        if (one.trial.system, one.trial.labels) == (system, labels)
        and cell in (None, one.trial.cell)
    ]


def judged_systems(
    records: Sequence[TrialRecord], labels: str, *, n_resamples: int, seed: int = 0
) -> Judged:
    """All systems on the test genes of all cell types under one label rule."""
    here = [one for one in records if one.trial.labels == labels]
    cells = list(dict.fromkeys(one.trial.cell for one in here))
    systems = list(dict.fromkeys(one.trial.system for one in here))
    truths = [next(one for one in here if one.trial.cell == cell).truth() for cell in cells]
    probabilities = {
        system: [probabilities_of(selected(here, system, labels, cell)) for cell in cells]
        for system in systems
    }
    return judge(truths, probabilities, n_resamples=n_resamples, seed=seed)


def probabilities_of(records: Sequence[TrialRecord]) -> np.ndarray:
    """Calibrated probabilities of the test genes, a row a fit that differs, ``(fit, gene)``."""
    distinct = {one.test_score.tobytes(): one for one in records}
    return np.stack([one.probability() for one in distinct.values()])


def summary_table(
    judged: Judged, records: Sequence[TrialRecord], labels: str
) -> pd.DataFrame:
    """One row a system, best first: four scores with intervals, parameters, training seconds."""
    rows = []
    for system in sorted(judged.estimate, key=lambda name: -judged.estimate[name]["auroc"]):
        fits = selected(records, system, labels)
        seconds = np.array([one.seconds for one in fits])
        rows.append(
            {"system": ALL[system].title}
            | {HEADERS[one]: half_width(judged.interval(system, one)) for one in METRICS}
            | {
                "parameters": f"{round(np.mean([one.parameters for one in fits])):,}",
                "seconds (range)": _seconds(seconds),
            }
        )
    return pd.DataFrame(rows)


def _seconds(seconds: np.ndarray) -> str:
    mean, fastest, slowest = (f"{one:.1f}" for one in
                              (seconds.mean(), seconds.min(), seconds.max()))
    if slowest == "0.0":
        return "< 0.1"
    return mean if fastest == slowest else f"{mean} ({fastest}-{slowest})"


def half_width(interval: Interval) -> str:
    """An estimate with half the width of its interval, for a narrow table."""
    return f"{interval.estimate:.3f}±{(interval.high - interval.low) / 2:.3f}"


def orders_table(orders: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Published orders beside what is found under each label rule.

    Parameters
    ----------
    orders
        By label rule, from `dc2book.related_work.ranking.ordered_as_published`.
    """
    first = next(iter(orders.values()))
    table = pd.DataFrame(
        {
            "better > worse": [
                f"{ALL[better].title} > {ALL[worse].title}"
                for better, worse in zip(first["better"], first["worse"], strict=True)
            ],
            "reported by": first["source"],
        }
    )
    for labels, found in orders.items():
        table[f"{labels} labels"] = [
            f"{signed(gap)}, {verdict}"
            for gap, verdict in zip(found["difference"], found["verdict"], strict=True)
        ]
    return table


def block_table(records: Sequence[TrialRecord], labels: str) -> pd.DataFrame:
    """Test AUROC, a row a block (cell type and seed), a column a system."""
    rows = [
        {
            "cell": one.trial.cell,
            "seed": one.trial.seed,
            "system": one.trial.system,
            "auroc": auroc(one.truth(), one.test_score),
        }
        for one in records
        if one.trial.labels == labels
    ]
    return pd.DataFrame(rows).pivot(index=["cell", "seed"], columns="system", values="auroc")


def attentive_in_words(
    gap: Interval, joint: Interval, epochs: tuple[int, int] | None = None
) -> str:
    """AttentiveChrome beside the convolutional network, and why.

    Parameters
    ----------
    gap
        AttentiveChrome minus DeepChrome.
    joint
        One LSTM over all marks minus AttentiveChrome.
    epochs
        Of AttentiveChrome and of DeepChrome; unequal ones are named.
    """
    return _attentive(gap, joint) + _unequal(epochs)


def _unequal(epochs: tuple[int, int] | None) -> str:
    if epochs is None or epochs[0] == epochs[1]:
        return ""
    return (
        f" AttentiveChrome passes over the genes {epochs[0]} times here and DeepChrome {epochs[1]} "
        "times, so the distance is one of these budgets and not of the architectures alone."
    )


def _attentive(gap: Interval, joint: Interval) -> str:
    if gap.low > -0.01:
        return (
            f"AttentiveChrome minus DeepChrome is {signed(gap)}: within 0.01 AUROC of the "
            "convolutional network or better."
        )
    text = f"AttentiveChrome minus DeepChrome is {signed(gap)}"
    text += ": not shown to be within 0.01." if gap.high > -0.01 else ": more than 0.01 behind."
    if joint.low > 0:
        return (
            f"{text} One LSTM that reads all marks of a bin together, with the same epochs and a "
            f"fifth of the work, gains {signed(joint)} over AttentiveChrome: part of the distance "
            "is the price of reading every mark alone and letting the marks meet only at the end."
        )
    return (
        f"{text} One LSTM that reads all marks of a bin together differs from AttentiveChrome by "
        f"{signed(joint)}, so reading the marks apart does not explain it here; more genes or "
        "epochs would have to."
    )


def orders_in_words(orders: pd.DataFrame) -> str:
    """How many of the published orders are found."""
    counts = orders["verdict"].value_counts()
    parts = [f"{counts[word]} {word}" for word in
             ("as published", "alike", "reversed", "undecided") if word in counts]
    return f"of {len(orders)} published orders, {', '.join(parts)}"


def ranks_in_words(ranking: Ranking) -> str:
    """What the ranks can tell, computed from the number of blocks."""
    first, last = ranking.mean_rank.index[0], ranking.mean_rank.index[-1]
    alike = ranking.alike()
    told = "all systems lie within one critical difference" if alike == [(first, last)] else (
        f"{ALL[first].title} and {ALL[last].title} are told apart, and between them "
        f"{len(alike)} overlapping runs are not"
    )
    return (
        f"With {ranking.blocks} block{'s' * (ranking.blocks > 1)} and {len(ranking.mean_rank)} "
        f"systems, mean ranks have to differ by {ranking.critical:.1f} to be told apart; {told}. "
        "A signed-rank test of two systems cannot fall below "
        f"p = {least_wilcoxon_pvalue(ranking.blocks):.3f} on so many blocks, before any correction."
    )


def breadth_in_words(differences: dict[str, Interval]) -> str:
    """Whether models do better on broadly expressed genes, by cell type."""
    words = {
        "better": "higher among genes of many cell types than among those of few",
        "worse": "lower among genes of many cell types than among those of few",
        "equivalent": "alike among genes of many cell types and of few",
        "undecided": "undecided between genes of many cell types and of few",
    }
    groups: dict[str, list[str]] = {}
    for cell, gap in differences.items():
        groups.setdefault(words[compared(gap)], []).append(f"{signed(gap)} on {cell}")
    parts = [f"{word} ({', '.join(gaps)})" for word, gaps in groups.items()]
    if not parts:
        return "Too few genes in the groups to compare."
    return f"The AUROC is {'; it is '.join(parts)}."


def training_in_words(table: pd.DataFrame) -> str:
    """Whether training on broadly expressed genes suits broadly expressed test genes.

    Parameters
    ----------
    table
        As `dc2book.related_work.questions.trained_by_breadth`.
    """
    parts, ahead, compared_with = [], 0, 0
    for kind, rows in table.groupby("tested_on", sort=False):
        own = rows[rows["trained_on"] == kind]
        others = rows[rows["trained_on"] != kind]
        if own.empty or others.empty:
            continue
        gaps = dict(zip(others["trained_on"], others["own_kind_minus_this"], strict=True))
        words = [
            f"{signed(gap)} against " + ("as many drawn from all" if name == "drawn"
                                         else f"{name} ones")
            for name, gap in gaps.items()
        ]
        parts.append(
            f"on {kind} test genes, training on {kind} ones reaches {short(own['auroc'].iloc[0])}, "
            f"{' and '.join(words)}"
        )
        if "drawn" in gaps:
            compared_with += 1
            ahead += compared(gaps["drawn"]) == "better"
    if not parts:
        return "too few genes of either class to train on"
    text = "; ".join(parts)
    if not compared_with:
        return text
    return (
        f"{text}. Genes of one's own kind are better to train on than as many drawn from all for "
        f"{ahead} of {compared_with} kind{'s' if compared_with > 1 else ''}"
    )


def short(interval: Interval) -> str:
    """An interval in a sentence."""
    return f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def others_in_words(
    gaps: dict[str, Interval], other: str = "the other cell types", again: str = "them"
) -> str:
    """Whether the marks beat expression elsewhere, by cell type; `again` is the second mention."""
    words = {"better": "beat", "worse": "lose to", "equivalent": "equal"}
    groups: dict[str, list[str]] = {}
    for cell, gap in gaps.items():
        verb = words.get(compared(gap), "are not told apart from")
        groups.setdefault(verb, []).append(f"{signed(gap)} on {cell}")
    parts = [
        f"{verb} {again if place else other} ({', '.join(found)})"
        for place, (verb, found) in enumerate(groups.items())
    ]
    return f"the marks {' and '.join(parts)}" if parts else "too few genes of either class"
