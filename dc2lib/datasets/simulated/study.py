"""Simulate cell types, one after the other, and keep them in a store of their own."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from dc2lib.cache import cache_path
from dc2lib.datasets.histone import MARKS, N_BINS, SPLITS, HistoneDataset, median_text
from dc2lib.datasets.simulated import draws
from dc2lib.datasets.simulated.design import (
    CENTRE,
    EVERYWHERE,
    GROUP_MARK,
    PROMOTER_MARK,
    Activity,
    CellTruth,
    Design,
    GeneTruth,
    MarkState,
    Rule,
    SimulatedStudy,
    SimulationTruth,
    checked_design,
)
from dc2lib.datasets.simulated.draws import Figures, figures_between
from dc2lib.datasets.store import cells_folder, list_cells, temporary_folder, write_cell
from dc2lib.errors import DataError
from dc2lib.labels import sorts_after

FIRST_GENE = 900_001  # of the Ensembl ids: six digits, beyond the real genes
UPSTREAM = 0.6  # share of displaced H3K4me3 peaks
RULE_OFFSET = 30  # bins (3 kb) from the TSS to a displaced peak, where a rule has positions
MARK_SHARES = draws.Shares(0.6, 0.2, 0.2)  # of the mark scores, in planted worlds
DISPLACED_WITHOUT_CAUSE = 0.08  # share of displaced peaks where they tell nothing of expression
CALIBRATED_SIGNS = {"H3K27me3": -1, "H3K36me3": 1, "H3K4me1": 1, "H3K4me3": 1, "H3K9me3": -1}


def simulate(
    n_cells: int = 8,
    n_genes: int = 4000,
    seed: int = 0,
    marks: Sequence[str] = MARKS,
    *,
    rule: str | Rule | Callable[[Activity], np.ndarray] | None = None,
    shared_rule: bool = True,
    rule_divergence: float = 0.4,
    lineage_specific: float = 0.14,
    cell_specific: float = 0.12,
    n_lineages: int = 3,
    signal: float = 1.0,
    library_size: float | np.ndarray = 1.0,
    library_spread: float = 0.35,
    blend: float | None = None,
    split_fractions: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3),
    order_drift: bool = True,
) -> SimulatedStudy:
    """Simulated cell types S001, S002, ... and the truth about them.

    Raises DataError if a parameter is out of its range.

    Parameters
    ----------
    n_cells, n_genes : int
        Cells beyond what memory holds: use :func:`iter_cells`.
    seed : int
        Same seed, same study. A cell type does not depend on how many are simulated beside it.
    marks : sequence of str
        The five released ones; also H3K27ac, H3K9ac, H3K4me2, H3K79me2, for which a released mark
        of similar profile stands in.
    rule : str, Rule, function of an Activity, or None
        None: the world calibrated to real cell types. Otherwise a planted rule (see ``RULES``):
        marks are independent of each other and the rule alone decides about expression.
    shared_rule : bool
        False: each cell type has its own relation of marks and expression, alike within a lineage.
    rule_divergence : float
        How far these relations lie apart (0: not at all; 1: unrelated, even opposite).
    lineage_specific, cell_specific : float
        Shares of the variance of latent expression; the rest is common to all cell types.
    n_lineages : int
        Cell types take turns: the first belongs to lineage 0, the second to lineage 1, and so on.
    signal : float
        Correlation, 0 to 1, of what the marks follow (or, with a rule, of what the rule says) with
        expression. 1 is the calibrated strength, or a rule without exception; 0 is no relation.
    library_size : float or array (cell, mark)
        Factor on the reads of every cell type and mark.
    library_spread : float
        Standard deviation of the log of a further, random factor.
    blend : float, optional
        0: every cell type like E012; 1: like E013. Default: drawn for each cell type and mark.
    split_fractions : three floats
        Train, valid and test, contiguous in gene order.
    order_drift : bool
        Whether expression falls along the gene order as it does along Ensembl ids, so that classes
        are unevenly spread over the splits.

    Returns
    -------
    SimulatedStudy
        ``datasets`` (cell -> HistoneDataset) with RPKM as text, its median over all the genes, and
        ``released_label`` by the released rule (text comparison); and ``truth``.

    Examples
    --------
    >>> study = simulate(n_cells=2, n_genes=60, seed=1)
    >>> study.datasets["S002"]
    HistoneDataset(S002, simulated: 60 genes x 100 bins x 5 marks)
    """
    design = checked_design(**locals())
    genes = draw_genes(design)
    made = [simulate_cell(design, genes, index) for index in range(design.n_cells)]
    datasets = {dataset.cell: dataset for dataset, _ in made}
    cells = {dataset.cell: truth for dataset, truth in made}
    return SimulatedStudy(datasets, SimulationTruth(genes, cells, *_findings(design)))


def iter_cells(*args: object, **parameters: object) -> Iterator[tuple[HistoneDataset, CellTruth]]:
    """The cell types of :func:`simulate`, one at a time: for studies larger than memory.

    Takes the parameters of :func:`simulate`, which are checked at once; yields (dataset, truth
    about this cell type).
    """
    bound = inspect.signature(simulate).bind(*args, **parameters)
    bound.apply_defaults()
    design = checked_design(**bound.arguments)
    genes = draw_genes(design)
    return (simulate_cell(design, genes, index) for index in range(design.n_cells))


def stored_simulation(
    n_cells: int = 8, n_genes: int = 4000, seed: int = 0, **parameters: bool | float | int | str
) -> Path:
    """Store (home folder) that holds the cell types of `simulate`, made where they are missing.

    Parameters are those of `simulate`; plain values only, since they name the folder. The path is
    for `dc2lib.datasets.open_cell(cell, home)`; it is named by the simulator's code too, so a
    changed simulator never serves old cells.
    """
    bound = inspect.signature(simulate).bind(n_cells, n_genes, seed, **parameters)
    home = cache_path("simulated", bound.arguments, code=__name__, suffix="")
    stored = set(list_cells(home))
    if len(stored) < n_cells:
        for dataset, _ in iter_cells(*bound.args, **bound.kwargs):
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
    shared = draws.shared_part(rng, n, design.shares, design.order_drift)
    return GeneTruth(
        strand=rng.choice(np.array(["-", "+"]), n),
        shared=shared,
        variability=draws.variability(rng, shared),
        residual=rng.standard_normal((n, len(design.marks))),
        neighbour_draw=rng.random(n),
        neighbour_share=rng.uniform(0.6, 1.0, n),
        offset=rng.choice([-1, 1], n, p=[UPSTREAM, 1 - UPSTREAM]) * rng.integers(21, 49, n),
        group=rng.integers(0, 2, n, dtype=np.int8),
    )


def simulate_cell(
    design: Design, genes: GeneTruth, index: int
) -> tuple[HistoneDataset, CellTruth]:
    """Cell type number `index` (from 0) of a design, and the truth about it."""
    rng = draws.stream(design.seed, draws.CELL, index)
    lineage = index % design.n_lineages
    lineage_rng = draws.stream(design.seed, draws.LINEAGE, lineage)
    n_marks = len(design.marks)
    lineage_part, cell_part = _specific_parts(design, genes, rng, lineage_rng, lineage)
    background = draws.normal_scores(genes.shared + lineage_part + cell_part)
    blend = rng.random(n_marks)
    if design.blend is not None:
        blend = np.full(n_marks, design.blend)
    spread = np.exp(design.library_spread * rng.standard_normal(n_marks))
    library_size = design.library_size[index] * spread
    figures = figures_between(blend, design.marks)
    rotation = None
    if not design.shared_rule:
        rotation = draws.rule_rotation(lineage_rng, rng, n_marks, design.rule_divergence)
    world = _calibrated if design.rule is None else _planted
    state = world(design, genes, figures, rotation, background, rng, lineage_rng)
    level = draws.levels(state.mark_score, figures)
    counts = _counts(design, genes, figures, state, level * library_size, rng)
    truth = CellTruth(
        **vars(state), lineage=lineage, lineage_part=lineage_part, cell_part=cell_part,
        mark_level=level, library_size=library_size, blend=blend, rotation=rotation,
    )  # fmt: skip
    return _dataset(design, index, state.expression, counts, genes.strand), truth


def _specific_parts(
    design: Design,
    genes: GeneTruth,
    rng: np.random.Generator,
    lineage_rng: np.random.Generator,
    lineage: int,
) -> tuple[np.ndarray, np.ndarray]:
    tightness = draws.lineage_tightness(lineage, design.n_lineages)
    lineage_sd = np.sqrt(design.shares.lineage)
    cell_sd = np.sqrt(design.shares.cell * tightness)
    lineage_part = lineage_sd * genes.variability * lineage_rng.standard_normal(design.n_genes)
    cell_part = cell_sd * genes.variability * rng.standard_normal(design.n_genes)
    return lineage_part, cell_part


def _calibrated(
    design: Design,
    genes: GeneTruth,
    figures: Figures,
    rotation: np.ndarray | None,
    x: np.ndarray,
    rng: np.random.Generator,
    lineage_rng: np.random.Generator,
) -> MarkState:
    """Marks follow expression `x`, their profiles too unless each cell type has its own rule."""
    noise = rng.standard_normal(design.n_genes)
    followed = design.signal * x + np.sqrt(1 - design.signal**2) * noise
    mean, sd = draws.explained(followed, figures)
    residual = draws.calibrated_residual(rng, followed, genes.residual, figures)
    score = mean + sd * residual
    if rotation is not None or design.promoter is None:
        best = draws.chance_of_high(score, None, figures, None)
        score = score if rotation is None else draws.rotated(score, rotation)
        displaced = genes.neighbour_draw < DISPLACED_WITHOUT_CAUSE
        return MarkState(x, score, displaced, np.full(design.n_genes, 0.5), best)
    chance = draws.displacement_chance(residual[:, design.promoter], followed, figures)
    displaced = genes.neighbour_draw < chance
    best = draws.chance_of_high(score, displaced, figures, design.promoter)
    return MarkState(x, score, displaced, draws.focus(followed), best)


def _planted(
    design: Design,
    genes: GeneTruth,
    figures: Figures,
    rotation: np.ndarray | None,
    background: np.ndarray,
    rng: np.random.Generator,
    lineage_rng: np.random.Generator,
) -> MarkState:
    """Marks are drawn on their own and expression follows the rule."""
    rule, marks = design.rule, design.marks
    weights = np.sqrt([MARK_SHARES.shared, MARK_SHARES.lineage, MARK_SHARES.cell])
    own = [r.standard_normal(genes.residual.shape) for r in (lineage_rng, rng)]
    score = sum(w * draw for w, draw in zip(weights, (genes.residual, *own), strict=True))
    displaced = np.zeros(design.n_genes, dtype=bool)
    focus = np.full(design.n_genes, 0.5)
    if rule.positions:
        displaced = genes.neighbour_draw + rng.uniform(-0.2, 0.2, design.n_genes) < 0.5
        column = marks.index(PROMOTER_MARK)
        score[:, column] = np.abs(score[:, column])
    if rule.groups:
        column = marks.index(GROUP_MARK)
        score[:, column] = (2.0 * genes.group - 1) * 1.2 + 0.3 * score[:, column]
    if rule.expression is None:
        return MarkState(background, score, displaced, focus, np.zeros(design.n_genes))
    read = score if rotation is None else draws.rotated(score, rotation)
    told = np.asarray(rule.expression(Activity(read, displaced, genes.group, marks)), dtype=float)
    if told.shape != (design.n_genes,) or not np.isfinite(told).all():
        raise DataError(
            f"Rule {rule.name!r} gave values of shape {told.shape}: expected one number a gene,"
            f" shape ({design.n_genes},), none missing."
        )
    best = draws.normal_scores(told)
    mixed = design.signal * best / max(best.std(), 1e-9)
    mixed += np.sqrt(1 - design.signal**2) * background
    return MarkState(_without_ties(mixed, background), score, displaced, focus, best)


def _without_ties(values: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Normal scores of `values` (gene,), ties in the order of `background`."""
    ranks = np.empty(len(values))
    ranks[np.lexsort((background, values))] = np.arange(len(values))
    return draws.normal_scores(ranks)


def _counts(
    design: Design,
    genes: GeneTruth,
    figures: Figures,
    state: MarkState,
    level: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
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
    mark = design.marks[m]
    promoter = np.full(design.n_genes, draws.MIDDLE_STATE)
    if design.promoter is not None and (design.rule is None or mark == PROMOTER_MARK):
        promoter = state.mark_score[:, design.promoter]
    shape = draws.profile(promoter, state.focus, m, figures)
    far = np.flatnonzero(state.displaced)
    if len(far) and (design.rule is None or mark == PROMOTER_MARK):
        offset, share = genes.offset[far], genes.neighbour_share[far, None]
        if design.rule is not None:
            offset, share = np.sign(offset) * RULE_OFFSET, 1.0
        shape[far] = (1 - share) * shape[far] + share * draws.shifted(shape[far], offset)
    return (shape / shape.mean(axis=1, keepdims=True)).astype(np.float32)


def _dataset(
    design: Design, index: int, x: np.ndarray, counts: np.ndarray, strand: np.ndarray
) -> HistoneDataset:
    rpkm_text = draws.rpkm_text(draws.rpkm_from_latent(x, draws.median_position(index)))
    rpkm = rpkm_text.astype(np.float64)
    median = median_text(rpkm, rpkm_text)
    ends = np.round(np.cumsum(design.split_fractions) * design.n_genes).astype(int)
    return HistoneDataset.from_arrays(
        counts, gene_ids(design.n_genes), f"S{index + 1:03d}",
        np.repeat(SPLITS, np.diff(ends, prepend=0)), marks=design.marks, source="simulated",
        released_label=sorts_after(rpkm_text, median), rpkm=rpkm, rpkm_text=rpkm_text,
        rpkm_median_text=median, strand=strand,
    )  # fmt: skip


def gene_ids(n_genes: int) -> np.ndarray:
    """Ensembl ids (gene,) that no real gene has, in order."""
    return np.array([f"ENSG{FIRST_GENE + i:011d}" for i in range(n_genes)])


def _findings(design: Design) -> tuple[str, dict[str, int], dict[str, tuple[int, int]]]:
    """Name of the rule, signs of the marks that matter, and the bins where they do."""
    if design.rule is not None:
        return design.rule.name, design.rule.signs, design.rule.bins
    signs = {mark: sign for mark, sign in CALIBRATED_SIGNS.items() if mark in design.marks}
    bins = {mark: CENTRE if mark == PROMOTER_MARK else EVERYWHERE for mark in signs}
    return "calibrated", signs, bins
