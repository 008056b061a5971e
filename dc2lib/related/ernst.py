"""Tree ensembles that impute one mark from the others (after Ernst and Kellis 2015).

Source: doi:10.1038/nbt.3157.  There: regression trees over 127 cell types and 34 assays, with the
other marks of the same cell type and the same mark in the nearest cell types, at 25 bp.  The
released data hold five marks at 100 bp and, here, few cell types; they stand in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from dc2lib.related.contract import log_counts
from dc2lib.related.deepdiff import correlation

REACH = 2
TREES = 20
LEAF = 10


@dataclass(frozen=True)
class Imputed:
    """One mark of the test genes, as imputed and as measured, and how well they agree.

    Attributes
    ----------
    imputed, measured : float32 (gene, bin)
        Logarithm of counts plus 1.
    correlation : float
        Pearson correlation over all genes and bins.
    profile_correlation : float
        The same for the mean profile around the TSS of the training genes: what a mark's place
        alone gives.
    """

    imputed: np.ndarray
    measured: np.ndarray
    correlation: float
    profile_correlation: float


def impute(
    train: np.ndarray,
    test: np.ndarray,
    mark: int,
    *,
    other_train: np.ndarray | None = None,
    other_test: np.ndarray | None = None,
    n_positions: int = 8000,
    seed: int = 0,
) -> Imputed:
    """Learn a mark from the others on the training genes, and impute it on the test genes.

    Parameters
    ----------
    train, test
        Counts uint16 ``(gene, bin, mark)``, upstream first.
    mark
        Which of the marks is left out.
    other_train, other_test
        Counts of the same genes in another cell type, whose bins of the same mark are read too.
    n_positions
        So many (gene, bin) pairs, drawn with the seed, are learned from.
    """
    rng = np.random.default_rng(seed)
    genes, bins, _ = train.shape
    drawn = rng.choice(genes * bins, min(n_positions, genes * bins), replace=False)
    features = neighbourhood(train, mark, other_train)
    target = log_counts(train[:, :, mark])
    forest = RandomForestRegressor(
        TREES, min_samples_leaf=LEAF, max_features=0.33, random_state=seed
    ).fit(features.reshape(genes * bins, -1)[drawn], target.ravel()[drawn])
    asked = neighbourhood(test, mark, other_test)
    imputed = forest.predict(asked.reshape(-1, asked.shape[2])).reshape(asked.shape[:2])
    measured = log_counts(test[:, :, mark])
    profile = np.broadcast_to(target.mean(0), measured.shape)
    return Imputed(
        imputed.astype(np.float32),
        measured,
        correlation(imputed.ravel(), measured.ravel()),
        correlation(profile.ravel(), measured.ravel()),
    )


def neighbourhood(
    counts: np.ndarray, mark: int, other: np.ndarray | None = None, reach: int = REACH
) -> np.ndarray:
    """What is known at each bin when one mark is not, float32 ``(gene, bin, feature)``.

    The other marks in the bin and in ``reach`` bins on each side, the bin's distance from the TSS,
    and the mark itself there in another cell type if that is given.  Beyond the ends the last bin
    counts.
    """
    known = np.delete(log_counts(counts), mark, axis=2)
    if other is not None:
        known = np.concatenate([known, log_counts(other[:, :, mark : mark + 1])], axis=2)
    padded = np.pad(known, ((0, 0), (reach, reach), (0, 0)), mode="edge")
    bins = counts.shape[1]
    shifted = [padded[:, shift : shift + bins] for shift in range(2 * reach + 1)]
    place = np.broadcast_to(
        (np.arange(bins, dtype=np.float32) - (bins - 1) / 2)[None, :, None], (*known.shape[:2], 1)
    )
    return np.concatenate([*shifted, place], axis=2)
