"""Expression of the simulated genes: what cells share, and RPKM as the Roadmap table prints it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from dc2lib.datasets.simulated.figures import published_figures

GENES, LINEAGE, CELL = range(3)  # the streams of random numbers


def stream(seed: int, kind: int, index: int = 0) -> np.random.Generator:
    """The generator of the genes, of one lineage or of one cell type.

    Each has its own, so that a cell type is the same whatever else is simulated beside it.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(kind, index)))


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Ranks of `values` (gene,) as quantiles of the standard normal distribution."""
    return ndtri((rankdata(values) - 0.5) / len(values))


@dataclass(frozen=True)
class Shares:
    """Shares of variance: common to all cell types, of a lineage, of a single cell type."""

    shared: float
    lineage: float
    cell: float


def shared_part(rng: np.random.Generator, n_genes: int, shares: Shares, drift: bool) -> np.ndarray:
    """What a gene's expression is in every cell type (gene,), with the drift along gene order."""
    part = rng.standard_normal(n_genes)
    if not drift:
        return np.sqrt(shares.shared) * part
    knots = np.array(published_figures()["rpkm"]["drift"])
    along = np.interp(np.linspace(0, 1, n_genes), np.linspace(0, 1, len(knots)), knots)
    rest = max(shares.shared - knots.var(), 0.0)
    return np.sqrt(rest) * part + along


def variability(rng: np.random.Generator, shared: np.ndarray) -> np.ndarray:
    """How far each gene's expression departs from its shared part, root mean square 1 (gene,).

    Few genes vary much between cell types, and highly expressed ones vary less (Roadmap RPKM).
    """
    spread = np.exp(0.5 * rng.standard_normal(len(shared)) - 0.2 * np.clip(shared, -1.5, 1.5))
    return spread / np.sqrt(np.mean(spread**2))


def lineage_tightness(lineage: int, n_lineages: int) -> float:
    """Scale of cell-specific variance: some lineages are tight, others loose; mean 1."""
    if n_lineages == 1:
        return 1.0
    return float(np.linspace(0.1, 1.9, n_lineages)[lineage])


def median_position(index: int) -> float:
    """Where cell type number `index` lies (0 to 1) among real cell types ordered by median RPKM.

    Equidistributed, whatever the number of cells: multiples of the golden ratio. The first has a
    median as E012 and E013 have, the second one that begins with "1.".
    """
    return float((0.67 + 0.3819660113 * index) % 1.0)


def rpkm_from_latent(latent: np.ndarray, position: float) -> np.ndarray:
    """RPKM (gene,) with a real cell type's distribution, from the ranks of latent expression."""
    figures = published_figures()["rpkm"]
    groups = np.array(figures["log10"])
    place = position * len(groups) - 0.5
    below = min(max(int(place), 0), len(groups) - 2)
    log_rpkm = groups[below] + (place - below) * (groups[below + 1] - groups[below])
    log_rpkm = np.maximum.accumulate(log_rpkm)
    probability = (rankdata(latent) - 0.5) / len(latent)
    return 10.0 ** np.interp(ndtri(probability), ndtri(figures["probability"]), log_rpkm)


def rpkm_text(rpkm: np.ndarray) -> np.ndarray:
    """RPKM as the Roadmap table prints it, with three decimals: ``"0.000"``, ``"10.575"``."""
    return np.char.mod("%.3f", rpkm)
