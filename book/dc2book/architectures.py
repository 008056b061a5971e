"""Architectures side by side: the same cells, genes, seeds and tuning budget for each.

Sections 3.2 and 4.3 of DeepChrome 2.0 (Table 2).  Every model gets the same number of seeds and the
same number of learning rates to choose from; the choice looks at validation genes only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dc2book.style import LABEL_COLOURS, legend_below
from dc2lib.datasets import open_cell
from dc2lib.evaluation.scores import positive_score
from dc2lib.evaluation.statistics import (
    MIN_CELLS,
    Interval,
    bootstrap_mean_auroc,
    compared,
    equivalence_test,
)
from dc2lib.labels import RULES as LABEL_RULES
from dc2lib.labels import label
from dc2lib.models.deepchrome import MODELS
from dc2lib.training.fit import PAPER, TUNED, Recipe
from dc2lib.training.grid_fits import Fit, FitRecord

LEARNING_RATES = {
    "deepchrome_max": (1e-3, 3e-4, 3e-3),
    "deepchrome_average": (1e-3, 3e-4, 3e-3),
    "deepchrome_strided": (1e-3, 3e-4, 3e-3),
    "linear": (1e-1, 1e-2, 1.0),
}
GROUP = ["cell", "labels", "recipe", "orientation", "model"]


@dataclass(frozen=True)
class TrainingBudget:
    """What each architecture may spend, on every cell type and label rule.

    ``rates`` learning rates are tried for the tuned recipe, the first of `LEARNING_RATES`.
    """

    paper_epochs: int = 100
    tuned_epochs: int = 8
    rates: int = 2
    seeds: int = 2
    n_train: int = 0

    def paper(self) -> Recipe:
        """The paper's recipe with this number of epochs."""
        return replace(PAPER, epochs=self.paper_epochs)

    def tuned(self, model: str) -> list[Recipe]:
        """The candidates of the tuned recipe for one architecture."""
        rates = LEARNING_RATES[model]
        if not 1 <= self.rates <= len(rates):
            raise ValueError(f"rates is {self.rates}: expected 1 to {len(rates)}")
        epochs = self.tuned_epochs
        return [
            replace(TUNED, learning_rate=rate, epochs=epochs, patience=epochs)
            for rate in rates[: self.rates]
        ]


def planned_fits(
    cells: Iterable[str],
    home: str,
    budget: TrainingBudget,
    *,
    recipe: str,
    orientation: str = "genome",
    models: Sequence[str] = tuple(MODELS),
    label_rules: Sequence[str] = LABEL_RULES,
    seed: int = 0,
) -> list[Fit]:
    """One fit for every cell type, label rule, model, candidate recipe and seed.

    Parameters
    ----------
    cells, home
        Cell types and the store they lie in.
    recipe
        ``"paper"`` (one candidate) or ``"tuned"`` (``budget.rates`` candidates).
    orientation
        ``"genome"`` as released or ``"gene"``.
    """
    return [
        Fit(
            model=model,
            recipe=candidate,
            train_cells=(cell,),
            test_cell=cell,
            home=home,
            labels=rule,
            orientation=orientation,
            seed=seed + restart,
            n_train=budget.n_train,
        )
        for cell in cells
        for rule in label_rules
        for model in models
        for candidate in ([budget.paper()] if recipe == "paper" else budget.tuned(model))
        for restart in range(budget.seeds)
    ]


def chosen_by_validation(records: Sequence[FitRecord]) -> pd.DataFrame:
    """One row a (cell, labels, recipe, orientation, model): the best candidate and its fits.

    The candidate with the highest validation AUROC, averaged over the seeds, is kept.  Columns:
    those five, ``learning_rate``, ``valid_auroc``, ``epochs`` (mean best epoch), ``seconds`` (all
    candidates) and ``fits`` (the records of the chosen candidate, one a seed).
    """
    rows = pd.DataFrame([
        {
            "cell": one.fit.test_cell,
            "labels": one.fit.labels,
            "recipe": "paper" if one.fit.recipe.optimizer == "sgd" else "tuned",
            "orientation": one.fit.orientation,
            "model": one.fit.model,
            "learning_rate": one.fit.recipe.learning_rate,
            "valid_auroc": one.valid_auroc,
            "epochs": one.best_epoch + 1.0,
            "seconds": one.seconds,
            "fits": one,
        }
        for one in records
    ])
    candidates = rows.groupby([*GROUP, "learning_rate"], sort=False, as_index=False).agg(
        {"valid_auroc": "mean", "epochs": "mean", "fits": list}
    )
    seconds = rows.groupby(GROUP, sort=False, as_index=False)["seconds"].sum()
    candidates = candidates.sort_values("learning_rate", kind="stable")
    best = candidates.loc[candidates.groupby(GROUP)["valid_auroc"].idxmax()]
    return seconds.merge(best, on=GROUP)


def plot_learning_curves(histories: pd.DataFrame) -> Figure:
    """Validation AUROC by epoch, a panel a set-up, a line a fit.

    Parameters
    ----------
    histories
        Columns setup, labels, fit (any key of one line), epoch, valid_auroc.
    """
    setups = list(dict.fromkeys(histories["setup"]))
    fig, axes = plt.subplots(
        1, len(setups), figsize=(3.3 * len(setups), 3.2), sharey=True, squeeze=False
    )
    for axis, setup in zip(axes[0], setups, strict=True):
        part = histories[histories["setup"] == setup]
        for (labels, _), line in part.groupby(["labels", "fit"], sort=False):
            axis.plot(
                line["epoch"] + 1, line["valid_auroc"], color=LABEL_COLOURS[labels], alpha=0.8,
                label=f"{labels} labels", marker="." if len(line) < 3 else None,
            )  # fmt: skip
        axis.set(title=setup, xlabel="epoch")
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("validation AUROC")
    legend_below(fig)
    return fig


def scores_of(row: pd.Series, scoring: str) -> np.ndarray:
    """Scores of the test genes, float64 ``(fit, gene)``."""
    return np.stack([positive_score(one.test_logits, scoring) for one in row["fits"]])


def labels_of(row: pd.Series, rule: str | None = None) -> np.ndarray:
    """Labels of the test genes, ``(gene,)``; by default under the rule trained on."""
    one = row["fits"][0].fit
    return label(open_cell(one.test_cell, one.home).take("test"), rule or one.labels)


def mean_auroc(
    rows: pd.DataFrame,
    scoring: str = "probability",
    other: pd.DataFrame | None = None,
    **options: float,
) -> Interval:
    """Mean test AUROC over the cell types of ``rows``, or the mean paired difference to ``other``.

    Rows of both tables are matched by cell type.
    """
    first = rows.set_index("cell")
    second = None if other is None else other.set_index("cell").loc[first.index]
    return bootstrap_mean_auroc(
        [labels_of(row) for _, row in first.iterrows()],
        [scores_of(row, scoring) for _, row in first.iterrows()],
        None if second is None else [scores_of(row, scoring) for _, row in second.iterrows()],
        **options,
    )


def auroc_table(
    chosen: pd.DataFrame,
    by: Sequence[str],
    scorings: Sequence[str] = ("probability", "positive_logit"),
    n_resamples: int = 1000,
) -> pd.DataFrame:
    """Mean test AUROC of each group of rows under each score rule.

    Columns as in ``by``, then scoring, estimate, low, high and n (test genes of a cell type).
    """
    return pd.DataFrame([
        dict(zip(by, group, strict=True))
        | {"scoring": scoring}
        | vars(mean_auroc(part, scoring, n_resamples=n_resamples))
        for group, part in chosen.groupby(list(by), sort=False)
        for scoring in scorings
    ])


def difference_table(
    chosen: pd.DataFrame,
    by: Sequence[str],
    models: Sequence[str],
    reference: str,
    n_resamples: int = 1000,
) -> pd.DataFrame:
    """AUROC of models minus that of a reference model, paired over genes, in each group of rows.

    Columns as in ``by``, then model, estimate, low, high, n, verdict (`compared`) and
    equivalence_p, of two one-sided tests.
    """
    rows = []
    for group, part in chosen.groupby(list(by), sort=False):
        of = dict(list(part.groupby("model", sort=False)))
        for model in of:
            if model not in models:
                continue
            gap = mean_auroc(of[model], other=of[reference], n_resamples=n_resamples)
            rows.append(dict(zip(by, group, strict=True)) | {"model": model} | vars(gap)
                        | {"verdict": compared(gap),
                           "equivalence_p": equivalence_test(gap).pvalue})
    return pd.DataFrame(rows)


def resampled_units(n_cells: int) -> str:
    """What the interval of `mean_auroc` resamples over so many cell types.

    Examples
    --------
    >>> resampled_units(2), resampled_units(56)
    ('genes and seeds', 'genes, seeds and cell types')
    """
    return "genes, seeds and cell types" if n_cells >= MIN_CELLS else "genes and seeds"
