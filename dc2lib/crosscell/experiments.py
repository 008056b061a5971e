"""The cross-cell experiments of the paper (section 3.3) as fits, within bounds of time."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from dc2lib.crosscell import EXPERIMENTS, training_sets
from dc2lib.datasets import open_cell
from dc2lib.datasets.store import cell_stamp
from dc2lib.training.grid import run_grid
from dc2lib.training.grid_fits import Fit, FitRecord


def planned_experiments(
    base: Fit,
    correlation: pd.DataFrame,
    *,
    experiments: Iterable[str] = tuple(EXPERIMENTS),
    test_cells: Sequence[str] | None = None,
    n_random: int = 10,
    set_epochs: int = 0,
    set_passes: int = 0,
    set_cells: int = 0,
    groups: int = 0,
    unflipped: Collection[str] = (),
) -> dict[tuple[str, str], Fit]:
    """One fit an experiment and test cell type, by (experiment, cell).

    ``base`` is what the fits have in common, its cell types are replaced; ``experiments`` are names
    of `EXPERIMENTS`; for ``n_random`` and ``groups`` see `training_sets`; without ``test_cells``
    every cell type with a training set is one.

    Training sets of several cell types run ``set_epochs`` epochs (0: as many as one cell type):
    each epoch shows them more genes.  If they would make more than ``set_passes`` gene passes (0:
    no bound), their epochs take as many training genes of each cell type as make so many.  The
    sets between own and all are planned for ``set_cells`` test cell types only (0: all), spread
    evenly.  Fits on ``unflipped`` cell types only, whose labels are the same under both rules, are
    numeric ones, so that nothing is trained twice.
    """
    known = test_cells or list(training_sets(correlation, "own"))
    short = replace(base.recipe, epochs=set_epochs, patience=set_epochs) if set_epochs else None
    fits = {}
    for name in experiments:
        kind, inclusive = EXPERIMENTS[name]
        sets = training_sets(
            correlation, kind, inclusive=inclusive, n_random=n_random, groups=groups
        )
        for cell in known if kind in ("own", "all") else evenly_spaced(known, set_cells):
            if cell in sets:
                one = replace(base, train_cells=sets[cell], test_cell=cell)
                if short and len(sets[cell]) > 1:
                    one = replace(one, recipe=short)
                if {*sets[cell], cell} <= set(unflipped):
                    one = replace(one, labels="numeric")
                fits[name, cell] = limit_passes(one, set_passes)
    return fits


def evenly_spaced(cells: Sequence[str], number: int) -> list[str]:
    """So many of the cell types, evenly spread over their order; all where ``number`` is 0.

    >>> evenly_spaced(["E003", "E004", "E005", "E006", "E007"], 3)
    ['E003', 'E005', 'E007']
    """
    if not 0 < number < len(cells):
        return list(cells)
    return [cells[place] for place in np.linspace(0, len(cells) - 1, number).round().astype(int)]


def limit_passes(one: Fit, passes: int) -> Fit:
    """The fit itself, or the same epochs on fewer genes of each cell type, if it makes more passes.

    A fit on one cell type stays as it is, and so does any where ``passes`` is 0.
    """
    cells, epochs = len(one.train_cells), one.recipe.epochs
    if not passes or cells == 1 or epochs * training_size(one) <= passes:
        return one
    return replace(one, n_train=max(1, passes // (cells * epochs)))


def run_plans(
    plans: Mapping[Hashable, Mapping[tuple[str, str], Fit]], **options: object
) -> dict[Hashable, dict[tuple[str, str], FitRecord]]:
    """Train several plans (of `planned_experiments`) as one grid; their records under their names.

    ``options`` are those of `dc2lib.training.grid.run_grid`.
    """
    done = iter(run_grid([fit for plan in plans.values() for fit in plan.values()], **options))
    return {name: {key: next(done) for key in plan} for name, plan in plans.items()}


def training_size(one: Fit, n_train: int | None = None) -> int:
    """Genes that a fit is trained on, where every cell type has ``n_train``, or those it holds."""
    sizes = [
        _train_genes(cell, one.home, cell_stamp(cell, one.home)) if n_train is None else n_train
        for cell in one.train_cells
    ]
    if one.each_gene_once:
        return round(float(np.mean(sizes)))
    return sum(min(size, one.n_train or size) for size in sizes)


@cache
def _train_genes(cell: str, home: str, stamp: int) -> int:
    return int((open_cell(cell, home).split == "train").sum())
