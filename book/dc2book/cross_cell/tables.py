"""What Figures 3, 5, 6 and 9 of the paper show, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from dc2book.cross_cell.gains import over_cells
from dc2lib.crosscell import EXPERIMENTS, training_sets
from dc2lib.crosscell.experiments import training_size
from dc2lib.datasets import open_cell, published
from dc2lib.datasets.gene_windows import genome_blocks
from dc2lib.errors import DataError
from dc2lib.evaluation.pair_statistics import bootstrap, pearson
from dc2lib.evaluation.scores import positive_score
from dc2lib.evaluation.statistics import Interval, percentile_interval
from dc2lib.training.grid_fits import FitRecord

RELEASED_NAMES = {"highly": "high", "somewhat": "somewhat"}
ALIGNMENTS = ("released", "aligned")


def learning_curves(records: Mapping[tuple[str, str], FitRecord]) -> pd.DataFrame:
    """What training has still to gain on validation genes, after each epoch, by experiment.

    Columns experiment, epoch, passes (gene passes so far) and missing (final best validation AUROC
    minus the best so far), both means over the test cell types.
    """
    parts = []
    for (experiment, _), one in records.items():
        best = one.history["valid_auroc"].cummax()
        epoch = one.history["epoch"] + 1
        parts.append(pd.DataFrame({
            "experiment": experiment, "epoch": epoch, "passes": epoch * training_size(one.fit),
            "missing": best.iloc[-1] - best}))
    return pd.concat(parts).groupby(["experiment", "epoch"], sort=False, as_index=False).mean()


def released_sets_reproduced() -> pd.DataFrame:
    """How many of the released training sets come out exactly, by kind and reading of the table.

    A test cell type counts if both its inclusive and its exclusive set are the released ones.

    Returns columns kind, alignment (of the RPKM table: released, one column off, or aligned),
    exact, cells.
    """
    return pd.DataFrame([
        (kind, alignment, *exact_sets(published.rpkm_correlation(alignment), kind))
        for kind in RELEASED_NAMES for alignment in ALIGNMENTS
    ], columns=["kind", "alignment", "exact", "cells"])


def exact_sets(correlation: pd.DataFrame, kind: str) -> tuple[int, int]:
    """How many released training sets of a kind a correlation gives exactly, and of how many."""
    exact = []
    for side in ("inclusive", "exclusive"):
        sets = training_sets(correlation, kind, inclusive=side == "inclusive")
        listed = published.released_training_sets()[f"{side}_{RELEASED_NAMES[kind]}"]
        exact.append({cell for cell, own in listed.items() if set(sets.get(cell, ())) == set(own)})
    return len(exact[0] & exact[1]), len(listed)


def normalised_by_cell(table: pd.DataFrame) -> pd.DataFrame:
    """AUROC (experiment, cell), each cell type stretched from 0 (its worst) to 1 (its best).

    Figure 5 of the paper; NaN where an experiment has no training cell type.
    """
    wide = table.pivot(index="experiment", columns="cell", values="auroc")
    wide = wide.reindex([name for name in EXPERIMENTS if name in wide.index])
    wide = wide[table["cell"].drop_duplicates()]
    low, high = wide.min(), wide.max()
    return (wide - low) / (high - low).where(high > low)


def bar_correlation(
    table: pd.DataFrame, column: str, *, n_resamples: int = 1000, seed: int = 0
) -> Interval:
    """Rank correlation, over the experiments, of mean AUROC with the mean of another column.

    What the bars of Figure 6 show. The interval is from a bootstrap over the test cell types.

    ``table``: as from `dc2book.cross_cell.results.experiment_table`, one label rule. ``column``:
    ``"correlation"`` or ``"genes"``. ``n`` is the number of test cell types.
    """
    cells = table["cell"].unique()
    by_cell = [
        table.pivot(index="experiment", columns="cell", values=name)[cells].to_numpy(np.float64)
        for name in (column, "auroc")
    ]

    def statistic(drawn: np.ndarray) -> float:
        known = np.isfinite(by_cell[1][:, drawn]).any(1)
        means = [np.nanmean(values[known][:, drawn], axis=1) for values in by_cell]
        return pearson(*(stats.rankdata(one) for one in means))

    found = bootstrap(statistic, len(cells), n_resamples=n_resamples, seed=seed)
    return Interval(*map(float, found), len(cells))


def bar_correlations(table: pd.DataFrame, **options: int) -> pd.DataFrame:
    """`bar_correlation` with either column: driver (the column), estimate, low, high, n."""
    return pd.DataFrame([{"driver": column} | vars(bar_correlation(table, column, **options))
                         for column in ("genes", "correlation")])


def size_and_correlation(
    table: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Within test cell types: AUROC on the number of training genes and on correlation, together.

    Least squares of AUROC on log2 of the training genes, the mean correlation of the training cell
    types with the test cell type, and whether that is among them, after taking out each test cell
    type's mean. Intervals from a bootstrap over test cell types.

    ``table``: as from `dc2book.cross_cell.results.experiment_table`; several may be stacked.

    Returns columns term (``"doubling"``: AUROC a doubling of the training genes; ``"correlation"``:
    AUROC for a correlation of 1 in place of 0; ``"own"``), estimate, low, high, n (rows).
    """
    columns = np.column_stack([
        np.log2(table["genes"]), table["correlation"], table["own"].astype(float), table["auroc"]
    ])
    parts = []
    for cell in table["cell"].unique():
        part = columns[(table["cell"] == cell).to_numpy()]
        parts.append(part - part.mean(0))

    def slopes(drawn: np.ndarray) -> np.ndarray:
        rows = np.concatenate([parts[i] for i in drawn])
        return np.linalg.lstsq(rows[:, :-1], rows[:, -1], rcond=None)[0]

    estimate, low, high = bootstrap(slopes, len(parts), n_resamples=n_resamples, seed=seed)
    return pd.DataFrame({"term": ["doubling", "correlation", "own"], "estimate": estimate,
                         "low": low, "high": high, "n": len(table)})


def prediction_shift(
    one: Sequence[FitRecord], other: Sequence[FitRecord], n_bins: int = 20, *,
    n_resamples: int = 1000, seed: int = 0,
) -> pd.DataFrame:
    """Probability of high expression by one model minus that by another, by RPKM rank (Figure 9).

    ``one``, ``other``: fits of both models, paired by seed, with the same test cell type.
    ``n_bins``: bins of equal numbers of test genes, in the order of their RPKM.

    Returns columns position (middle of the bin, 0 to 1), mean over seeds and genes, low, high (95 %
    interval over seeds and stretches of the genome), lower, upper (quartiles of the genes), n
    (genes).

    Raises DataError if the fits have different test cell types.
    """
    cells = {record.fit.test_cell for record in (*one, *other)}
    if len(cells) > 1:
        raise DataError(f"fits tested on {', '.join(sorted(cells))}: expected the same cell type")
    shift = np.stack([
        positive_score(first.test_logits) - positive_score(second.test_logits)
        for first, second in zip(one, other, strict=True)
    ])
    test = open_cell(one[0].fit.test_cell, one[0].fit.home).take("test")
    blocks = genome_blocks(test.gene_id)
    rows = []
    for number, genes in enumerate(np.array_split(np.argsort(test.rpkm, kind="stable"), n_bins)):
        values = shift[:, genes]
        draws = _drawn_means(values, blocks[genes], n_resamples, np.random.default_rng(seed))
        lower, upper = np.quantile(values.mean(0), [0.25, 0.75])
        one = percentile_interval(values.mean(), draws, len(genes))
        rows.append({"position": (number + 0.5) / n_bins, "mean": one.estimate, "low": one.low,
                     "high": one.high, "lower": lower, "upper": upper, "n": one.n})
    return pd.DataFrame(rows)


def fifths(shift: pd.DataFrame) -> pd.DataFrame:
    """The lowest, middle and highest of five bins, and their means over the cell types.

    ``shift``: `prediction_shift` with ``n_bins=5`` of several cell types, with column cell. Returns
    columns fifth, cell (or ``"mean"``), estimate, low, high, n.
    """
    parts = []
    for name, position in {"low": 0.1, "middle": 0.5, "high": 0.9}.items():
        part = shift[np.isclose(shift["position"], position)].rename(columns={"mean": "estimate"})
        mean = vars(over_cells(part["estimate"])) | {"cell": "mean"}
        parts.append(pd.concat([part, pd.DataFrame([mean])]).assign(fifth=name))
    return pd.concat(parts)[["fifth", "cell", "estimate", "low", "high", "n"]]


def _drawn_means(
    values: np.ndarray, blocks: np.ndarray, n_resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Means ``(resample,)`` of values ``(seed, gene)``: blocks and seeds are drawn again."""
    _, place, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(place, weights=row) for row in values])
    drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=n_resamples)
    by_seed = (drawn @ sums.T) / (drawn @ sizes)[:, None]
    seeds = rng.integers(len(values), size=by_seed.shape)
    return np.take_along_axis(by_seed, seeds, axis=1).mean(1)
