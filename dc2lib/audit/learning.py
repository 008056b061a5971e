"""What learning from the released labels costs, beside learning from numeric ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dc2lib.audit.effects import MODELS, Trained, test_scores
from dc2lib.datasets import HistoneDataset
from dc2lib.labels import RULES, label
from dc2lib.statistics import Interval, paired_auroc_difference


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
            for model in (*MODELS, "gradient_boosting")
        ]
        found[scored_on] = Interval(
            *(float(np.mean([getattr(one, end) for one in gaps]))
              for end in ("estimate", "low", "high")),
            gaps[0].n,
        )
    return found
