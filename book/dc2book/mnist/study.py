"""The steps of the MNIST chapter: optimised, sampled and real digits, judged alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from dc2lib.evaluation.generated import (
    Judge,
    difference_of_means,
    dose_bands,
    is_monotone,
    trend_test,
)
from dc2lib.evaluation.scores import auroc
from dc2lib.models.digits import as_pixels, build_digit_gan
from dc2lib.models.networks import Network, apply_in_batches
from dc2lib.probing import (
    ProbeResult,
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
from dc2lib.training.fit import batches, default_device

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
    settings = {"steps": steps, "bounds": PIXELS, "record_every": record_every}
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
    seed: int = 0,
) -> Trajectory:
    """DeepChrome's class optimisation: score minus an L2 penalty, start uniform in [0, 1].

    Singh et al. 2016 (doi:10.1093/bioinformatics/btw427).  ``shape`` is ``(mark, bin)``; nothing
    keeps the values from becoming negative.
    """
    return optimise_input(
        uniform_start(n, shape, seed),
        [score_term(classifier, target), norm_term()],
        steps=steps,
        optimizer="gradient_descent",
    )


def accepted_panel(
    probe: ProbeResult, threshold: int, count: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """The first images of each class above a threshold, ``(class, count, 28, 28)``.

    Where fewer passed, the most probable ones that did not fill the row; where there are none of
    those either, the image is NaN.  The second array says which images did not pass.
    """
    images = np.full((len(probe.top), count, *IMAGE[1:]), np.nan, np.float32)
    failed = np.zeros(images.shape[:2], bool)
    for label, top in enumerate(probe.top):
        passed = probe.first[label][threshold]
        below = top.samples[top.probability <= probe.thresholds[threshold]]
        number = min(len(passed), count)
        rows = [*passed.samples[:number], *below[: count - number]]
        for column, image in enumerate(rows):
            images[label, column] = image[0]
        failed[label, number : len(rows)] = True
    return images, failed


def accepted_samples(probe: ProbeResult, threshold: int) -> tuple[np.ndarray, np.ndarray]:
    """The kept samples above a threshold and their classes, ``(sample, ...)`` and ``(sample,)``."""
    chosen = [row[threshold] for row in probe.first]
    if not any(map(len, chosen)):
        return np.empty((0, *IMAGE), np.float32), np.empty(0, int)
    samples = np.concatenate([one.samples for one in chosen if len(one)])
    return samples, np.repeat(np.arange(len(chosen)), [len(one) for one in chosen])


def compare_with_real(
    ratings: pd.DataFrame,
    method: str,
    judges: Sequence[str],
    *,
    real: str = "real",
    seed: int = 0,
) -> pd.DataFrame:
    """Mean of a method minus mean of real samples for each judge, with intervals.

    Columns ``judge``, ``difference``, ``low``, ``high``, ``outcome`` (``"lower"`` or ``"higher"``
    where the interval excludes 0, else ``"undecided"``) and ``separation``: the share of pairs in
    which the judge rates the real sample higher, ties half; 0.5 if it cannot tell them apart.
    """
    rows = []
    for judge in judges:
        parts = [ratings.loc[ratings["method"] == name, judge].to_numpy()
                 for name in (method, real)]  # fmt: skip
        gap = difference_of_means(*parts, seed=seed)
        outcome = "lower" if gap.high < 0 else "higher" if gap.low > 0 else "undecided"
        is_real = np.repeat([0, 1], [len(part) for part in parts])
        rows.append({"judge": judge, "difference": gap.estimate, "low": gap.low, "high": gap.high,
                     "outcome": outcome,
                     "separation": auroc(is_real, np.concatenate(parts))})  # fmt: skip
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
        `dc2lib.evaluation.generated.dose_bands` with ``source``, ``judge`` and ``band``.
    DataFrame
        A row a source and judge: ``correlation``, ``low``, ``high``, ``pvalue``, ``monotone``.
    """
    bands, trends = [], []
    for source, (samples, predicted, confidence) in sources.items():
        for judge in judges:
            response = judge.probability(samples, predicted)
            table = dose_bands(confidence, response, limits, seed=seed)
            names = [band_name(above, limits) for above in table["above"]]
            bands.append(table.assign(source=source, judge=judge.name, band=names))
            trend, pvalue = trend_test(confidence, response, predicted, n_resamples=n_resamples,
                                       seed=seed)  # fmt: skip
            trends.append({"source": source, "judge": judge.name, "correlation": trend.estimate,
                           "low": trend.low, "high": trend.high, "pvalue": pvalue,
                           "monotone": is_monotone(table)})  # fmt: skip
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


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Images ``(image, 1, 28, 28)`` in [0, 1] as uint8 ``(image, 28, 28)``, like the data."""
    return np.rint(np.asarray(images)[:, 0] * 255).astype(np.uint8)


def pixel_classifier(
    images: np.ndarray, labels: np.ndarray, *, epochs: int = 8, seed: int = 0, width: int = 32
) -> Callable[[np.ndarray], np.ndarray]:
    """A discriminator of pixels as the ``fit`` of `two_sample_test`: uint8 images to labels.

    It sees both sets at the same grey levels, so rounding gives nothing away.
    """
    place = default_device()
    model = build_digit_gan(seed, width=width)[1].to(place)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    targets = torch.from_numpy(labels).float().to(place)
    for epoch in range(epochs):
        for rows in batches(len(images), 64, seed, epoch):
            logits = model(as_pixels(images[rows]).to(place))
            loss = binary_cross_entropy_with_logits(logits, targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return lambda tested: (apply_in_batches(model, as_pixels(tested)) > 0).astype(int)
