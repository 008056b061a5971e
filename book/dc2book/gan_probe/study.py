"""The steps of the GAN probe chapter: classifiers, generators, their quality, what the probe finds.

Signals are float32 ``(sample, mark, bin)``, the logarithm of one plus the reads (see
`dc2lib.models.gan`); counts are uint16 ``(sample, bin, mark)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial.distance import pdist

from dc2lib.datasets import HistoneDataset
from dc2lib.errors import DataError
from dc2lib.evaluation.generated import (
    frechet_distance,
    memorised,
    precision_recall_coverage,
    split_distances,
    two_sample_test,
)
from dc2lib.evaluation.statistics import Interval
from dc2lib.models.gan import counts_to_signals
from dc2lib.models.networks import Network, apply_in_batches
from dc2lib.probing import Samples, top_samples
from dc2lib.training.fit import TUNED
from dc2lib.training.grid_fits import Fit

CLASSES = {"high": 1, "low": 0}
PSEUDO_READS = 0.01
RANDOM_INPUTS = ("uniform", "normal", "counts", "poisson", "shuffled")


def classifier_fits(
    cell: str,
    home: Path | str,
    rules: Sequence[str],
    seeds: Sequence[int],
    *,
    epochs: int = 8,
    n_train: int = 0,
) -> list[Fit]:
    """The classifiers that are probed: max-pooling DeepChrome, tuned recipe, along the gene."""
    recipe = replace(TUNED, learning_rate=1e-3, epochs=epochs, patience=epochs)
    return [
        Fit(
            model="deepchrome_max", recipe=recipe, train_cells=(cell,), test_cell=cell,
            home=str(home), labels=rule, orientation="gene", seed=seed, n_train=n_train,
        )
        for rule in rules
        for seed in seeds
    ]


def gene_signals(datasets: Sequence[HistoneDataset], split: str, n: int = 0) -> np.ndarray:
    """Signals along the gene of one split of one or more cell types; the first ``n`` of each."""
    parts = [dataset.take(split).gene_oriented()[: n or None] for dataset in datasets]
    return counts_to_signals(np.concatenate(parts))


def positive_probability(classifier: Network, signals: np.ndarray) -> np.ndarray:
    """Probability of high expression, float64 ``(sample,)``."""
    return 1 / (1 + np.exp(-classifier_log_odds(classifier, signals)))


def classifier_log_odds(classifier: Network, signals: np.ndarray) -> np.ndarray:
    """Log odds of high expression, float64 ``(sample,)``, natural logarithm."""
    logits = apply_in_batches(classifier, signals).astype(np.float64)
    return logits[:, 1] - logits[:, 0]


def mean_interval(values: np.ndarray, level: float = 0.95) -> Interval:
    """Mean with its normal interval: for thousands of values."""
    values = np.asarray(values, dtype=np.float64)
    half = stats.norm.ppf(0.5 + level / 2) * values.std(ddof=1) / np.sqrt(len(values))
    return Interval(values.mean(), values.mean() - half, values.mean() + half, len(values))


def random_inputs(kind: str, n: int, signals: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Random signals, float32 ``(n, mark, bin)``, by five meanings of "random".

    Parameters
    ----------
    kind
        ``"uniform"``: every value uniform in [0, 1]; ``"normal"``: absolute values of standard
        normal numbers; ``"counts"``: counts uniform up to the mark's largest; ``"poisson"``: counts
        with the mark's mean; ``"shuffled"``: values of real signals, drawn anew for every bin.
    signals
        Real signals ``(gene, mark, bin)``: the shape, and what the last three kinds are made of.
    """
    if kind not in RANDOM_INPUTS:
        raise DataError(f"unknown random input {kind!r}: expected one of {RANDOM_INPUTS}")
    rng = np.random.default_rng(seed)
    n_genes, n_marks, n_bins = signals.shape
    shape = (n, n_marks, n_bins)
    if kind == "uniform":
        return rng.random(shape, dtype=np.float32)
    if kind == "normal":
        return np.abs(rng.standard_normal(shape, dtype=np.float32))
    if kind == "shuffled":
        marks = np.arange(n_marks)[None, :, None]
        return signals[
            rng.integers(n_genes, size=shape), marks, rng.integers(n_bins, size=shape)
        ]
    counts = np.expm1(signals)
    if kind == "counts":
        largest = np.rint(counts.max((0, 2)))[:, None]
        drawn = np.floor(rng.random(shape) * (largest + 1))
    else:
        drawn = rng.poisson(np.broadcast_to(counts.mean((0, 2))[:, None], shape))
    return counts_to_signals(drawn.transpose(0, 2, 1))


def mark_statistics(signals: np.ndarray, marks: Sequence[str]) -> pd.DataFrame:
    """Marginals of each mark, a row a mark.

    Columns: ``zeros`` (share of bins without a read), ``mean`` (reads a bin), ``spread`` (standard
    deviation over samples of the mean signal) and ``neighbours`` (correlation of neighbouring
    bins' signals).
    """
    counts = np.expm1(signals.astype(np.float64))
    rows = []
    for number, mark in enumerate(marks):
        values = signals[:, number].astype(np.float64)
        rows.append(
            {
                "mark": mark,
                "zeros": float((values == 0).mean()),
                "mean": float(counts[:, number].mean()),
                "spread": float(values.mean(1).std()),
                "neighbours": correlation(values[:, :-1], values[:, 1:]),
            }
        )
    return pd.DataFrame(rows)


def mark_correlations(signals: np.ndarray) -> np.ndarray:
    """Correlation over samples between the marks' mean signals, ``(mark, mark)``.

    A mark that never varies has correlation 0 with the others.
    """
    means = signals.mean(2, dtype=np.float64)
    centred = means - means.mean(0)
    scale = np.sqrt(np.square(centred).sum(0))
    scale[scale == 0] = np.inf
    return centred.T @ centred / np.outer(scale, scale)


def quality_report(
    train: np.ndarray,
    valid: np.ndarray,
    generated: np.ndarray,
    features: Callable[[np.ndarray], np.ndarray],
    *,
    size: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Statistics of generated, and of validation, signals against training signals.

    Parameters
    ----------
    train, valid, generated
        Signals ``(sample, mark, bin)``.
    features
        Turns signals into feature vectors, such as a classifier's last hidden layer.
    size
        Samples of each set that are compared, drawn without replacement.

    Returns
    -------
    DataFrame
        A row a measure, with columns ``measure``, ``generated``, ``real``, and the ends of
        intervals ``generated_low``, ``generated_high``, ``real_low``, ``real_high`` (NaN where
        there are none).
    """
    rng = np.random.default_rng(seed)
    size = min(size, len(train), len(valid), len(generated))
    known, made, real = (
        part[rng.permutation(len(part))[:size]] for part in (train, generated, valid)
    )
    compared = {
        name: _compared(known, part, features(known), features(part), seed)
        for name, part in (("generated", made), ("real", real))
    }
    held_out = valid[rng.permutation(len(valid))]
    half = len(held_out) // 2
    for name, part in (("generated", made), ("real", held_out[:half])):
        compared[name]["memorised_share"] = memorised(part, train, held_out[half:])
    tables = [
        pd.DataFrame.from_dict(
            {measure: (one.estimate, one.low, one.high) for measure, one in intervals.items()},
            orient="index", columns=[name, f"{name}_low", f"{name}_high"],
        )
        for name, intervals in compared.items()
    ]  # fmt: skip
    return pd.concat(tables, axis=1).rename_axis("measure").reset_index()


def has_collapsed(report: pd.DataFrame, least: float = 0.25) -> bool:
    """Whether the generator misses most of the distribution.

    True if its coverage is below ``least`` times that of the validation signals.
    """
    coverage = report.set_index("measure").loc["coverage"]
    return bool(coverage["generated"] < least * coverage["real"])


def activation(signals: np.ndarray) -> np.ndarray:
    """Share of each mark in the reads, averaged over samples and bins, ``(mark,)``; sums to 1."""
    means = np.expm1(signals.astype(np.float64)).mean((0, 2))
    total = means.sum()
    return means / total if total else means


def enrichment(signals: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Reads of each mark relative to a background's, logarithm to base 2, ``(mark,)``.

    1 is twice as many reads a bin, -1 half as many; `PSEUDO_READS` are added to both.
    """
    means = [
        np.expm1(part.astype(np.float64)).mean((0, 2)) + PSEUDO_READS
        for part in (signals, background)
    ]
    return np.log2(means[0] / means[1])


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation of all values of two arrays of one shape; 0 if one never varies."""
    first, second = first.ravel(), second.ravel()
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def top_of(signals: np.ndarray, log_odds: np.ndarray, keep: int, class_: str) -> Samples:
    """The ``keep`` signals with the highest (class high) or lowest (low) log odds, best first."""
    return top_samples(signals, log_odds if CLASSES[class_] else -log_odds, keep)


def diversity(signals: np.ndarray) -> float:
    """Mean Euclidean distance between two of the samples, in units of the signal."""
    return float(pdist(signals.reshape(len(signals), -1)).mean())


def combination_effects(
    signals: np.ndarray, log_odds: np.ndarray, marks: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Pairs of marks whose product says something that single marks do not.

    Least squares of the log odds on the standardised mean signal of each mark, and then also on the
    products of pairs.

    Returns
    -------
    DataFrame and dict
        A row a pair: ``pair``, ``effect`` (log odds when both marks are one standard deviation
        above their means, beyond the sum of the single effects), ``low``, ``high`` (95 %, robust
        to unequal variances), strongest first; and the explained variance ``single`` and ``pairs``.
    """
    means = signals.mean(2, dtype=np.float64)
    scale = means.std(0)
    means = (means - means.mean(0)) / np.where(scale > 0, scale, 1)
    chosen = list(combinations(range(len(marks)), 2))
    products = np.stack([means[:, a] * means[:, b] for a, b in chosen], axis=1)
    ones = np.ones((len(means), 1))
    single = np.hstack([ones, means, np.square(means)])
    both = np.hstack([single, products])
    explained = {}
    for name, design in (("single", single), ("pairs", both)):
        weights, *_ = np.linalg.lstsq(design, log_odds, rcond=None)
        left = log_odds - design @ weights
        explained[name] = float(1 - left.var() / log_odds.var()) if np.ptp(log_odds) else 0.0
    inverse = np.linalg.pinv(both.T @ both)
    errors = np.sqrt(np.diag(inverse @ (both.T * np.square(left)) @ both @ inverse).clip(0))
    effects, errors = weights[-len(chosen) :], errors[-len(chosen) :]
    table = pd.DataFrame(
        {
            "pair": [f"{marks[a]} and {marks[b]}" for a, b in chosen],
            "effect": effects,
            "low": effects - 1.96 * errors,
            "high": effects + 1.96 * errors,
        }
    )
    order = table["effect"].abs().sort_values(ascending=False).index
    return table.loc[order].reset_index(drop=True), explained


def seed_interval(values: Sequence[float]) -> Interval:
    """Mean over pairs of seeds, with their range: too few for more."""
    return Interval(float(np.mean(values)), float(min(values)), float(max(values)), len(values))


def _compared(
    train: np.ndarray, other: np.ndarray, first: np.ndarray, second: np.ndarray, seed: int
) -> dict[str, Interval]:
    distances = split_distances(
        frechet_distance, first, second, size=max(len(first) // 2, 2), repeats=5, seed=seed
    )
    numbers = {
        **precision_recall_coverage(first, second),
        "mark_correlation_gap": np.abs(mark_correlations(train) - mark_correlations(other)).max(),
        "mean_profile_gap": np.abs(train.mean(0) - other.mean(0)).max(),
    }
    alone = {
        name: Interval(float(value), np.nan, np.nan, len(first)) for name, value in numbers.items()
    }
    by_bins = two_sample_test(train, other, seed=seed, fit=_boosting)
    return {
        "frechet_distance": Interval(
            distances.mean(), distances.min(), distances.max(), len(distances)
        ),
        "two_sample_accuracy": two_sample_test(first, second, seed=seed),
        "two_sample_accuracy_of_bins": by_bins,
        **alone,
    }


def _boosting(
    signals: np.ndarray, labels: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Boosted trees on statistics of each mark that a linear model of means would not see."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=80, max_leaf_nodes=15, early_stopping=False, random_state=0
    )
    model.fit(_summaries(signals), labels)
    return lambda other: model.predict(_summaries(other))


def _summaries(signals: np.ndarray) -> np.ndarray:
    """Mean, spread, zeros, roughness and coarse profile of each mark, ``(sample, feature)``."""
    n_bins = signals.shape[2]
    coarse = np.add.reduceat(signals, np.arange(0, n_bins, max(n_bins // 10, 1)), axis=2)
    parts = [
        signals.mean(2), signals.std(2), (signals == 0).mean(2), signals.max(2),
        np.abs(np.diff(signals, axis=2)).mean(2), coarse.reshape(len(signals), -1),
    ]
    return np.concatenate(parts, axis=1)
