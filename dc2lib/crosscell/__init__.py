"""Can the model of one cell type stand in for another's?

Correlation of expression, the training sets built from it (section 3.3 of the paper), the
experiments as fits with their tables, and every model on every cell type.

>>> import pandas as pd
>>> cells = ["E003", "E004", "E005"]
>>> correlation = pd.DataFrame([[1, 0.8, 0.2], [0.8, 1, 0.6], [0.2, 0.6, 1]], cells, cells)
>>> training_sets(correlation, "highly")
{'E003': ('E003', 'E004'), 'E004': ('E003', 'E004'), 'E005': ('E005',)}
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dc2lib.datasets import published
from dc2lib.datasets.histone import SPLITS, HistoneDataset
from dc2lib.datasets.rpkm import ALIGNMENTS, roadmap_name
from dc2lib.errors import DataError

THRESHOLDS = {"highly": 0.75, "somewhat": 0.5}
KINDS = ("own", "all", *THRESHOLDS, "random")
EXPERIMENTS = {
    "deepchrome": ("own", True),
    "inclusive_highly": ("highly", True), "exclusive_highly": ("highly", False),
    "inclusive_somewhat": ("somewhat", True), "exclusive_somewhat": ("somewhat", False),
    "inclusive_random": ("random", True), "exclusive_random": ("random", False),
    "inclusive_all": ("all", True), "exclusive_all": ("all", False),
}  # fmt: skip


def expression_correlation(rpkm: pd.DataFrame) -> pd.DataFrame:
    """Pearson correlation of raw RPKM between cell types (section 3.3 of the paper), (cell, cell).

    `rpkm` is a table (gene, cell), such as ``read_rpkm(path).frame()``.  NaN for a cell type
    without expression or any variation.  Raises DataError if there are fewer than three genes.
    """
    if len(rpkm) < 3:
        raise DataError(f"A correlation needs at least 3 genes, and there are {len(rpkm)}.")
    return rpkm.corr()


def expression_table(datasets: Mapping[str, HistoneDataset]) -> pd.DataFrame:
    """RPKM of the genes that all datasets share, as a table (gene, cell).

    Raises DataError if a dataset has no expression, or they share no gene.
    """
    columns = {}
    for cell, dataset in datasets.items():
        if dataset.rpkm is None:
            raise DataError(f"{cell} has no expression (RPKM); fill the store with `make data`.")
        columns[cell] = pd.Series(dataset.rpkm, index=dataset.gene_id)
    table = pd.concat(columns, axis=1, join="inner")
    if table.empty:
        raise DataError(f"The cell types {', '.join(columns)} share no gene.")
    return table


def genes_by_split(datasets: Mapping[str, HistoneDataset]) -> dict[str, list[str]]:
    """Gene ids of each split, those that all datasets share and place alike, in order."""
    splits = [pd.Series(data.split, index=data.gene_id) for data in datasets.values()]
    table = pd.concat(splits, axis=1, join="inner")
    alike = table.nunique(axis=1) == 1
    return {split: table.index[alike & (table.iloc[:, 0] == split)].tolist() for split in SPLITS}


def one_column_off(rpkm: pd.DataFrame) -> pd.DataFrame:
    """Every cell type with the expression of the next column; the last one comes out empty (NaN).

    What a reader gets from Roadmap's table that takes its header for one column too few, as the
    released code did.
    """
    return rpkm.shift(-1, axis=1)


def study_correlation(
    datasets: Mapping[str, HistoneDataset], alignment: str = "aligned", *, log: bool = False
) -> pd.DataFrame:
    """Correlation of expression between the cell types of a study, over training genes.

    Between measured cell types that bear Roadmap's names (E122, or E122.counts) it is that of the
    whole table's first 6,601 rows, as the paper computed it; otherwise that of the training genes
    which all datasets share.  With the alignment ``"released"`` columns are one off (see
    `one_column_off`); with ``log`` it is that of log (1 + RPKM), since a few genes dominate RPKM.
    A table (cell, cell), NaN for a cell type without a column.  Raises DataError if the alignment
    is unknown, or logarithms are asked for with columns one off.
    """
    if alignment not in ALIGNMENTS or (log and alignment != "aligned"):
        raise DataError(f"No correlation for alignment {alignment!r} with log={log}.")
    cells = list(datasets)
    if all(data.source != "simulated" for data in datasets.values()):
        known = published.rpkm_correlation("log" if log else alignment)
        names = [roadmap_name(cell) for cell in cells]
        if set(names) <= set(known.index):
            return known.loc[names, names].set_axis(cells, axis=0).set_axis(cells, axis=1)
    rpkm = expression_table(datasets).loc[genes_by_split(datasets)["train"]]
    rpkm = one_column_off(rpkm) if alignment == "released" else rpkm
    return expression_correlation(np.log1p(rpkm) if log else rpkm)


def training_sets(
    correlation: pd.DataFrame,
    kind: str,
    *,
    inclusive: bool = True,
    n_random: int = 10,
    seed: int = 0,
    groups: int = 0,
) -> dict[str, tuple[str, ...]]:
    """Training cell types by test cell type, in the order of `correlation`.

    A test cell type without any training cell type is left out, and so is one without any
    correlation (cell, cell) of expression, as E128 was in the paper.  The kind is ``"own"``, the
    test cell type itself (the paper's DeepChrome experiment), ``"all"``, ``"highly"`` or
    ``"somewhat"``, those that correlate with it above 0.75 or 0.5, or ``"random"``: ``n_random``,
    or all, that are drawn with the seed (10 in the paper, 8 in its released files).  Inclusive sets
    hold the test cell type; an exclusive random set has another cell type in its place.

    With ``groups``, the exclusive sets of all cell types leave out a group of them, of so many
    groups, and serve every test cell type in it; the first cell type is of the first group, the
    second of the second, and so on.  0: each is left out alone, as in the paper.  Raises DataError
    if the kind is unknown.
    """
    if kind not in KINDS:
        raise DataError(f"Unknown training sets {kind!r}: use one of {', '.join(KINDS)}.")
    cells = correlation.index[correlation.notna().any(axis=1)].tolist()
    sets = {}
    for number, cell in enumerate(cells):
        others = [other for other in cells if other != cell]
        if kind == "own":
            others = []
        elif kind == "all" and groups and not inclusive:
            together = set(cells[number % groups :: groups])
            others = [o for o in others if o not in together]
        elif kind == "random":
            rng = np.random.default_rng((seed, number))
            others = rng.permutation(others)[: n_random - inclusive].tolist()
        elif kind in THRESHOLDS:
            alike = correlation.loc[cell] > THRESHOLDS[kind]
            others = [o for o in others if alike[o]]
        chosen = {*others, cell} if inclusive else set(others)
        if chosen:
            sets[cell] = tuple(other for other in cells if other in chosen)
    return sets
