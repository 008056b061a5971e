"""How good a generator is: distances between sets of samples, and tests that tell them apart.

Every function takes two sets of feature vectors ``(sample, feature)``, real ones first.  Features
are what the caller chooses: raw values, or the last hidden layer of a classifier.  Compare each
number with the same number for two sets of real samples: that is the best one can hope for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats

from dc2lib.errors import DataError
from dc2lib.evaluation.statistics import Interval, proportion

ROWS = 1024


@dataclass(frozen=True)
class TwoSample:
    """Outcome of a classifier two-sample test.

    Attributes
    ----------
    accuracy
        Share of held-out samples told apart, with Wilson's interval; 0.5 is chance.
    pvalue
        One-sided: of an accuracy this high when both sets are alike.
    """

    accuracy: Interval
    pvalue: float


@dataclass(frozen=True)
class Coverage:
    """Overlap of two sets by nearest neighbours; each between 0 and 1, higher is better.

    Attributes
    ----------
    precision
        Share of generated samples within the reach of a real sample (its k-th neighbour).
    recall
        Share of real samples within the reach of a generated sample.
    coverage
        Share of real samples with a generated sample within their reach.
    """

    precision: float
    recall: float
    coverage: float


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Fréchet distance of the normal distributions fitted to two sets of features.

    Squared distance of the means plus ``tr(A + B - 2 (A B)^(1/2))`` of the covariances; the unit is
    that of the features, squared.  It depends on the features and falls with the number of samples:
    compare sets of equal size.  Source: Heusel et al. 2017 (arXiv 1706.08500).

    Raises
    ------
    DataError
        If the features differ in number or a set has fewer than two samples.
    """
    real, generated = _checked(real, generated)
    shift = real.mean(0) - generated.mean(0)
    covariances = [np.atleast_2d(np.cov(part, rowvar=False)) for part in (real, generated)]
    root = _root(covariances[0])
    cross = np.linalg.eigvalsh(root @ covariances[1] @ root).clip(0)
    spread = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.sqrt(cross).sum()
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
    real: np.ndarray,
    generated: np.ndarray,
    *,
    fit: Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]] | None = None,
    seed: int = 0,
) -> TwoSample:
    """Train a classifier to tell two sets apart on one half, and count on the other half.

    Source: Lopez-Paz and Oquab 2017 (arXiv 1610.06545).

    Parameters
    ----------
    real, generated
        ``(sample, ...)``; the larger set is cut to the size of the smaller one at random.
    fit
        Takes samples and labels (1 is generated), returns a function from samples to labels.
        By default logistic regression on standardised features.
    seed
        Decides the halves.
    """
    rng = np.random.default_rng(seed)
    size = min(len(real), len(generated))
    if size < 4:
        raise DataError(f"{size} samples a set: expected at least 4 for two halves")
    parts = [part[rng.permutation(len(part))[:size]] for part in (real, generated)]
    half = size // 2
    train = np.concatenate([part[:half] for part in parts])
    test = np.concatenate([part[half:] for part in parts])
    labels = np.repeat([0, 1], half), np.repeat([0, 1], size - half)
    predict = (fit or logistic)(train, labels[0])
    right = int((predict(test) == labels[1]).sum())
    chance = stats.binomtest(right, len(test), 0.5, alternative="greater")
    return TwoSample(proportion(right, len(test)), float(chance.pvalue))


def logistic(features: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Logistic regression on standardised features: the default of `two_sample_test`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, tol=1e-3))
    return model.fit(features.reshape(len(features), -1), labels).predict


def nearest(
    queries: np.ndarray, reference: np.ndarray, k: int = 1, *, exclude_self: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distances to the ``k`` nearest samples of the reference, and their numbers.

    Parameters
    ----------
    queries, reference
        ``(query, feature)`` and ``(sample, feature)``.
    exclude_self
        Leave out the sample of the same number: for a set against itself.

    Returns
    -------
    tuple of float32 and int64 ``(query, k)``, nearest first
    """
    queries, reference = _flat(queries), _flat(reference)
    if len(reference) < k + exclude_self:
        raise DataError(f"{len(reference)} reference samples: expected at least {k + exclude_self}")
    squares = reference.square().sum(1)
    distances, numbers = [], []
    for start in range(0, len(queries), ROWS):
        part = queries[start : start + ROWS]
        squared = torch.addmm(squares, part, reference.T, beta=1, alpha=-2)
        squared += part.square().sum(1, keepdim=True)
        if exclude_self:
            own = torch.arange(len(part))
            squared[own, start + own] = torch.inf
        found = squared.topk(k, dim=1, largest=False)
        exact = (part.unsqueeze(1) - reference[found.indices]).square().sum(2).sqrt()
        order = exact.argsort(dim=1, stable=True)
        distances.append(exact.gather(1, order))
        numbers.append(found.indices.gather(1, order))
    return torch.cat(distances).numpy(), torch.cat(numbers).numpy()


def precision_recall_coverage(real: np.ndarray, generated: np.ndarray, k: int = 5) -> Coverage:
    """Precision, recall and coverage of a generated set by its ``k`` nearest neighbours.

    Sources: Kynkäänniemi et al. 2019 (arXiv 1904.06991) for precision and recall, Naeem et al. 2020
    (arXiv 2002.09797) for coverage.  Use sets of equal size.  With as many generated as real
    samples of one distribution, coverage is about 1 - 2^-k.
    """
    real_t, generated_t = _flat(real), _flat(generated)
    real_reach = torch.from_numpy(nearest(real, real, k, exclude_self=True)[0][:, -1])
    made_reach = torch.from_numpy(nearest(generated, generated, k, exclude_self=True)[0][:, -1])
    inside_real = torch.zeros(len(generated_t), dtype=torch.bool)
    recalled = torch.zeros(len(real_t), dtype=torch.bool)
    covered = torch.zeros(len(real_t), dtype=torch.bool)
    for start in range(0, len(real_t), ROWS):
        rows = slice(start, start + ROWS)
        apart = torch.cdist(real_t[rows], generated_t)
        within_real = apart <= real_reach[rows, None]
        inside_real |= within_real.any(0)
        covered[rows] = within_real.any(1)
        recalled[rows] = (apart <= made_reach).any(1)
    return Coverage(*(float(share.float().mean()) for share in (inside_real, recalled, covered)))


def memorised(
    generated: np.ndarray, train: np.ndarray, held_out: np.ndarray, quantile: float = 0.05
) -> Interval:
    """Share of generated samples that lie nearer to a training sample than held-out ones do.

    "Nearer" means below that quantile of the held-out samples' distances to their nearest training
    sample: a generator that learned the distribution gives about ``quantile``, one that repeats
    its training samples gives 1.
    """
    limit = np.quantile(nearest(held_out, train)[0], quantile)
    close = nearest(generated, train)[0][:, 0] < limit
    return proportion(int(close.sum()), len(close))


def class_shares(predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Share of samples of each predicted class, ``(class,)``; a missing class has share 0."""
    return np.bincount(predicted, minlength=n_classes) / len(predicted)


def _checked(real: np.ndarray, generated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    parts = [np.asarray(p, dtype=np.float64).reshape(len(p), -1) for p in (real, generated)]
    if parts[0].shape[1] != parts[1].shape[1] or min(len(part) for part in parts) < 2:
        raise DataError(
            f"features of shape {parts[0].shape} and {parts[1].shape}: expected the same number of "
            "features and at least two samples of each set"
        )
    return parts[0], parts[1]


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def _flat(samples: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32)).flatten(1)
