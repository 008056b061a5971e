"""What drives transfer: in a study, in the released scores, and in worlds where it is known.

A world is a simulated study whose cell types share one rule from marks to expression or have one
each.  What the rank correlations of transfer say about it is held against what is true of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dc2book.cross_cell.mark_totals import MarkTotals
from dc2lib.crosscell import expression_correlation, one_column_off, study_correlation
from dc2lib.datasets import HistoneDataset, published
from dc2lib.datasets.simulated import iter_cells
from dc2lib.evaluation import pair_statistics as pairs
from dc2lib.labels import RULES, flipped, label
from dc2lib.training.executors import outcomes

DRIVERS = ("released_correlation", "aligned_correlation", "log_correlation", "label_flips",
           "median", "positives")
FEW_FLIPS = 0.01  # a cell type with a smaller share of flipped labels counts as unflipped


@dataclass(frozen=True)
class World:
    """Transfer between the cell types of one simulated study, and what might drive it."""

    transfer: Mapping[str, pd.DataFrame]  # AUROC (training cell, test cell) by label rule
    drivers: Mapping[str, pd.DataFrame]  # table (cell, cell) by name of `DRIVERS`


def simulated_world(
    n_cells: int, n_genes: int, seed: int, shared_rule: bool, rule_divergence: float = 0.2
) -> World:
    """Simulate cell types and try the regression of each on all, under both label rules.

    ``n_cells``, ``n_genes``, ``seed``, ``shared_rule``, ``rule_divergence``: as for
    `dc2lib.datasets.simulated.simulate`. One cell type is in memory at a time.
    """
    rpkm, flips = {}, {}

    def each() -> Iterator[HistoneDataset]:
        for dataset, _ in iter_cells(n_cells, n_genes, seed, shared_rule=shared_rule,
                                     rule_divergence=rule_divergence):
            rpkm[dataset.cell] = dataset.rpkm
            flips[dataset.cell] = flipped(dataset).mean()
            yield dataset

    models = MarkTotals(each())
    train = models.split[models.cells[0]] == "train"
    table = pd.DataFrame(rpkm)[train]
    correlations = map(expression_correlation, (one_column_off(table), table, np.log1p(table)))
    drivers = _drivers(*correlations, label_flips=-pd.Series(flips))
    return World({rule: models.transfer(rule) for rule in RULES}, drivers)


def study_drivers(datasets: Mapping[str, HistoneDataset]) -> dict[str, pd.DataFrame]:
    """What might drive transfer between the cell types of a study, by name of `DRIVERS`."""
    training = {cell: data.take("train") for cell, data in datasets.items()}
    return _drivers(
        study_correlation(datasets, "released"),
        study_correlation(datasets),
        study_correlation(datasets, log=True),
        label_flips=-flipped_share(datasets),
        median=-pd.Series({cell: float(data.rpkm_median_text) for cell, data in datasets.items()}),
        positives=pd.Series({cell: label(one, "lexicographic").mean()
                             for cell, one in training.items()}),
    )


def flipped_share(datasets: Mapping[str, HistoneDataset]) -> pd.Series:
    """Share of genes whose class differs between the two label rules, by cell type."""
    return pd.Series({cell: flipped(data).mean() for cell, data in datasets.items()})


def flipped_cells(share: pd.Series) -> list[str]:
    """Cell types of which more than `FEW_FLIPS` of the labels are flipped."""
    return share.index[share > FEW_FLIPS].tolist()


def published_drivers() -> dict[str, pd.DataFrame]:
    """What might drive transfer between Roadmap's cell types, by name of `DRIVERS`."""
    audit = published.label_audit()
    return _drivers(
        *(published.rpkm_correlation(name) for name in ("released", "aligned", "log")),
        label_flips=-audit["labels_flipped"],
        median=-audit["rpkm_median"].astype(float),
        positives=audit["lexicographic_positive_train"],
    )


def published_transfer() -> pd.DataFrame:
    """The released AUROC (training cell, test cell), own models (run ``deepchrome``) included."""
    scores = published.released_test_on_rest().rename_axis(None)
    own = published.released_aurocs()["deepchrome"]
    return scores.mask(np.eye(len(scores), dtype=bool), own[scores.columns], axis=1)


def _drivers(
    released: pd.DataFrame, aligned: pd.DataFrame, log: pd.DataFrame, **by_cell: pd.Series
) -> dict[str, pd.DataFrame]:
    """Tables (training cell, test cell), of which more should help: few flips count as much."""
    drivers = {name: pairs.by_training_cell(one.astype(float)) for name, one in by_cell.items()}
    return dict(zip(DRIVERS, (released, aligned, log), strict=False)) | drivers


def repeated_worlds(
    n_worlds: int, n_cells: int, n_genes: int, rule_divergence: float, seed: int = 0, **options: int
) -> pd.DataFrame:
    """`drivers_by_rule` in several worlds of either kind, with columns world, number, detected.

    The world is ``"shared"`` (one rule) or ``"specific"`` (each cell type its own); a driver is
    detected where its correlation is positive and Mantel's p below 0.05.
    """
    jobs = [
        (n_cells, n_genes, seed + number, shared, rule_divergence)
        for shared in (True, False) for number in range(n_worlds)
    ]
    parts = []
    for number, world, error in outcomes(simulated_world, jobs):
        if error is not None:
            raise error
        kind = "shared" if jobs[number][3] else "specific"
        parts.append(drivers_by_rule(world, **options).assign(world=kind, number=number))
    table = pd.concat(parts, ignore_index=True).dropna(subset=["estimate"])
    return table.assign(detected=(table["estimate"] > 0) & (table["pvalue"] < 0.05))


def drivers_by_rule(world: World, **options: int) -> pd.DataFrame:
    """`driver_table` of a world under every label rule.

    Returns it with the further columns labels and loss: the mean change of AUROC of another cell
    type's model against the own one.
    """
    aligned = world.drivers["aligned_correlation"]
    return pd.concat([
        driver_table(world.drivers, values, **options).assign(
            labels=rule, loss=pairs.pair_table(aligned, values)["change"].mean())
        for rule, values in world.transfer.items()
    ], ignore_index=True)


def change_and_driver(
    driver: pd.DataFrame, transfer: pd.DataFrame, **options: int
) -> tuple[dict[str, float], pd.DataFrame]:
    """Figure 7: Pearson's r of the change of AUROC with a driver over all pairs, and the pairs.

    Returns r: estimate, low, high (two-way bootstrap), n (cell types), pvalue (Mantel); and the
    pairs as from `dc2lib.evaluation.pair_statistics.pair_table`.
    """
    change = pairs.change_from_own(transfer)
    table = driver_table({"r": driver}, change, "pearson", **options).iloc[0]
    known = [cell for cell in transfer.index if driver.loc[cell].notna().any()]
    names = ["estimate", "low", "high", "n", "pvalue"]
    return table[names].to_dict(), pairs.pair_table(driver, transfer.loc[known, known])


def driver_table(
    drivers: Mapping[str, pd.DataFrame], transfer: pd.DataFrame,
    statistic: str = "within_test_cells", *, n_resamples: int = 1000, n_permutations: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """A statistic of every driver with transfer: interval by two-way bootstrap, Mantel's p-value.

    Columns driver, statistic, estimate, low, high, n (cells), pvalue, positive (test cells with a
    rank correlation above 0).
    """
    rows = []
    for name, driver in drivers.items():
        cells = [cell for cell in transfer.index if driver.loc[cell].notna().any()]
        both = driver, transfer.loc[cells, cells], statistic
        rows.append({
            "driver": name, "statistic": statistic,
            **vars(pairs.two_way_interval(*both, n_resamples=n_resamples, seed=seed)),
            "pvalue": pairs.mantel(*both, n_permutations=n_permutations, seed=seed),
            "positive": int((pairs.each_test_cell(*both) > 0).sum()),
        })
    return pd.DataFrame(rows)
