"""Tree ensembles that impute one mark from the others (after Ernst and Kellis 2015).

Source: doi:10.1038/nbt.3157.  There: regression trees over 127 cell types and 34 assays, with the
other marks of the same cell type and the same mark in the nearest cell types, at 25 bp.  The
released data hold five marks at 100 bp and, here, few cell types; they stand in.
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from dc2lib.baselines.contract import log_counts

REACH = 2
OPTIONS = {"n_estimators": 20, "min_samples_leaf": 10, "max_features": 0.33}


def impute(
    train: np.ndarray,
    test: np.ndarray,
    mark: int,
    *,
    other_train: np.ndarray | None = None,
    other_test: np.ndarray | None = None,
    n_positions: int = 8000,
    seed: int = 0,
) -> np.ndarray:
    """Learn a mark from the others on the training genes, and impute it on the test genes.

    Counts are uint16 ``(gene, bin, mark)``, upstream first; of the same genes in another cell type,
    where they are given, the bins of the same mark are read too.  Learned from are ``n_positions``
    (gene, bin) pairs, drawn with the seed.  Returns the imputed logarithm of counts plus 1, float64
    ``(gene, bin)``.
    """
    genes, bins, _ = train.shape
    size = genes * bins
    drawn = np.random.default_rng(seed).choice(size, min(n_positions, size), replace=False)
    features = neighbourhood(train, mark, other_train).reshape(size, -1)
    target = log_counts(train[:, :, mark]).ravel()
    forest = RandomForestRegressor(random_state=seed, **OPTIONS).fit(features[drawn], target[drawn])
    asked = neighbourhood(test, mark, other_test)
    return forest.predict(asked.reshape(-1, asked.shape[2])).reshape(asked.shape[:2])


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
