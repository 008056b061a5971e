"""The authors' released runs as evidence of their own: 55 cell types, released labels and score.

Everything is computed from `dc2lib.datasets.published`.  The unit of every interval is the cell
type: cell types are drawn with replacement, training and test cell types separately where pairs of
them are meant; shares of cell types have Wilson's interval.
"""

from __future__ import annotations

from functools import cache

import pandas as pd

from dc2book.claims.recorded import RecordedValue
from dc2book.cross_cell.tables import bar_correlation
from dc2book.cross_cell.worlds import published_transfer
from dc2book.linear_baseline import released_high_minus_low
from dc2lib.datasets import published
from dc2lib.evaluation import pair_statistics as pairs
from dc2lib.evaluation.statistics import Interval, proportion, student_interval

SOURCE = ("published",)
GENES = published.SPLIT_SIZES[0]  # training genes of a cell type
OWN = "deepchrome"  # with average pooling, as all runs across cell types
EXPERIMENTS = [
    f"{kind}_{which}" for which in ("all", "high", "somewhat", "random")
    for kind in ("inclusive", "exclusive")
]


@cache
def authors_values() -> dict[str, RecordedValue]:
    """What the released runs say about claims, by the claim's id."""
    aurocs, weights = published.released_aurocs(), released_high_minus_low()
    positive = {mark: proportion(int((one > 0).sum()), len(one)) for mark, one in weights.items()}
    repressors = max((positive[mark] for mark in ("H3K27me3", "H3K9me3")), key=lambda x: x.high)
    network = aurocs["deepchrome_maxpool"]
    variants = [_mean(aurocs[name] - network) for name in (OWN, "deepchrome_strided")]
    farthest = max(variants, key=lambda one: abs(one.estimate))
    found = {
        "network_level": _level(network),
        "linear_level": _level(aurocs["linear_chosen"]),
        "variants_alike": Interval(
            farthest.estimate, min(one.low for one in variants), max(one.high for one in variants),
            farthest.n),
        "linear_as_good": _mean(network - aurocs["linear_chosen"]),
        "promoter_weights": positive["H3K4me3"],
        "enhancer_weights": positive["H3K4me1"],
        "repressor_weights": repressors,
        "all_cells_help": _mean(aurocs["inclusive_all"] - aurocs[OWN]),
        "cell_type_independent": _mean(aurocs["exclusive_all"] - aurocs[OWN]),
        "more_data_helps": bars_against_genes(),
        "correlation_unrelated": figure_7(),
    }
    return {
        claim: RecordedValue(one.estimate, one.low, one.high, one.n, SOURCE, one.high > one.low)
        for claim, one in found.items()
    }


def bars_against_genes() -> Interval:
    """Rank correlation, over the experiments, of mean AUROC with the number of training genes."""
    aurocs = published.released_aurocs()[[OWN, *EXPERIMENTS]]
    table = aurocs.melt(ignore_index=False, var_name="experiment", value_name="auroc").dropna()
    sets = published.released_training_sets()
    sizes = {OWN: dict.fromkeys(aurocs.index, 1), "inclusive_all": dict.fromkeys(aurocs.index, 55)}
    sizes |= {name: {cell: len(one) for cell, one in of.items()} for name, of in sets.items()}
    table = table.reset_index()
    rows = zip(table["experiment"], table["cell"], strict=True)
    table["genes"] = [sizes[experiment][cell] * GENES for experiment, cell in rows]
    return bar_correlation(table, "genes")


def figure_7() -> Interval:
    """Pearson's r of the change of AUROC with the correlation of expression, columns right.

    The interval draws training and test cell types separately.
    """
    change = pairs.change_from_own(published_transfer())
    driver = published.rpkm_correlation("aligned").rename_axis(None)
    return pairs.two_way_interval(driver, change, "pearson")


def _mean(values: pd.Series) -> Interval:
    return student_interval(values.dropna().to_numpy())


def _level(values: pd.Series) -> Interval:
    """Mean over the paper's own cell types, compared with its number: nothing is drawn."""
    mean = float(values.mean())
    return Interval(mean, mean, mean, int(values.count()))
