"""What a cell type's data look like before any model: profiles, counts, expression, classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from dc2book.style import kilobases
from dc2lib.datasets.histone import SPLITS, HistoneDataset
from dc2lib.datasets.published import gene_annotation
from dc2lib.errors import DataError
from dc2lib.evaluation.statistics import ENDS, proportion
from dc2lib.labels import RULES, flipped, label
from dc2lib.signals import ORIENTATIONS

ACTIVE = ("H3K4me3", "H3K4me1", "H3K36me3")
CLASSES = {"high": 1, "low": 0}
GENES_RELEASED = 19_795


def mean_profiles(
    dataset: HistoneDataset, *, orientation: str = "gene", n_resamples: int = 200, seed: int = 0
) -> pd.DataFrame:
    """Mean count by bin for the genes of each class (numeric labels), with a band over genes.

    The band is a 95 % bootstrap interval.  Orientation ``"genome"``: bins as released; ``"gene"``:
    minus-strand genes turned, upstream first; genes of unknown strand are left out.

    Returns columns mark, class, position (kb from the TSS), mean, low, high (reads per bin), n
    (genes). Raises DataError if the orientation is unknown or the strands are not known.
    """
    if orientation not in ORIENTATIONS:
        raise DataError(f"Unknown orientation {orientation!r}: use one of genome, gene.")
    classes, counts = label(dataset, "numeric"), dataset.counts
    if orientation == "gene":
        known = dataset.strand != "."
        counts, classes = dataset.gene_oriented()[known], classes[known]
    rng = np.random.default_rng(seed)
    _, n_bins, n_marks = counts.shape
    parts = []
    for name, value in CLASSES.items():
        flat = counts[classes == value].reshape(-1, n_bins * n_marks).astype(np.float32)
        n = len(flat)
        if not n:
            raise DataError(f"{dataset.cell}: no gene has {name} expression by the numeric rule.")
        weights = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples)
        low, high = np.quantile(weights.astype(np.float32) @ flat / n, ENDS, axis=0)
        bands = {"mean": flat.mean(axis=0, dtype=np.float64), "low": low, "high": high}
        parts.append(pd.DataFrame({
            "mark": np.repeat(dataset.marks, n_bins), "class": name,
            "position": np.tile(kilobases(n_bins), n_marks),
            **{key: band.reshape(n_bins, n_marks).T.ravel() for key, band in bands.items()}, "n": n,
        }))
    return pd.concat(parts, ignore_index=True)


def values(table: pd.DataFrame, column: str, tags: Sequence[str]) -> pd.DataFrame:
    """One column of a table as a tidy one: the tags (or n, low, high) and ``estimate``."""
    return table[[*tags, column]].rename(columns={column: "estimate"})


def marks_go_as_known(means: pd.DataFrame) -> bool:
    """Whether just the marks of active genes are higher in genes that are on.

    ``means`` (DataFrame (mark, class)): columns high and low.
    """
    higher = set(means.index[means["high"] > means["low"]])
    return higher == set(ACTIVE) & set(means.index)


def downstream_ratio(profiles: pd.DataFrame, mark: str) -> float:
    """Reads after the TSS over reads before it in one mark's mean profile of high genes."""
    rows = profiles[(profiles["mark"] == mark) & (profiles["class"] == "high")]
    after = rows.loc[rows["position"] > 0, "mean"].sum()
    return float(after / rows.loc[rows["position"] < 0, "mean"].sum())


def count_summary(dataset: HistoneDataset) -> pd.DataFrame:
    """Distribution of the counts in a bin, one row per mark.

    Columns cell, mark, mean, variance, dispersion (variance over mean; 1 for a Poisson count),
    zero_share, maximum, library_size (reads in all bins).
    """
    counts = dataset.counts.reshape(-1, len(dataset.marks))
    table = pd.DataFrame({
        "cell": dataset.cell, "mark": dataset.marks, "mean": counts.mean(axis=0),
        "variance": counts.var(axis=0), "zero_share": (counts == 0).mean(axis=0),
        "maximum": counts.max(axis=0), "library_size": counts.sum(axis=0, dtype=np.int64),
    })
    return table.assign(dispersion=table["variance"] / table["mean"])


def count_tail(dataset: HistoneDataset) -> pd.DataFrame:
    """Share of bins with at least so many reads: columns mark, count, share; one row per count."""
    parts = []
    for place, mark in enumerate(dataset.marks):
        times = np.bincount(dataset.counts[:, :, place].ravel().astype(np.int64))
        share = np.cumsum(times[::-1])[::-1] / times.sum()
        shown = np.unique(np.r_[0, np.geomspace(1, len(times), 80).astype(int) - 1])
        parts.append(pd.DataFrame({"mark": mark, "count": shown, "share": share[shown]}))
    return pd.concat(parts, ignore_index=True)


def mark_correlation(dataset: HistoneDataset) -> pd.DataFrame:
    """Spearman correlation over genes between the marks' mean counts, and with RPKM if known."""
    means = pd.DataFrame(dataset.counts.mean(axis=1, dtype=np.float64), columns=[*dataset.marks])
    if dataset.rpkm is not None:
        means["RPKM"] = dataset.rpkm
    return means.corr(method="spearman")


def class_balance(datasets: Mapping[str, HistoneDataset]) -> pd.DataFrame:
    """Share of genes in the class of high expression, by cell type, label rule and split.

    Columns cell, labels, split, estimate, low, high (Wilson's interval), n.
    """
    rows = []
    for cell, dataset in datasets.items():
        for rule in RULES:
            classes = label(dataset, rule)
            for split in SPLITS:
                chosen = classes[dataset.split == split]
                share = proportion(int(chosen.sum()), len(chosen))
                rows.append({"cell": cell, "labels": rule, "split": split, **vars(share)})
    return pd.DataFrame(rows)


def falls_from_train_to_test(balance: pd.DataFrame) -> pd.Series:
    """Whether fewer test than training genes are high, intervals apart, by label rule and cell.

    ``balance``: as from `class_balance`.
    """
    wide = balance.pivot(index=["labels", "cell"], columns="split", values=["low", "high"])
    return wide["high", "test"] < wide["low", "train"]


def share_along_genes(
    dataset: HistoneDataset, labels: str = "numeric", window: int = 1000
) -> pd.DataFrame:
    """Share of high-expression genes in a window that slides over the gene list, in its order.

    Columns rank (middle of the window, in genes) and share.
    """
    classes = label(dataset, labels).astype(np.float64)
    window = min(window, max(1, len(classes) // 4))
    share = np.convolve(classes, np.full(window, 1 / window), mode="valid")
    rank = np.arange(len(share)) + (window - 1) / 2
    step = max(1, len(share) // 400)
    return pd.DataFrame({"rank": rank[::step], "share": share[::step]})


def label_agreement(datasets: Mapping[str, HistoneDataset]) -> pd.DataFrame:
    """Share of released labels that each label rule reproduces.

    Columns cell, labels, estimate, low, high (Wilson's interval), n; cell types without released
    labels are left out.
    """
    rows = []
    for cell, dataset in datasets.items():
        if dataset.released_label is None:
            continue
        for rule in RULES:
            same = label(dataset, rule) == dataset.released_label
            rows.append({"cell": cell, "labels": rule,
                         **vars(proportion(int(same.sum()), len(same)))})
    return pd.DataFrame(rows, columns=["cell", "labels", "estimate", "low", "high", "n"])


def count_of_cell_types(number: int) -> str:
    """A number of cell types in words.

    >>> count_of_cell_types(2), count_of_cell_types(1)
    ('2 cell types', '1 cell type')
    """
    return f"{number} cell type{'' if number == 1 else 's'}"


def expression_summary(rpkm: pd.DataFrame, text: Mapping[str, str]) -> pd.DataFrame:
    """Median and share of zeros of every cell type's expression.

    Columns cell, median (RPKM), zero_share, ambiguous (share of genes whose text sorts on the other
    side of the median than their number).

    ``rpkm``: (gene, cell). ``text``: median of each cell type as text, as the file writes numbers.
    """
    rows = []
    for cell, median in text.items():
        values = rpkm[cell]
        changed = (values > float(median)) != (values.map("{:.3f}".format) > median)
        rows.append({"cell": cell, "median": float(median), "zero_share": (values == 0).mean(),
                     "ambiguous": changed.mean()})
    return pd.DataFrame(rows)


def example_genes(dataset: HistoneDataset) -> pd.DataFrame:
    """A few genes worth looking at, chosen by rule and not by eye.

    Columns row (position in the dataset), gene_id, name (symbol, or the id where unknown), rpkm,
    why.
    """
    classes = label(dataset)
    mean = dataset.counts.mean(axis=1, dtype=np.float64)
    rank = stats.rankdata(mean, axis=0) / len(mean)
    place = {mark: column for column, mark in enumerate(dataset.marks)}
    expression = stats.rankdata(dataset.rpkm) / len(dataset)
    choices = {"on, expression at the 90th percentile": -np.abs(expression - 0.9)}
    if "H3K9me3" in place:
        repressed = rank[:, place["H3K9me3"]] - 2 * (expression > 0.2)
        choices["off, most H3K9me3 of the lowest fifth"] = repressed
    if {"H3K27me3", "H3K4me3"} <= set(place):
        both = np.minimum(rank[:, place["H3K27me3"]], rank[:, place["H3K4me3"]])
        choices["off, H3K4me3 and H3K27me3 together"] = np.where(classes == 0, both, -1)
    changed = flipped(dataset)
    if changed.any():
        typical = np.median(expression[changed])
        nearest = -np.abs(expression - typical)
        choices["on as a number, off as text"] = np.where(changed & (classes == 1), nearest, -2)
    rows = [int(np.argmax(score)) for score in choices.values()]
    return pd.DataFrame({
        "row": rows, "gene_id": dataset.gene_id[rows], "name": _names(dataset.gene_id[rows]),
        "rpkm": dataset.rpkm[rows], "why": list(choices),
    })


def counts_of(dataset: HistoneDataset, genes: pd.DataFrame) -> pd.DataFrame:
    """The counts of a few genes, a row per gene, mark and bin."""
    rows = genes["row"].to_numpy()
    count = dataset.counts[rows].transpose(0, 2, 1)
    index = pd.MultiIndex.from_product(
        [genes["name"], dataset.marks, range(1, count.shape[2] + 1)], names=["gene", "mark", "bin"]
    )
    return pd.DataFrame({"count": count.ravel()}, index).reset_index()


def label_examples(dataset: HistoneDataset) -> pd.DataFrame:
    """Genes from low to high expression on which the two label rules agree and differ.

    Columns gene and RPKM (as text).
    """
    median = float(dataset.rpkm_median_text)
    targets = (median / 3, median * 1.1, 9.9, 10.5, 29.9, 30.1, 150.0)
    rows = [int(np.argmin(np.abs(np.log1p(dataset.rpkm) - np.log1p(value)))) for value in targets]
    rows = sorted(set(rows), key=lambda row: dataset.rpkm[row])
    return pd.DataFrame({"gene": _names(dataset.gene_id[rows]), "RPKM": dataset.rpkm_text[rows]})


def _names(gene_id: np.ndarray) -> list[str]:
    symbols = gene_annotation()["symbol"].dropna()
    return [symbols.get(gene, gene) for gene in gene_id.tolist()]
