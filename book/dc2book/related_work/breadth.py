"""In how many cell types a gene is expressed, and what the other cell types alone predict.

The paper leaves two questions open: whether models do better on genes that many cell types express,
and what "independent of cell type" means.  The second needs a predictor that never looks at histone
marks: the expression of the same gene in the other cell types.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from dc2lib.crosscell import expression_of
from dc2lib.datasets import HistoneDataset
from dc2lib.datasets.roadmap import open_rpkm
from dc2lib.errors import DataError
from dc2lib.evaluation.statistics import Interval, bootstrap_auroc

GROUPS = ("none", "few", "some", "many", "all")
FEW, MANY = 0.25, 0.75
LEAST = 15


def expression_by_cell(datasets: Mapping[str, HistoneDataset]) -> pd.DataFrame:
    """RPKM of every gene in every cell type that is known, DataFrame (gene, cell).

    Measured cell types: Roadmap's whole table, each column under its own name (the released
    analysis reads it one column off, which would leave a cell's own expression among the others).
    Simulated ones, or where the table was not downloaded: the expression of the cell types given.
    """
    source = next(iter(datasets.values())).source
    table = open_rpkm() if source == "roadmap" else None
    return expression_of(datasets) if table is None else table.frame()


def others(expression: pd.DataFrame, cell: str) -> pd.DataFrame:
    """The other cell types' expression.

    Raises
    ------
    DataError
        If the cell type is not in the table, or is the only one.
    """
    if cell not in expression.columns:
        raise DataError(f"{cell} is not among the cell types {', '.join(expression.columns[:8])}")
    rest = expression.drop(columns=cell)
    if rest.shape[1] == 0:
        raise DataError(f"{cell} is the only cell type with expression: load more of them")
    return rest


def breadth(expression: pd.DataFrame, cell: str, genes: np.ndarray) -> np.ndarray:
    """Number of other cell types in which each gene lies above the cell type's median, ``(gene,)``.

    The cell type itself is left out, since its label is what is to be predicted.
    """
    rest = others(expression, cell)
    above = (rest > rest.median()).sum(axis=1)
    return above.loc[genes].to_numpy()


def breadth_group(count: np.ndarray, n_others: int) -> np.ndarray:
    """One of `GROUPS` for each gene: none, up to a quarter, some, from three quarters, all."""
    share = count / n_others
    return np.select(
        [count == 0, count == n_others, share <= FEW, share >= MANY],
        ["none", "all", "few", "many"],
        default="some",
    )


def group_words(n_others: int) -> dict[str, str]:
    """The groups as numbers of cell types, for the axis of a figure."""
    few = int(np.floor(FEW * n_others))
    many = int(np.ceil(MANY * n_others))
    words = {"none": "0", "few": _range(1, few), "some": _range(few + 1, many - 1)}
    return words | {"many": _range(many, n_others - 1), "all": f"{n_others}"}


def auroc_by_breadth(
    label: np.ndarray, scores: np.ndarray, group: np.ndarray, **options: int
) -> pd.DataFrame:
    """AUROC among the genes of each group of breadth.

    Parameters
    ----------
    label, group
        ``(gene,)``.
    scores
        ``(gene,)`` or ``(fit, gene)``.

    Returns
    -------
    DataFrame
        Columns group, auroc (an `Interval`), positives (share), n.  A group with fewer than
        `LEAST` genes of either class is left out.
    """
    scores = np.atleast_2d(scores)
    rows = []
    for name in GROUPS:
        here = group == name
        if not here.any() or min((label[here] == 1).sum(), (label[here] == 0).sum()) < LEAST:
            continue
        rows.append({"group": name, "positives": float(label[here].mean()), "n": int(here.sum())}
                    | {"auroc": bootstrap_auroc(label[here], scores[:, here], **options)})
    return pd.DataFrame(rows, columns=["group", "auroc", "positives", "n"])


def difference_of(first: Interval, second: Interval) -> Interval:
    """First minus second of two estimates on different genes, normal interval."""
    half = np.hypot(first.high - first.low, second.high - second.low) / 2
    gap = first.estimate - second.estimate
    return Interval(gap, float(gap - half), float(gap + half), first.n + second.n)


def other_cells_score(expression: pd.DataFrame, cell: str, genes: np.ndarray) -> np.ndarray:
    """Mean rank of each gene's expression in the other cell types, 0 to 1, float64 ``(gene,)``.

    Ranks are taken within each cell type over all genes of the table, so all count alike.  Neither
    the histone marks nor the expression of the cell type itself is read.
    """
    ranks = others(expression, cell).rank(pct=True)
    return ranks.mean(axis=1).loc[genes].to_numpy()


def nearest_cell(expression: pd.DataFrame, cell: str, genes: np.ndarray) -> str:
    """The other cell type whose expression goes best with this one's on the given genes.

    Spearman correlation; give training genes only, so that no test gene takes part.
    """
    part = expression.loc[genes].rank()
    return str(others(part, cell).corrwith(part[cell]).idxmax())


def varying(count: np.ndarray, n_others: int) -> dict[str, np.ndarray]:
    """Sets of genes by how much their class varies over the other cell types, masks ``(gene,)``."""
    share = count / n_others
    return {
        "all genes": np.ones(len(count), bool),
        "the class varies": (count > 0) & (count < n_others),
        "between a quarter and three quarters": (share > FEW) & (share < MANY),
    }


def combined(
    valid_scores: np.ndarray, valid_label: np.ndarray, test_scores: np.ndarray
) -> np.ndarray:
    """Log odds from several scores at once by logistic regression, fitted on validation genes.

    Parameters
    ----------
    valid_scores, test_scores
        ``(gene, score)``.
    """
    centre, scale = valid_scores.mean(0), valid_scores.std(0) + 1e-12
    model = LogisticRegression(C=100.0).fit((valid_scores - centre) / scale, valid_label)
    return model.decision_function((test_scores - centre) / scale)


def _range(first: int, last: int) -> str:
    if last < first:
        return "-"
    return f"{first}" if first == last else f"{first}-{last}"
