"""What a classifier likes best among generated signals and among measured genes, side by side.

A favourite is one of the ``keep`` samples of the highest log odds of a class.  Sources are named as
in `dc2book.gan_probe.quality.NAMES`: two generators, and measured genes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dc2book.gan_probe import study
from dc2book.gan_probe.quality import NAMES
from dc2book.gan_probe.study import CLASSES, EXPECTED, classifier_log_odds, correlation, top_of
from dc2lib.models.networks import Network
from dc2lib.probing import Panel, ProbeResult, Samples, monte_carlo_probe

BOTH = "both_generators"
Key = tuple[str, str, int, int]  # source, label rule, seeds of the generator and the classifier


def probe_all(
    source: tuple[str, int], generator: Network, classifiers: Mapping[tuple[str, int], Network],
    n: int, keep: int, **options: object,
) -> dict[Key, ProbeResult]:
    """One stream of a generator, by name and seed, through all classifiers, by rule and seed."""
    panel = Panel(list(classifiers.values()))
    found = monte_carlo_probe(generator, panel, n, keep, **options)
    return {(source[0], rule, source[1], number): found.of(len(CLASSES) * place, len(CLASSES))
            for place, (rule, number) in enumerate(classifiers)}


def favourites_of_genes(
    genes: np.ndarray, classifiers: Mapping[tuple[str, int], Network], keep: int
) -> dict[Key, ProbeResult]:
    """The measured genes that each classifier likes best, as if they had been drawn."""
    found = {}
    for (rule, number), classifier in classifiers.items():
        odds = classifier_log_odds(classifier, genes)
        top = [top_of(genes, odds, keep, class_) for class_ in ("low", "high")]
        found["measured_genes", rule, 0, number] = ProbeResult(keep, 0, (), top=top, n=len(genes))
    return found


def probe_sources(
    generators: Mapping[tuple[str, int], Network], classifiers: Mapping[tuple[str, int], Network],
    genes: np.ndarray, draws: Mapping[str, int], keep: int, **options: object,
) -> dict[Key, ProbeResult]:
    """Favourites among measured genes, and among so many signals of each generator."""
    found = favourites_of_genes(genes, classifiers, keep)
    for source, generator in generators.items():
        found |= probe_all(source, generator, classifiers, draws[source[0]], keep, **options)
    return found


def activations(
    probes: Mapping[Key, ProbeResult], usual: Mapping[tuple[str, int], np.ndarray],
    marks: Sequence[str],
) -> pd.DataFrame:
    """How active each mark is in what every probe kept, by two normalisations.

    ``usual``: signals as they come, by source and seed of the generator.

    Returns columns key (``mark_share_of_reads`` or ``mark_activation``), model, labels, class,
    mark, value; a row for each pair of seeds.
    """
    rows = []
    for (model, rule, seed, _), probe in probes.items():
        for class_, column in CLASSES.items():
            best = probe.top[column].samples
            found = {"mark_share_of_reads": study.activation(best),
                     "mark_activation": study.enrichment(best, usual[model, seed])}
            rows += [
                {"key": key, "model": model, "labels": rule, "class": class_, "mark": mark,
                 "value": value}
                for key, values in found.items() for mark, value in zip(marks, values, strict=True)
            ]
    return pd.DataFrame(rows)


def over_seeds(activation: pd.DataFrame) -> pd.DataFrame:
    """Mean and range over the pairs of seeds, of each source and of the generators together.

    Columns key, model (`BOTH` for all pairs of both generators), labels, class, mark, estimate,
    low, high, n.
    """
    generated = activation[activation["model"] != "measured_genes"].assign(model=BOTH)
    by = pd.concat([activation, generated]).groupby(
        ["key", "model", "labels", "class", "mark"], sort=False)["value"]
    return by.agg(estimate="mean", low="min", high="max", n="size").reset_index()


def verdicts(over_seeds: pd.DataFrame) -> pd.DataFrame:
    """Whether a mark is active in the class that the paper names, for all pairs of seeds.

    The criterion of the scorecard: more reads among the favourites than among all signals of the
    same source.

    Returns columns labels, mark, class (the one that the paper names), model, verdict: ``"yes"``
    (for every pair), ``"no"`` (for none) or ``"not determined"``.
    """
    part = over_seeds[(over_seeds["key"] == "mark_activation") & (
        over_seeds["class"] == over_seeds["mark"].map(EXPECTED))]
    verdict = np.select([part["low"] > 0, part["high"] < 0], ["yes", "no"], "not determined")
    return part[["labels", "mark", "class", "model"]].assign(verdict=verdict).reset_index(drop=True)


def active_in_both(over_seeds: pd.DataFrame, mark: str, labels: str = "numeric") -> pd.Series:
    """By source: whether the favourites of both classes have more of the mark than is usual.

    As in `verdicts`, every pair of seeds must say so; the page's criterion asks for one class only.
    """
    part = over_seeds[(over_seeds["key"] == "mark_activation") & (over_seeds["mark"] == mark)
                      & (over_seeds["labels"] == labels)]
    return part.groupby("model")["low"].min() > 0


def compare_favourites(
    top: Mapping[tuple[str, str], Mapping[str, Samples]],
    confirm: Mapping[str, Mapping[str, tuple[Network, np.ndarray]]], genes: np.ndarray,
) -> pd.DataFrame:
    """The favourites of generated signals beside those of measured genes.

    ``top``: by label rule and class, the favourites of each source. ``confirm``: by label rule,
    other classifiers by name, with the log odds that each gives to the measured ``genes``
    ``(gene, mark, bin)``.

    Returns columns key, labels, class, model, judge (of ``confirmed`` only), estimate:
    ``profile_correlation`` with the mean profile of the measured favourites; ``top_log_odds`` and
    ``top_diversity`` (mean distance of two); ``share_at_largest_count``: with a bin at the largest
    count of its mark among all genes; ``outside_measured``: with a mark whose mean signal no
    measured gene reaches; ``confirmed``: among the hundredth of signals of the class that another
    classifier is surest of, by the measured genes.
    """
    levels, largest = genes.mean(2), genes.max((0, 2))

    def confirmed(samples: np.ndarray, class_: str, other: Network, of_genes: np.ndarray) -> float:
        sign = 1 if CLASSES[class_] else -1
        limit = np.quantile(sign * of_genes, 0.99)
        return float((sign * classifier_log_odds(other, samples) >= limit).mean())

    rows = []
    for (rule, class_), sets in top.items():
        profile = sets["measured_genes"].samples.mean(0)
        for model, part in sets.items():
            tags = {"labels": rule, "class": class_, "model": model}
            own, samples = part.samples.mean(2), part.samples
            outside = (own > levels.max(0) + 1e-6) | (own < levels.min(0) - 1e-6)
            found = {
                "profile_correlation": correlation(profile, samples.mean(0)),
                "top_log_odds": part.log_odds.mean(),
                "top_diversity": study.diversity(samples),
                "share_at_largest_count": (samples.max(2) > largest - 1e-4).any(1).mean(),
                "outside_measured": outside.any(1).mean(),
            }
            rows += [{"key": key, **tags, "estimate": value} for key, value in found.items()]
            rows += [{"key": "confirmed", **tags, "judge": judge,
                      "estimate": confirmed(samples, class_, *by)}
                     for judge, by in confirm[rule].items()]
    return pd.DataFrame(rows)


def favourites_table(favourites: pd.DataFrame) -> pd.DataFrame:
    """What `compare_favourites` found under one label rule, a row per class and source."""
    named = favourites["key"].str.removeprefix("top_").str.replace("_", " ")
    judge = favourites["judge"] if "judge" in favourites else pd.Series(index=favourites.index)
    column = (named + " by " + judge.astype(object)).fillna(named)
    wide = favourites.assign(column=column, source=favourites["model"].map(NAMES)).pivot(
        index=["class", "source"], columns="column", values="estimate")
    return wide[list(dict.fromkeys(column))].reset_index().rename_axis(columns=None)


def effects_alike(
    signals: Mapping[str, np.ndarray], classifier: Network, marks: Sequence[str]
) -> dict[str, float]:
    """Correlation, over pairs of marks, of their effects with those among measured genes."""
    by_source = {}
    for name, part in signals.items():
        table, _ = study.combination_effects(part, classifier_log_odds(classifier, part), marks)
        by_source[name] = table.set_index("pair")["effect"]
    measured = by_source.pop("measured_genes")
    return {name: correlation(part[measured.index].to_numpy(), measured.to_numpy())
            for name, part in by_source.items()}
