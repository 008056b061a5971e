"""The steps of the GAN probe chapter: classifiers, generators, their quality, what the probe finds.

Signals are float32 ``(sample, mark, bin)``, the logarithm of one plus the reads (see
`dc2lib.models.gan`); counts are uint16 ``(sample, bin, mark)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from dc2lib.probing import ProbeResult, Samples, top_samples
from dc2lib.training.fit import TUNED
from dc2lib.training.grid_fits import Fit

CLASSES = {"high": 1, "low": 0}
PSEUDO_READS = 0.01
RANDOM_INPUTS = ("uniform", "normal", "counts", "poisson", "shuffled")
OTHER_RANDOM = {
    "normal": "random: absolute normal numbers",
    "counts": "random: uniform counts",
    "poisson": "random: Poisson counts with each mark's mean",
    "shuffled": "random: real values, every bin drawn anew",
}
PAPER_TABLE_1 = {"real": "0.30", "generated": "0.31", "random": "0.19"}
EXPECTED = {"H3K36me3": "high", "H3K4me1": "high", "H3K4me3": "high", "H3K27me3": "low",
            "H3K9me3": "low"}  # section 4.1 of the paper: the class in which a mark is active
MEASURES = {
    ("frechet_distance", "features"): "Fréchet distance, last hidden layer",
    ("two_sample_accuracy", "features"): "two-sample accuracy, last hidden layer",
    ("two_sample_accuracy", "bins"): "two-sample accuracy, statistics of bins",
    ("precision", "features"): "precision",
    ("recall", "features"): "recall",
    ("coverage", "features"): "coverage",
    ("mark_correlation_gap", "features"): "largest gap of a correlation between marks",
    ("mean_profile_gap", "features"): "largest gap of the mean profile (log reads)",
    ("memorised_share", "features"): "nearer to a training gene than 95 % of held-out ones",
}


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
        A row a measure and set, with columns ``key``, ``on`` (what the sets are compared by:
        ``"features"`` or ``"bins"``), ``against`` (``"generated"`` or ``"real"``, the validation
        signals), ``estimate``, ``low``, ``high`` (NaN where there is no interval).
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
        compared[name]["memorised_share", "features"] = memorised(part, train, held_out[half:])
    return pd.DataFrame([
        {"key": key, "on": on, "against": name, "estimate": one.estimate, "low": one.low,
         "high": one.high}
        for name, measures in compared.items() for (key, on), one in measures.items()
    ])


def quality_layout(report: pd.DataFrame) -> pd.DataFrame:
    """The report as it is shown: a row a measure, a column a set."""
    wide = report.pivot(index=["key", "on"], columns="against", values="text")
    wide = wide.loc[list(MEASURES)].rename(
        columns={"generated": "generated and training", "real": "validation and training"}
    )
    wide.insert(0, "measure", list(MEASURES.values()))
    return wide.reset_index(drop=True).rename_axis(columns=None)


def has_collapsed(report: pd.DataFrame, least: float = 0.25) -> bool:
    """Whether the generator misses most of the distribution.

    True if its coverage is below ``least`` times that of the validation signals.
    """
    coverage = report[report["key"] == "coverage"].set_index("against")["estimate"]
    return bool(coverage["generated"] < least * coverage["real"])


def mean_table(probabilities: Mapping[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """Mean probability by label rule and kind of input: labels, input, estimate, low, high, n."""
    return pd.DataFrame([
        {"labels": rule, "input": name, **vars(mean_interval(values))}
        for (rule, name), values in probabilities.items()
    ])


def beside_the_paper(means: pd.DataFrame) -> pd.DataFrame:
    """The means with the paper's numbers beside them."""
    paper = means["input"].map(PAPER_TABLE_1).fillna("")
    return means[["input", "labels", "text"]].assign(paper=paper)[
        ["input", "paper", "labels", "text"]]


def distance_from_real(means: pd.DataFrame) -> pd.DataFrame:
    """How far each input's mean is from that of real inputs, a table (labels, input)."""
    wide = means.pivot(index="labels", columns="input", values="estimate")
    return wide.sub(wide["real"], axis=0).abs()


def largest_gaps(probabilities: Mapping[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """Largest gap of the distribution of probabilities to that of real inputs (Kolmogorov-Smirnov).

    Columns labels, input (generated or random), estimate.
    """
    return pd.DataFrame([
        {"labels": rule, "input": name,
         "estimate": stats.ks_2samp(probabilities[rule, "real"], values).statistic}
        for (rule, name), values in probabilities.items() if name in ("generated", "random")
    ])


def activations(
    probes: Mapping[tuple[str, int, int], ProbeResult],
    usual: Mapping[int, np.ndarray],
    marks: Sequence[str],
) -> pd.DataFrame:
    """How active each mark is in what every probe kept, by two normalisations.

    Parameters
    ----------
    probes
        By label rule, seed of the generator and seed of the classifier.
    usual
        Signals of each generator as they come, by seed.

    Returns
    -------
    DataFrame
        Columns key (``mark_share_of_reads`` or ``mark_activation``), labels, class, mark,
        gan_seed, classifier_seed, value.
    """
    rows = []
    for (rule, gan_seed, classifier_seed), probe in probes.items():
        for class_, column in CLASSES.items():
            best = probe.top[column].samples
            found = {"mark_share_of_reads": activation(best),
                     "mark_activation": enrichment(best, usual[gan_seed])}
            rows += [
                {"key": key, "labels": rule, "class": class_, "mark": mark, "gan_seed": gan_seed,
                 "classifier_seed": classifier_seed, "value": value}
                for key, values in found.items() for mark, value in zip(marks, values, strict=True)
            ]
    return pd.DataFrame(rows)


def over_seeds(activation: pd.DataFrame) -> pd.DataFrame:
    """Mean and range over the pairs of seeds: key, labels, class, mark, estimate, low, high, n."""
    by = activation.groupby(["key", "labels", "class", "mark"], sort=False)["value"]
    table = by.agg(estimate="mean", low="min", high="max", n="size")
    return table.reset_index()


def agrees_with_paper(activation: pd.DataFrame) -> pd.DataFrame:
    """Share of the pairs of seeds in which a mark is higher in the class that the paper says.

    Returns
    -------
    DataFrame (labels, mark)
        Of the marks in `EXPECTED`.
    """
    part = activation[activation["key"] == "mark_activation"]
    wide = part.pivot(
        index=["labels", "mark", "gan_seed", "classifier_seed"], columns="class", values="value"
    )
    higher = (wide["high"] > wide["low"]).groupby(["labels", "mark"]).mean().unstack("mark")
    marks = [mark for mark in EXPECTED if mark in higher]
    return pd.DataFrame({
        mark: higher[mark] if EXPECTED[mark] == "high" else 1 - higher[mark] for mark in marks
    })


def least_probability(probes: Mapping[str, ProbeResult]) -> pd.DataFrame:
    """Probability of the last of the kept signals, by label rule and class."""
    return pd.DataFrame([
        {"labels": rule, "class": class_, "estimate": probe.top[column].probability.min()}
        for rule, probe in probes.items() for class_, column in CLASSES.items()
    ])


def compare_favourites(
    top: Mapping[tuple[str, str], Mapping[str, Samples]], *, largest: float
) -> pd.DataFrame:
    """The favourites among real and among generated signals.

    Parameters
    ----------
    top
        By label rule and class: the best of the inputs ``"real"`` and ``"generated"``.
    largest
        Largest signal that a generator may make.

    Returns
    -------
    DataFrame
        Columns key, labels, class, input (missing for profile_correlation), estimate.
    """
    rows = []
    for (rule, class_), sets in top.items():
        tags = {"labels": rule, "class": class_}
        means = [part.samples.mean(0) for part in sets.values()]
        rows.append({"key": "profile_correlation", **tags, "estimate": correlation(*means)})
        for name, part in sets.items():
            measured = {
                "top_log_odds": part.log_odds.mean(),
                "top_diversity": diversity(part.samples),
                "share_at_largest_count": (part.samples.max((1, 2)) > largest - 1e-4).mean(),
            }
            rows += [{"key": key, **tags, "input": name, "estimate": value}
                     for key, value in measured.items()]
    return pd.DataFrame(rows)


def favourites_table(favourites: pd.DataFrame) -> pd.DataFrame:
    """What `compare_favourites` found, a row a label rule and class."""
    names = favourites["key"].str.removeprefix("top_").str.replace("_", " ")
    column = (names + ", " + favourites["input"]).fillna(names)
    wide = favourites.assign(column=column).pivot(
        index=["labels", "class"], columns="column", values="estimate")
    return wide[list(dict.fromkeys(column))].reset_index().rename_axis(columns=None)


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


def combinations_by_rule(
    classifiers: Mapping[str, Network], made: np.ndarray, real: np.ndarray, marks: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Strongest combinations among generated signals, by label rule.

    Returns
    -------
    DataFrame and DataFrame
        Five pairs a rule (labels, pair, effect, low, high, effect among real genes); and the
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


def profile_table(sets: Mapping[str, np.ndarray], marks: Sequence[str]) -> pd.DataFrame:
    """Mean signal by input, mark and bin, of signals ``(sample, mark, bin)`` by input."""
    return pd.DataFrame([
        {"input": name, "mark": mark, "bin": number, "mean": value}
        for name, part in sets.items()
        for mark, means in zip(marks, part.mean(0), strict=True)
        for number, value in enumerate(means)
    ])


def top_profile_table(
    top: Mapping[str, Mapping[str, np.ndarray]], marks: Sequence[str]
) -> pd.DataFrame:
    """The same by class."""
    return pd.concat([profile_table(sets, marks).assign(**{"class": class_})
                      for class_, sets in top.items()])


def curve_table(curves: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Quantiles of probabilities by label rule and input: labels, input, share, probability."""
    shares = np.linspace(0, 1, 51)
    return pd.concat([
        pd.DataFrame({"labels": rule, "input": name, "share": shares,
                      "probability": np.quantile(values, shares)})
        for rule, sets in curves.items() for name, values in sets.items()
    ])


def _compared(
    train: np.ndarray, other: np.ndarray, first: np.ndarray, second: np.ndarray, seed: int
) -> dict[tuple[str, str], Interval]:
    distances = split_distances(
        frechet_distance, first, second, size=max(len(first) // 2, 2), repeats=5, seed=seed
    )
    numbers = {
        **precision_recall_coverage(first, second),
        "mark_correlation_gap": np.abs(mark_correlations(train) - mark_correlations(other)).max(),
        "mean_profile_gap": np.abs(train.mean(0) - other.mean(0)).max(),
    }
    by_features = {
        "frechet_distance": Interval(
            distances.mean(), distances.min(), distances.max(), len(distances)
        ),
        "two_sample_accuracy": two_sample_test(first, second, seed=seed),
        **{name: Interval(float(value), np.nan, np.nan, len(first))
           for name, value in numbers.items()},
    }
    by_bins = two_sample_test(train, other, seed=seed, fit=_boosting)
    return {(key, "features"): one for key, one in by_features.items()} | {
        ("two_sample_accuracy", "bins"): by_bins
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
