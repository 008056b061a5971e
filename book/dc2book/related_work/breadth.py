"""In how many cell types a gene is expressed, and what the other cell types alone predict.

The paper leaves two questions open: whether models do better on genes that many cell types express,
and what "independent of cell type" means.  The second needs a predictor that never looks at histone
marks: the expression of the same gene in the other cell types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dc2book.cross_cell.elsewhere import (
    QUARTER,
    THREE_QUARTERS,
    breadth,
    enough,
    expression_by_cell,
    other_cells,
    other_cells_score,
)
from dc2book.related_work.trials import TrialRecord, probabilities_of, select
from dc2lib.baselines.contract import genes_of
from dc2lib.baselines.systems import ALL
from dc2lib.evaluation.statistics import Interval, bootstrap_auroc, paired_auroc_difference
from dc2lib.labels import label

__all__ = ["breadth", "expression_by_cell", "other_cells", "other_cells_score"]

GROUPS = ("none", "few", "some", "many", "all")
BROAD, NARROW = ("many", "all"), ("none", "few")
SPLITS = ("train", "valid", "test")
OTHERS, NEAREST, BOTH = "other cell types", "nearest other cell type", "marks and other cell types"


def breadth_group(count: np.ndarray, n_others: int) -> np.ndarray:
    """One of `GROUPS` for each gene: none, up to a quarter, some, from three quarters, all."""
    share = count / n_others
    return np.select(
        [count == 0, count == n_others, share <= QUARTER, share >= THREE_QUARTERS],
        ["none", "all", "few", "many"],
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


def nearest_cell(expression: pd.DataFrame, cell: str, genes: np.ndarray) -> str:
    """The other cell type whose expression goes best with this one's on the given genes.

    Spearman correlation; give training genes only, so that no test gene takes part.
    """
    part = expression.loc[genes].rank()
    return str(other_cells(part, cell).corrwith(part[cell]).idxmax())


def by_breadth(
    records: Sequence[TrialRecord],
    expression: pd.DataFrame,
    systems: Sequence[str],
    **options: int,
) -> tuple[pd.DataFrame, dict[str, Interval]]:
    """AUROC by the number of other cell types that express a gene, numeric labels.

    Returns
    -------
    table
        Columns cell, system, group, positives (share), n, estimate, low, high; without
        groups that have fewer than `FEWEST` genes of either class.
    differences
        By cell type, the first system's AUROC among the genes of many cell types minus among those
        of few; only where both have enough genes of either class.
    """
    rows, differences = [], {}
    for cell in _cells(records):
        for system in systems:
            fits = select(records, system, "numeric", cell)
            genes = fits[0].trial.dataset().take("test").gene_id
            truth, scores = fits[0].truth(), probabilities_of(fits)
            group = breadth_group(
                breadth(expression, cell, genes), expression.shape[1] - 1
            )
            tags = {"cell": cell, "system": system}
            rows += [tags | row for row in aurocs_of_groups(truth, scores, group, **options)]
            halves = [np.isin(group, names) for names in (BROAD, NARROW)]
            if system == systems[0] and all(enough(truth[here]) for here in halves):
                differences[cell] = _difference(*(
                    bootstrap_auroc(truth[here], scores[:, here], **options) for here in halves
                ))
    return pd.DataFrame(rows), differences


def aurocs_of_groups(
    label: np.ndarray, scores: np.ndarray, group: np.ndarray, **options: int
) -> list[dict[str, Any]]:
    """AUROC among the genes of each of `GROUPS` that has enough of either class.

    Parameters
    ----------
    label, group
        ``(gene,)``.
    scores
        ``(fit, gene)``.
    """
    rows = []
    for name in GROUPS:
        here = group == name
        if enough(label[here]):
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

    Parameters
    ----------
    record
        A fit whose system, setting, cell type and seed are used; at most its number of genes.

    Returns
    -------
    DataFrame
        Columns trained_on, tested_on, auroc (an `Interval`), own_kind_minus_this (AUROC of training
        on the kind that is tested minus that of this training, paired; None for itself), genes (for
        training), positives (their share); without the sets that lack genes of either class.
    """
    trial = record.trial
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
    positives, scores = {}, {}
    for kind, pool in pools.items():
        chosen = genes["train"].take(np.sort(rng.choice(pool, n, replace=False)))
        if enough(chosen.label):
            fitted = ALL[trial.system].fit(chosen, genes["valid"], dict(trial.setting), trial.seed)
            scores[kind] = fitted.score(genes["test"].counts)
            positives[kind] = float(chosen.label.mean())
    rows = []
    for kind, values in scores.items():
        for tested, here in test_kinds.items():
            truth = genes["test"].label[here]
            if not enough(truth):
                continue
            gain = None
            if tested in scores and tested != kind:
                gain = paired_auroc_difference(truth, scores[tested][here], values[here], **options)
            one = bootstrap_auroc(truth, values[here], **options)
            rows.append((kind, tested, one, gain, n, positives[kind]))
    columns = ["trained_on", "tested_on", "auroc", "own_kind_minus_this", "genes", "positives"]
    return pd.DataFrame(rows, columns=columns)


def against_others(
    records: Sequence[TrialRecord], expression: pd.DataFrame, system: str, **options: int
) -> tuple[pd.DataFrame, dict[tuple[str, str, str], Interval]]:
    """A system of the marks, the other cell types' expression, and both together; numeric labels.

    Returns
    -------
    table
        Columns cell, genes (set of test genes), predictor, nearest (cell type), estimate, low,
        high, n.
    gaps
        By (cell, genes, predictor), AUROC of the marks minus that of `OTHERS` or `NEAREST`, paired.
    """
    rows, gaps = [], {}
    for cell in _cells(records):
        fits = select(records, system, "numeric", cell)
        truth = fits[0].truth()
        nearest, scores = _predictors(fits, expression)
        genes = fits[0].trial.dataset().take("test").gene_id
        count = breadth(expression, cell, genes)
        for name, here in varying_sets(count, expression.shape[1] - 1).items():
            if not enough(truth[here]):
                continue
            tags = {"cell": cell, "genes": name, "nearest": nearest}
            for predictor, values in scores.items():
                one = bootstrap_auroc(truth[here], values[here], **options)
                rows.append(tags | {"predictor": predictor} | vars(one))
            marks = next(iter(scores.values()))
            for predictor in (OTHERS, NEAREST):
                gaps[cell, name, predictor] = paired_auroc_difference(
                    truth[here], marks[here], scores[predictor][here], **options
                )
    return pd.DataFrame(rows), gaps


def gaps_by_cell(
    gaps: Mapping[tuple[str, str, str], Interval], genes: str, predictor: str = OTHERS
) -> dict[str, Interval]:
    """The gaps of `against_others` on one set of genes to one predictor, by cell type."""
    return {
        cell: gap
        for (cell, name, other), gap in gaps.items()
        if (name, other) == (genes, predictor)
    }


def varying_sets(count: np.ndarray, n_others: int) -> dict[str, np.ndarray]:
    """Sets of genes by how much their class varies over the other cell types, masks ``(gene,)``."""
    share = count / n_others
    return {
        "all genes": np.ones(len(count), bool),
        "the class varies": (count > 0) & (count < n_others),
        "between a quarter and three quarters": (share > QUARTER) & (share < THREE_QUARTERS),
    }


def combined_score(
    valid_scores: np.ndarray, valid_label: np.ndarray, test_scores: np.ndarray
) -> np.ndarray:
    """Log odds from several scores at once by logistic regression, fitted on validation genes.

    Parameters
    ----------
    valid_scores, test_scores
        ``(gene, score)``.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(C=100.0))
    return model.fit(valid_scores, valid_label).decision_function(test_scores)


def _predictors(
    fits: Sequence[TrialRecord], expression: pd.DataFrame
) -> tuple[str, dict[str, np.ndarray]]:
    """The nearest cell type, and scores of the test genes by predictor, the marks first."""
    trial = fits[0].trial
    dataset = trial.dataset()
    genes = {split: dataset.take(split).gene_id for split in SPLITS}
    nearest = nearest_cell(expression, trial.cell, genes["train"])
    rest = {split: other_cells_score(expression, trial.cell, genes[split]) for split in SPLITS}
    marks = np.mean([one.test_score for one in fits], axis=0)
    valid_marks = np.mean([one.valid_score for one in fits], axis=0)
    return nearest, {
        f"marks: {ALL[trial.system].title}": marks,
        OTHERS: rest["test"],
        NEAREST: expression[nearest].loc[genes["test"]].to_numpy(),
        BOTH: combined_score(
            np.column_stack([valid_marks, rest["valid"]]),
            label(dataset.take("valid"), "numeric"),
            np.column_stack([marks, rest["test"]]),
        ),
    }


def _kinds(expression: pd.DataFrame, cell: str, genes: np.ndarray) -> dict[str, np.ndarray]:
    """Masks ``(gene,)`` of the broadly and the narrowly expressed genes."""
    group = breadth_group(breadth(expression, cell, genes), expression.shape[1] - 1)
    return {"broad": np.isin(group, BROAD), "narrow": np.isin(group, NARROW)}


def _cells(records: Sequence[TrialRecord]) -> list[str]:
    return list(dict.fromkeys(one.trial.cell for one in records))


def _difference(first: Interval, second: Interval) -> Interval:
    """First minus second of two estimates on different genes, normal interval."""
    half = np.hypot(first.high - first.low, second.high - second.low) / 2
    gap = first.estimate - second.estimate
    return Interval(gap, float(gap - half), float(gap + half), first.n + second.n)
