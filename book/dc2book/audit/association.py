"""Scores of all cell types against the share of labels that the text rule flips.

Published and released AUROCs fall with the flipped share.  The flipped share follows from the
median RPKM, so the functions here also ask whether the median alone would do: steps where its first
digit changes, and a regression that holds both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from dc2lib.datasets import published
from dc2lib.evaluation.statistics import Interval

UNFLIPPED = 0.001


def flips_and_scores() -> pd.DataFrame:
    """Per cell type: flipped share, median RPKM as a number, published and released AUROC.

    Published: DeepChrome's own table.  Released: the run of DeepChrome 2.0 named ``deepchrome``.

    Returns
    -------
    DataFrame
        Columns cell, flipped, median, digit (first digit of the median), published, released.
    """
    audit = published.label_audit()
    return pd.DataFrame(
        {
            "cell": audit.index,
            "flipped": audit["labels_flipped"].to_numpy(),
            "median": audit["rpkm_median"].astype(float).to_numpy(),
            "digit": audit["rpkm_median"].str[0].to_numpy(),
            "published": audit["published_deepchrome_auroc"].to_numpy(),
            "released": audit["released_auroc"].to_numpy(),
        }
    )


@dataclass(frozen=True)
class Association:
    """Rank correlation with a bootstrap interval over units and a permutation p-value."""

    estimate: float
    low: float
    high: float
    n: int
    pvalue: float


def rank_association(
    x: np.ndarray,
    y: np.ndarray,
    *,
    given: np.ndarray | None = None,
    n_resamples: int = 2000,
    n_permutations: int = 9999,
    seed: int = 0,
) -> Association:
    """Spearman's correlation; with ``given`` the partial one, of what the ranks of it leave over.

    Pairs with a missing value are left out.  The interval is a percentile bootstrap over the pairs;
    the two-sided p-value permutes one side.

    Raises
    ------
    ValueError
        If fewer than four complete pairs are left.
    """
    columns = [np.asarray(one, dtype=float) for one in (x, y) + (() if given is None else (given,))]
    complete = np.isfinite(np.stack(columns)).all(0)
    columns = [one[complete] for one in columns]
    n = int(complete.sum())
    if n < 4:
        raise ValueError(f"{n} complete pairs: expected at least 4")
    rng = np.random.default_rng(seed)
    estimate = _spearman(columns)
    draws = [_spearman([one[i] for one in columns]) for i in rng.integers(n, size=(n_resamples, n))]
    left = _residual_ranks(columns)
    permuted = np.array(
        [np.corrcoef(left[0], rng.permutation(left[1]))[0, 1] for _ in range(n_permutations)]
    )
    extreme = int((np.abs(permuted) >= abs(estimate) - 1e-12).sum())
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return Association(
        estimate, float(low), float(high), n, (1 + extreme) / (1 + n_permutations)
    )


def _spearman(columns: list[np.ndarray]) -> float:
    first, second = _residual_ranks(columns)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _residual_ranks(columns: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    ranks = [stats.rankdata(one) for one in columns]
    if len(ranks) == 2:
        return ranks[0], ranks[1]
    design = np.column_stack([np.ones_like(ranks[2]), ranks[2]])
    left = [one - design @ np.linalg.lstsq(design, one, rcond=None)[0] for one in ranks[:2]]
    return left[0], left[1]


def competing_slopes(
    flipped: np.ndarray, median: np.ndarray, auroc: np.ndarray, *, n_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Least-squares slopes of AUROC on flipped share and median together, and R² of each alone.

    Both predictors are standardised, so a slope is the change of AUROC for one standard deviation;
    intervals are percentile bootstraps over the cell types.

    Returns
    -------
    dict with keys flipped, median (slopes), r2_flipped, r2_median
    """
    table = np.column_stack([flipped, median, auroc]).astype(float)
    table = table[np.isfinite(table).all(1)]
    rng = np.random.default_rng(seed)
    draws = np.array(
        [_slopes(table[i]) for i in rng.integers(len(table), size=(n_resamples, len(table)))]
    )
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    values = _slopes(table)
    names = ("flipped", "median", "r2_flipped", "r2_median")
    return {
        name: Interval(float(values[i]), float(low[i]), float(high[i]), len(table))
        for i, name in enumerate(names)
    }


def _slopes(table: np.ndarray) -> np.ndarray:
    predictors = (table[:, :2] - table[:, :2].mean(0)) / table[:, :2].std(0)
    design = np.column_stack([np.ones(len(table)), predictors])
    slopes = np.linalg.lstsq(design, table[:, 2], rcond=None)[0][1:]
    alone = [np.corrcoef(table[:, i], table[:, 2])[0, 1] ** 2 for i in (0, 1)]
    return np.array([*slopes, *alone])


def step_at(
    x: np.ndarray, y: np.ndarray, at: float, *, width: float = 1.0, n_resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Jump of ``y`` at a point of ``x``, beyond a straight line common to both sides.

    Least squares on the points within ``width`` of the point: y = a + b x + jump [x >= at]; the
    interval is a percentile bootstrap over the points of each side.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    near = np.isfinite(y) & (np.abs(x - at) < width)
    x, y = x[near] - at, y[near]
    sides = np.flatnonzero(x < 0), np.flatnonzero(x >= 0)
    rng = np.random.default_rng(seed)
    draws = [
        _jump(x[index], y[index])
        for index in (
            np.concatenate([rng.choice(side, len(side)) for side in sides])
            for _ in range(n_resamples)
        )
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(_jump(x, y), float(low), float(high), len(x))


def steps(table: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Steps of AUROC where the median's first digit changes, and half-way between as a control.

    Parameters
    ----------
    table
        As `flips_and_scores`.

    Returns
    -------
    DataFrame
        Columns source, median, first_digit_changes, estimate, low, high, n.
    """
    places = [(at, True) for at in (2.0, 3.0, 4.0)] + [(at, False) for at in (2.5, 3.5, 4.5)]
    return pd.DataFrame(
        [
            {"source": source, "median": at, "first_digit_changes": changes}
            | vars(step_at(table["median"], table[source], at, seed=seed))
            for source in ("published", "released")
            for at, changes in places
        ]
    )


def steps_in_words(table: pd.DataFrame) -> pd.DataFrame:
    """`steps` with one text for estimate and interval."""
    return pd.DataFrame(
        {
            "AUROC": table["source"],
            "median": table["median"].map("{:g}".format),
            "step": [
                f"{row.estimate:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"
                for row in table.itertuples()
            ],
            "first digit changes": np.where(table["first_digit_changes"], "yes", "no"),
        }
    )


def _jump(x: np.ndarray, y: np.ndarray) -> float:
    design = np.column_stack([np.ones_like(x), x, x >= 0])
    return float(np.linalg.lstsq(design, y, rcond=None)[0][2])


def best_cells_are_unflipped(column: str = "released") -> tuple[list[str], list[str], float, float]:
    """The cell types without a flip, the equally many best, and the two AUROCs at the border.

    Returns
    -------
    (unflipped, best, lowest AUROC of the best, highest AUROC of the others)
    """
    table = flips_and_scores().dropna(subset=[column]).sort_values(column, ascending=False)
    unflipped = sorted(table.loc[table["flipped"] < UNFLIPPED, "cell"])
    best, others = table.iloc[: len(unflipped)], table.iloc[len(unflipped) :]
    return (
        unflipped, sorted(best["cell"]), float(best[column].min()), float(others[column].max())
    )
