"""Architectures side by side: the same cells, genes, seeds and tuning budget for each.

Sections 3.2 and 4.3 of DeepChrome 2.0 (Table 2).  Every model gets the same number of seeds and the
same number of learning rates to choose from; the choice looks at validation genes only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from dc2lib.datasets import HistoneDataset, open_cell
from dc2lib.evaluation.scores import positive_score
from dc2lib.evaluation.statistics import MIN_CELLS, Interval, bootstrap_mean_auroc
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
class Budget:
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
    budget: Budget,
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
    rows = [
        {
            "cell": record.fit.test_cell,
            "labels": record.fit.labels,
            "recipe": "paper" if record.fit.recipe.optimizer == "sgd" else "tuned",
            "orientation": record.fit.orientation,
            "model": record.fit.model,
            "learning_rate": record.fit.recipe.learning_rate,
            "record": record,
        }
        for record in records
    ]
    chosen = []
    for names, group in pd.DataFrame(rows).groupby(GROUP, sort=False):
        candidates = {
            rate: part["record"].tolist() for rate, part in group.groupby("learning_rate")
        }
        scores = {
            rate: np.mean([one.valid_auroc for one in fits]) for rate, fits in candidates.items()
        }
        best = max(scores, key=scores.__getitem__)
        fits = candidates[best]
        chosen.append(
            dict(zip(GROUP, names, strict=True))
            | {
                "learning_rate": best,
                "valid_auroc": scores[best],
                "epochs": float(np.mean([one.best_epoch + 1 for one in fits])),
                "seconds": sum(one.seconds for each in candidates.values() for one in each),
                "fits": fits,
            }
        )
    return pd.DataFrame(chosen)


def scores_of(row: pd.Series, scoring: str) -> np.ndarray:
    """Scores of the test genes, float64 ``(fit, gene)``."""
    return np.stack([positive_score(one.test_logits, scoring) for one in row["fits"]])


def labels_of(row: pd.Series, rule: str | None = None) -> np.ndarray:
    """Labels of the test genes, ``(gene,)``; by default under the rule trained on."""
    one = row["fits"][0].fit
    return label(_test_genes(one.test_cell, one.home), rule or one.labels)


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


def resampled_in_words(n_cells: int) -> str:
    """What the interval of `mean_auroc` resamples over so many cell types.

    Examples
    --------
    >>> resampled_in_words(2), resampled_in_words(56)
    ('genes and seeds', 'genes, seeds and cell types')
    """
    return "genes, seeds and cell types" if n_cells >= MIN_CELLS else "genes and seeds"


def _test_genes(cell: str, home: str) -> HistoneDataset:
    return open_cell(cell, home).take("test")

