"""What the released labels cost: learning from them, and being scored on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dc2book.audit.effects import MODELS, Trained, test_scores
from dc2lib.datasets import HistoneDataset
from dc2lib.evaluation.statistics import Interval, paired_auroc_changes, paired_auroc_difference
from dc2lib.labels import RULES, label

ALL_MODELS = (*MODELS, "gradient_boosting")


def learning_differences(
    trained: Trained, boosting: Mapping[tuple[str, str], np.ndarray],
    datasets: Mapping[str, HistoneDataset], *, n_resamples: int = 1000, seed: int = 0,
) -> dict[str, Interval]:
    """AUROC after learning released labels minus after learning numeric ones, by rule scored on.

    Means over models (tuned recipe) and cell types of paired differences and of both ends of their
    intervals over genes and fits, which is cautious: it takes all of them to move together.
    """
    found = {}
    for scored_on in RULES:
        gaps = [
            paired_auroc_difference(
                label(dataset.take("test"), scored_on),
                *(test_scores(trained, boosting, cell, model, labels, "tuned")
                  for labels in ("lexicographic", "numeric")),
                n_resamples=n_resamples, seed=seed,
            )
            for cell, dataset in datasets.items()
            for model in ALL_MODELS
        ]
        found[scored_on] = _mean_of(gaps)
    return found


def scoring_cost(
    trained: Trained, boosting: Mapping[tuple[str, str], np.ndarray],
    datasets: Mapping[str, HistoneDataset], *, n_resamples: int = 1000, seed: int = 0,
) -> Interval:
    """AUROC on numeric minus AUROC on released labels of models that learned released labels.

    The same means as in `learning_differences`.
    """
    costs = []
    for cell, dataset in datasets.items():
        test = dataset.take("test")
        for model in ALL_MODELS:
            scores = test_scores(trained, boosting, cell, model, "lexicographic", "tuned")
            stages = [(label(test, rule), scores) for rule in ("lexicographic", "numeric")]
            costs.append(paired_auroc_changes(stages, n_resamples=n_resamples, seed=seed)[1][1])
    return _mean_of(costs)


def _mean_of(gaps: Sequence[Interval]) -> Interval:
    estimate, low, high = np.mean([(one.estimate, one.low, one.high) for one in gaps], axis=0)
    return Interval(float(estimate), float(low), float(high), gaps[0].n)
