"""Does training on other cell types help, and where: gains over each cell type's own model.

Unit of inference is the cell type.  Fewer than five cell types get no interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from dc2book.cross_cell.mark_totals import MarkTotals
from dc2book.cross_cell.results import BASELINE
from dc2book.cross_cell.worlds import flipped_cells
from dc2book.style import estimates
from dc2lib.datasets import published
from dc2lib.evaluation.pair_statistics import bootstrap, pearson
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.evaluation.statistics import MIN_CELLS, Interval, student_interval
from dc2lib.training.grid_fits import FitRecord

Scores = Mapping[tuple[str, str], np.ndarray]
YES_NO = {True: "yes", False: "no"}
POOLED = ("inclusive_all", "exclusive_all")


def scores_of(
    seeds: Sequence[Mapping[tuple[str, str], FitRecord]], scoring: str = "probability"
) -> dict[tuple[str, str], np.ndarray]:
    """Scores ``(seed, gene)`` of the test genes by (experiment, cell), from fits by seed.

    ``scoring``: as in `dc2lib.evaluation.scores.positive_score`.
    """
    return {
        key: np.stack([positive_score(one[key].test_logits, scoring)
                       for one in seeds if key in one])
        for key in seeds[0]
    }


def changes(scores: Scores, truth: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """AUROC of each experiment minus that of the cell type's own model of the same seed, mean.

    An experiment with fewer seeds than the own model has the first ones.  ``truth`` holds the
    labels of the test genes by cell type: those of another rule than the models were trained on, if
    that is asked.  Columns experiment, cell, change.
    """
    by_seed = _aurocs(scores, truth)
    return pd.DataFrame([
        {"experiment": name, "cell": cell,
         "change": float(np.mean(values - by_seed[BASELINE, cell][: len(values)]))}
        for (name, cell), values in by_seed.items()
        if name != BASELINE and (BASELINE, cell) in by_seed
    ], columns=["experiment", "cell", "change"])


def levels(scores: Scores, truth: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """AUROC of every experiment: experiment, cell, estimate (mean over seeds), n (genes)."""
    return pd.DataFrame([
        {"experiment": name, "cell": cell, "n": len(truth[cell]), "estimate": float(values.mean())}
        for (name, cell), values in _aurocs(scores, truth).items()
    ])


def _aurocs(scores: Scores, truth: Mapping[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    """AUROC of every seed, ``(seed,)``, by (experiment, cell)."""
    return {
        (name, cell): np.array([auroc(truth[cell], row) for row in values])
        for (name, cell), values in scores.items()
    }


def left_out_together(one: MarkTotals, correlation: pd.DataFrame, groups: int) -> dict[str, float]:
    """What Exclusive All reaches if it leaves out groups of cell types, in place of each alone.

    Returns alone and together (mean AUROC over test cell types, numeric labels), apart (the largest
    difference of a test cell type), n (cell types).
    """
    truth = {cell: one.truth(cell, "numeric") for cell in one.cells}
    aurocs = [
        levels(one.experiments(correlation, "numeric", ["exclusive_all"], groups=number), truth)
        .set_index("cell")["estimate"] for number in (0, groups)
    ]
    apart = (aurocs[1] - aurocs[0]).abs().max()
    alone, together = (float(values.mean()) for values in aurocs)
    return {"alone": alone, "together": together, "apart": float(apart), "n": len(aurocs[0])}


def released_gains() -> pd.DataFrame:
    """Mean change of the released runs of the paper's authors, over test cell types, of `POOLED`.

    Columns experiment, flipped (``"all"`` cell types, or by whether labels are flipped: ``"yes"``,
    ``"no"``), estimate, low, high, n (cell types).
    """
    runs = published.released_aurocs()
    changes = runs[list(POOLED)].sub(runs[BASELINE], axis=0).dropna()
    changes = changes.melt(ignore_index=False, value_name="change").reset_index()
    flipped = changes["cell"].isin(flipped_cells(published.label_audit()["labels_flipped"]))
    groups = (changes.assign(flipped="all"), changes.assign(flipped=flipped.map(YES_NO)))
    return estimates(pd.concat(groups), ["experiment", "flipped"],
                     lambda part: over_cells(part["change"]))


def relabelled(by_rule: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The same gains, trained under either label rule and scored on numeric labels.

    ``by_rule``: `changes` on numeric labels of models trained under ``"numeric"`` and
    ``"lexicographic"`` labels, of the same cell types.

    Returns columns experiment, trained_on (a rule, or ``"difference"``: lexicographic minus
    numeric, paired by cell type), estimate, low, high, n.
    """
    both = by_rule["lexicographic"].merge(
        by_rule["numeric"], on=["experiment", "cell"], suffixes=("_text", "")
    )
    both["difference"] = both["change_text"] - both["change"]
    rows = both.rename(columns={"change": "numeric", "change_text": "lexicographic"}).melt(
        "experiment", ["numeric", "lexicographic", "difference"], "trained_on", "change")
    return estimates(rows, ["experiment", "trained_on"], lambda part: over_cells(part["change"]))


def label_cost(
    numeric: pd.DataFrame, text: pd.DataFrame, flips: pd.Series, **options: int
) -> tuple[pd.DataFrame, dict[str, float]]:
    """What released labels cost the model of each training cell type when it is used elsewhere.

    ``numeric``, ``text``: AUROC (training cell, test cell) on numeric labels, trained under either
    rule. ``flips``: share of flipped labels by training cell type.

    Returns columns cell, flips, cost (mean AUROC over the other cell types lost by released
    labels); and their rank correlation over training cell types: estimate, low, high, n.
    """
    off = ~np.eye(len(numeric), dtype=bool)
    cost = (numeric - text).where(off).mean(axis=1)
    table = pd.DataFrame({"cell": cost.index, "flips": flips[cost.index].to_numpy(),
                          "cost": cost.to_numpy()})
    x, y = table["flips"].to_numpy(), table["cost"].to_numpy()

    def statistic(rows: np.ndarray) -> float:
        return pearson(rankdata(x[rows]), rankdata(y[rows]))

    found = bootstrap(statistic, len(table), **options)
    named = dict(zip(("estimate", "low", "high"), map(float, found), strict=True))
    return table, named | {"n": len(table)}


def over_cells(values: Sequence[float]) -> Interval:
    """Mean over cell types with Student's interval; none below five cell types."""
    if len(values) >= MIN_CELLS:
        return student_interval(values)
    return Interval(float(np.mean(values)), np.nan, np.nan, len(values))
