"""What drives transfer: in a study, in the released scores, and in worlds where it is known.

A world is a simulated study whose cell types share one rule from marks to expression or have one
each.  What the rank correlations of transfer say about it is held against what is true of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from dc2lib.crosscell.correlation import expression_correlation, one_column_off, study_correlation
from dc2lib.crosscell.transfer import transfer
from dc2lib.datasets import HistoneDataset, list_cells, open_cell, published
from dc2lib.datasets.simulated import iter_cells, stored_simulation
from dc2lib.evaluation import pair_statistics as pairs
from dc2lib.evaluation.scores import auroc
from dc2lib.labels import RULES, flipped, label
from dc2lib.training.grid import run_grid
from dc2lib.training.grid_fits import Fit
from dc2lib.training.linear import mark_means

DRIVERS = ("released_correlation", "aligned_correlation", "log_correlation", "label_flips")


@dataclass(frozen=True)
class World:
    """Transfer between the cell types of one simulated study, and what might drive it.

    Attributes
    ----------
    transfer
        AUROC (training cell, test cell) by label rule.
    drivers
        Table (cell, cell) by name of `DRIVERS`.
    """

    transfer: Mapping[str, pd.DataFrame]
    drivers: Mapping[str, pd.DataFrame]


def linear_world(
    n_cells: int = 24,
    n_genes: int = 1500,
    seed: int = 0,
    shared_rule: bool = True,
    rule_divergence: float = 0.5,
) -> World:
    """Simulate cell types and try the 12-parameter model of each on all, under both label rules.

    Parameters
    ----------
    n_cells, n_genes, seed, shared_rule, rule_divergence
        As for `dc2lib.datasets.simulated.simulate`. One cell type is in memory at a time.
    """
    world = {"shared_rule": shared_rule, "rule_divergence": rule_divergence}
    features, labels, rpkm, flips = {}, {rule: {} for rule in RULES}, {}, {}
    for dataset, _ in iter_cells(n_cells, n_genes, seed, **world):
        features[dataset.cell] = mark_means(dataset.counts, "log1p")
        rpkm[dataset.cell] = dataset.rpkm
        flips[dataset.cell] = flipped(dataset).mean()
        split = dataset.split
        for rule in RULES:
            labels[rule][dataset.cell] = label(dataset, rule)
    table = pd.DataFrame(rpkm)[split == "train"]
    tables = {
        rule: linear_transfer(features, labels[rule], split == "train", split == "test")
        for rule in RULES
    }
    drivers = _drivers(
        expression_correlation(one_column_off(table)),
        expression_correlation(table),
        expression_correlation(np.log1p(table)),
        pd.Series(flips),
    )
    return World(tables, drivers)


def network_world(
    base: Fit,
    n_cells: int = 8,
    n_genes: int = 1800,
    seed: int = 0,
    shared_rule: bool = True,
    rule_divergence: float = 0.5,
) -> World:
    """Simulate and store cell types and try each one's own network on all, under both label rules.

    Parameters
    ----------
    base
        What the fits have in common; cell types, store and label rule are replaced.
    n_cells, n_genes, seed, shared_rule, rule_divergence
        As for `dc2lib.datasets.simulated.simulate`.
    """
    different = {} if shared_rule else {"shared_rule": False, "rule_divergence": rule_divergence}
    home = stored_simulation(n_cells, n_genes, seed, **different)
    datasets = {cell: open_cell(cell, home) for cell in list_cells(home)}
    own = replace(base, home=str(home))
    tables = {}
    for rule in RULES:
        fits = {
            cell: replace(own, train_cells=(cell,), test_cell=cell, labels=rule)
            for cell in datasets
        }
        records = run_grid(list(fits.values()), progress=False)
        tables[rule] = transfer(dict(zip(fits, records, strict=True)))
    return World(tables, study_drivers(datasets))


def study_drivers(datasets: Mapping[str, HistoneDataset]) -> dict[str, pd.DataFrame]:
    """What might drive transfer between the cell types of a study, by name of `DRIVERS`."""
    return _drivers(
        study_correlation(datasets, "released"),
        study_correlation(datasets),
        study_correlation(datasets, log=True),
        pd.Series({cell: flipped(data).mean() for cell, data in datasets.items()}),
    )


def published_drivers() -> dict[str, pd.DataFrame]:
    """What might drive transfer between Roadmap's cell types, by name of `DRIVERS`."""
    correlations = (published.rpkm_correlation(name) for name in ("released", "aligned", "log"))
    return _drivers(*correlations, published.label_audit()["labels_flipped"])


def published_transfer() -> pd.DataFrame:
    """The released AUROC (training cell, test cell), own models (run ``deepchrome``) included."""
    scores = published.released_test_on_rest().rename_axis(None)
    runs = published.released_results().query("experiment == 'deepchrome'")
    own = runs.set_index("cell")["test_auroc"]
    return scores.mask(np.eye(len(scores), dtype=bool), own[scores.columns], axis=1)


def _drivers(
    released: pd.DataFrame, aligned: pd.DataFrame, log: pd.DataFrame, flips: pd.Series
) -> dict[str, pd.DataFrame]:
    """Tables (training cell, test cell), of which more should help: few flips count as much."""
    return dict(
        zip(DRIVERS, (released, aligned, log, pairs.by_training_cell(-flips)), strict=True)
    )


def linear_transfer(
    features: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    train: np.ndarray,
    test: np.ndarray,
) -> pd.DataFrame:
    """AUROC of each cell type's logistic regression on the test genes of each cell type.

    Parameters
    ----------
    features
        Mean log counts ``(gene, mark)`` by cell type; the 12-parameter model's input.
    labels
        0 or 1 ``(gene,)`` by cell type.
    train, test
        Masks ``(gene,)``.
    """
    cells = list(features)
    table = pd.DataFrame(index=cells, columns=cells, dtype=float)
    for trained in cells:
        model = LogisticRegression(C=100.0, max_iter=1000)
        model.fit(features[trained][train], labels[trained][train])
        for cell in cells:
            score = model.decision_function(features[cell][test])
            table.loc[trained, cell] = auroc(labels[cell][test], score)
    return table.rename_axis(index="train_cell", columns="test_cell")


def drivers_by_rule(world: World, **options: int) -> pd.DataFrame:
    """`driver_table` of a world under every label rule.

    Returns
    -------
    DataFrame
        With the further columns labels and loss: the mean change of AUROC of another cell type's
        model against the own one.
    """
    parts = []
    for rule, values in world.transfer.items():
        change = pairs.pair_table(world.drivers["aligned_correlation"], values)["change"]
        table = driver_table(world.drivers, values, **options)
        parts.append(table.assign(labels=rule, loss=change.mean()))
    return pd.concat(parts, ignore_index=True)


def driver_table(
    drivers: Mapping[str, pd.DataFrame],
    transfer: pd.DataFrame,
    statistic: str = "within_test_cells",
    *,
    n_resamples: int = 1000,
    n_permutations: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """A statistic of every driver with transfer: interval by two-way bootstrap, Mantel's p-value.

    Returns
    -------
    DataFrame
        Columns driver, statistic, estimate, low, high, n (cells), pvalue, positive (test cells
        with a rank correlation above 0).
    """
    rows = []
    for name, driver in drivers.items():
        cells = [cell for cell in transfer.index if driver.loc[cell].notna().any()]
        part = transfer.loc[cells, cells]
        interval = pairs.two_way_interval(
            driver, part, statistic, n_resamples=n_resamples, seed=seed
        )
        pvalue = pairs.mantel(driver, part, statistic, n_permutations=n_permutations, seed=seed)
        each = pairs.each_test_cell(driver, part, statistic)
        rows.append(
            {"driver": name, "statistic": statistic, **vars(interval), "pvalue": pvalue,
             "positive": int((each > 0).sum())}
        )
    return pd.DataFrame(rows)
