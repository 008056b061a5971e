"""Summary figures of real cell types that the simulator is calibrated to.

Usage: python tools/calibrate_simulator.py [MIRROR] > dc2lib/datasets/simulated/figures.json

MIRROR (default ../shared/data) holds roadmap/data.tar.gz and roadmap/57epigenomes.RPKM.pc.gz.
Only summaries over thousands of genes are printed, never a gene's own values.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from pyarrow import csv
from scipy.optimize import curve_fit
from scipy.stats import norm, rankdata
from sklearn.linear_model import LogisticRegression

from dc2lib.datasets.histone import MARKS, N_BINS, SPLITS

CELLS = ("E012", "E013")
TSS_MARK = MARKS.index("H3K4me3")
LEVEL_PROBABILITY = np.array(
    [0.0005, 0.005, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]
    + [0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.995, 0.9995]
)
RPKM_PROBABILITY = np.concatenate(
    [np.arange(0.0125, 0.975, 0.025), [0.975, 0.98, 0.985, 0.99, 0.995, 0.998, 0.999, 0.9997]]
)
LEVEL_OFFSET = 0.02  # reads a bin, added before the logarithm of a gene's mean count
SMALLEST_RPKM = 2e-4  # stands for zero on the logarithmic scale; prints as 0.000
N_PROMOTER_STATES = 6
N_RPKM_GROUPS = 8
N_DRIFT_KNOTS = 20


def read_counts(archive: Path, cell: str) -> tuple[np.ndarray, np.ndarray]:
    """Gene ids (gene,) and counts (gene, bin, mark) of one cell type, in released order."""
    ids, counts = {}, {}
    with tarfile.open(archive, "r|gz") as members:
        for member in members:
            found = re.search(rf"{cell}/classification/(\w+)\.csv$", member.name)
            if found is None:
                continue
            table = csv.read_csv(
                io.BytesIO(members.extractfile(member).read()),
                read_options=csv.ReadOptions(autogenerate_column_names=True),
            )
            columns = np.stack([table[i].to_numpy() for i in (0, 2, 3, 4, 5, 6)], axis=1)
            columns = columns.reshape(-1, N_BINS, 6)
            ids[found[1]], counts[found[1]] = columns[:, 0, 0], columns[:, :, 1:]
    gene_id = [f"ENSG{number:011d}" for split in SPLITS for number in ids[split]]
    return np.array(gene_id), np.concatenate([counts[split] for split in SPLITS])


def read_rpkm(table: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Cell types, gene ids and RPKM (gene, cell) of the Roadmap table, the reference E000 left out."""
    with gzip.open(table, "rt") as lines:
        header = next(lines).rstrip("\n").split("\t")
        rows = [line.rstrip("\n").rstrip("\t").split("\t") for line in lines]
    rpkm = np.array([row[1:] for row in rows], dtype=float)
    keep = [i for i, name in enumerate(header[1:]) if name != "E000"]
    return [header[1 + i] for i in keep], np.array([row[0] for row in rows]), rpkm[:, keep]


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Ranks of each column, ties broken at random, as standard normal quantiles."""
    jitter = np.random.default_rng(0).random(len(values)) * 1e-7
    ranks = rankdata(np.moveaxis(values, 0, -1) + jitter, axis=-1)
    return norm.ppf((np.moveaxis(ranks, -1, 0) - 0.5) / len(values))


def rounded(values: ArrayLike, digits: int = 3) -> list:
    return np.round(np.asarray(values, dtype=float), digits).tolist()


def expression_knots(x: np.ndarray, n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Twelfths of the genes by expression score: mean score of each, and the index of each gene."""
    group = np.digitize(x, np.quantile(x, np.linspace(0, 1, n + 1)[1:-1]))
    return np.array([x[group == k].mean() for k in range(n)]), group


def profiles(counts: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Mean profile (state, mark, distance from TSS in bins), symmetrised, mean 1 over the bins."""
    folded = counts[:, N_BINS // 2 :] + counts[:, : N_BINS // 2][:, ::-1]
    shape = np.stack([folded[state == k].mean(axis=0).T for k in range(N_PROMOTER_STATES)])
    return shape / shape.mean(axis=2, keepdims=True)


def field(counts: np.ndarray, expected: np.ndarray, bins: slice) -> tuple[float, float, float]:
    """Variance and correlation length (bins) of the log intensity, and reads shared by neighbours.

    Between different bins counting noise cancels, so the normalised covariance is that of the
    intensity; what lag 1 has beyond the curve are reads counted in two neighbouring bins.
    """
    lags = np.array([2, 3, 4, 5, 6, 8, 10, 12, 15, 20])
    residual, mean = (counts - expected)[:, bins], expected[:, bins]

    def covariance(lag: int) -> float:
        product = residual[:, :-lag] * residual[:, lag:]
        return product.sum() / (mean[:, :-lag] * mean[:, lag:]).sum()

    curve = np.log1p([max(covariance(lag), 0) for lag in lags])
    (variance, length), _ = curve_fit(
        lambda lag, v, scale: v * np.exp(-lag / scale), lags, curve, p0=(0.3, 8)
    )
    excess = np.log1p(covariance(1)) - variance * np.exp(-1 / length)
    return variance, length, max(excess, 0) * mean.mean()


def strand_asymmetry(counts: np.ndarray) -> np.ndarray:
    """Log ratio downstream to upstream (mark, block of 5 bins), from genes with clear strand.

    The strand is not in the data: the first principal component of the log ratio of the two halves
    finds it, as H3K36me3 lies downstream of the TSS.
    """
    blocks = np.arange(0, N_BINS // 2, 5)
    right = np.add.reduceat(counts[:, N_BINS // 2 :], blocks, axis=1)
    left = np.add.reduceat(counts[:, : N_BINS // 2][:, ::-1], blocks, axis=1)
    ratio = np.log((right + 0.5) / (left + 0.5)).reshape(len(counts), -1)
    left_vectors, _, axes = np.linalg.svd(ratio, full_matrices=False)
    body = axes[0].reshape(len(blocks), -1)[:, MARKS.index("H3K36me3")].sum()
    strand = np.sign(left_vectors[:, 0]) * np.sign(body)
    return (ratio * strand[:, None]).mean(axis=0).reshape(len(blocks), -1).T


def displacement(counts: np.ndarray, residual: np.ndarray, x: np.ndarray) -> list[float]:
    """Logistic fit of "the H3K4me3 peak lies > 2 kb from the TSS": intercept, residual, expression.

    Among genes with a clear peak; `residual` is the gene's H3K4me3 beyond what its expression
    explains, in standard deviations.
    """
    smooth = np.lib.stride_tricks.sliding_window_view(counts[:, :, TSS_MARK], 7, axis=1).mean(-1)
    far = np.abs(smooth.argmax(axis=1) + 3 - (N_BINS - 1) / 2) > 20
    clear = counts[:, :, TSS_MARK].mean(axis=1) > np.median(counts[:, :, TSS_MARK].mean(axis=1))
    features = np.stack([residual, x], axis=1)[clear]
    fit = LogisticRegression(C=1e6).fit(features, far[clear])
    return rounded([*fit.intercept_, *fit.coef_[0]])


def cell_figures(counts: np.ndarray, x: np.ndarray) -> tuple[dict, np.ndarray]:
    """Figures of one cell type, and each gene's residual mark scores (gene, mark)."""
    counts = counts.astype(np.float32)
    level = counts.mean(axis=1)
    score = normal_scores(level)
    knots, group = expression_knots(x)
    mean = np.array([score[group == k].mean(axis=0) for k in range(len(knots))])
    sd = np.array([score[group == k].std(axis=0) for k in range(len(knots))])
    residual = (score - mean[group]) / sd[group]
    tertile = np.digitize(x, [-0.5, 0.5])
    state = np.minimum(norm.cdf(score[:, TSS_MARK]) * N_PROMOTER_STATES, N_PROMOTER_STATES - 1)
    state = state.astype(int)
    shape = profiles(counts, state)
    both_sides = np.concatenate([shape[:, :, ::-1], shape], axis=2)
    expected = level[:, None, :] * both_sides[state].transpose(0, 2, 1)
    high_promoter = state >= N_PROMOTER_STATES - 2
    fields = [
        field(counts[high_promoter, :, m], expected[high_promoter, :, m], slice(35, 65))
        if m == TSS_MARK
        else field(counts[:, :, m], expected[:, :, m], slice(0, 35))
        for m in range(len(MARKS))
    ]
    figures = {
        "log_level": rounded(np.log(np.quantile(level, LEVEL_PROBABILITY, axis=0) + LEVEL_OFFSET).T),
        "expression_knots": rounded(knots),
        "score_mean": rounded(mean.T),
        "score_sd": rounded(sd.T),
        "residual_correlation": rounded(
            [np.corrcoef(residual[tertile == k].T) for k in range(3)]
        ),
        "promoter_state_score": rounded(
            [score[state == k, TSS_MARK].mean() for k in range(N_PROMOTER_STATES)]
        ),
        "profile": rounded(shape),
        "field_variance": rounded([f[0] for f in fields]),
        "field_length": rounded([f[1] for f in fields], 1),
        "shared_reads": rounded([f[2] for f in fields]),
        "strand_asymmetry": rounded(strand_asymmetry(counts[x > 0.25])),
        "displacement": displacement(counts, residual[:, TSS_MARK], x),
    }
    return figures, residual


def rpkm_figures(rpkm: np.ndarray) -> dict:
    """Quantile functions of RPKM in groups of cells with similar median; drift by gene order."""
    cells = np.array_split(np.argsort(np.median(rpkm, axis=0)), N_RPKM_GROUPS)
    quantiles = np.quantile(rpkm, RPKM_PROBABILITY, axis=0)
    log_quantiles = np.log10(np.maximum(quantiles, SMALLEST_RPKM))
    scores = normal_scores(rpkm)
    drift = [part.mean() for part in np.array_split(scores.mean(axis=1), N_DRIFT_KNOTS)]
    return {
        "probability": RPKM_PROBABILITY.tolist(),
        "log10": rounded([log_quantiles[:, group].mean(axis=1) for group in cells]),
        "drift": rounded(drift),
    }


def main(mirror: str = "../shared/data") -> None:
    folder = Path(mirror) / "roadmap"
    names, gene_id, rpkm = read_rpkm(folder / "57epigenomes.RPKM.pc.gz")
    row = {gene: i for i, gene in enumerate(gene_id)}
    cells, residuals = {}, {}
    for cell in CELLS:
        genes, counts = read_counts(folder / "data.tar.gz", cell)
        x = normal_scores(rpkm[:, names.index(cell)])[[row[gene] for gene in genes]]
        cells[cell], residual = cell_figures(counts, x)
        residuals[cell] = dict(zip(genes.tolist(), residual, strict=True))
    common = sorted(set.intersection(*(set(r) for r in residuals.values())))
    first, second = (np.array([residuals[cell][gene] for gene in common]) for cell in CELLS)
    shared = [np.corrcoef(first[:, m], second[:, m])[0, 1] for m in range(len(MARKS))]
    figures = {
        "source": (
            "Roadmap cell types E012 and E013 (100 bins around 18,421 TSS) and RPKM of 56 cell"
            " types; computed by tools/calibrate_simulator.py"
        ),
        "marks": MARKS,
        "level_score": rounded(norm.ppf(LEVEL_PROBABILITY)),
        "level_offset": LEVEL_OFFSET,
        "residual_shared_between_cells": rounded(shared),
        "cells": cells,
        "rpkm": rpkm_figures(rpkm),
    }
    text = json.dumps(figures, indent=1)
    print(re.sub(r"\s*\n\s+(?=[-\d.]+[,\s])|(?<=\d)\s*\n\s*(?=\])", "", text))


if __name__ == "__main__":
    main(*sys.argv[1:])
