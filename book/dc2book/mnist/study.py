"""The steps of the MNIST chapter: optimised, sampled and real digits, judged alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter
from scipy.special import expit
from torch import nn

from dc2book.gan_probe.study import CLASSES, classifier_fits
from dc2book.mnist import judges as judging
from dc2book.mnist.judges import Judge, classifier_judge, nearest_judge
from dc2book.mnist.networks import as_pixels, build_digit_classifier
from dc2book.mnist.training import DigitRecipe, attacked_accuracy, fit_digits
from dc2lib.datasets import HistoneDataset
from dc2lib.datasets.mnist import Digits
from dc2lib.errors import DataError
from dc2lib.evaluation import generated as quality
from dc2lib.evaluation.generated import two_sample_test
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
from dc2lib.signals import to_signal
from dc2lib.training.grid import run_grid

PIXELS = (0.0, 1.0)
IMAGE = (1, 28, 28)
JUDGES = {
    "attacked_classifier": "the probed classifier",
    "own_discriminator": "the discriminator in the loss",
    "other_classifier": "another classifier",
    "nearest_digit": "the nearest real digit",
    "real_or_not": "a judge of real or not",
}
UNSEEN = list(JUDGES)[2:]
NETWORKS = {"other_classifier": 1, "nearest_digit": 1, "real_or_not": 2}  # which they look through
NOISE_SHARE = 0.5  # of its rating of real digits: what a judge may give noise at most


def quality_table(
    real_features: np.ndarray, made_features: np.ndarray, halves: Sequence[np.ndarray],
    real_bytes: Sequence[np.ndarray], made_bytes: np.ndarray,
    fit_pixels: Callable[..., Callable[[np.ndarray], np.ndarray]], *, seed: int = 0,
) -> pd.DataFrame:
    """Quality of a generator of digits beside that of real digits against real digits.

    Features are ``(digit, feature)``; ``halves``: rows of two disjoint sets of real digits; images
    are uint8, two sets of real ones and the generated ones; ``fit_pixels`` fits a classifier of
    pixels, as `dc2lib.evaluation.generated.two_sample_test` calls it.

    Returns columns key, on (features, pixels or missing), against (generated or real), estimate,
    low, high, n.
    """
    first, second = (real_features[rows] for rows in halves)
    size, made = len(first), made_features[: len(first)]
    sets = {"generated": (made, made_features, (real_bytes[0], made_bytes)),
            "real": (second, real_features, tuple(real_bytes))}
    rows = []
    for name, (other, features, pixels) in sets.items():
        far = quality.split_distances(quality.frechet_distance, real_features, features, size=size,
                                      seed=seed)
        rows.append({"key": "frechet_distance", "against": name, "estimate": far.mean(),
                     "low": far.min(), "high": far.max(), "n": size})
        for on, test in (("features", two_sample_test(first, other, seed=seed)),
                         ("pixels", two_sample_test(*pixels, seed=seed, fit=fit_pixels))):
            rows.append({"key": "two_sample_accuracy", "on": on, "against": name, **vars(test)})
        rows += [{"key": key, "against": name, "estimate": share, "n": size}
                 for key, share in quality.precision_recall_coverage(first, other).items()]
    return pd.DataFrame(rows)


def quality_layout(table: pd.DataFrame) -> pd.DataFrame:
    """The table of quality as it is shown: a row per measure, a column per set."""
    names = table["key"].str.replace("_", " ").str.replace("frechet", "Fréchet")
    measure = (names + ", " + table["on"]).fillna(names)
    wide = table.assign(measure=measure).pivot(index="measure", columns="against", values="text")
    wide = wide.loc[list(dict.fromkeys(measure))].rename(
        columns={"generated": "real and generated", "real": "real and real"})
    return wide.reset_index().rename_axis(columns=None)


def probability_along(
    classifier: Network, paths: Mapping[str, Trajectory], records: Sequence[int], target: int
) -> pd.DataFrame:
    """Probability of a class for the first input of each path: columns loss, step, probability."""
    judge = classifier_judge("", classifier)
    return pd.DataFrame([
        {"loss": loss, "step": int(path.steps[i]),
         "probability": float(judge.probability(path.inputs[i, :1], np.array([target]))[0])}
        for loss, path in paths.items() for i in records
    ])


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
    generated = generated_start(
        generator, classifier, targets, seed=seed, pool=8 * len(targets))
    wanted = class_term(classifier, targets)
    realistic = discriminator_term(discriminator, lambda_)
    settings = {"steps": steps, "bounds": PIXELS, "record_every": record_every}
    return {
        "a": optimise_input(noise, [wanted], **settings),
        "b": optimise_input(noise, [wanted, realistic], **settings),
        "c": optimise_input(
            generated, [wanted, realistic, distance_term(phi)], **settings),
    }


def sweep_weights(
    classifier: nn.Module, discriminator: nn.Module, start: np.ndarray, targets: Sequence[int],
    lambdas: Sequence[float], phis: Sequence[float], *, steps: int,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Loss (c) for every pair of weights from the same generated starts.

    Returns columns ``lambda``, ``phi``, ``start`` (number of the start), ``target``, ``distance``
    (Euclidean, in pixels of range 1), a row per image; the images, float32 ``(row, 1, 28, 28)``.
    """
    pairs = [(weight, phi) for weight in lambdas for phi in phis]
    table = pd.DataFrame([
        {"lambda": weight, "phi": phi, "start": number, "target": int(target)}
        for weight, phi in pairs for number, target in enumerate(targets)
    ])
    by_realism, by_distance = torch.tensor(table[["lambda", "phi"]].to_numpy("float32").T)
    terms = [class_term(classifier, table["target"].tolist()),
             discriminator_term(discriminator, by_realism), distance_term(by_distance)]
    path = optimise_input(np.tile(start, (len(pairs), 1, 1, 1)), terms, steps=steps, bounds=PIXELS)
    return table.assign(distance=path.distance[-1]), path.final


def deepchrome_recipe(
    classifier: nn.Module, target: int, shape: tuple[int, int], *, n: int, steps: int = 1000,
    seed: int = 0,
) -> Trajectory:
    """DeepChrome's class optimisation: score minus an L2 penalty, start uniform in [0, 1].

    Singh et al. 2016 (doi:10.1093/bioinformatics/btw427).  ``shape`` is ``(mark, bin)``; nothing
    keeps the values from becoming negative.
    """
    terms = [score_term(classifier, target), norm_term()]
    return optimise_input(uniform_start(n, shape, seed), terms, steps=steps,
                          optimizer="gradient_descent")


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


def accepted_table(probe: ProbeResult, count: int = 10) -> pd.DataFrame:
    """The first samples that passed: columns threshold, class, sample, probability."""
    rows = [
        {"threshold": limit, "class": label, "sample": int(index), "probability": chance}
        for label, passed in enumerate(probe.first)
        for limit, kept in zip(probe.thresholds, passed, strict=True)
        for index, chance in zip(kept.index[:count], kept.probability[:count], strict=True)
    ]
    nothing = [{"threshold": probe.thresholds[0], "class": -1, "sample": -1}]
    return pd.DataFrame(rows or nothing)


def accepted_samples(probe: ProbeResult, threshold: int) -> tuple[np.ndarray, np.ndarray]:
    """The kept samples above a threshold and their classes, ``(sample, ...)`` and ``(sample,)``."""
    chosen = [row[threshold] for row in probe.first]
    if not any(map(len, chosen)):
        return np.empty((0, *IMAGE), np.float32), np.empty(0, int)
    samples = np.concatenate([one.samples for one in chosen if len(one)])
    return samples, np.repeat(np.arange(len(chosen)), [len(one) for one in chosen])


def compare(
    ratings: pd.DataFrame, pairs: Sequence[tuple[str, str]], judges: Sequence[str], seed: int = 0
) -> pd.DataFrame:
    """Mean of the first method minus mean of the second, every class with the same weight.

    A row per pair and judge: ``method`` (the first), ``against``, ``judge``, ``estimate``, ``low``,
    ``high``, ``n`` (samples of the smaller one).  Classes that one of the two hardly has are left
    out, and so are pairs without a class in common.
    """
    parts = dict(list(ratings.groupby("method")))
    rows = []
    for pair in pairs:
        if not set(pair) <= set(parts):
            continue
        first, second = (parts[name] for name in pair)
        for judge in judges:
            with suppress(DataError):
                gap = judging.difference_of_means(
                    first[judge].to_numpy(), second[judge].to_numpy(), seed=seed,
                    strata=(first["target"].to_numpy(), second["target"].to_numpy()))
                rows.append({"method": pair[0], "against": pair[1], "judge": judge, **vars(gap)})
    columns = ["method", "against", "judge", "estimate", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def counterpart(method: str) -> str:
    """The real digits that a method is compared with: above the same threshold, if it has one.

    >>> counterpart("sampled, > 0.99"), counterpart("(a) optimised")
    ('real, > 0.99', 'real, any')
    """
    return method.replace("sampled", "real") if "sampled" in method else "real, any"


def with_tags(table: pd.DataFrame) -> pd.DataFrame:
    """A table by method and judge as results are recorded.

    >>> rows = pd.DataFrame({"method": ["(a) optimised", "sampled, > 0.99", "sampled, any"],
    ...                      "judge": "x", "estimate": 0.5, "low": 0.4, "high": 0.6})
    >>> with_tags(rows)[["method", "threshold"]].to_dict("list")
    {'method': ['a', 'sampled', 'sampled'], 'threshold': [nan, 0.99, nan]}
    """
    tags = table["method"].str.extract(r"^\(?(\w+)\)?(?:.*> ([\d.]+))?")
    columns = [one for one in ("judge", "estimate", "low", "high", "n") if one in table]
    return table[columns].assign(method=tags[0], threshold=tags[1].astype(float))


def lowest_rated(compared: pd.DataFrame, method: str) -> pd.Series:
    """The row of `compare` whose judge rates a method lowest, by the lower end of its interval.

    All values are missing where the method was not compared.
    """
    rows = compared[compared["method"] == method]
    return rows.loc[rows["low"].idxmin()] if len(rows) else pd.Series(np.nan, compared.columns)


def control_images(images: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """What is no handwritten digit, made of the images: uint8 ``(image, 28, 28)`` by name.

    Blurred ones, patchwork (the upper half of one above the lower half of another) and noise.
    """
    patchwork = images.copy()
    patchwork[:, 14:] = np.roll(images, 1, axis=0)[:, 14:]
    noise = np.random.default_rng(seed).integers(0, 256, images.shape, dtype=np.uint8)
    return {"blurred": gaussian_filter(images, (0, 1.5, 1.5)), "patchwork": patchwork,
            "noise": noise}


def real_and_not(
    images: np.ndarray, generated: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """What a judge of real or not learns from: images uint8, and 1 for those that are real.

    For ``n`` generated images, ``(n, 28, 28)``, as many blurred ones (by 0.8 to 2 pixels) and as
    many that dissolve in noise (20 to 100 %), and ``3 n`` real ones.
    """
    rng = np.random.default_rng(seed)
    n = min(len(generated), len(images) // 3)
    real = images[rng.permutation(len(images))[: 3 * n]]
    widths = rng.uniform(0.8, 2, n)
    blurred = [gaussian_filter(image, width)
               for image, width in zip(real, widths, strict=False)]
    share = rng.uniform(0.2, 1, (n, 1, 1))
    noise = rng.integers(0, 256, (n, *real.shape[1:]))
    noisy = np.rint((1 - share) * real[n : 2 * n] + share * noise).astype(np.uint8)
    return (np.concatenate([real, generated[:n], blurred, noisy]),
            np.repeat([1, 0], 3 * n))


def unseen_judges(
    judge: Network, realism: Network, images: np.ndarray, real: np.ndarray
) -> list[Judge]:
    """The judges that took no part, each on its own scale; images uint8.

    Another classifier; the distance to the nearest of the images in its features; and a network
    that was trained on `real_and_not` (it sees whole grey levels, as it was trained).
    """
    known = as_pixels(images[:20_000]).numpy()
    real_class = classifier_judge("", realism).probability
    return [
        classifier_judge("other_classifier", judge),
        nearest_judge("nearest_digit", judge.features, known, as_pixels(real).numpy()),
        Judge("real_or_not", lambda samples, _: real_class(
            as_pixels(as_bytes(samples)).numpy(), np.ones(len(samples), int))),
    ]


def judges_that_count(means: pd.DataFrame) -> list[str]:
    """The judges that give noise at most `NOISE_SHARE` of what they give real digits.

    A judge that gives uniform noise about what it gives real digits is none.

    ``means``: columns judge, of ("real", "noise" and others), estimate: mean ratings on the judge's
    scale.
    """
    wide = means.pivot(index="judge", columns="of", values="estimate")
    return [name for name in dict.fromkeys(means["judge"])
            if wide.at[name, "noise"] <= NOISE_SHARE * wide.at[name, "real"]]


def optimised_pixels(
    classifier: Network, wanted: Sequence[int], *, steps: int, seed: int = 0
) -> np.ndarray:
    """Images of loss (a): random pixels moved until the classifier sees the wanted classes."""
    start = uniform_start(len(wanted), IMAGE, seed)
    terms = [class_term(classifier, list(map(int, wanted)))]
    return optimise_input(start, terms, steps=steps, bounds=PIXELS).final


def attacked_accuracies(
    classifiers: Mapping[str, nn.Module], held_out: Digits, epsilon: float, seed: int = 0
) -> pd.DataFrame:
    """Accuracy on 500 attacked digits: columns model, estimate."""
    digits = held_out.images[:500], held_out.labels[:500]
    return pd.DataFrame([
        {"model": name, "estimate": attacked_accuracy(model, *digits, epsilon, seed=seed)}
        for name, model in classifiers.items()
    ])


def gene_classifiers(cell: str, home: Path | str, *, epochs: int, seed: int) -> list[nn.Module]:
    """Two fits of DeepChrome on genes that differ in their seed: one to probe and one to judge."""
    fits = classifier_fits(cell, home, ("numeric",), (seed, seed + 1), epochs=epochs)
    return [record.load_model() for record in run_grid(fits, progress=False)]


def gene_ratings(
    dataset: HistoneDataset, paths: Mapping[str, Trajectory], classifier: Network, judge: Network,
    *, seed: int = 0,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Optimised inputs by class, and the real genes that a classifier is surest of, judged alike.

    Returns columns judge (``negative`` is the share of values below 0), method
    (``deepchrome_recipe`` or ``real``), class, estimate, n; and signals ``(mark, bin)`` to draw, by
    title.
    """
    known, signals = (
        to_signal(dataset.take(split).gene_oriented(), "log1p").numpy()
        for split in ("train", "test")
    )
    order = np.random.default_rng(seed).permutation(len(signals))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    judges = [
        classifier_judge("gene_probed", classifier),
        classifier_judge("gene_other_fit", judge),
        nearest_judge("gene_nearest_gene", judge.features, known, signals[halves[0]]),
    ]
    logits = apply_in_batches(classifier, signals)
    rows, maps = [], {}
    for name, wanted in CLASSES.items():
        surest = np.argsort(logits[:, 1 - wanted] - logits[:, wanted])[:100]
        final = paths[name].final
        maps[f"optimised for {name} expression, one start"] = final[0]
        maps[f"mean of the 100 test genes surest to be {name}"] = signals[surest].mean(0)
        real = signals[np.intersect1d(surest, halves[1])]
        for method, samples in (("deepchrome_recipe", final), ("real", real)):
            classes = np.full(len(samples), wanted)
            found = {one.name: one.probability(samples, classes).mean() for one in judges}
            rows += [
                {"judge": key, "method": method, "class": name, "estimate": value,
                 "n": len(samples)}
                for key, value in (found | {"negative": (samples < 0).mean()}).items()
            ]
    return pd.DataFrame(rows), maps


def dose_table(
    sources: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], judges: Sequence[Judge],
    limits: Sequence[float], *, n_resamples: int = 500, seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Realism against the confidence of the probed classifier.

    ``sources``: by name, samples, predicted classes and the probabilities of those classes.
    ``limits``: ends of the bands of confidence.

    Returns `dc2book.mnist.judges.dose_bands` with ``source`` and ``judge``; and a row per source
    and judge, where it can be computed: estimate (the correlation), low, high, n, pvalue.
    """
    bands, trends = [], []
    for source, (samples, predicted, confidence) in sources.items():
        for judge in judges:
            response = judge.probability(samples, predicted)
            table = judging.dose_bands(confidence, response, limits, seed=seed)
            bands.append(table.assign(source=source, judge=judge.name))
            with suppress(DataError):  # a judge that gives all samples of each class the same
                trend, pvalue = judging.trend_test(
                    confidence, response, predicted, n_resamples=n_resamples, seed=seed)
                trends.append({"source": source, "judge": judge.name, **vars(trend),
                               "pvalue": pvalue})
    columns = ["source", "judge", "estimate", "low", "high", "n", "pvalue"]
    return pd.concat(bands, ignore_index=True), pd.DataFrame(trends, columns=columns)


def confidence(classifier: Network, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most probable class of each sample and its probability, float64, ``(sample,)`` both."""
    odds = log_odds(torch.from_numpy(apply_in_batches(classifier, samples)).double()).numpy()
    return odds.argmax(1), expit(odds.max(1))


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Images ``(image, 1, 28, 28)`` in [0, 1] as uint8 ``(image, 28, 28)``, like the data."""
    return np.rint(np.asarray(images)[:, 0] * 255).astype(np.uint8)


def pixel_classifier(
    images: np.ndarray, labels: np.ndarray, *, epochs: int = 8, seed: int = 0
) -> Callable[[np.ndarray], np.ndarray]:
    """A network of pixels as the ``fit`` of `two_sample_test`: uint8 images to labels.

    It sees both sets at the same grey levels, so rounding gives nothing away.
    """
    model = build_digit_classifier("real_or_not", seed)
    fit_digits(model, images, labels, recipe=DigitRecipe(epochs), seed=seed)
    return lambda tested: apply_in_batches(model, as_pixels(tested)).argmax(1)
