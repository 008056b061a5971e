"""The random draws behind simulated genes, and the figures of real cells that calibrate them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from scipy.linalg import expm
from scipy.special import expit, ndtri
from scipy.stats import rankdata

from dc2lib.datasets.histone import COUNT_LIMIT, N_BINS
from dc2lib.errors import DataError

STAND_IN = {
    "H3K27ac": "H3K4me3",
    "H3K9ac": "H3K4me3",
    "H3K4me2": "H3K4me1",
    "H3K79me2": "H3K36me3",
}
STAND_IN_CORRELATION = 0.8
REFERENCE_CELLS = ("E012", "E013")


@dataclass(frozen=True)
class Figures:
    """Figures of one cell type; `mark` runs over the marks asked for.

    Logs are of a gene's mean reads a bin (plus `level_offset`), and of mean profiles (mean 1 over
    the bins, upstream first) of genes with low and with high expression.
    """

    log_level: np.ndarray  # (mark, knot), at the normal scores `level_score`
    score_mean: np.ndarray  # (mark, knot) of a mark's score, at `expression_knots`
    score_sd: np.ndarray  # (mark, knot)
    residual_correlation: np.ndarray  # (tertile of expression, mark, mark) of what is unexplained
    residual_shared: np.ndarray  # (mark,) correlation of that residual between two cell types
    log_profile: np.ndarray  # (class, state, mark, bin), at the H3K4me3 `promoter_state_score`
    field: np.ndarray  # (mark, near or far, 2) variance and correlation length of the log intensity
    saturation: np.ndarray  # (mark,) where peaks level off, relative to a gene's mean
    shared_reads: np.ndarray  # (mark,) share of the reads that two neighbouring bins both count
    displacement: np.ndarray  # (4,) of "the H3K4me3 peak belongs to a neighbour": logistic
    # coefficients (intercept, H3K4me3 residual, expression), and the share that lies upstream
    level_score: np.ndarray
    level_offset: float
    expression_knots: np.ndarray
    promoter_state_score: np.ndarray


@cache
def published_figures() -> dict:
    """The figures as stored (published/SOURCES.md says how they were computed)."""
    return json.loads(files(__package__).joinpath("figures.json").read_text())


def figures_between(blend: np.ndarray, marks: Sequence[str]) -> Figures:
    """Figures of a cell type between E012 (0) and E013 (1), by the blend of each mark (mark,).

    Marks are the five released ones, or those for which one of them stands in (`STAND_IN`).
    """
    stored = published_figures()
    index = mark_index(marks)
    first, second = (stored["cells"][cell] for cell in REFERENCE_CELLS)
    overall = float(blend.mean())

    def by_mark(name: str, axis: int = 0) -> np.ndarray:
        low, high = (np.take(np.array(cell[name]), index, axis) for cell in (first, second))
        weight = blend.reshape([-1 if i == axis else 1 for i in range(low.ndim)])
        return (1 - weight) * low + weight * high

    def by_cell(name: str) -> np.ndarray:
        return (1 - overall) * np.array(first[name]) + overall * np.array(second[name])

    return Figures(
        log_level=by_mark("log_level"),
        score_mean=by_mark("score_mean"),
        score_sd=by_mark("score_sd"),
        residual_correlation=_residual_correlation(by_cell("residual_correlation"), index),
        residual_shared=np.array(stored["residual_shared_between_cells"])[index],
        log_profile=np.log(np.maximum(by_mark("profile", axis=2), 0.01)),
        field=by_mark("field"),
        saturation=by_mark("saturation"),
        shared_reads=by_mark("shared_reads"),
        displacement=by_cell("displacement"),
        level_score=np.array(stored["level_score"]),
        level_offset=stored["level_offset"],
        expression_knots=by_cell("expression_knots"),
        promoter_state_score=by_cell("promoter_state_score"),
    )


def mark_index(marks: Sequence[str]) -> np.ndarray:
    """Which calibrated mark each of `marks` takes its figures from.

    Raises DataError if a mark has no figures, or comes twice.
    """
    calibrated = published_figures()["marks"]
    known = [*calibrated, *STAND_IN]
    if not marks or len(set(marks)) < len(marks):
        raise DataError(f"marks = {marks}: name at least one mark, each of them once.")
    for mark in marks:
        if mark not in known:
            raise DataError(f"The simulator has no mark {mark!r}: it knows {', '.join(known)}.")
    return np.array([calibrated.index(STAND_IN.get(mark, mark)) for mark in marks])


def _residual_correlation(correlation: np.ndarray, index: np.ndarray) -> np.ndarray:
    chosen = correlation[:, index][:, :, index]
    if len(set(index.tolist())) == len(index):
        return chosen
    return STAND_IN_CORRELATION * chosen + (1 - STAND_IN_CORRELATION) * np.eye(len(index))


GENES, LINEAGE, CELL = range(3)  # the streams of random numbers
N_LINEAGES = 3
SHARED_SHARE, LINEAGE_SHARE, CELL_SHARE = 0.74, 0.14, 0.12  # of the variance of expression
NEAR_TSS = 15  # bins: where the field changes from near to far
DISPERSION = 40.0  # size of the negative binomial of a bin around its own intensity
FOCUS = 1.05  # change of the profiles with expression: boosting on all bins as on real cells
MIDDLE_STATE = 0.5  # promoter state (H3K4me3 score) of every gene without that mark
LINEAGE_SHARE_OF_RULE = 0.8


def stream(seed: int, kind: int, index: int = 0) -> np.random.Generator:
    """The generator of the genes, of one lineage or of one cell type.

    Each has its own, so that a cell type is the same whatever else is simulated beside it.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(kind, index)))


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Ranks of values along the first axis, ``(gene,)``, as quantiles of the standard normal."""
    return ndtri((rankdata(values, axis=0) - 0.5) / len(values))


def shared_part(rng: np.random.Generator, n_genes: int) -> np.ndarray:
    """What a gene's expression is in every cell type (gene,), with the drift along gene order."""
    part = rng.standard_normal(n_genes)
    knots = np.array(published_figures()["rpkm"]["drift"])
    along = np.interp(np.linspace(0, 1, n_genes), np.linspace(0, 1, len(knots)), knots)
    return np.sqrt(max(SHARED_SHARE - knots.var(), 0.0)) * part + along


def variability(rng: np.random.Generator, shared: np.ndarray) -> np.ndarray:
    """How far each gene's expression departs from its shared part, root mean square 1 (gene,).

    Few genes vary much between cell types, and highly expressed ones vary less (Roadmap RPKM).
    """
    spread = np.exp(0.5 * rng.standard_normal(len(shared)) - 0.2 * np.clip(shared, -1.5, 1.5))
    return spread / np.sqrt(np.mean(spread**2))


def specific_parts(
    rng: np.random.Generator, lineage_rng: np.random.Generator, lineage: int, spread: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What lineage and cell type add to each gene's expression, ``(gene,)`` each.

    `spread` (gene,) is the genes' `variability`.  Some lineages are tight and others loose: the
    variance that a cell type adds is scaled by 0.1 to 1.9.
    """
    tightness = np.linspace(0.1, 1.9, N_LINEAGES)[lineage]
    of_lineage = np.sqrt(LINEAGE_SHARE) * spread * lineage_rng.standard_normal(len(spread))
    of_cell = np.sqrt(CELL_SHARE * tightness) * spread * rng.standard_normal(len(spread))
    return of_lineage, of_cell


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


def explained(x: np.ndarray, figures: Figures) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the mark scores (gene, mark) at expression scores (gene,)."""
    knots = figures.expression_knots
    mean = np.stack([np.interp(x, knots, row) for row in figures.score_mean], axis=1)
    sd = np.stack([np.interp(x, knots, row) for row in figures.score_sd], axis=1)
    return mean, sd


def calibrated_residual(
    rng: np.random.Generator, x: np.ndarray, shared: np.ndarray, figures: Figures
) -> np.ndarray:
    """What expression leaves open of the mark scores (gene, mark), unit variance.

    `shared` (gene, mark) are standard normal draws common to all cell types.
    """
    weight = figures.residual_shared
    own = rng.standard_normal(shared.shape)
    white = np.sqrt(weight) * shared + np.sqrt(1 - weight) * own
    factors = np.linalg.cholesky(figures.residual_correlation)
    return np.einsum("gij,gj->gi", factors[np.digitize(x, [-0.5, 0.5])], white)


def displacement_chance(residual: np.ndarray, x: np.ndarray, figures: Figures) -> np.ndarray:
    """Probability (gene,) that the H3K4me3 of a gene is its neighbour's, more than 2 kb away."""
    intercept, by_residual, by_expression, _ = figures.displacement
    return expit(intercept + by_residual * residual + by_expression * x)


def rule_rotation(lineage: np.random.Generator, cell: np.random.Generator, n_marks: int,
                  divergence: float) -> np.ndarray:  # fmt: skip
    """Rotation (mark, mark) of the mark scores: which mixture of marks plays which mark's part.

    Cells of a lineage share most of it, so that their rules resemble each other.
    """
    common, own = (rng.standard_normal((n_marks, n_marks)) for rng in (lineage, cell))
    mixed = np.sqrt(LINEAGE_SHARE_OF_RULE) * common + np.sqrt(1 - LINEAGE_SHARE_OF_RULE) * own
    return expm(divergence * np.triu(mixed, 1) - divergence * np.triu(mixed, 1).T)


def rotated(score: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Mark scores (gene, mark) after a rotation, each mark a standard normal score again."""
    return np.stack([normal_scores(column) for column in (score @ rotation.T).T], axis=1)


def levels(score: np.ndarray, figures: Figures) -> np.ndarray:
    """Expected reads a bin (gene, mark) at the mark scores (gene, mark)."""
    log_level = [
        np.interp(column, figures.level_score, row)
        for column, row in zip(score.T, figures.log_level, strict=True)
    ]
    floor = np.exp(figures.log_level.min())
    return np.maximum(np.exp(np.stack(log_level, axis=1)) - figures.level_offset, floor / 10)


def focus(x: np.ndarray) -> np.ndarray:
    """How far profiles are those of highly expressed genes (gene,): 0 for low, 1 for high.

    Beyond these for extreme expression.
    """
    return 0.5 + FOCUS * np.clip(x, -1.2, 1.2)


def profile(promoter: np.ndarray, focus: np.ndarray, m: int, figures: Figures) -> np.ndarray:
    """Profiles (gene, bin) of mark number `m` at promoter states and focus (gene,)."""
    knots = figures.promoter_state_score
    weights = np.stack([np.interp(promoter, knots, row) for row in np.eye(len(knots))], axis=1)
    low, high = (weights @ log_profile[:, m] for log_profile in figures.log_profile)
    return np.exp(low + focus[:, None] * (high - low))


def shifted(profile: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Profiles (gene, bin) moved by `offset` bins (gene,); the ends go on as they are."""
    source = np.clip(np.arange(profile.shape[1]) - offset[:, None], 0, profile.shape[1] - 1)
    return np.take_along_axis(profile, source, axis=1)


def log_field(rng: np.random.Generator, n_genes: int, field: np.ndarray) -> np.ndarray:
    """Gaussian field (gene, bin): what makes a gene's profile its own.

    `field` holds variance and correlation length (bins) near the TSS and far from it,
    ``[[variance, length], [variance, length]]``; the mean of its exponential is 1 in every bin.
    """
    distance = np.abs(np.arange(N_BINS) - (N_BINS - 1) / 2)
    near = expit((NEAR_TSS - distance) / 3)
    lag = np.abs(np.subtract.outer(np.arange(N_BINS), np.arange(N_BINS)))
    covariance = sum(
        np.sqrt(np.outer(part, part)) * variance * np.exp(-lag / length)
        for part, (variance, length) in zip((near, 1 - near), field, strict=True)
    )
    factor = np.linalg.cholesky(covariance + 1e-6 * np.eye(N_BINS)).astype(np.float32)
    draws = rng.standard_normal((n_genes, N_BINS), dtype=np.float32) @ factor.T
    return draws - (np.diag(covariance) / 2).astype(np.float32)


def mark_counts(
    rng: np.random.Generator,
    shape: np.ndarray,
    level: np.ndarray,
    field: np.ndarray,
    saturation: float,
    shared_reads: float,
) -> np.ndarray:
    """Read counts (gene, bin) of one mark: expected profiles, varied by a field, at their level.

    `shape` (gene, bin) has mean 1 over the bins; `level` (gene,) are expected reads a bin; peaks
    level off at `saturation` times the mean.
    """
    intensity = shape * np.exp(log_field(rng, len(shape), field))
    intensity /= 1 + intensity / np.float32(saturation)
    intensity *= (level / intensity.mean(axis=1)).astype(np.float32)[:, None]
    return draw_counts(rng, intensity, shared_reads)


def draw_counts(rng: np.random.Generator, intensity: np.ndarray, shared_reads: float) -> np.ndarray:
    """Read counts (gene, bin) around an intensity (gene, bin): negative-binomial, uint16.

    A share of the reads lies across the boundary of two bins and counts in both.
    """
    own = intensity * np.float32(1 - 2 * shared_reads)
    own[:, 0] = intensity[:, 0] * np.float32(1 - shared_reads)
    own *= rng.standard_gamma(DISPERSION, own.shape, dtype=np.float32) / np.float32(DISPERSION)
    counts = rng.poisson(own)
    across = rng.poisson(intensity * np.float32(shared_reads))
    counts += across
    counts[:, 1:] += across[:, :-1]
    return np.minimum(counts, COUNT_LIMIT).astype(np.uint16)
