"""Simulate cell types, one after the other, and keep them in a store of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path

import numpy as np

from dc2lib.cache import cache_path
from dc2lib.datasets.histone import MARKS, N_BINS, SPLITS, HistoneDataset, median_text
from dc2lib.datasets.simulated import draws
from dc2lib.datasets.simulated.draws import Figures, figures_between
from dc2lib.datasets.store import cells_folder, list_cells, temporary_folder, write_cell
from dc2lib.errors import DataError
from dc2lib.labels import sorts_after

FIRST_GENE = 900_001  # of the Ensembl ids: six digits, beyond the real genes
PROMOTER_MARK = "H3K4me3"
UPSTREAM = 0.6  # share of displaced H3K4me3 peaks
DISPLACED_WITHOUT_CAUSE = 0.08  # share of displaced peaks where they tell nothing of expression
LIMITS = {
    "n_cells": (1, 999), "n_genes": (10, 99_999), "seed": (0, 2**63 - 1),
    "rule_divergence": (0, 10), "signal": (0, 1), "library_spread": (0, 2), "blend": (0, 1),
}  # fmt: skip


@dataclass(frozen=True)
class Design:
    """What a simulated study is asked to be.

    Raises DataError if a parameter is out of its range.

    Parameters
    ----------
    n_cells, n_genes : int
        Cells beyond what memory holds: use :func:`iter_cells`. Cell types take turns in three
        lineages: the first belongs to lineage 0, the second to lineage 1, and so on.
    seed : int
        Same seed, same study. A cell type does not depend on how many are simulated beside it.
    marks : sequence of str
        The five released ones; also H3K27ac, H3K9ac, H3K4me2, H3K79me2, for which a released mark
        of similar profile stands in.
    shared_rule : bool
        False: each cell type has its own relation of marks and expression, alike within a lineage.
    rule_divergence : float
        How far these relations lie apart (0: not at all; 1: unrelated, even opposite).
    signal : float
        Correlation, 0 to 1, of what the marks follow with expression. 1 is the calibrated strength,
        0 is no relation.
    library_spread : float
        Standard deviation of the log of a random factor on the reads of a cell type and mark.
    blend : float, optional
        0: every cell type like E012; 1: like E013. Default: drawn for each cell type and mark.
    """

    n_cells: int = 8
    n_genes: int = 4000
    seed: int = 0
    marks: Sequence[str] = MARKS
    shared_rule: bool = True
    rule_divergence: float = 0.4
    signal: float = 1.0
    library_spread: float = 0.35
    blend: float | None = None

    def __post_init__(self) -> None:
        draws.mark_index(self.marks)
        for name, (low, high) in LIMITS.items():
            value, whole = getattr(self, name), name in ("n_cells", "n_genes", "seed")
            if name == "blend" and value is None:
                continue
            known = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
            if not known or not low <= value <= high:
                raise DataError(
                    f"{name} = {value!r}: expected a {'whole ' * whole}number from {low:,} to"
                    f" {high:,}."
                )

    @property
    def promoter(self) -> int | None:
        """Where H3K4me3 is among the marks; None where it is not."""
        return self.marks.index(PROMOTER_MARK) if PROMOTER_MARK in self.marks else None


@dataclass(frozen=True)
class GeneTruth:
    """What is true of a gene in every cell type; arrays (gene,) but for `residual`."""

    strand: np.ndarray  # "+" or "-"; the bins of minus-strand genes run against the gene
    shared: np.ndarray  # the part of latent expression that all cell types share
    variability: np.ndarray  # how far the gene departs from it; root mean square 1
    residual: np.ndarray  # (gene, mark) strength, unexplained by expression, shared by all cells
    neighbour_draw: np.ndarray  # 0 to 1; decides whether the H3K4me3 peak is a neighbour's
    neighbour_share: np.ndarray  # share of the reads that is then the neighbour's
    offset: np.ndarray  # bins downstream (upstream: below 0) to the neighbour's peak


@dataclass(frozen=True)
class MarkState:
    """Expression of one cell type, and what decides about its counts."""

    expression: np.ndarray  # (gene,) latent, as a standard normal score; RPKM has the same order
    mark_score: np.ndarray  # (gene, mark) strength of each mark as a standard normal score
    displaced: np.ndarray  # bool (gene,): the H3K4me3 peak does not lie at the gene's own TSS
    focus: np.ndarray  # (gene,) profiles as those of genes with high (1) or low (0) expression


@dataclass(frozen=True)
class CellTruth(MarkState):
    """What is true of one simulated cell type, beside its MarkState."""

    lineage: int
    lineage_part: np.ndarray  # (gene,) what the lineage adds to the shared part of expression
    cell_part: np.ndarray  # (gene,) what the cell type adds
    mark_level: np.ndarray  # (gene, mark) expected reads a bin, before the library size
    library_size: np.ndarray  # (mark,) reads relative to a real library
    blend: np.ndarray  # (mark,) 0: as in E012; 1: as in E013; between: between
    rotation: np.ndarray | None  # (mark, mark) of the mark scores, where the rule is the cell's own


@dataclass(frozen=True)
class SimulatedStudy:
    """Simulated cell types, and what is true of the genes in all of them and in each."""

    datasets: dict[str, HistoneDataset]
    genes: GeneTruth
    cells: dict[str, CellTruth]


def simulate(*args: object, **parameters: object) -> SimulatedStudy:
    """Simulated cell types S001, S002, ... and the truth about them; parameters as of `Design`.

    Each has RPKM as text, its median over all the genes, and ``released_label`` by the released
    rule (text comparison).  The splits are thirds of the genes in order, along which expression
    falls as it does along Ensembl ids: classes are unevenly spread over them.

    Examples
    --------
    >>> study = simulate(n_cells=2, n_genes=60, seed=1)
    >>> study.datasets["S002"]
    HistoneDataset(S002, simulated: 60 genes x 100 bins x 5 marks)
    """
    design = Design(*args, **parameters)
    genes = draw_genes(design)
    made = [simulate_cell(design, genes, index) for index in range(design.n_cells)]
    datasets = {dataset.cell: dataset for dataset, _ in made}
    return SimulatedStudy(datasets, genes, {dataset.cell: truth for dataset, truth in made})


def iter_cells(*args: object, **parameters: object) -> Iterator[tuple[HistoneDataset, CellTruth]]:
    """The cell types of :func:`simulate`, one at a time: for studies larger than memory.

    Parameters are those of `Design`, checked at once; yields (dataset, truth about this cell type).
    """
    design = Design(*args, **parameters)
    genes = draw_genes(design)
    return (simulate_cell(design, genes, index) for index in range(design.n_cells))


def stored_simulation(*args: object, **parameters: object) -> Path:
    """Store (home folder) that holds the cell types of `simulate`, made where they are missing.

    Parameters are those of `Design`. The path is for `dc2lib.datasets.open_cell(cell, home)`; it is
    named by the simulator's code too, so a changed simulator never serves old cells.
    """
    design = Design(*args, **parameters)
    home = cache_path("simulated", {"design": design}, code=__name__, suffix="")
    stored = set(list_cells(home))
    if len(stored) < design.n_cells:
        for dataset, _ in iter_cells(*args, **parameters):
            if dataset.cell not in stored:
                _store(dataset, home)
    return home


def _store(dataset: HistoneDataset, home: Path) -> None:
    """Store a cell type, unless another process, which makes the same, has done so meanwhile."""
    folder = cells_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder, dataset.cell) as aside:
        made = write_cell(dataset, aside)
        try:
            os.rename(made, folder / dataset.cell)
        except OSError:
            if dataset.cell not in list_cells(home):
                raise


def draw_genes(design: Design) -> GeneTruth:
    """What all cell types share."""
    rng = draws.stream(design.seed, draws.GENES)
    n = design.n_genes
    shared = draws.shared_part(rng, n)
    return GeneTruth(
        strand=rng.choice(np.array(["-", "+"]), n),
        shared=shared,
        variability=draws.variability(rng, shared),
        residual=rng.standard_normal((n, len(design.marks))),
        neighbour_draw=rng.random(n),
        neighbour_share=rng.uniform(0.6, 1.0, n),
        offset=rng.choice([-1, 1], n, p=[UPSTREAM, 1 - UPSTREAM]) * rng.integers(21, 49, n),
    )


def simulate_cell(
    design: Design, genes: GeneTruth, index: int
) -> tuple[HistoneDataset, CellTruth]:
    """Cell type number `index` (from 0) of a design, and the truth about it."""
    rng = draws.stream(design.seed, draws.CELL, index)
    lineage = index % draws.N_LINEAGES
    lineage_rng = draws.stream(design.seed, draws.LINEAGE, lineage)
    n_marks = len(design.marks)
    lineage_part, cell_part = draws.specific_parts(rng, lineage_rng, lineage, genes.variability)
    expression = draws.normal_scores(genes.shared + lineage_part + cell_part)
    blend = rng.random(n_marks)
    if design.blend is not None:
        blend = np.full(n_marks, design.blend)
    library_size = np.exp(design.library_spread * rng.standard_normal(n_marks))
    figures = figures_between(blend, design.marks)
    rotation = None
    if not design.shared_rule:
        rotation = draws.rule_rotation(lineage_rng, rng, n_marks, design.rule_divergence)
    state = _mark_state(design, genes, figures, rotation, expression, rng)
    level = draws.levels(state.mark_score, figures)
    counts = _counts(design, genes, figures, state, level * library_size, rng)
    truth = CellTruth(
        **vars(state), lineage=lineage, lineage_part=lineage_part, cell_part=cell_part,
        mark_level=level, library_size=library_size, blend=blend, rotation=rotation,
    )  # fmt: skip
    return _dataset(design, index, expression, counts, genes.strand), truth


def _mark_state(
    design: Design, genes: GeneTruth, figures: Figures, rotation: np.ndarray | None,
    x: np.ndarray, rng: np.random.Generator,
) -> MarkState:  # fmt: skip
    """Marks follow expression `x`, their profiles too unless each cell type has its own rule."""
    noise = rng.standard_normal(design.n_genes)
    followed = design.signal * x + np.sqrt(1 - design.signal**2) * noise
    mean, sd = draws.explained(followed, figures)
    residual = draws.calibrated_residual(rng, followed, genes.residual, figures)
    score = mean + sd * residual
    if rotation is not None or design.promoter is None:
        score = score if rotation is None else draws.rotated(score, rotation)
        displaced = genes.neighbour_draw < DISPLACED_WITHOUT_CAUSE
        return MarkState(x, score, displaced, np.full(design.n_genes, 0.5))
    chance = draws.displacement_chance(residual[:, design.promoter], followed, figures)
    return MarkState(x, score, genes.neighbour_draw < chance, draws.focus(followed))


def _counts(
    design: Design, genes: GeneTruth, figures: Figures, state: MarkState, level: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Reads (gene, bin, mark) along the genome; `level` (gene, mark) are expected reads a bin."""
    counts = np.empty((design.n_genes, N_BINS, len(design.marks)), dtype=np.uint16)
    for m in range(len(design.marks)):
        shape = mark_shape(design, genes, figures, state, m)
        counts[:, :, m] = draws.mark_counts(
            rng, shape, level[:, m], figures.field[m], figures.saturation[m],
            figures.shared_reads[m],
        )  # fmt: skip
    minus = genes.strand == "-"
    counts[minus] = counts[minus, ::-1]
    return counts


def mark_shape(
    design: Design, genes: GeneTruth, figures: Figures, state: MarkState, m: int
) -> np.ndarray:
    """Expected profiles (gene, bin) of mark number `m` along the gene, upstream first; mean 1."""
    promoter = np.full(design.n_genes, draws.MIDDLE_STATE)
    if design.promoter is not None:
        promoter = state.mark_score[:, design.promoter]
    shape = draws.profile(promoter, state.focus, m, figures)
    far = np.flatnonzero(state.displaced)
    share = genes.neighbour_share[far, None]
    shape[far] = (1 - share) * shape[far] + share * draws.shifted(shape[far], genes.offset[far])
    return (shape / shape.mean(axis=1, keepdims=True)).astype(np.float32)


def _dataset(
    design: Design, index: int, x: np.ndarray, counts: np.ndarray, strand: np.ndarray
) -> HistoneDataset:
    rpkm_text = draws.rpkm_text(draws.rpkm_from_latent(x, draws.median_position(index)))
    rpkm = rpkm_text.astype(np.float64)
    median = median_text(rpkm, rpkm_text)
    ends = np.round(np.arange(1, 4) / 3 * design.n_genes).astype(int)
    return HistoneDataset.from_arrays(
        counts, gene_ids(design.n_genes), f"S{index + 1:03d}",
        np.repeat(SPLITS, np.diff(ends, prepend=0)), marks=design.marks, source="simulated",
        released_label=sorts_after(rpkm_text, median), rpkm=rpkm, rpkm_text=rpkm_text,
        rpkm_median_text=median, strand=strand,
    )  # fmt: skip


def gene_ids(n_genes: int) -> np.ndarray:
    """Ensembl ids (gene,) that no real gene has, in order."""
    return np.array([f"ENSG{FIRST_GENE + i:011d}" for i in range(n_genes)])
