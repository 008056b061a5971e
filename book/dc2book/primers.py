"""The few lines of arithmetic that the two primers are about."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dc2lib.datasets.histone import HistoneDataset
from dc2lib.errors import DataError


def thinned(counts: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Keep each read with the same chance: what a less deeply sequenced experiment would count.

    Parameters
    ----------
    counts
        Reads, any shape.
    share
        Chance of each read to be kept, between 0 and 1.

    Returns
    -------
    int64 array of the shape of `counts`
    """
    if not 0 <= share <= 1:
        raise DataError(f"share={share} is no chance of a read: use a number from 0 to 1.")
    return np.random.default_rng(seed).binomial(np.asarray(counts, dtype=np.int64), share)


def reads_per_kilobase_per_million(reads: float, length: float, total: float) -> float:
    """RPKM: reads of a gene, per 1,000 bases of its transcript and per million reads in all.

    Source: Mortazavi et al. 2008, doi:10.1038/nmeth.1226.

    Examples
    --------
    >>> reads_per_kilobase_per_million(200, length=2000, total=20_000_000)
    5.0
    """
    return reads / (length / 1e3) / (total / 1e6)


def typical_gene(dataset: HistoneDataset, mark: str, quantile: float) -> int:
    """Row of the gene whose mean count of a mark is nearest to a quantile over the genes."""
    if mark not in dataset.marks:
        raise DataError(f"{dataset.cell} has no {mark}; it has {', '.join(dataset.marks)}.")
    means = dataset.counts[:, :, dataset.marks.index(mark)].mean(axis=1)
    return int(np.abs(means - np.quantile(means, quantile)).argmin())


def slid(signal: np.ndarray, filter_: np.ndarray) -> np.ndarray:
    """A filter's answer at every place of a signal: a convolution as networks compute it.

    Parameters
    ----------
    signal
        ``(bin,)``.
    filter_
        Weights ``(width,)``.

    Returns
    -------
    float64 array (bin - width + 1,)
        Sum of products of the weights and the stretch of the signal that begins there.

    Examples
    --------
    >>> slid(np.array([0, 0, 1, 1, 0]), np.array([-1, 1]))
    array([ 0.,  1.,  0., -1.])
    """
    windows = np.lib.stride_tricks.sliding_window_view(
        np.asarray(signal, dtype=np.float64), len(filter_)
    )
    return windows @ np.asarray(filter_, dtype=np.float64)


def max_pooled(values: np.ndarray, width: int) -> np.ndarray:
    """The largest of each stretch of ``width`` neighbouring values; what is left over is dropped.

    Examples
    --------
    >>> max_pooled(np.array([1, 3, 2, 0, 5]), 2)
    array([3, 2])
    """
    whole = len(values) // width * width
    return np.asarray(values)[:whole].reshape(-1, width).max(axis=1)


def roc_curve(labels: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
    """Shares of low and of high genes at or above each score, from the highest score on.

    Parameters
    ----------
    labels
        0 or 1 ``(gene,)``, both present.
    scores
        ``(gene,)``; genes with equal scores enter together.

    Returns
    -------
    DataFrame
        Columns threshold, false_positive and true_positive, beginning at (0, 0).
    """
    labels = np.asarray(labels)
    if not {0, 1} <= set(labels.tolist()):
        raise DataError("A ROC curve needs genes of both classes.")
    table = pd.DataFrame({"score": scores, "high": labels, "low": 1 - labels})
    steps = table.groupby("score")[["low", "high"]].sum().iloc[::-1].cumsum()
    return pd.DataFrame(
        {
            "threshold": [np.inf, *steps.index],
            "false_positive": [0.0, *(steps["low"] / steps["low"].iloc[-1])],
            "true_positive": [0.0, *(steps["high"] / steps["high"].iloc[-1])],
        }
    )
