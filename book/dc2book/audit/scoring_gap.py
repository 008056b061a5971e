"""The released score, exp(positive logit), beside the probability: an example, and how far apart.

The probability depends on the difference of the two logits.  One logit alone also carries whatever
both share, which the loss does not see: adding any number to both logits of a gene leaves loss and
probability as they were, and changes the released score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from dc2lib.datasets import HistoneDataset, published
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.evaluation.statistics import Interval
from dc2lib.labels import label
from dc2lib.models.deepchrome import build
from dc2lib.signals import training_genes
from dc2lib.training.fit import PAPER, Recipe, fit, predict_logits
from dc2lib.training.linear import fit_linear

RELEASED_LINEAR = {
    "lowest training loss": "linear_lowest_train_loss",
    "best of five by validation AUROC": "linear_sum_best_of_5",
}


def smallest_example() -> pd.DataFrame:
    """Two genes that the two scores rank in opposite order.

    Returns
    -------
    DataFrame
        Columns gene, label, logit_low, logit_high, probability, positive_logit.
    """
    logits = np.array([[1.0, 3.0], [4.0, 4.5]])
    return pd.DataFrame(
        {
            "gene": ["A", "B"],
            "label": [1, 0],
            "logit_low": logits[:, 0],
            "logit_high": logits[:, 1],
            "probability": positive_score(logits, "probability"),
            "positive_logit": positive_score(logits, "positive_logit"),
        }
    )


def released_linear_runs() -> pd.DataFrame:
    """Test AUROC of the released linear runs: columns chosen (how the run was), cell, auroc."""
    runs = published.released_results()
    names = {experiment: chosen for chosen, experiment in RELEASED_LINEAR.items()}
    part = runs[runs["experiment"].isin(names)]
    return pd.DataFrame(
        {
            "chosen": part["experiment"].map(names),
            "cell": part["cell"],
            "auroc": part["test_auroc"],
        }
    ).reset_index(drop=True)


def repeated_runs() -> pd.DataFrame:
    """Released runs that repeat one experiment: same model, same training cell, no fixed seed.

    Where the Highly set of a cell type holds that cell type alone, the run ``inclusive_high`` is
    the run ``deepchrome`` once more.

    Returns
    -------
    DataFrame
        Columns cell, first, second (test AUROC), difference (second minus first).
    """
    sets = published.released_training_sets()["inclusive_high"]
    alone = [cell for cell, cells in sets.items() if cells == [cell]]
    runs = published.released_results().pivot(
        index="cell", columns="experiment", values="test_auroc"
    )
    table = runs.loc[sorted(alone), ["deepchrome", "inclusive_high"]]
    table.columns = ["first", "second"]
    return table.assign(difference=table["second"] - table["first"]).reset_index()


def linear_gaps(
    datasets: Sequence[HistoneDataset], *, scales: Sequence[float], epochs: Sequence[int],
    seeds: Sequence[int], labels: str = "lexicographic", n_train: int = 0,
    recipe: Recipe = PAPER,
) -> pd.DataFrame:
    """AUROC of the linear model under both scores, by scale of the counts, epochs and seed.

    Parameters
    ----------
    scales
        The counts are multiplied by these and rounded, as a deeper or shallower sequencing run
        would have them on average.

    Returns
    -------
    DataFrame
        Columns cell, model, scale, epochs, seed, probability, positive_logit.
    """
    rows = []
    for scale in scales:
        scaled = [rescaled(dataset, scale) for dataset in datasets]
        for number in epochs:
            fits = fit_linear(
                scaled, labels=labels, recipe=replace(recipe, epochs=number), seeds=tuple(seeds),
                n_train=n_train,
            )
            for place, dataset in enumerate(scaled):
                test = dataset.take("test")
                logits = fits.logits(place, test.counts)
                rows += [
                    {"cell": dataset.cell, "model": "linear", "scale": scale, "epochs": number,
                     "seed": seed} | _both(label(test, labels), one)
                    for seed, one in zip(seeds, logits, strict=True)
                ]
    return pd.DataFrame(rows)


def network_gaps(
    datasets: Sequence[HistoneDataset], *, scales: Sequence[float], epochs: Sequence[int],
    seeds: Sequence[int], labels: str = "lexicographic", n_train: int = 0,
    recipe: Recipe = PAPER,
) -> pd.DataFrame:
    """As `linear_gaps`, for the max-pooling network."""
    rows = []
    for dataset in datasets:
        train = training_genes(dataset, n_train)
        for scale in scales:
            parts = [rescaled(one, scale) for one in
                     (train, dataset.take("valid"), dataset.take("test"))]
            truth = [label(one, labels) for one in parts]
            for number in epochs:
                for seed in seeds:
                    model = build("deepchrome_max", train.counts.shape[2], train.counts.shape[1],
                                  seed=seed)
                    done = fit(
                        model, parts[0].counts, truth[0], parts[1].counts, truth[1],
                        recipe=replace(recipe, epochs=number), seed=seed,
                    )
                    logits = predict_logits(
                        done.model, parts[2].counts, transform=recipe.transform
                    )
                    rows.append(
                        {"cell": dataset.cell, "model": "deepchrome_max", "scale": scale,
                         "epochs": number, "seed": seed} | _both(truth[2], logits)
                    )
    return pd.DataFrame(rows)


def mean_gap(gaps: pd.DataFrame) -> Interval:
    """Mean of the gaps with Student's 95 % interval over seeds.

    The first weights decide the gap, and all fits of a seed start from the same ones, whatever the
    cell type, the scale and the number of epochs: their mean is one independent value, and a single
    seed has no interval.

    Parameters
    ----------
    gaps
        Columns seed, gap.

    Returns
    -------
    Interval
        ``n`` counts seeds; the ends stay within -1 and 1, which no difference of AUROCs leaves, and
        are NaN for one seed.
    """
    of_seed = gaps.groupby("seed")["gap"].mean().to_numpy()
    mean, n = float(of_seed.mean()), len(of_seed)
    if n < 2:
        return Interval(mean, np.nan, np.nan, n)
    half = float(stats.t.ppf(0.975, n - 1) * stats.sem(of_seed))
    return Interval(mean, max(mean - half, -1.0), min(mean + half, 1.0), n)


def rescaled(dataset: HistoneDataset, scale: float) -> HistoneDataset:
    """The dataset with its counts multiplied and rounded, at most 65,535."""
    if scale == 1:
        return dataset
    counts = np.minimum(np.rint(dataset.counts * np.float64(scale)), 65_535).astype(np.uint16)
    return replace(dataset, counts=counts)


def _both(truth: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    return {rule: auroc(truth, positive_score(logits, rule))
            for rule in ("probability", "positive_logit")}
