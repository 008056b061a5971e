"""Do models do better on genes that many cell types express?  The paper leaves it open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dc2book.cross_cell import other_cell_types
from dc2book.cross_cell.other_cell_types import QUARTER, THREE_QUARTERS, enough_genes, other_cells
from dc2book.related_work.trials import TrialRecord, probabilities_of, select
from dc2lib.baselines.contract import genes_of
from dc2lib.baselines.systems import ALL
from dc2lib.datasets.histone import SPLITS
from dc2lib.evaluation.statistics import Interval, bootstrap_auroc, paired_auroc_difference

GROUPS = ("none", "few", "some", "many", "all")
BROAD, NARROW = ("many", "all"), ("none", "few")
ENDS = ("estimate", "low", "high", "n")


def breadth_group(count: np.ndarray, n_others: int) -> np.ndarray:
    """One of `GROUPS` for each gene: none, up to a quarter, some, from three quarters, all.

    ``"unknown"`` where the number of cell types is -1.
    """
    share = count / n_others
    return np.select(
        [count < 0, count == 0, count == n_others, share <= QUARTER, share >= THREE_QUARTERS],
        ["unknown", "none", "all", "few", "many"],
        default="some",
    )


def group_ranges(n_others: int) -> dict[str, str]:
    """The groups as numbers of cell types, for the axis of a figure."""
    few = int(np.floor(QUARTER * n_others))
    many = int(np.ceil(THREE_QUARTERS * n_others))
    ends = {"none": (0, 0), "few": (1, few), "some": (few + 1, many - 1)}
    ends |= {"many": (many, n_others - 1), "all": (n_others, n_others)}
    return {
        name: "-" if last < first else f"{first}" if first == last else f"{first}-{last}"
        for name, (first, last) in ends.items()
    }


def group_names(table: pd.DataFrame, n_others: int) -> dict[str, str]:
    """For the axis of a figure: how many other cell types, and the share of positive genes.

    ``table`` is that of `by_breadth`.
    """
    ranges, names = group_ranges(n_others), {}
    for group, shares in table.groupby("group")["positives"]:
        low, high = f"{shares.min():.0%}", f"{shares.max():.0%}"
        positive = low if low == high else f"{low} to {high}"
        names[group] = f"{ranges[group]} of {n_others} other cell types\n{positive} positive"
    return names


def by_breadth(
    records: Sequence[TrialRecord], expression: pd.DataFrame, systems: Sequence[str], **options: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """AUROC by the number of other cell types that express a gene, numeric labels.

    Returns columns cell, system, group, positives (share), n, estimate, low, high, without groups
    that have fewer than `FEWEST` genes of either class, empty without other cell types; and the
    first system's AUROC among the genes of many cell types minus among those of few, where both
    have enough genes: columns cell, estimate, low, high, n.
    """
    rows, differences = [], []
    for cell in dict.fromkeys(one.trial.cell for one in records):
        n_others = other_cells(expression, cell).shape[1]
        for system in systems if n_others else ():
            fits = select(records, system, "numeric", cell)
            genes = fits[0].trial.dataset().take("test").gene_id
            truth, scores = fits[0].truth(), probabilities_of(fits)
            group = breadth_group(other_cell_types.breadth(expression, cell, genes), n_others)
            tags = {"cell": cell, "system": system}
            rows += [tags | row for row in aurocs_of_groups(truth, scores, group, **options)]
            halves = [np.isin(group, names) for names in (BROAD, NARROW)]
            if system == systems[0] and all(enough_genes(truth[here]) for here in halves):
                differences.append({"cell": cell} | vars(_difference(*(
                    bootstrap_auroc(truth[here], scores[:, here], **options) for here in halves))))
    return (pd.DataFrame(rows, columns=["cell", "system", "group", "positives", *ENDS]),
            pd.DataFrame(differences, columns=["cell", *ENDS]))


def aurocs_of_groups(
    label: np.ndarray, scores: np.ndarray, group: np.ndarray, **options: int
) -> list[dict[str, Any]]:
    """AUROC among the genes of each of `GROUPS` that has enough of either class.

    ``label``, ``group``: ``(gene,)``. ``scores``: ``(fit, gene)``.
    """
    rows = []
    for name in GROUPS:
        here = group == name
        if enough_genes(label[here]):
            one = bootstrap_auroc(label[here], scores[:, here], **options)
            rows.append({"group": name, "positives": float(label[here].mean())} | vars(one))
    return rows


def trained_by_breadth(
    record: TrialRecord, expression: pd.DataFrame, **options: int
) -> pd.DataFrame:
    """A system trained on broadly or narrowly expressed genes only, tested on both kinds.

    Future work of DeepChrome 2.0.  Broad: above the median in three quarters of the
    other cell types or more; narrow: in a quarter or fewer.  All training sets hold equally many
    genes; ``drawn`` takes them from all.

    ``record``: a fit whose system, setting, cell type and seed are used; at most its number of
    genes.

    Returns columns key, trained_on, tested_on, estimate, low, high, n, without the sets that lack
    genes of either class.  Keys: ``breadth_transfer_auroc``, and ``own_kind_minus_this_auroc``, the
    AUROC of training on the kind that is tested minus that of this training, paired.
    """
    columns = ["key", "trained_on", "tested_on", *ENDS]
    trial = record.trial
    if other_cells(expression, trial.cell).empty:
        return pd.DataFrame(columns=columns)
    dataset = trial.dataset()
    genes = {split: genes_of(dataset, trial.labels, split) for split in SPLITS}
    train_kinds, test_kinds = (
        _kinds(expression, trial.cell, dataset.take(split).gene_id) for split in ("train", "test")
    )
    n = min(int(here.sum()) for here in train_kinds.values())
    n = min(n, trial.n_train or n)
    rng = np.random.default_rng(trial.seed)
    pools = {kind: np.flatnonzero(here) for kind, here in train_kinds.items()}
    pools["drawn"] = np.arange(len(genes["train"]))
    scores = {}
    for kind, pool in pools.items():
        chosen = genes["train"].take(np.sort(rng.choice(pool, n, replace=False)))
        if enough_genes(chosen.label):
            fitted = ALL[trial.system].fit(chosen, genes["valid"], dict(trial.setting), trial.seed)
            scores[kind] = fitted.score(genes["test"].counts)
    rows = []
    for kind, values in scores.items():
        for tested, here in test_kinds.items():
            truth = genes["test"].label[here]
            if not enough_genes(truth):
                continue
            found = {"breadth_transfer_auroc": bootstrap_auroc(truth, values[here], **options)}
            if tested in scores and tested != kind:
                found["own_kind_minus_this_auroc"] = paired_auroc_difference(
                    truth, scores[tested][here], values[here], **options)
            rows += [{"key": key, "trained_on": kind, "tested_on": tested} | vars(one)
                     for key, one in found.items()]
    return pd.DataFrame(rows, columns=columns)


def _kinds(expression: pd.DataFrame, cell: str, genes: np.ndarray) -> dict[str, np.ndarray]:
    """Masks ``(gene,)`` of the broadly and the narrowly expressed genes."""
    n_others = other_cells(expression, cell).shape[1]
    group = breadth_group(other_cell_types.breadth(expression, cell, genes), n_others)
    return {"broad": np.isin(group, BROAD), "narrow": np.isin(group, NARROW)}


def _difference(first: Interval, second: Interval) -> Interval:
    """First minus second of two estimates on different genes, normal interval."""
    half = np.hypot(first.high - first.low, second.high - second.low) / 2
    gap = first.estimate - second.estimate
    return Interval(gap, float(gap - half), float(gap + half), first.n + second.n)
