"""Tree ensembles that impute one mark from the others (after Ernst and Kellis 2015).

Source: doi:10.1038/nbt.3157.  There: regression trees over 127 cell types and 34 assays, with the
other marks of the same cell type and the same mark in the nearest cell types, at 25 bp.  The
released data hold five marks at 100 bp and, here, few cell types; they stand in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from dc2lib.baselines.contract import log_counts

REACH = 2
TREES = 20
LEAF = 10
ROUNDING = 1e-12


@dataclass(frozen=True)
class Imputed:
    """One mark of the test genes, as imputed and as measured, and how well they agree.

    Attributes
    ----------
    imputed, measured : float32 (gene, bin)
        Logarithm of counts plus 1.
    moments : float64 (gene, 5)
        `moments_by_gene` of imputed and measured.
    profile_moments : float64 (gene, 5)
        The same for the mean profile around the TSS of the training genes: what a mark's place
        alone gives.
    """

    imputed: np.ndarray
    measured: np.ndarray
    moments: np.ndarray
    profile_moments: np.ndarray

    @property
    def correlation(self) -> float:
        """Pearson correlation of imputed and measured over all genes and bins."""
        return float(correlation_of(self.moments.mean(0)))

    @property
    def profile_correlation(self) -> float:
        """The same for the mean profile."""
        return float(correlation_of(self.profile_moments.mean(0)))


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
        moments_by_gene(imputed, measured),
        moments_by_gene(profile, measured),
    )


def moments_by_gene(answer: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What a correlation over genes and bins needs of each gene, float64 ``(gene, 5)``.

    Means over the bins of the answer, the truth, both squared and their product; the answer and the
    truth ``(gene, bin)`` are counted from their first values, which no correlation notices.
    """
    first, second = (
        one.astype(np.float64) - np.float64(one.flat[0]) for one in (answer, truth)
    )
    parts = first, second, first**2, second**2, first * second
    return np.stack([part.mean(1) for part in parts], axis=1)


def correlation_of(moments: np.ndarray) -> np.ndarray:
    """Pearson correlation ``(...)`` from moments ``(..., 5)``; 0 where either side is constant.

    The moments are those of `moments_by_gene`, averaged over the genes.
    """
    answer, truth, answer_square, truth_square, product = np.moveaxis(moments, -1, 0)
    spreads = answer_square - answer**2, truth_square - truth**2
    varies = (spreads[0] > ROUNDING * answer_square) & (spreads[1] > ROUNDING * truth_square)
    scale = np.sqrt(np.where(varies, spreads[0] * spreads[1], 1))
    return np.where(varies, (product - answer * truth) / scale, 0.0)


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
