"""How well generated signals can be told from measured ones, and what they miss.

Judged are counts: `canonical` makes every set by one function, so that no judge sees by the last
bit which program took a logarithm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import nn

from dc2book.gan_probe.study import mark_correlations
from dc2lib.evaluation import generated
from dc2lib.evaluation.statistics import Interval, proportion
from dc2lib.models.gan import HistoneDiscriminator, counts_to_signals
from dc2lib.models.networks import apply_in_batches, initial_weights

Predict = Callable[[np.ndarray], np.ndarray]
Judge = Callable[[np.ndarray, np.ndarray], Predict]
NAMES = {"histone_gan": "GAN", "histone_likelihood": "likelihood model",
         "measured_genes": "measured genes"}
MEASURES = {
    ("two_sample_accuracy", "bins"): "two-sample accuracy: trees, statistics of bins",
    ("two_sample_accuracy", "raw"): "two-sample accuracy: trees, every bin",
    ("two_sample_accuracy", "convolutions"): "two-sample accuracy: a convolutional network",
    ("two_sample_accuracy", "features"): "two-sample accuracy: linear, last hidden layer",
    ("frechet_distance", "features"): "Fréchet distance, last hidden layer",
    ("precision", "features"): "precision",
    ("recall", "features"): "recall",
    ("coverage", "features"): "coverage",
    ("mark_correlation_gap", "features"): "largest gap of a correlation between marks",
    ("mean_profile_gap", "features"): "largest gap of the mean profile (log reads)",
    ("memorised_share", "features"): "nearer to a training gene than 95 % of held-out ones",
}


def canonical(signals: np.ndarray) -> np.ndarray:
    """The same signals by one function of their counts, or of what peaks have in place of them.

    NumPy's and torch's logarithms differ in the last bit of about one count in a hundred.
    """
    values = np.expm1(signals.astype(np.float64))
    whole = np.rint(values)
    values = np.where(np.isclose(values, whole, rtol=1e-5, atol=1e-6), whole, values)
    return counts_to_signals(values.transpose(0, 2, 1))


def quality_report(
    train: np.ndarray, valid: np.ndarray, made: Mapping[str, np.ndarray],
    features: Callable[[np.ndarray], np.ndarray], *, size: int = 2000, seed: int = 0,
) -> pd.DataFrame:
    """Statistics of generated, and of validation, signals against training signals.

    Returns a row per measure and set: ``model`` (the generator), ``key`` and ``on`` (as in
    `MEASURES`), ``against`` (``"generated"``, or ``"real"``: validation signals, the same for every
    generator), ``estimate``, ``low``, ``high`` (NaN where there is no interval).

    Signals are ``(sample, mark, bin)``, generated ones by the name of their generator; ``features``
    turns them into vectors, such as a classifier's last hidden layer.  ``size`` samples of each set
    are compared, drawn without replacement.
    """
    rng = np.random.default_rng(seed)
    size = min(size, len(train), len(valid), *map(len, made.values()))
    train, valid = canonical(train), canonical(valid)
    known, real = (part[rng.permutation(len(part))[:size]] for part in (train, valid))
    held_out = valid[rng.permutation(len(valid))]
    half = len(held_out) // 2

    def measured(part: np.ndarray, for_copies: np.ndarray) -> dict[tuple[str, str], Interval]:
        found = _compared(known, part, features(known), features(part), seed)
        copied = generated.memorised(for_copies, train, held_out[half:])
        return found | {("memorised_share", "features"): copied}

    yardstick = measured(real, held_out[:half])
    rows = []
    for name, signals in made.items():
        part = canonical(signals[rng.permutation(len(signals))[:size]])
        for against, found in (("generated", measured(part, part)), ("real", yardstick)):
            rows += [{"model": name, "key": key, "on": on, "against": against,
                      "estimate": one.estimate, "low": one.low, "high": one.high}
                     for (key, on), one in found.items()]
    return pd.DataFrame(rows)


def told_by_trees(
    train: np.ndarray, signals: np.ndarray, *, size: int = 2000, seed: int = 0
) -> Interval:
    """Accuracy with which boosted trees on statistics of the bins tell signals from training ones.

    ``size`` of each set are compared.
    """
    rng, size = np.random.default_rng(seed), min(size, len(train), len(signals))
    first, second = (canonical(part[rng.permutation(len(part))[:size]])
                     for part in (train, signals))
    return generated.two_sample_test(first, second, seed=seed, fit=boosted_trees(_summaries))


def quality_layout(report: pd.DataFrame) -> pd.DataFrame:
    """The report as it is shown: a row per measure, a column per generator, and measured genes."""
    names = report["model"].map(NAMES)
    shown = report.assign(set=names.where(report["against"] == "generated", "measured genes"))
    shown = shown.drop_duplicates(["key", "on", "set"])
    wide = shown.pivot(index=["key", "on"], columns="set", values="text")[list(dict.fromkeys(
        [*names, "measured genes"]))].loc[list(MEASURES)]
    wide.insert(0, "measure", list(MEASURES.values()))
    return wide.reset_index(drop=True).rename_axis(columns=None)


def has_collapsed(report: pd.DataFrame, least: float = 0.25) -> bool:
    """Whether one generator misses most of the distribution.

    True if its coverage is below ``least`` times that of the validation signals.
    """
    coverage = report[report["key"] == "coverage"].set_index("against")["estimate"]
    return bool(coverage["generated"] < least * coverage["real"])


def _compared(
    train: np.ndarray, other: np.ndarray, first: np.ndarray, second: np.ndarray, seed: int
) -> dict[tuple[str, str], Interval]:
    distances = generated.split_distances(
        generated.frechet_distance, first, second, size=max(len(first) // 2, 2), repeats=5,
        seed=seed)
    shares = generated.precision_recall_coverage(first, second)
    numbers = {
        "mark_correlation_gap": np.abs(mark_correlations(train) - mark_correlations(other)).max(),
        "mean_profile_gap": np.abs(train.mean(0) - other.mean(0)).max(),
    }
    by_features = {
        "frechet_distance": Interval(
            distances.mean(), distances.min(), distances.max(), len(distances)
        ),
        "two_sample_accuracy": generated.two_sample_test(first, second, seed=seed),
        **{name: proportion(round(share * len(first)), len(first))
           for name, share in shares.items()},
        **{name: Interval(float(value), np.nan, np.nan, len(first))
           for name, value in numbers.items()},
    }
    judges = {"bins": boosted_trees(_summaries),
              "raw": boosted_trees(lambda signals: signals.reshape(len(signals), -1)),
              "convolutions": convolutions}
    return {(key, "features"): one for key, one in by_features.items()} | {
        ("two_sample_accuracy", on): generated.two_sample_test(train, other, seed=seed, fit=judge)
        for on, judge in judges.items()
    }


def boosted_trees(features: Callable[[np.ndarray], np.ndarray]) -> Judge:
    """Boosted trees on features ``(sample, feature)`` of the signals."""

    def judge(signals: np.ndarray, labels: np.ndarray) -> Predict:
        model = HistGradientBoostingClassifier(
            max_iter=80, max_leaf_nodes=15, early_stopping=False, random_state=0)
        model.fit(features(signals), labels)
        return lambda other: model.predict(features(other))

    return judge


def convolutions(signals: np.ndarray, labels: np.ndarray, epochs: int = 10) -> Predict:
    """A small convolutional network, trained anew: it has never met the generator."""
    with initial_weights(0):
        judge = HistoneDiscriminator(*signals.shape[1:], width=16, hidden=64)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=1e-3, weight_decay=0.01)
    loss = nn.BCEWithLogitsLoss()
    data, targets = torch.from_numpy(signals), torch.from_numpy(labels).float()
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        for rows in torch.from_numpy(rng.permutation(len(data))).split(64):
            optimizer.zero_grad()
            loss(judge(data[rows]), targets[rows]).backward()
            optimizer.step()
    return lambda other: apply_in_batches(judge, other) > 0


def _summaries(signals: np.ndarray) -> np.ndarray:
    """Mean, spread, zeros, roughness and coarse profile of each mark, ``(sample, feature)``.

    A linear model of means would not see most of them.
    """
    n_bins = signals.shape[2]
    coarse = np.add.reduceat(signals, np.arange(0, n_bins, max(n_bins // 10, 1)), axis=2)
    parts = [
        signals.mean(2), signals.std(2), (signals == 0).mean(2), signals.max(2),
        np.abs(np.diff(signals, axis=2)).mean(2), coarse.reshape(len(signals), -1),
    ]
    return np.concatenate(parts, axis=1)
