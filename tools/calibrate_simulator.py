"""Summary figures of real cell types that the simulator is calibrated to.

Usage: python -m tools.calibrate_simulator RPKM_TABLE > dc2lib/datasets/simulated/figures.json

RPKM_TABLE is Roadmap's 57epigenomes.RPKM.pc.gz; the two cell types must be stored (`make data`).
Only summaries over thousands of genes are printed, never a gene's own values.
"""

from __future__ import annotations

import inspect
import json
import re
import sys

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.stats import norm, rankdata
from sklearn.linear_model import LogisticRegression

from dc2lib.datasets import open_cell
from dc2lib.datasets.histone import MARKS, N_BINS
from dc2lib.datasets.rpkm import read_rpkm
from dc2lib.datasets.simulated import simulate
from dc2lib.datasets.simulated.design import Design, checked_design
from dc2lib.datasets.simulated.draws import mark_counts
from dc2lib.datasets.simulated.figures import figures_between
from dc2lib.datasets.simulated.study import draw_genes, mark_shape, simulate_cell

CELLS = ("E012", "E013")
TSS_MARK = MARKS.index("H3K4me3")
LEVEL_PROBABILITY = np.array(
    [0.0005, 0.005, 0.02, *np.arange(0.05, 0.96, 0.05), 0.98, 0.995, 0.9995]
)
RPKM_PROBABILITY = np.concatenate(
    [np.arange(0.0125, 0.975, 0.025), [0.975, 0.98, 0.985, 0.99, 0.995, 0.998, 0.999, 0.9997]]
)
LEVEL_OFFSET = 0.02  # reads a bin, added before the logarithm of a gene's mean count
SMALLEST_RPKM = 2e-4  # stands for zero on the logarithmic scale; prints as 0.000
N_PROMOTER_STATES = 6
N_RPKM_GROUPS = 8
N_DRIFT_KNOTS = 20
START_LOGS = np.log([0.3, 5.0, 0.6, 10.0, 0.05, 8.0])
SEARCH = {
    "maxfev": 350,
    "initial_simplex": START_LOGS + np.diag([0, 0.8, 0.8, 0.8, 0.8, 1.0, 0.5])[:, 1:],
}
DEFAULTS = {
    name: parameter.default for name, parameter in inspect.signature(simulate).parameters.items()
}
N_CORRECTIONS = 3


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


def profiles(counts: np.ndarray, state: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Mean profiles (class, state, mark, bin) along the gene, mean 1 over the bins."""
    shape = np.empty((2, N_PROMOTER_STATES, len(MARKS), N_BINS))
    for high in (0, 1):
        for k in range(N_PROMOTER_STATES):
            chosen = counts[(state == k) & ((x > 0) == high)]
            width = 1 if len(chosen) > 1000 else 3  # few genes: smooth a little
            ends = np.pad(chosen.mean(axis=0).T, ((0, 0), (width // 2, width // 2)), mode="edge")
            shape[high, k] = np.lib.stride_tricks.sliding_window_view(ends, width, 1).mean(-1)
    return shape / shape.mean(axis=3, keepdims=True)


def texture(counts: np.ndarray) -> np.ndarray:
    """Summary of how counts (gene, bin) of one mark vary along a gene.

    Correlation of log(1 + count) between bins some bins apart, spread and mean of the log ratio of
    the two halves, shares of empty bins near and far from the TSS, spread within genes, and the
    largest counts.
    """
    logs = np.log1p(counts)
    centred = (logs - logs.mean(axis=0)) / (logs.std(axis=0) + 1e-3)
    lags = [(centred[:, lag:] * centred[:, :-lag]).mean() for lag in (1, 2, 5, 10, 20, 40)]
    left, right = counts[:, : N_BINS // 2].sum(axis=1), counts[:, N_BINS // 2 :].sum(axis=1)
    ratio = np.log((left + 5) / (right + 5))
    empty = counts == 0
    near = [empty[:, 35:65].mean(), empty[:, np.r_[:35, 65:N_BINS]].mean()]
    top = np.log1p(np.quantile(counts, [0.99, 0.999])) / 2
    spread = [logs[:, 35:65].std(axis=1).mean(), logs[:, :35].std(axis=1).mean()]
    return np.array([*lags, ratio.std(), ratio.mean(), *near, *spread, *top])


def displacement(counts: np.ndarray, residual: np.ndarray, x: np.ndarray) -> list[float]:
    """Where the H3K4me3 peak lies > 2 kb from the TSS: a logistic fit, and the share upstream.

    Among genes with a clear peak: intercept, coefficients of `residual` (the gene's H3K4me3 beyond
    what its expression explains, in standard deviations) and of expression.
    """
    promoter = counts[:, :, TSS_MARK]
    smooth = np.lib.stride_tricks.sliding_window_view(promoter, 7, axis=1).mean(-1)
    distance = smooth.argmax(axis=1) + 3 - (N_BINS - 1) / 2
    clear = promoter.mean(axis=1) > np.median(promoter.mean(axis=1))
    far = np.abs(distance[clear]) > 20
    fit = LogisticRegression(C=1e6).fit(np.stack([residual, x], axis=1)[clear], far)
    upstream = (distance[clear][far] < 0).mean()
    return rounded([*fit.intercept_, *fit.coef_[0], upstream])


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
    shape = profiles(counts, state, x)
    log_level = np.log(np.quantile(level, LEVEL_PROBABILITY, axis=0) + LEVEL_OFFSET)
    figures = {
        "log_level": rounded(log_level.T),
        "expression_knots": rounded(knots),
        "score_mean": rounded(mean.T),
        "score_sd": rounded(sd.T),
        "residual_correlation": rounded([np.corrcoef(residual[tertile == k].T) for k in range(3)]),
        "promoter_state_score": rounded(
            [score[state == k, TSS_MARK].mean() for k in range(N_PROMOTER_STATES)]
        ),
        "profile": rounded(shape),
        "field": [[[0.3, 5.0], [0.6, 10.0]] for _ in MARKS],
        "saturation": [8.0 for _ in MARKS],
        "shared_reads": [0.05 for _ in MARKS],
        "displacement": displacement(counts, residual[:, TSS_MARK], x),
    }
    return figures, residual


def fit_texture(figures: dict, cell: int, counts: np.ndarray) -> None:
    """Set the field, saturation and shared reads of one reference cell: counts vary as real ones.

    All change in `figures`, mark by mark: simulated with the same draws each time, the summary of
    :func:`texture` is brought as near to the real one as it goes.
    """
    design = one_cell(3000, cell)
    genes = draw_genes(design)
    own = figures_between(np.full(len(MARKS), float(cell)), MARKS, figures)
    _, truth = simulate_cell(design, genes, 0, own)
    stored = figures["cells"][CELLS[cell]]
    for m, mark in enumerate(MARKS):
        shape = mark_shape(design, genes, own, truth, m)
        level, target = truth.mark_level[:, m], texture(counts[:, :, m])

        def misfit(logs, shape=shape, level=level, target=target) -> float:
            drawn = mark_counts(np.random.default_rng(0), shape, level, *as_texture(logs))
            excess = np.maximum(np.abs(logs - START_LOGS) - 2.5, 0)
            return np.sum((texture(drawn) - target) ** 2) + np.sum(excess**2)

        found = minimize(misfit, START_LOGS, method="Nelder-Mead", options=SEARCH)
        field, saturation, across = as_texture(found.x)
        stored["field"][m] = rounded(field)
        stored["saturation"][m] = round(saturation, 2)
        stored["shared_reads"][m] = round(across, 3)
        print(f"{CELLS[cell]} {mark}: misfit {found.fun:.4f}", file=sys.stderr)


def as_texture(logs: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Field, saturation and shared reads from their logarithms."""
    near, near_length, far, far_length, across, saturation = np.exp(logs).tolist()
    return np.array([[near, near_length], [far, far_length]]), saturation, min(across, 0.25)


def one_cell(n_genes: int, cell: int) -> Design:
    """A design of one cell type like reference cell number `cell`."""
    size = {"n_cells": 1, "n_genes": n_genes, "blend": float(cell), "library_spread": 0.0}
    return checked_design(**DEFAULTS | size)


def correct_profiles(figures: dict, cell: int, counts: np.ndarray, x: np.ndarray) -> None:
    """Sharpen the profiles of one reference cell until simulated class means are the real ones.

    Field, saturation and displaced peaks blur what single genes are given.
    """
    stored = figures["cells"][CELLS[cell]]
    design = one_cell(20_000, cell)
    genes = draw_genes(design)
    real = np.stack([counts[(x > 0) == high].mean(axis=0).T for high in (0, 1)])
    for _ in range(N_CORRECTIONS):
        own = figures_between(np.full(len(MARKS), float(cell)), MARKS, figures)
        dataset, truth = simulate_cell(design, genes, 0, own)
        along = dataset.gene_oriented()
        made = np.stack([along[(truth.expression > 0) == h].mean(axis=0).T for h in (0, 1)])
        ratio = real / made * made.mean(axis=2, keepdims=True) / real.mean(axis=2, keepdims=True)
        ratio = 0.5 * ratio + 0.25 * (np.roll(ratio, 1, axis=2) + np.roll(ratio, -1, axis=2))
        profile = np.array(stored["profile"]) * np.clip(ratio, 0.5, 2)[:, None]
        stored["profile"] = rounded(profile / profile.mean(axis=3, keepdims=True))


def check_figures(counts: np.ndarray, x: np.ndarray) -> dict:
    """What simulated cell types are compared with: means, empty bins, correlations."""
    high = x > 0
    logs = np.log1p(counts)
    return {
        "mean": rounded([counts[high == k].mean(axis=(0, 1)) for k in (0, 1)]),
        "empty_bins": rounded([(counts[high == k] == 0).mean(axis=(0, 1)) for k in (0, 1)]),
        "mark_correlation": rounded(np.corrcoef(np.log1p(counts.mean(axis=1)).T)),
        "neighbour_correlation": rounded(
            [texture(counts[:, :, m])[[0, 2, 4]] for m in range(len(MARKS))]
        ),
        "log_spread": rounded(logs.std(axis=(0, 1))),
    }


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


def main(table: str) -> None:
    """Print the figures as JSON."""
    rpkm = read_rpkm(table)
    row = {gene: i for i, gene in enumerate(rpkm.gene_id.tolist())}
    cells, residuals, real = {}, {}, []
    for cell in CELLS:
        dataset = open_cell(cell)
        genes, counts = dataset.gene_id.tolist(), np.ascontiguousarray(dataset.gene_oriented())
        x = normal_scores(rpkm.rpkm(cell))[[row[gene] for gene in genes]]
        cells[cell], residual = cell_figures(counts, x)
        real.append((counts, x))
        residuals[cell] = dict(zip(genes, residual, strict=True))
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
        "rpkm": rpkm_figures(rpkm.frame().to_numpy()),
    }
    for i, (counts, x) in enumerate(real):
        correct_profiles(figures, i, counts, x)
        fit_texture(figures, i, counts)
        correct_profiles(figures, i, counts, x)
        stored = figures["cells"][CELLS[i]]
        stored["profile"] = rounded(stored["profile"], 2)
        stored["check"] = check_figures(counts, x)
    text = json.dumps(figures, indent=1)
    print(re.sub(r"\s*\n\s+(?=[-\d.]+[,\s])|(?<=\d)\s*\n\s*(?=\])", "", text))


if __name__ == "__main__":
    main(*sys.argv[1:])
