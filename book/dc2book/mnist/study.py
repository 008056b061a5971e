"""The steps of the MNIST chapter: optimised, sampled and real digits, judged alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from torch import nn

from dc2lib.evaluation.realism import (
    Judge,
    difference_of_means,
    dose_bands,
    is_monotone,
    judge_samples,
    trend_test,
)
from dc2lib.evaluation.scores import auroc
from dc2lib.models.networks import Network, apply_in_batches
from dc2lib.probing import (
    Probe,
    Trajectory,
    class_term,
    discriminator_term,
    distance_term,
    generated_start,
    log_odds,
    norm_term,
    optimise_input,
    score_term,
    uniform_start,
)

PIXELS = (0.0, 1.0)
IMAGE = (1, 28, 28)


def three_losses(
    classifier: nn.Module,
    discriminator: nn.Module,
    generator: nn.Module,
    targets: Sequence[int],
    *,
    lambda_: float,
    phi: float,
    steps: int,
    learning_rate: float = 0.05,
    record_every: int = 0,
    seed: int = 0,
) -> dict[str, Trajectory]:
    """Optimised digits with the losses (a), (b) and (c) of Figure 1, one image a target.

    (a) is the classifier from a uniform start, (b) adds ``lambda_`` times the discriminator, (c)
    adds ``phi`` times the squared distance to a generated start that is not of the target class.
    """
    noise = uniform_start(len(targets), IMAGE, seed)
    generated = generated_start(generator, classifier, targets, seed=seed, pool=8 * len(targets))
    wanted = class_term(classifier, targets)
    realistic = discriminator_term(discriminator, lambda_)
    settings = {
        "steps": steps,
        "learning_rate": learning_rate,
        "bounds": PIXELS,
        "record_every": record_every,
    }
    return {
        "a": optimise_input(noise, [wanted], **settings),
        "b": optimise_input(noise, [wanted, realistic], **settings),
        "c": optimise_input(generated, [wanted, realistic, distance_term(phi)], **settings),
    }


def sweep_weights(
    classifier: nn.Module,
    discriminator: nn.Module,
    start: np.ndarray,
    targets: Sequence[int],
    lambdas: Sequence[float],
    phis: Sequence[float],
    *,
    steps: int,
    learning_rate: float = 0.05,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Loss (c) for every pair of weights from the same generated starts.

    Returns
    -------
    DataFrame
        ``lambda``, ``phi``, ``start`` (number of the start), ``target``, ``distance`` (Euclidean,
        in pixels of range 1), a row an image.
    ndarray
        The images, float32 ``(row, 1, 28, 28)``.
    """
    pairs = [(weight, phi) for weight in lambdas for phi in phis]
    table = pd.DataFrame(
        [
            {"lambda": weight, "phi": phi, "start": number, "target": int(target)}
            for weight, phi in pairs
            for number, target in enumerate(targets)
        ]
    )
    path = optimise_input(
        np.tile(start, (len(pairs), 1, 1, 1)),
        [
            class_term(classifier, table["target"].tolist()),
            discriminator_term(discriminator, torch.tensor(table["lambda"], dtype=torch.float32)),
            distance_term(torch.tensor(table["phi"], dtype=torch.float32)),
        ],
        steps=steps,
        learning_rate=learning_rate,
        bounds=PIXELS,
    )
    return table.assign(distance=path.distance[-1]), path.final


def deepchrome_recipe(
    classifier: nn.Module,
    target: int,
    shape: tuple[int, int],
    *,
    n: int,
    steps: int = 1000,
    penalty: float = 0.009,
    learning_rate: float = 0.05,
    seed: int = 0,
) -> Trajectory:
    """DeepChrome's class optimisation: score minus an L2 penalty, start uniform in [0, 1].

    Singh et al. 2016 (doi:10.1093/bioinformatics/btw427).  ``shape`` is ``(mark, bin)``; nothing
    keeps the values from becoming negative.
    """
    return optimise_input(
        uniform_start(n, shape, seed),
        [score_term(classifier, target), norm_term(penalty)],
        steps=steps,
        learning_rate=learning_rate,
        optimizer="gradient_descent",
    )


def accepted_panel(probe: Probe, threshold: int, count: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """The first images of each class above a threshold, ``(class, count, 28, 28)``.

    Where fewer passed, the most probable ones that did not fill the row; where there are none of
    those either, the image is NaN.  The second array says which images did not pass.
    """
    n_classes = len(probe.top)
    images = np.full((n_classes, count, *IMAGE[1:]), np.nan, np.float32)
    failed = np.zeros((n_classes, count), bool)
    for label in range(n_classes):
        passed = probe.first[label][threshold]
        rows = list(passed.samples[:count, 0]) if len(passed) else []
        number = len(rows)
        below = probe.top[label].probability <= probe.thresholds[threshold]
        rows += list(probe.top[label].samples[below][: count - number, 0])
        for column, image in enumerate(rows):
            images[label, column] = image
            failed[label, column] = column >= number
    return images, failed


def accepted_samples(probe: Probe, threshold: int) -> tuple[np.ndarray, np.ndarray]:
    """The kept samples above a threshold and their classes, ``(sample, ...)`` and ``(sample,)``."""
    found = [(kept[threshold], label) for label, kept in enumerate(probe.first)]
    found = [(kept, label) for kept, label in found if len(kept)]
    if not found:
        return np.empty((0, *IMAGE), np.float32), np.empty(0, int)
    return (
        np.concatenate([kept.samples for kept, _ in found]),
        np.concatenate([np.full(len(kept), label) for kept, label in found]),
    )


def compare_with_real(
    judged: pd.DataFrame, method: str, judges: Sequence[str], *, real: str = "real", seed: int = 0
) -> pd.DataFrame:
    """Mean of a method minus mean of real samples for each judge, with intervals.

    Columns ``judge``, ``difference``, ``low``, ``high``, ``outcome`` (``"lower"`` or ``"higher"``
    where the interval excludes 0, else ``"undecided"``) and ``separation``: the share of pairs in
    which the judge rates the real sample higher, ties half; 0.5 if it cannot tell them apart.
    """
    rows = []
    for judge in judges:
        parts = [judged.loc[judged["method"] == name, judge].to_numpy() for name in (method, real)]
        found = difference_of_means(*parts, seed=seed)
        outcome = "lower" if found.high < 0 else "higher" if found.low > 0 else "undecided"
        rows.append(
            {
                "judge": judge,
                "difference": found.estimate,
                "low": found.low,
                "high": found.high,
                "outcome": outcome,
                "separation": auroc(
                    np.repeat([0, 1], [len(part) for part in parts]), np.concatenate(parts)
                ),
            }
        )
    return pd.DataFrame(rows)


def outcome_in_words(compared: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """One clause: which judges rate a method lower than real samples, and which do not.

    Where every judge does the same, the smallest of the differences stands behind it.

    Examples
    --------
    >>> table = pd.DataFrame({"judge": ["x", "y"], "outcome": ["lower", "undecided"]})
    >>> outcome_in_words(table, {"x": "judge X", "y": "judge Y"})
    'rated lower than real digits by judge X; not rated differently by judge Y'
    >>> three = pd.DataFrame({"judge": ["x", "y", "z"], "outcome": "lower",
    ...                       "difference": [-0.5, -0.25, -0.75], "low": -1.0, "high": -0.125})
    >>> outcome_in_words(three, {"x": "judge X", "y": "judge Y", "z": "judge Z"})
    'rated lower than real digits by every judge, least by judge Y (-0.250 [-1.000, -0.125])'
    """
    words = {
        "lower": "rated lower than real digits by",
        "undecided": "not rated differently by",
        "higher": "rated higher than real digits by",
    }
    clauses = []
    for outcome, phrase in words.items():
        named = [titles[j] for j in compared.loc[compared["outcome"] == outcome, "judge"]]
        if named:
            every = len(named) == len(compared) > 2
            clauses.append(f"{phrase} {_everyone(compared, titles) if every else joined(named)}")
    return "; ".join(clauses)


def _everyone(compared: pd.DataFrame, titles: Mapping[str, str]) -> str:
    if (compared["outcome"] == "undecided").all():
        return "any judge"
    least = compared.loc[compared["difference"].abs().idxmin()]
    return (
        f"every judge, least by {titles[least['judge']]} ({least['difference']:+.3f} "
        f"[{least['low']:+.3f}, {least['high']:+.3f}])"
    )


def joined(names: Sequence[str]) -> str:
    """Names as an English list.

    Examples
    --------
    >>> joined(["one", "two", "three"])
    'one, two and three'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def dose_table(
    sources: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
    judges: Sequence[Judge],
    limits: Sequence[float],
    *,
    n_resamples: int = 500,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Realism against the confidence of the probed classifier.

    Parameters
    ----------
    sources
        By name: samples, predicted classes and the probabilities of those classes.
    limits
        Ends of the bands of confidence.

    Returns
    -------
    DataFrame
        `dc2lib.evaluation.realism.dose_bands` with ``source``, ``judge`` and ``band``.
    DataFrame
        A row a source and judge: ``correlation``, ``low``, ``high``, ``pvalue``, ``monotone``.
    """
    bands, trends = [], []
    for source, (samples, predicted, confidence) in sources.items():
        judged = judge_samples({source: (samples, predicted)}, judges)
        for judge in judges:
            response = judged[judge.name].to_numpy()
            table = dose_bands(confidence, response, limits, seed=seed)
            names = [band_name(above, limits) for above in table["above"]]
            bands.append(table.assign(source=source, judge=judge.name, band=names))
            trend = trend_test(confidence, response, predicted, n_resamples=n_resamples, seed=seed)
            trends.append(
                {
                    "source": source,
                    "judge": judge.name,
                    "correlation": trend.correlation.estimate,
                    "low": trend.correlation.low,
                    "high": trend.correlation.high,
                    "pvalue": trend.pvalue,
                    "monotone": is_monotone(table),
                }
            )
    return pd.concat(bands, ignore_index=True), pd.DataFrame(trends)


def band_name(above: float, limits: Sequence[float]) -> str:
    """How a band of confidence is written.

    Examples
    --------
    >>> [band_name(above, [0.75, 0.99]) for above in (0, 0.75, 0.99)]
    ['up to 0.75', '0.75 to 0.99', 'above 0.99']
    """
    higher = [limit for limit in limits if limit > above]
    if not above:
        return f"up to {limits[0]:g}"
    return f"{above:g} to {higher[0]:g}" if higher else f"above {above:g}"


def confidence(classifier: Network, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most probable class of each sample and its probability, float64, ``(sample,)`` both."""
    odds = log_odds(torch.from_numpy(apply_in_batches(classifier, samples)).double()).numpy()
    return odds.argmax(1), expit(odds.max(1))
