"""Where the cell types come from: source, unit, marks, genes; which genes lack, and what that does.

Counts of most cell types are rebuilt from the read coverage of a public repository (PatternChrome)
and hold fewer genes than the windows of DeepChrome; cell types from peak calls hold all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce

import numpy as np
import pandas as pd

from dc2book.cross_cell.mark_totals import totals_of
from dc2lib.crosscell import expression_table, genes_by_split
from dc2lib.datasets import SPLITS, HistoneDataset, published
from dc2lib.datasets.gene_windows import genome_blocks
from dc2lib.datasets.rpkm import RpkmTable
from dc2lib.evaluation.statistics import (
    Interval,
    bootstrap_auroc,
    proportion,
    student_interval,
)
from dc2lib.labels import flipped

MOST_ROWS = 30  # of a table of cell types on a page
FARTHEST = 40  # bins that a profile is moved to lie on another


def source_table(datasets: Iterable[HistoneDataset]) -> pd.DataFrame:
    """One row per cell type: cell type, source, unit, marks, genes, test genes, flipped labels."""
    return pd.DataFrame([
        {
            "cell type": one.cell, "source": one.source, "unit": one.unit,
            "marks": " ".join(mark.removeprefix("H3") for mark in one.marks), "genes": len(one),
            "test genes": int((one.split == "test").sum()),
            "labels flipped": float("nan") if one.rpkm is None else float(flipped(one).mean()),
        }
        for one in datasets
    ])


def summarised(table: pd.DataFrame) -> pd.DataFrame:
    """`source_table`, a row per source, unit and set of marks if it has more than `MOST_ROWS`."""
    if len(table) <= MOST_ROWS:
        return table
    groups = table.groupby(["source", "unit", "marks"], sort=False)
    ends = groups[["genes", "test genes", "labels flipped"]].agg(["min", "max"])
    shown = {"cell types": groups.size()}
    for name, digits in (("genes", ",.0f"), ("test genes", ",.0f"), ("labels flipped", ".3f")):
        low, high = (ends[name, end].map(f"{{:{digits}}}".format) for end in ("min", "max"))
        shown[name] = low.where(low == high, low + " to " + high)
    return pd.DataFrame(shown).reset_index()


def missing_genes(dataset: HistoneDataset, table: RpkmTable) -> pd.DataFrame:
    """Share of highly expressed test genes, by whether the cell type's counts hold the gene.

    Columns genes (missing, present), estimate, low, high (Wilson's interval), n; numeric labels.
    Genes are DeepChrome's test genes, expression is that of Roadmap's table.
    """
    order = published.gene_order()
    test = order.loc[order["split"] == "test", "gene_id"].drop_duplicates()
    rpkm = table.frame()[dataset.cell].reindex(test).dropna()
    high = (rpkm > float(table.median_text(dataset.cell))).to_numpy()
    here = rpkm.index.isin(dataset.gene_id)
    return pd.DataFrame([
        {"genes": name, **vars(proportion(int(high[chosen].sum()), int(chosen.sum())))}
        for name, chosen in (("missing", ~here), ("present", here))
    ])


def auroc_by_genes(
    datasets: Mapping[str, HistoneDataset], genes: np.ndarray, n_resamples: int = 1000
) -> pd.DataFrame:
    """Test AUROC of the mark totals on all test genes and on some of them.

    One logistic regression per cell type (`dc2book.cross_cell.mark_totals`), on all its marks;
    numeric labels; intervals over 1-Mb stretches of the genome.

    ``genes`` (str array (gene,)): ids of the genes to keep. Returns columns cell, genes ("all" or
    "kept"), estimate, low, high, n (genes).
    """
    rows = []
    for cell, dataset in datasets.items():
        totals, tested = totals_of({cell: dataset}), dataset.take("test").gene_id
        high, score = totals.truth(cell, "numeric"), totals.score([cell], cell, "numeric")
        for name, chosen in (("all", slice(None)), ("kept", np.isin(tested, genes))):
            one = bootstrap_auroc(high[chosen], score[chosen], n_resamples=n_resamples,
                                  blocks=genome_blocks(tested[chosen]))
            rows.append({"cell": cell, "genes": name, **vars(one)})
    return pd.DataFrame(rows)


def gain_of_kept(aurocs: pd.DataFrame) -> Interval:
    """Mean over cell types of the AUROC on the kept genes minus that on all: Student's interval."""
    wide = aurocs.pivot(index="cell", columns="genes", values="estimate")
    return student_interval((wide["kept"] - wide["all"]).to_numpy())


def genes_with_same_start(
    datasets: Mapping[str, HistoneDataset], mark: str = "H3K4me3", within: int = 2
) -> np.ndarray | None:
    """Genes whose promoter mark lies in the same bins of counts and of peaks.

    Counts and peaks come from two sources with windows of their own.  For each gene the mean log
    profile of the mark in cell types with counts is moved along that in cell types with peaks until
    they correlate best; a gene is taken if that is above 0.5, and `within` so many bins of no move.

    Returns their ids; None unless there are cell types of both kinds that hold the mark.
    """
    marked = [one for one in datasets.values() if mark in one.marks]
    by_unit = [[one for one in marked if (one.unit == "reads") == reads] for reads in (True, False)]
    if not all(by_unit):
        return None
    genes = reduce(np.intersect1d, [one.gene_id for part in by_unit for one in part])
    first, second = (np.mean([_profiles(one, genes, mark) for one in part], axis=0)
                     for part in by_unit)
    moves = range(-FARTHEST, FARTHEST + 1)
    n = first.shape[1]
    agreement = np.array([
        _correlations(first[:, max(0, move) : n + min(0, move)],
                      second[:, max(0, -move) : n + min(0, -move)])
        for move in moves
    ])
    best = np.abs(agreement.argmax(axis=0) - FARTHEST)
    return genes[(best <= within) & (agreement.max(axis=0) > 0.5)]


def _profiles(dataset: HistoneDataset, genes: np.ndarray, mark: str) -> np.ndarray:
    """Log signal of a mark along the gene, ``(gene, bin)``."""
    _, rows, _ = np.intersect1d(dataset.gene_id, genes, return_indices=True)
    return np.log1p(dataset.select(rows).gene_oriented()[:, :, dataset.marks.index(mark)])


def _correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation of each row with the same row; 0 where one is constant."""
    first, second = (one - one.mean(axis=1, keepdims=True) for one in (first, second))
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return np.divide((first * second).sum(axis=1), scale, out=np.zeros(len(scale)), where=scale > 0)


def texts_of_missing(shares: pd.DataFrame | None, gain: Interval | None) -> pd.DataFrame:
    """What prose says of `missing_genes` and `gain_of_kept`, as text: columns name and estimate."""
    texts: dict[str, str | float] = dict.fromkeys(("missing", "present", "number", "gain"), np.nan)
    if shares is not None:
        texts = dict(zip(shares["genes"], shares["estimate"].map("{:.2f}".format), strict=True))
        texts |= {"number": f"{shares['n'].iloc[0]:,}", "gain": f"{gain:+.3f}"}
    return pd.DataFrame(texts.items(), columns=["name", "estimate"])


Expression = tuple[pd.DataFrame, dict[str, str], Mapping[str, Iterable[str]]]


def roadmap_expression(table: RpkmTable) -> Expression:
    """RPKM ``(gene, cell)`` of Roadmap's table, its medians as text, the genes of each split."""
    order = published.gene_order()
    genes = {split: order.loc[order["split"] == split, "gene_id"] for split in SPLITS}
    return table.frame(), {cell: table.median_text(cell) for cell in table.cells}, genes


def study_expression(datasets: Mapping[str, HistoneDataset]) -> Expression:
    """The same of cell types that are not all in Roadmap's table."""
    medians = {cell: dataset.rpkm_median_text for cell, dataset in datasets.items()}
    return expression_table(datasets), medians, genes_by_split(datasets)
