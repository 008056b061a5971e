"""A model that trains in milliseconds: logistic regression on the ranked total of each mark.

It makes every model on every cell type, and every training set under either label rule, affordable
for many cell types.  Totals are ranked within the cell type, so that reads and peaks compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from dc2lib.crosscell import EXPERIMENTS, training_sets
from dc2lib.datasets import HistoneDataset, shared_marks
from dc2lib.evaluation.scores import auroc
from dc2lib.labels import RULES, label


def ranked_totals(dataset: HistoneDataset) -> np.ndarray:
    """Each mark's total over the bins as its rank among the training genes, ``(gene, mark)``.

    The share of the training genes that hold less, from 0 to 1.
    """
    totals = dataset.counts.sum(axis=1, dtype=np.float64)
    train = np.sort(totals[dataset.split == "train"], axis=0)
    columns = [
        np.searchsorted(one, values) / len(one)
        for one, values in zip(train.T, totals.T, strict=True)
    ]
    return np.stack(columns, axis=1)


class MarkTotals:
    """Logistic regressions on ranked mark totals, one a training set and label rule.

    Parameters
    ----------
    cells
        Cell types with at least one mark in common; one at a time is read.
    marks
        Marks to use; default those of the first cell type.
    """

    def __init__(
        self, cells: Iterable[HistoneDataset], marks: Sequence[str] | None = None
    ) -> None:
        self.features: dict[str, np.ndarray] = {}
        self.split: dict[str, np.ndarray] = {}
        self.labels: dict[tuple[str, str], np.ndarray] = {}
        self._fitted: dict[tuple[tuple[str, ...], str], LogisticRegression] = {}
        for dataset in cells:
            marks = dataset.marks if marks is None else marks
            used = dataset if dataset.marks == tuple(marks) else dataset.with_marks(tuple(marks))
            self.features[dataset.cell] = ranked_totals(used)
            self.split[dataset.cell] = np.asarray(dataset.split)
            for rule in RULES:
                self.labels[dataset.cell, rule] = label(dataset, rule)

    @property
    def cells(self) -> list[str]:
        """The cell types in order."""
        return list(self.features)

    def truth(self, cell: str, rule: str) -> np.ndarray:
        """Labels of a cell type's test genes, ``(gene,)``."""
        return self.labels[cell, rule][self.split[cell] == "test"]

    def score(self, train_cells: Sequence[str], cell: str, rule: str) -> np.ndarray:
        """Log odds of a cell type's test genes by a model of others, ``(gene,)``."""
        key = tuple(train_cells), rule
        if key not in self._fitted:
            rows = [self.split[one] == "train" for one in train_cells]
            named = list(zip(train_cells, rows, strict=True))
            self._fitted[key] = LogisticRegression(C=100.0, max_iter=1000).fit(
                np.concatenate([self.features[one][here] for one, here in named]),
                np.concatenate([self.labels[one, rule][here] for one, here in named]),
            )
        return self._fitted[key].decision_function(
            self.features[cell][self.split[cell] == "test"]
        )

    def experiments(
        self, correlation: pd.DataFrame, rule: str, names: Iterable[str] = tuple(EXPERIMENTS),
        **sizes: int,
    ) -> dict[tuple[str, str], np.ndarray]:
        """Scores ``(1, gene)`` of the test genes by (experiment, cell), as from one seed."""
        scores = {}
        for name in names:
            kind, inclusive = EXPERIMENTS[name]
            sets = training_sets(correlation, kind, inclusive=inclusive, **sizes)
            for cell, train_cells in sets.items():
                scores[name, cell] = self.score(train_cells, cell, rule)[None]
        return scores

    def transfer(self, trained_on: str, scored_on: str | None = None) -> pd.DataFrame:
        """AUROC (training cell, test cell) of each cell type's own model on all.

        Parameters
        ----------
        trained_on, scored_on
            Label rules of the training and of the test genes; the second is by default the first.
        """
        table = {}
        for cell in self.cells:
            truth = self.truth(cell, scored_on or trained_on)
            table[cell] = [auroc(truth, self.score([one], cell, trained_on)) for one in self.cells]
        matrix = pd.DataFrame(table, index=self.cells)
        return matrix.rename_axis(index="train_cell", columns="test_cell")


def totals_of(
    cells: Mapping[str, HistoneDataset], marks: Sequence[str] | None = None
) -> MarkTotals:
    """`MarkTotals` of these marks, by default those that all the cell types share."""
    return MarkTotals(cells.values(), marks or shared_marks(list(cells.values())))
