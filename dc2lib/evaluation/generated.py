"""How good a generator is: distances between sets of samples, and tests that tell them apart.

Every function takes two sets of samples or of their features ``(sample, ...)``, real ones first.
Features are what the caller chooses: raw values, or the last hidden layer of a classifier.  Compare
each number with the same number for two sets of real samples: that is the best one can hope for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors
from torch import nn

from dc2lib.errors import DataError
from dc2lib.evaluation.statistics import Interval, proportion
from dc2lib.models.gan import generate

Fitter = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class FrechetQuality:
    """A quality function for `train_gan`: Fréchet distance of generated to real features.

    As many samples are generated, from the seed, as there are real ones.
    """

    real: np.ndarray  #: features of real samples (sample, feature)
    features: Callable[[np.ndarray], np.ndarray]  #: turns samples into features
    seed: int = 0

    def __call__(self, generator: nn.Module) -> dict[str, float]:
        made = generate(generator, len(self.real), seed=self.seed)
        return {"frechet_distance": frechet_distance(self.real, self.features(made))}

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the real features, by which a cached GAN knows this function."""
        return hashlib.sha256(np.ascontiguousarray(self.real).tobytes()).hexdigest()


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Fréchet distance of the normal distributions fitted to two sets of features.

    Squared distance of the means plus ``tr(A + B - 2 (A B)^(1/2))`` of the covariances; the unit is
    that of the features, squared.  It depends on the features and falls with the number of samples:
    compare sets of equal size.  Source: Heusel et al. 2017 (arXiv 1706.08500).

    Raises DataError if the features differ in number or a set has fewer than two samples.
    """
    real, generated = (_flat(part).astype(np.float64) for part in (real, generated))
    if real.shape[1] != generated.shape[1] or min(len(real), len(generated)) < 2:
        raise DataError(
            f"features of shape {real.shape} and {generated.shape}: expected the same number of "
            "features and at least two samples of each set"
        )
    shift = real.mean(0) - generated.mean(0)
    first, second = (np.atleast_2d(np.cov(part, rowvar=False)) for part in (real, generated))
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ second @ root).clip(0)
    spread = np.trace(first) + np.trace(second) - 2 * np.sqrt(cross).sum()
    return float(shift @ shift + max(spread, 0.0))


def split_distances(
    distance: Callable[[np.ndarray, np.ndarray], float],
    first: np.ndarray,
    second: np.ndarray,
    *,
    size: int,
    repeats: int = 10,
    seed: int = 0,
) -> np.ndarray:
    """A distance between subsets of ``size`` samples, drawn anew each time, ``(repeat,)``.

    Subsets of equal size keep the distances of different pairs of sets comparable.  Where both
    sets are the same array, the two subsets are disjoint.
    """
    rng = np.random.default_rng(seed)
    alike = first is second
    need = 2 * size if alike else size
    if min(len(first), len(second)) < need:
        raise DataError(
            f"{len(first)} and {len(second)} samples: expected at least {need} of each for subsets "
            f"of {size}"
        )
    values = []
    for _ in range(repeats):
        rows = rng.permutation(len(first))
        others = rows[size:] if alike else rng.permutation(len(second))
        values.append(distance(first[rows[:size]], second[others[:size]]))
    return np.array(values)


def two_sample_test(
    real: np.ndarray, generated: np.ndarray, *, fit: Fitter | None = None, seed: int = 0
) -> Interval:
    """Share of held-out samples that a classifier tells apart, trained on the other half.

    0.5 is chance; the interval is Wilson's.  Source: Lopez-Paz and Oquab 2017 (arXiv 1610.06545).

    The larger set is cut to the size of the smaller one at random; the seed decides the halves.
    ``fit`` takes samples and labels (1 is generated) and returns a function from samples to labels,
    by default logistic regression on standardised features.
    """
    rng = np.random.default_rng(seed)
    size = min(len(real), len(generated))
    if size < 4:
        raise DataError(f"{size} samples a set: expected at least 4 for two halves")
    parts = [part[rng.permutation(len(part))[:size]] for part in (real, generated)]
    half = size // 2
    train = np.concatenate([part[:half] for part in parts])
    test = np.concatenate([part[half:] for part in parts])
    predict = (fit or logistic)(train, np.repeat([0, 1], half))
    right = predict(test) == np.repeat([0, 1], size - half)
    return proportion(int(right.sum()), len(test))


def logistic(features: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Logistic regression on standardised features: the default of `two_sample_test`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, tol=1e-3))
    return model.fit(_flat(features), labels).predict


def nearest_distances(
    queries: np.ndarray, reference: np.ndarray | None = None, k: int = 1
) -> np.ndarray:
    """Euclidean distance of each query to its ``k``-th nearest reference sample, ``(query,)``.

    Without a reference: to its ``k``-th nearest other query.
    """
    known = NearestNeighbors(n_neighbors=k, algorithm="brute")
    if reference is None:
        return known.fit(_flat(queries)).kneighbors()[0][:, -1]
    return known.fit(_flat(reference)).kneighbors(_flat(queries))[0][:, -1]


def precision_recall_coverage(
    real: np.ndarray, generated: np.ndarray, k: int = 5
) -> dict[str, float]:
    """Overlap of two sets by ``k`` nearest neighbours; each share is better the higher it is.

    Sources: Kynkäänniemi et al. 2019 (arXiv 1904.06991) for precision and recall, Naeem et al. 2020
    (arXiv 2002.09797) for coverage.  Use sets of equal size.  With as many generated as real
    samples of one distribution, coverage is about 1 - 2^-k.

    ``precision``: share of generated samples within the reach of a real sample (its k-th
    neighbour); ``recall``: share of real samples within the reach of a generated one; ``coverage``:
    share of real samples with a generated sample within their reach.
    """
    apart = cdist(_flat(real), _flat(generated))
    near_real = apart <= nearest_distances(real, k=k)[:, None]
    near_generated = apart <= nearest_distances(generated, k=k)
    return {
        "precision": float(near_real.any(0).mean()),
        "recall": float(near_generated.any(1).mean()),
        "coverage": float(near_real.any(1).mean()),
    }


def memorised(
    generated: np.ndarray, train: np.ndarray, held_out: np.ndarray
) -> Interval:
    """Share of generated samples that lie nearer to a training sample than held-out ones do.

    "Nearer" means below the 5 % quantile of the held-out samples' distances to their nearest
    training sample: a generator that learned the distribution gives about 0.05, one that repeats
    its training samples gives 1.
    """
    limit = np.quantile(nearest_distances(held_out, train), 0.05)
    close = nearest_distances(generated, train) < limit
    return proportion(int(close.sum()), len(close))


def _flat(samples: np.ndarray) -> np.ndarray:
    return np.asarray(samples).reshape(len(samples), -1)
