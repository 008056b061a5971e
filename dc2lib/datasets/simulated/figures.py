"""The summary figures of real cell types that the simulator is calibrated to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

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


def figures_between(
    blend: np.ndarray, marks: tuple[str, ...], stored: dict | None = None
) -> Figures:
    """Figures of a cell type between E012 (blend 0) and E013 (blend 1), mark by mark.

    Parameters
    ----------
    blend : array (mark,)
    marks : tuple of str
        The five released marks, or marks for which one of them stands in (`STAND_IN`).
    stored : dict, optional
        Default: the figures of the package.
    """
    stored = published_figures() if stored is None else stored
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


def mark_index(marks: tuple[str, ...]) -> np.ndarray:
    """Which calibrated mark each of `marks` takes its figures from.

    Raises
    ------
    DataError
        If a mark has no figures, or comes twice.
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
