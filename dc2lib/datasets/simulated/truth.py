"""What is true of a simulated study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dc2lib.datasets.histone import HistoneDataset


@dataclass(frozen=True)
class GeneTruth:
    """What is true of a gene in every cell type.

    Attributes
    ----------
    strand : str array (gene,)
        "+" or "-"; the bins of minus-strand genes run against the gene.
    shared : array (gene,)
        The part of latent expression that all cell types share.
    variability : array (gene,)
        How far the gene departs from it; root mean square 1.
    residual : array (gene, mark)
        Mark strength that expression does not explain, as far as all cell types share it.
    neighbour_draw, neighbour_share : arrays (gene,)
        The draw (0 to 1) that decides whether the H3K4me3 peak is a neighbour's; the share of the
        reads that is then the neighbour's.
    offset : int array (gene,)
        How many bins downstream (upstream: below 0) the neighbour's peak lies.
    group : int8 array (gene,)
        0 or 1, for rules with two groups of genes.
    """

    strand: np.ndarray
    shared: np.ndarray
    variability: np.ndarray
    residual: np.ndarray
    neighbour_draw: np.ndarray
    neighbour_share: np.ndarray
    offset: np.ndarray
    group: np.ndarray


@dataclass(frozen=True)
class MarkState:
    """Expression of one cell type, and what decides about its counts.

    Attributes
    ----------
    expression : array (gene,)
        Latent expression, as a standard normal score; RPKM has the same order.
    mark_score : array (gene, mark)
        Strength of each mark as a standard normal score.
    displaced : bool array (gene,)
        The H3K4me3 peak does not lie at the gene's own TSS.
    focus : array (gene,)
        How far profiles are those of highly expressed genes (1) and not of low ones (0).
    reference_score : array (gene,)
        A ranking of the genes to compare models with. Calibrated world: the probability of high
        expression given the exact strength of every mark and whether the peak is displaced, so
        the most that totals can tell; profiles tell more (`focus`). Planted rule: what the rule
        says, as a normal score. Null: zero.
    """

    expression: np.ndarray
    mark_score: np.ndarray
    displaced: np.ndarray
    focus: np.ndarray
    reference_score: np.ndarray


@dataclass(frozen=True)
class CellTruth(MarkState):
    """What is true of one simulated cell type, beside its MarkState.

    Attributes
    ----------
    lineage : int
    lineage_part, cell_part : arrays (gene,)
        What the lineage and the cell type add to the shared part of expression. With a planted
        rule the three parts make up what the marks do not explain.
    mark_level : array (gene, mark)
        Strength of each mark as expected reads a bin, before the library size.
    library_size : array (mark,)
        Reads relative to a real library.
    blend : array (mark,)
        0: the mark is as in E012; 1: as in E013; between: between.
    rotation : array (mark, mark) or None
        Of the mark scores, where the rule is the cell type's own.
    """

    lineage: int
    lineage_part: np.ndarray
    cell_part: np.ndarray
    mark_level: np.ndarray
    library_size: np.ndarray
    blend: np.ndarray
    rotation: np.ndarray | None


@dataclass(frozen=True)
class SimulationTruth:
    """What is true of a whole study.

    Attributes
    ----------
    genes : GeneTruth
    cells : dict cell -> CellTruth
    rule : str
        Name of the planted rule, or ``"calibrated"``.
    signs : dict mark -> +1 or -1
        The marks that make expression high (+1) or low (-1); empty where there are none.
    bins : dict mark -> (first, last + 1)
        Where they do.
    """

    genes: GeneTruth
    cells: dict[str, CellTruth]
    rule: str
    signs: dict[str, int]
    bins: dict[str, tuple[int, int]]

    def of_cells(self, name: str) -> np.ndarray:
        """Attribute `name` of all cells, stacked along the first axis."""
        return np.stack([getattr(cell, name) for cell in self.cells.values()])


@dataclass(frozen=True)
class SimulatedStudy:
    """Simulated cell types, and the truth about them."""

    datasets: dict[str, HistoneDataset]
    truth: SimulationTruth
