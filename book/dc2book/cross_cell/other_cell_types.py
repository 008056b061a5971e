"""What "independent of cell type" has to beat: the same gene's expression in other cell types."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dc2book.cross_cell.gains import over_cells
from dc2lib.crosscell import expression_table
from dc2lib.datasets import HistoneDataset
from dc2lib.datasets.gene_windows import genome_blocks
from dc2lib.datasets.roadmap import open_rpkm
from dc2lib.datasets.rpkm import roadmap_name
from dc2lib.evaluation.statistics import bootstrap_auroc

QUARTER, THREE_QUARTERS = 0.25, 0.75
ELSEWHERE = "expression_elsewhere"
FEWEST = 15  # genes of either class that an AUROC needs


def expression_by_cell(datasets: Mapping[str, HistoneDataset]) -> pd.DataFrame:
    """RPKM of every gene in every cell type that is known, DataFrame (gene, cell).

    Measured cell types: Roadmap's whole table, each column under its own name (the released
    analysis reads it one column off, which would leave a cell's own expression among the others).
    Simulated ones, and where the table holds none of them or was not downloaded: the expression of
    the cell types given, of the genes that they share.
    """
    simulated = any(dataset.source == "simulated" for dataset in datasets.values())
    table = None if simulated else open_rpkm()
    if table is None or set(table.cells).isdisjoint(roadmap_name(cell) for cell in datasets):
        return expression_table(datasets)
    return table.frame()


def other_cells(expression: pd.DataFrame, cell: str) -> pd.DataFrame:
    """The other cell types' expression; no column where the cell type is the only one.

    All columns are others to a cell type of one's own beside Roadmap's table.
    """
    name = cell if cell in expression.columns else roadmap_name(cell)
    return expression.drop(columns=name, errors="ignore")


def breadth(expression: pd.DataFrame, cell: str, genes: np.ndarray) -> np.ndarray:
    """Number of other cell types in which each gene lies above the cell type's median, ``(gene,)``.

    The cell type itself is left out, since its label is what is to be predicted.  -1 where the
    table does not hold a gene.
    """
    rest = other_cells(expression, cell)
    return (rest > rest.median()).sum(axis=1).reindex(genes, fill_value=-1).to_numpy()


def other_cells_score(expression: pd.DataFrame, cell: str, genes: np.ndarray) -> np.ndarray:
    """Mean rank of each gene's expression in the other cell types, 0 to 1, float64 ``(gene,)``.

    Ranks are taken within each cell type over all genes of the table, so all count alike.  Neither
    the histone marks nor the expression of the cell type itself is read.  NaN where the table does
    not hold a gene.
    """
    ranks = other_cells(expression, cell).rank(pct=True)
    return ranks.mean(axis=1).reindex(genes).to_numpy()


def varying(expression: pd.DataFrame, cell: str, genes: np.ndarray) -> np.ndarray:
    """Genes that a quarter to three quarters of the other cell types call high, ``(gene,)``."""
    share = breadth(expression, cell, genes) / other_cells(expression, cell).shape[1]
    return (share > QUARTER) & (share < THREE_QUARTERS)


def compare_predictors(
    genes: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray],
    scores: Mapping[str, Mapping[str, np.ndarray]], expression: pd.DataFrame, **options: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Models of the marks beside `ELSEWHERE`, on all test genes and on those that vary.

    ``genes``, ``truth``: ids and labels of the test genes ``(gene,)`` by cell type. ``scores``: by
    predictor, then cell type: ``(fit, gene)``. ``expression``: RPKM (gene, cell); genes that it
    does not hold are left out.

    Returns levels: columns genes (all, varying), predictor, cell, estimate, low, high, n; means
    over cell types with cell ``"mean"``; and differences, the first predictor minus each other one,
    mean over cell types on the same genes: genes, reference, estimate, low, high, n (cell types).
    """
    beside = dict(scores)
    beside[ELSEWHERE] = {
        cell: other_cells_score(expression, cell, ids)[None] for cell, ids in genes.items()
    }
    rows = []
    for name in ("all", "varying"):
        for cell, ids in genes.items():
            known = pd.Index(ids).isin(expression.index)
            use = known if name == "all" else varying(expression, cell, ids)
            if enough_genes(truth[cell][use]):
                rows += [
                    {"genes": name, "predictor": who, "cell": cell}
                    | vars(bootstrap_auroc(truth[cell][use], values[cell][:, use],
                                           blocks=genome_blocks(ids[use]), **options))
                    for who, values in beside.items()
                ]
    levels = pd.DataFrame(rows)
    first, *others = beside
    means, differences = [], []
    for name, part in levels.groupby("genes", sort=False):
        wide = part.pivot(index="cell", columns="predictor", values="estimate")
        means += [{"genes": name, "predictor": who, "cell": "mean"}
                  | vars(over_cells(wide[who])) for who in beside]
        differences += [{"genes": name, "reference": who}
                        | vars(over_cells(wide[first] - wide[who])) for who in others]
    return pd.concat([levels, pd.DataFrame(means)]), pd.DataFrame(differences)


def enough_genes(truth: np.ndarray) -> bool:
    """Whether there are enough genes of either class for an AUROC."""
    return bool(min((truth == 1).sum(), (truth == 0).sum()) >= FEWEST)
