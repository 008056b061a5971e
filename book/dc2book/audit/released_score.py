"""The released score, exp(positive logit), beside the probability: an example, and how far apart.

The probability depends on the difference of the two logits.  One logit alone also carries whatever
both share, which the loss does not see: adding any number to both logits of a gene leaves loss and
probability as they were, and changes the released score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from dc2book.style import estimates
from dc2lib.datasets import HistoneDataset, published
from dc2lib.datasets.histone import COUNT_LIMIT
from dc2lib.evaluation.scores import RULES as SCORE_RULES
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.evaluation.statistics import Interval, student_interval
from dc2lib.labels import label
from dc2lib.models.deepchrome import build
from dc2lib.signals import training_genes
from dc2lib.training.fit import PAPER, Recipe, fit, predict_logits
from dc2lib.training.linear import fit_linear


def released_linear_runs() -> pd.DataFrame:
    """Test AUROC of the paper's linear model as released: cell, restart, auroc, chosen (bool).

    The released file also holds runs of another linear model (sums over bins, another learning
    rate); they are not the paper's row and do not appear here.
    """
    runs = published.released_linear_restarts()
    return runs.rename(columns={"test_auroc": "auroc", "chosen_by_validation_auroc": "chosen"})[
        ["cell", "restart", "auroc", "chosen"]
    ]


def scoring_gaps(
    model: str, datasets: Sequence[HistoneDataset], *, scales: Sequence[float],
    epochs: Sequence[int], seeds: Sequence[int], n_train: int = 0,
) -> pd.DataFrame:
    """AUROC under both scores by scale of the counts, epochs and seed; paper's recipe and labels.

    The counts are multiplied by the scales and rounded, as a deeper or shallower sequencing run
    would have them on average.  ``model`` is "linear" or "deepchrome_max".

    Returns columns cell, model, scale, epochs, seed, probability, positive_logit, and gap, the
    first score's AUROC minus the second's.
    """
    logits_of = _linear_logits if model == "linear" else _network_logits
    rows = []
    for scale, number in product(scales, epochs):
        scaled = [rescaled(dataset, scale) for dataset in datasets]
        logits = logits_of(scaled, replace(PAPER, epochs=number), seeds, n_train)
        for dataset, of_seeds in zip(scaled, logits, strict=True):
            truth = label(dataset.take("test"), "lexicographic")
            rows += [
                {"cell": dataset.cell, "model": model, "scale": scale, "epochs": number,
                 "seed": seed}
                | {rule: auroc(truth, positive_score(one, rule)) for rule in SCORE_RULES}
                for seed, one in zip(seeds, of_seeds, strict=True)
            ]
    table = pd.DataFrame(rows)
    return table.assign(gap=table["probability"] - table["positive_logit"])


def _linear_logits(
    datasets: Sequence[HistoneDataset], recipe: Recipe, seeds: Sequence[int], n_train: int
) -> list[np.ndarray]:
    """Test logits of each dataset, ``(seed, gene, 2)``."""
    fits = fit_linear(datasets, labels="lexicographic", recipe=recipe, seeds=tuple(seeds),
                      n_train=n_train)
    return [fits.logits(i, one.take("test").counts) for i, one in enumerate(datasets)]


def _network_logits(
    datasets: Sequence[HistoneDataset], recipe: Recipe, seeds: Sequence[int], n_train: int
) -> list[np.ndarray]:
    """As `_linear_logits`, of the max-pooling network."""
    logits = []
    for dataset in datasets:
        train, valid = training_genes(dataset, n_train), dataset.take("valid")
        data = [part for one in (train, valid)
                for part in (one.counts, label(one, "lexicographic"))]
        of_seeds = []
        for seed in seeds:
            model = build("deepchrome_max", train.counts.shape[2], train.counts.shape[1], seed=seed)
            done = fit(model, *data, recipe=recipe, seed=seed)
            test = dataset.take("test").counts
            of_seeds.append(predict_logits(done.model, test, transform=recipe.transform))
        logits.append(np.stack(of_seeds))
    return logits


def mean_gap(gaps: pd.DataFrame) -> Interval:
    """Mean of the gaps with Student's 95 % interval over seeds.

    The first weights decide the gap, and all fits of a seed start from the same ones, whatever the
    cell type, the scale and the number of epochs: their mean is one independent value, and a single
    seed has no interval.

    ``gaps``: columns seed, gap.  ``n`` counts seeds; the ends stay within -1 and 1, which no
    difference of AUROCs leaves.
    """
    return student_interval(gaps.groupby("seed")["gap"].mean(), lowest=-1.0, highest=1.0)


def gap_table(gaps: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """`mean_gap` of each group: columns as in ``by``, estimate, low, high and n (seeds)."""
    return estimates(gaps, by, mean_gap)


def rescaled(dataset: HistoneDataset, scale: float) -> HistoneDataset:
    """The dataset with its counts multiplied and rounded, at most 65,535."""
    if scale == 1:
        return dataset
    counts = np.rint(dataset.counts * np.float64(scale)).clip(max=COUNT_LIMIT)
    return replace(dataset, counts=counts.astype(np.uint16))
