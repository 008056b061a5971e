"""The paper's two open questions asked of the fitted systems, and other ways to split the genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from dc2book.related_work import breadth
from dc2book.related_work.report import probabilities_of, selected
from dc2book.related_work.study import run_trials
from dc2book.related_work.trials import Trial, TrialRecord
from dc2lib.baselines.contract import genes_of
from dc2lib.baselines.splits import SPLITS
from dc2lib.baselines.systems import ALL
from dc2lib.evaluation.scores import auroc
from dc2lib.evaluation.statistics import (
    Interval,
    bootstrap_auroc,
    bootstrap_mean,
    paired_auroc_difference,
)
from dc2lib.labels import label

SPLITS_OF_GENES = ("train", "valid", "test")
BROAD, NARROW = ("many", "all"), ("none", "few")
OTHERS, NEAREST, BOTH = "other cell types", "nearest other cell type", "marks and other cell types"


def best_by_validation(records: Sequence[TrialRecord], labels: str = "numeric") -> str:
    """The system with the highest validation AUROC, averaged over its fits."""
    scores: dict[str, list[float]] = {}
    for one in records:
        if one.trial.labels == labels:
            scores.setdefault(one.trial.system, []).append(one.valid_auroc)
    return max(scores, key=lambda name: float(np.mean(scores[name])))


def by_breadth(
    records: Sequence[TrialRecord],
    expression: pd.DataFrame,
    systems: Sequence[str],
    **options: int,
) -> tuple[pd.DataFrame, dict[str, Interval]]:
    """AUROC by the number of other cell types that express a gene, numeric labels.

    Returns
    -------
    table
        Columns cell, system, title, group, estimate, low, high, positives, n.
    differences
        By cell type, the first system's AUROC among the genes of many cell types minus among those
        of few; only where both have enough genes of either class.
    """
    rows, differences = [], {}
    n_others = expression.shape[1] - 1
    for cell in dict.fromkeys(one.trial.cell for one in records):
        for number, system in enumerate(systems):
            fits = selected(records, system, "numeric", cell)
            test = fits[0].trial.dataset().take("test")
            truth, scores = fits[0].truth(), probabilities_of(fits)
            count = breadth.breadth(expression, cell, test.gene_id)
            group = breadth.breadth_group(count, n_others)
            for row in breadth.auroc_by_breadth(truth, scores, group, **options).to_dict("records"):
                one = row.pop("auroc")
                rows.append(
                    {"cell": cell, "system": system, "title": ALL[system].title}
                    | row
                    | {"estimate": one.estimate, "low": one.low, "high": one.high}
                )
            halves = [np.isin(group, names) for names in (BROAD, NARROW)]
            if number == 0 and all(_enough(truth[here]) for here in halves):
                high, low = (
                    bootstrap_auroc(truth[here], scores[:, here], **options) for here in halves
                )
                differences[cell] = breadth.difference_of(high, low)
    return pd.DataFrame(rows), differences


def trained_by_breadth(
    record: TrialRecord, expression: pd.DataFrame, **options: int
) -> pd.DataFrame:
    """A system trained on broadly or narrowly expressed genes only, tested on both kinds.

    Future work of DeepChrome 2.0.  Broad: above the median in three quarters of the
    other cell types or more; narrow: in a quarter or fewer.  All training sets hold equally many
    genes; ``drawn`` takes them from all.

    Parameters
    ----------
    record
        A fit whose system, setting, cell type and seed are used; at most its number of genes.

    Returns
    -------
    DataFrame
        Columns trained_on, tested_on, auroc (an `Interval`), own_kind_minus_this (AUROC of training
        on the kind that is tested minus that of this training, paired; None for itself), genes (for
        training), positives (their share); without the sets that lack genes of either class.
    """
    trial = record.trial
    dataset = trial.dataset()
    genes = {split: genes_of(dataset, trial.labels, split) for split in SPLITS_OF_GENES}
    kinds = {
        split: breadth_kinds(expression, trial.cell, dataset.take(split).gene_id)
        for split in ("train", "test")
    }
    n = min(int(here.sum()) for here in kinds["train"].values())
    n = min(n, trial.n_train or n)
    rng = np.random.default_rng(trial.seed)
    pools = {kind: np.flatnonzero(here) for kind, here in kinds["train"].items()}
    pools["drawn"] = np.arange(len(genes["train"]))
    rows, scores = [], {}
    for trained_on, pool in pools.items():
        chosen = genes["train"].take(np.sort(rng.choice(pool, n, replace=False)))
        if not _enough(chosen.label):
            continue
        fitted = ALL[trial.system].fit(chosen, genes["valid"], dict(trial.setting), trial.seed)
        scores[trained_on] = fitted.score(genes["test"].counts)
        for tested_on, here in kinds["test"].items():
            truth = genes["test"].label[here]
            if _enough(truth):
                one = bootstrap_auroc(truth, scores[trained_on][here], **options)
                rows.append(
                    {"trained_on": trained_on, "tested_on": tested_on, "auroc": one, "genes": n}
                    | {"positives": float(chosen.label.mean())}
                )
    for row in rows:
        own, here = scores.get(row["tested_on"]), kinds["test"][row["tested_on"]]
        row["own_kind_minus_this"] = None
        if own is not None and row["trained_on"] != row["tested_on"]:
            row["own_kind_minus_this"] = paired_auroc_difference(
                genes["test"].label[here], own[here], scores[row["trained_on"]][here], **options
            )
    columns = ["trained_on", "tested_on", "auroc", "own_kind_minus_this", "genes", "positives"]
    return pd.DataFrame(rows, columns=columns)


def paired_correlation_difference(
    truth: np.ndarray, first: np.ndarray, second: np.ndarray, *, n_resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Pearson correlation of one answer with the truth minus that of another, paired bootstrap.

    Parameters
    ----------
    truth, first, second
        All ``(gene,)``; the genes are resampled jointly. A constant answer has no correlation.
    """
    answers = np.stack([np.asarray(one, dtype=np.float64) for one in (truth, first, second)])
    rng = np.random.default_rng(seed)
    draws = np.empty(n_resamples)
    for number in range(n_resamples):
        draws[number] = _difference(answers[:, rng.integers(len(truth), size=len(truth))])
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(_difference(answers), float(low), float(high), len(truth))


def _difference(answers: np.ndarray) -> float:
    centred = answers - answers.mean(1, keepdims=True)
    norms = np.sqrt((centred**2).sum(1))
    scale = norms[1:] * norms[0]
    with_truth = np.divide(centred[1:] @ centred[0], scale, out=np.zeros(2), where=scale > 0)
    return float(with_truth[0] - with_truth[1])


def breadth_kinds(
    expression: pd.DataFrame, cell: str, genes: np.ndarray
) -> dict[str, np.ndarray]:
    """Masks ``(gene,)`` of the broadly and the narrowly expressed genes."""
    count = breadth.breadth(expression, cell, genes)
    group = breadth.breadth_group(count, expression.shape[1] - 1)
    return {"broad": np.isin(group, BROAD), "narrow": np.isin(group, NARROW)}


def against_others(
    records: Sequence[TrialRecord],
    expression: pd.DataFrame,
    system: str,
    **options: int,
) -> tuple[pd.DataFrame, dict[tuple[str, str, str], Interval]]:
    """A system of the marks, the other cell types' expression, and both together; numeric labels.

    Returns
    -------
    table
        Columns cell, genes (set of test genes), predictor, estimate, low, high, n.
    gaps
        By (cell, genes, predictor), AUROC of the marks minus that of `OTHERS` or `NEAREST`, paired.
    """
    rows, gaps = [], {}
    for cell in dict.fromkeys(one.trial.cell for one in records):
        fits = selected(records, system, "numeric", cell)
        dataset = fits[0].trial.dataset()
        genes = {split: dataset.take(split).gene_id for split in SPLITS_OF_GENES}
        nearest = breadth.nearest_cell(expression, cell, genes["train"])
        rest = {k: breadth.other_cells_score(expression, cell, v) for k, v in genes.items()}
        marks = np.mean([one.test_score for one in fits], axis=0)
        valid_marks = np.mean([one.valid_score for one in fits], axis=0)
        scores = {
            f"marks: {ALL[system].title}": marks,
            OTHERS: rest["test"],
            NEAREST: expression[nearest].loc[genes["test"]].to_numpy(),
            BOTH: breadth.combined(
                np.column_stack([valid_marks, rest["valid"]]),
                label(dataset.take("valid"), "numeric"),
                np.column_stack([marks, rest["test"]]),
            ),
        }
        truth = fits[0].truth()
        count = breadth.breadth(expression, cell, genes["test"])
        for name, here in breadth.varying(count, expression.shape[1] - 1).items():
            if not _enough(truth[here]):
                continue
            for predictor, values in scores.items():
                one = bootstrap_auroc(truth[here], values[here], **options)
                rows.append(
                    {"cell": cell, "genes": name, "predictor": predictor, "nearest": nearest}
                    | {"estimate": one.estimate, "low": one.low, "high": one.high, "n": one.n}
                )
            for predictor in (OTHERS, NEAREST):
                gaps[cell, name, predictor] = paired_auroc_difference(
                    truth[here], marks[here], scores[predictor][here], **options
                )
    return pd.DataFrame(rows), gaps


def split_trials(
    records: Sequence[TrialRecord], systems: Sequence[str], draws: int
) -> list[Trial]:
    """Fits of some systems on the first cell type under every split, ``draws`` seeds each."""
    trials = []
    for system in systems:
        first = selected(records, system, "numeric")[0].trial
        for split in SPLITS:
            seeds = range(first.seed, first.seed + draws)
            if split == "released" and not ALL[system].drawn:
                seeds = [first.seed]
            trials += [replace(first, split=split, seed=seed) for seed in seeds]
    return trials


def split_table(trials: Sequence[Trial], **options: int) -> pd.DataFrame:
    """Test AUROC by system and split.

    Columns system, split, auroc (an `Interval`: over the drawn splits where there are three or
    more, else over the test genes of the first), draws, positives (share among the test genes).
    """
    found: dict[tuple[str, str], list[TrialRecord]] = {}
    for one in run_trials(list(trials), progress=False, **options):
        found.setdefault((one.trial.system, one.trial.split), []).append(one)
    rows = []
    for (system, split), group in found.items():
        values = np.array([auroc(one.truth(), one.test_score) for one in group])
        if len(values) >= 3:
            interval = bootstrap_mean(values)
        else:
            first = bootstrap_auroc(group[0].truth(), group[0].test_score, n_resamples=300)
            shift = values.mean() - first.estimate
            interval = Interval(
                float(values.mean()), first.low + shift, first.high + shift, first.n
            )
        rows.append(
            {
                "system": ALL[system].title,
                "split": split,
                "auroc": interval,
                "draws": len(values),
                "positives": float(np.mean([one.truth().mean() for one in group])),
            }
        )
    return pd.DataFrame(rows)


def splits_in_words(table: pd.DataFrame) -> str:
    """How far the split by chromosome lies from the released and a random one, and for how many
    systems its interval lies wholly below that of genes drawn at random."""
    wide = table.assign(value=[one.estimate for one in table["auroc"]]).pivot(
        index="system", columns="split", values="value"
    )
    released = (wide["chromosome"] - wide["released"]).mean()
    drawn = (wide["chromosome"] - wide["random"]).mean()
    ends = table.set_index(["system", "split"])["auroc"]
    below = sum(
        ends[system, "chromosome"].high < ends[system, "random"].low for system in wide.index
    )
    return (
        f"on average over {len(wide)} systems, whole chromosomes change the AUROC by "
        f"{released:+.3f} against the released split and by {drawn:+.3f} against genes drawn at "
        f"random; their interval lies wholly below that of drawn genes for {below} of {len(wide)} "
        "systems, so " + ("neighbours leak there" if below else "no leak of neighbours is seen")
    )


def _enough(truth: np.ndarray) -> bool:
    return min((truth == 1).sum(), (truth == 0).sum()) >= breadth.LEAST


def others_by_cell(
    gaps: Mapping[tuple[str, str, str], Interval], genes: str, predictor: str = OTHERS
) -> dict[str, Interval]:
    """The gaps on one set of genes to one predictor, by cell type."""
    return {
        cell: gap
        for (cell, name, other), gap in gaps.items()
        if (name, other) == (genes, predictor)
    }
