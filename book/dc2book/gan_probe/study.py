"""The steps of the GAN probe chapter: classifiers, random inputs, Table 1, combinations of marks.

Signals are float32 ``(sample, mark, bin)``, the logarithm of one plus the reads (see
`dc2lib.models.gan`); counts are uint16 ``(sample, bin, mark)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist

from dc2lib.cache import cache_path
from dc2lib.datasets import HistoneDataset, check_alike, list_cells, open_cell, write_cell
from dc2lib.errors import DataError
from dc2lib.evaluation.statistics import student_interval
from dc2lib.models.gan import counts_to_signals
from dc2lib.models.networks import Network, apply_in_batches
from dc2lib.probing import Samples, top_samples
from dc2lib.training.fit import TUNED
from dc2lib.training.grid_fits import Fit

CLASSES = {"high": 1, "low": 0}
PSEUDO_READS = 0.01
LARGEST_STEP = 32
RANDOM_INPUTS = ("uniform", "normal", "counts", "poisson", "shuffled")
OTHER_RANDOM = {
    "normal": "random: absolute normal numbers",
    "counts": "random: uniform counts",
    "poisson": "random: Poisson counts with each mark's mean",
    "shuffled": "random: real values, every bin drawn anew",
}
PAPER_TABLE_1 = {"real": "0.30", "generated": "0.31", "random": "0.19"}
EXPECTED = {"H3K36me3": "high", "H3K4me1": "high", "H3K4me3": "high", "H3K27me3": "low",
            "H3K9me3": "low"}  # our reading of section 4.1: the class in which a mark is active


def in_whole_steps(dataset: HistoneDataset, home: Path | str) -> tuple[HistoneDataset, Path]:
    """The cell type in whole numbers, which is what the generators draw, and the store it lies in.

    Reads are whole numbers and stay in ``home``.  Of peaks and coverage a mark gets 32 steps up to
    the 99th percentile of its signal among the training genes; more is 32, and any signal at least
    1.  A peak has one value in all its bins: finer values, drawn bin by bin, would give a generator
    away.
    """
    if dataset.unit == "reads":
        return dataset, Path(home)
    contents = {"cell": dataset.fingerprint, "steps": LARGEST_STEP}
    place = cache_path("comparable", contents, code=__name__, suffix="")
    if dataset.cell not in list_cells(place):
        counts = np.zeros(dataset.counts.shape, dtype=np.float32)
        train = dataset.take("train").counts
        for mark in range(len(dataset.marks)):
            signal = train[:, :, mark][train[:, :, mark] > 0]
            step = np.quantile(signal, 0.99) / LARGEST_STEP if len(signal) else 1.0
            counts[:, :, mark] = np.ceil(dataset.counts[:, :, mark] / step).clip(max=LARGEST_STEP)
        about = {"from": str(home), "unit": dataset.unit}
        write_cell(replace(dataset, counts=counts), place, about)
    return open_cell(dataset.cell, place), place


def classifier_fits(
    cell: str, home: Path | str, rules: Sequence[str], seeds: Sequence[int], *, epochs: int = 8,
    n_train: int = 0,
) -> list[Fit]:
    """The classifiers that are probed: max-pooling DeepChrome, tuned recipe, along the gene."""
    recipe = replace(TUNED, learning_rate=1e-3, epochs=epochs, patience=epochs)
    return [Fit("deepchrome_max", recipe, (cell,), cell, str(home), rule, "gene", seed, n_train)
            for rule in rules for seed in seeds]


def gene_signals(datasets: Sequence[HistoneDataset], split: str, n: int = 0) -> np.ndarray:
    """Signals along the gene of one split of one or more cell types; the first ``n`` of each.

    Raises DataError if the cell types differ in marks, bins or unit.
    """
    check_alike(datasets)
    parts = [dataset.take(split).gene_oriented()[: n or None] for dataset in datasets]
    return counts_to_signals(np.concatenate(parts))


def positive_probability(classifier: Network, signals: np.ndarray) -> np.ndarray:
    """Probability of high expression, float64 ``(sample,)``."""
    return 1 / (1 + np.exp(-classifier_log_odds(classifier, signals)))


def classifier_log_odds(classifier: Network, signals: np.ndarray) -> np.ndarray:
    """Log odds of high expression, float64 ``(sample,)``, natural logarithm."""
    logits = apply_in_batches(classifier, signals).astype(np.float64)
    return logits[:, 1] - logits[:, 0]


def random_inputs(kind: str, n: int, signals: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Random signals, float32 ``(n, mark, bin)``, by five meanings of "random".

    ``"uniform"``: every value uniform in [0, 1]; ``"normal"``: absolute values of standard normal
    numbers; ``"counts"``: counts uniform up to the mark's largest; ``"poisson"``: counts with the
    mark's mean; ``"shuffled"``: values of real signals, drawn anew for every bin.  Real signals
    ``(gene, mark, bin)`` give the shape, and what the last three kinds are made of.
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
        return signals[rng.integers(n_genes, size=shape), marks, rng.integers(n_bins, size=shape)]
    counts = np.expm1(signals)
    if kind == "counts":
        largest = np.rint(counts.max((0, 2)))[:, None]
        drawn = np.floor(rng.random(shape) * (largest + 1))
    else:
        drawn = rng.poisson(np.broadcast_to(counts.mean((0, 2))[:, None], shape))
    return counts_to_signals(drawn.transpose(0, 2, 1))


def mark_correlations(signals: np.ndarray) -> np.ndarray:
    """Correlation over samples between the marks' mean signals, ``(mark, mark)``.

    A mark that never varies has correlation 0 with the others.
    """
    means = signals.mean(2, dtype=np.float64)
    centred = means - means.mean(0)
    scale = np.sqrt(np.square(centred).sum(0))
    scale[scale == 0] = np.inf
    return centred.T @ centred / np.outer(scale, scale)


def mean_table(probabilities: Mapping[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """Mean probability by label rule and kind of input: labels, input, estimate, low, high, n."""
    return pd.DataFrame([
        {"labels": rule, "input": name, **vars(student_interval(values))}
        for (rule, name), values in probabilities.items()
    ])


def distance_from_real(means: pd.DataFrame) -> pd.DataFrame:
    """How far each input's mean is from that of real inputs, a table (labels, input)."""
    wide = means.pivot(index="labels", columns="input", values="estimate")
    return wide.sub(wide["real"], axis=0).abs()


def activation(signals: np.ndarray) -> np.ndarray:
    """Share of each mark in the reads, averaged over samples and bins, ``(mark,)``; sums to 1."""
    means = np.expm1(signals.astype(np.float64)).mean((0, 2))
    total = means.sum()
    return means / total if total else means


def enrichment(signals: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Reads of each mark relative to a background's, logarithm to base 2, ``(mark,)``.

    1 is twice as many reads per bin, -1 half as many; `PSEUDO_READS` are added to both.
    """
    first, second = (np.expm1(part.astype(np.float64)).mean((0, 2)) + PSEUDO_READS
                     for part in (signals, background))
    return np.log2(first / second)


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

    Returns a row per pair: ``pair``, ``effect`` (log odds when both marks are one standard
    deviation above their means, beyond the sum of the single effects), ``low``, ``high`` (95 %,
    robust to unequal variances), strongest first; and the explained variance ``single`` and
    ``pairs``.
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
    table = pd.DataFrame({
        "pair": [f"{marks[a]} and {marks[b]}" for a, b in chosen], "effect": effects,
        "low": effects - 1.96 * errors, "high": effects + 1.96 * errors})
    order = table["effect"].abs().sort_values(ascending=False).index
    return table.loc[order].reset_index(drop=True), explained


def combinations_by_rule(
    classifiers: Mapping[str, Network], made: np.ndarray, real: np.ndarray, marks: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Strongest combinations among generated signals, by label rule.

    Returns five pairs per rule (labels, pair, effect, low, high, effect among real genes); and the
    explained variance as a tidy table (key, labels, estimate).
    """
    strongest, explained = [], []
    for rule, model in classifiers.items():
        of_made, shares = combination_effects(made, classifier_log_odds(model, made), marks)
        of_real, _ = combination_effects(real, classifier_log_odds(model, real), marks)
        effects = of_made.merge(of_real[["pair", "effect"]], on="pair",
                                suffixes=("", ", real genes"))
        strongest.append(effects.head(5).assign(labels=rule))
        explained += [
            {"key": "explained_by_single_marks", "labels": rule, "estimate": shares["single"]},
            {"key": "explained_by_pairs", "labels": rule,
             "estimate": shares["pairs"] - shares["single"]},
        ]
    columns = ["labels", "pair", "effect", "low", "high", "effect, real genes"]
    return pd.concat(strongest)[columns], pd.DataFrame(explained)
