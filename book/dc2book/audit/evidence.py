"""What published figures say about the released labels, without any download.

Three lines of evidence: the 30 genes of DeepChrome's toy set; released runs that answered with the
majority class, whose accuracy is then a count of labels; and scores that fall with the share of
labels that the text rule flips, beyond what the median RPKM alone explains.
"""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pandas as pd
from scipy import stats

from dc2lib.datasets import published
from dc2lib.evaluation.pair_statistics import bootstrap, pearson
from dc2lib.evaluation.statistics import Interval, percentile_interval
from dc2lib.label_audit import CANDIDATES, Expression, best_threshold
from dc2lib.labels import above, sorts_after

TEST_GENES = 6597
SHIFT = 30
TOY_CELL = "E003"
UNFLIPPED = 0.001
REACH = 0.5  # of a step: no other whole number; with 1 the control at 2.5 held the steps at 2 and 3
N_RESAMPLES = 2000
SCORES = ("published", "released")


def toy_labels_under_rules() -> pd.DataFrame:
    """Label of each toy gene: columns gene_id, rpkm (text), released, and one per rule (0 or 1).

    Thresholds of E003 come from its whole column (`dc2lib.datasets.published.rpkm_columns`).
    """
    one = _toy_expression()
    column = published.rpkm_columns().loc[TOY_CELL]
    rules = {}
    for rule, candidate in CANDIDATES.items():
        if rule == "lexicographic_mean":
            rules[rule] = sorts_after(one.text, f"{float(column['mean']):.3f}")
        elif rule in column.index:
            rules[rule] = above(one.rpkm, column[rule])
        elif rule != "reads_median":
            rules[rule] = candidate.labels(one)
    released = published.toy_labels()["released_label"]
    genes = {"gene_id": one.gene_id, "rpkm": one.text, "released": released}
    return pd.DataFrame(genes | {rule: high.astype(int) for rule, high in rules.items()})


def toy_agreement() -> pd.DataFrame:
    """How many of the 30 toy labels each rule explains: rule, says, explained, genes; best first.

    ``any_threshold`` and ``any_threshold_on_reads`` are the best that any single threshold on RPKM,
    or on RPKM times the gene's length, can do: they bound every mean, median and quantile.
    """
    table = toy_labels_under_rules()
    released = table["released"].to_numpy()
    rows = [
        (rule, CANDIDATES[rule].says, int((table[rule] == released).sum()))
        for rule in table.columns[3:]
    ]
    one = _toy_expression()
    for rule, values, of in (
        ("any_threshold", one.rpkm, "RPKM"), ("any_threshold_on_reads", one.reads(), "reads"),
    ):
        share = best_threshold(released, values)[1]
        rows.append((rule, f"{of} above the best possible threshold", round(share * len(table))))
    agreement = pd.DataFrame(rows, columns=["rule", "says", "explained"]).assign(genes=len(table))
    return agreement.sort_values("explained", ascending=False, kind="stable")


def toy_chance() -> pd.DataFrame:
    """How likely the toy match is by chance, under nulls from the easiest to the hardest.

    The labels that the numeric rule cannot explain fall anywhere, among the genes that are
    numerically high (all of them are), or among these up to the largest RPKM that is called low.

    Returns columns null (any, high, near), where a label may be wrong, genes (that could be),
    wrong, probability (one over the number of ways to choose them).
    """
    table = toy_labels_under_rules()
    rpkm = table["rpkm"].astype(float)
    wrong = table["numeric"] != table["released"]
    high = table["numeric"] == 1
    near = int((high & (rpkm <= rpkm[wrong].max())).sum())
    nulls = [
        ("any", "any gene", len(table)),
        ("high", "a gene above the median", int(high.sum())),
        ("near", "a gene between the median and the highest that is called low", near),
    ]
    chance = pd.DataFrame(nulls, columns=["null", "where a label may be wrong", "genes"])
    chance["wrong"] = wrong.sum()
    return chance.assign(probability=[1 / comb(n, wrong.sum()) for n in chance["genes"]])


def _toy_expression() -> Expression:
    toy = published.toy_labels()
    text = toy["rpkm_E003"].to_numpy(dtype=str)
    return Expression(
        gene_id=toy["gene_id"].to_numpy(dtype=str),
        rpkm=text.astype(float),
        text=text,
        median_text=str(published.rpkm_columns().loc[TOY_CELL, "median"]),
        column=text.astype(float),
        gene_median=published.toy_gene_medians().loc[toy["gene_id"]].to_numpy(),
    )


def run_counts() -> pd.DataFrame:
    """Correct answers of every released run, and the majority class under every rule.

    The released accuracies are multiples of 1/6,597, the number of different genes in the test
    split.  A model that always gives one answer is right exactly as often as that class occurs.

    Returns a row per run and rule: experiment, cell, test_auroc, correct, rule, majority, distance
    (correct minus majority).
    """
    runs = published.released_results().dropna(subset=["test_accuracy"])
    runs = runs.assign(correct=(runs["test_accuracy"] * TEST_GENES).round().astype(int))
    counts = published.label_rule_counts().query("split == 'test'")
    negative = counts["genes"] - counts["positive"]
    counts = counts.assign(majority=np.maximum(counts["positive"], negative))
    table = runs.merge(counts[["cell", "rule", "majority"]], on="cell")
    table["distance"] = table["correct"] - table["majority"]
    columns = ["experiment", "cell", "test_auroc", "correct", "rule", "majority", "distance"]
    return table[columns]


def coincidences(runs: pd.DataFrame, *, n_permutations: int = 9999, seed: int = 0) -> pd.DataFrame:
    """For every rule, how often a released run is right exactly as often as its majority class.

    The comparison moves the majority class of every cell type by up to `SHIFT` genes, at random
    and never by 0: this keeps how close accuracies lie to class balances, and breaks the identity.

    ``runs``: as `run_counts`.  Returns columns rule, exact (runs at distance 0), cells (different
    ones among them), runs (all), by_chance and most_by_chance (mean and largest number of exact
    runs after such moves), pvalue (share of moves, the true place among them, with as many exact
    runs), most coincidences first.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for rule, part in runs.groupby("rule", sort=False):
        distance, cell = part["distance"].to_numpy(), pd.factorize(part["cell"])[0]
        exact = int((distance == 0).sum())
        size = (n_permutations, cell.max() + 1)
        shift = rng.integers(1, SHIFT + 1, size) * rng.choice([-1, 1], size)
        elsewhere = (distance == shift[:, cell]).sum(1)
        rows.append({
            "rule": rule, "exact": exact, "runs": len(part),
            "cells": part.loc[distance == 0, "cell"].nunique(),
            "by_chance": float(elsewhere.mean()), "most_by_chance": int(elsewhere.max()),
            "pvalue": float((1 + (elsewhere >= exact).sum()) / (1 + n_permutations)),
        })
    return pd.DataFrame(rows).sort_values("exact", ascending=False, kind="stable")


def flips_and_scores() -> pd.DataFrame:
    """Per cell type: flipped share, median RPKM as a number, published and released AUROC.

    Columns cell, flipped, median, published (DeepChrome's own table), released (DeepChrome 2.0's
    run ``deepchrome``), digit (first digit of the median).
    """
    named = {"labels_flipped": "flipped", "rpkm_median": "median",
             "published_deepchrome_auroc": "published", "released_auroc": "released"}
    table = published.label_audit()[list(named)].rename(columns=named).reset_index(names="cell")
    return table.assign(median=table["median"].astype(float), digit=table["median"].str[0])


def rank_association(
    x: pd.Series, y: pd.Series, *, n_permutations: int = 9999, seed: int = 0
) -> tuple[Interval, float]:
    """Spearman's correlation with its interval, and a two-sided p-value.

    Pairs with a missing value are left out.  The interval is a percentile bootstrap over the pairs;
    the p-value permutes one side.
    """
    x, y = pd.concat([x, y], axis=1).dropna().to_numpy(float).T
    rng = np.random.default_rng(seed)
    draws = [
        pearson(stats.rankdata(x[rows]), stats.rankdata(y[rows]))
        for rows in rng.integers(len(x), size=(N_RESAMPLES, len(x)))
    ]
    ranks = stats.rankdata(x), stats.rankdata(y)
    estimate = pearson(*ranks)
    permuted = [abs(pearson(ranks[0], rng.permutation(ranks[1]))) for _ in range(n_permutations)]
    extreme = sum(value >= abs(estimate) - 1e-12 for value in permuted)
    return percentile_interval(estimate, draws, len(x)), (1 + extreme) / (1 + n_permutations)


def flip_associations(
    table: pd.DataFrame, *, n_permutations: int = 9999, seed: int = 0
) -> pd.DataFrame:
    """`rank_association` of flipped share and AUROC, over all cell types and those with flips.

    Columns cells ("all" or "flipped"), source, estimate, low, high, n, pvalue.
    """
    parts = {"all": table, "flipped": table[table["flipped"] >= UNFLIPPED]}
    rows = []
    for source in SCORES:
        for cells, part in parts.items():
            rho, pvalue = rank_association(
                part["flipped"], part[source], n_permutations=n_permutations, seed=seed
            )
            rows.append({"cells": cells, "source": source} | vars(rho) | {"pvalue": pvalue})
    return pd.DataFrame(rows)


def border_of_unflipped() -> pd.DataFrame:
    """Whether the cell types without a flip are those of the highest AUROC, by both sources.

    Columns source, are_best, lowest (AUROC of the equally many best), highest_other, n (unflipped).
    """
    flips, rows = flips_and_scores(), []
    for source in SCORES:
        table = flips.dropna(subset=[source]).sort_values(source, ascending=False)
        unflipped = (table["flipped"] < UNFLIPPED).to_numpy()
        n = int(unflipped.sum())
        rows.append((source, bool(unflipped[:n].all()), *table[source].iloc[[n - 1, n]], n))
    return pd.DataFrame(rows, columns=["source", "are_best", "lowest", "highest_other", "n"])


def slope_table(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Least-squares slopes of AUROC on flipped share and median together, and R² of each alone.

    Both predictors are standardised, so a slope is the change of AUROC for one standard deviation;
    intervals are percentile bootstraps over the cell types.  ``table``: as `flips_and_scores`.

    Returns columns source, key (auroc_slope or auroc_r2), predictor, estimate, low, high, n, text.
    """
    rows = []
    for source in SCORES:
        values = table[["flipped", "median", source]].dropna().to_numpy()

        def statistics(drawn: np.ndarray, values: np.ndarray = values) -> np.ndarray:
            x, y = values[drawn, :2], values[drawn, 2]
            design = np.column_stack([np.ones(len(y)), (x - x.mean(0)) / x.std(0)])
            slopes = np.linalg.lstsq(design, y, rcond=None)[0][1:]
            return np.array([*slopes, *(pearson(alone, y) ** 2 for alone in x.T)])

        found = bootstrap(statistics, len(values), n_resamples=N_RESAMPLES, seed=seed)
        names = product(("auroc_slope", "auroc_r2"), ("flipped", "median"))
        for (key, predictor), ends in zip(names, np.transpose(found), strict=True):
            one = Interval(*map(float, ends), len(values))
            rows.append({"source": source, "key": key, "predictor": predictor}
                        | vars(one) | {"text": str(one)})
    return pd.DataFrame(rows)


def first_digit_steps(table: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Steps of AUROC where the median's first digit changes, and half-way between as a control.

    ``table``: as `flips_and_scores`. Returns columns source, median, first_digit_changes, estimate,
    low, high, n.
    """
    places = [(at, True) for at in (2.0, 3.0, 4.0)] + [(at, False) for at in (2.5, 3.5, 4.5)]
    return pd.DataFrame([
        {"source": source, "median": at, "first_digit_changes": changes}
        | vars(step_at(table["median"], table[source], at, seed=seed))
        for source in SCORES for at, changes in places
    ])


def step_at(x: np.ndarray, y: np.ndarray, at: float, *, seed: int = 0) -> Interval:
    """Jump of ``y`` at a point of ``x``, beyond a straight line common to both sides.

    Least squares on the points nearer than `REACH`: y = a + b x + jump [x >= at]; the interval is
    a percentile bootstrap over the points of each side.
    """
    x, y = np.asarray(x, dtype=float) - at, np.asarray(y, dtype=float)
    near = np.isfinite(y) & (np.abs(x) < REACH)
    x, y = x[near], y[near]
    sides = np.flatnonzero(x < 0), np.flatnonzero(x >= 0)

    def jump(drawn: np.ndarray) -> float:
        design = np.column_stack([np.ones(len(drawn)), x[drawn], x[drawn] >= 0])
        return float(np.linalg.lstsq(design, y[drawn], rcond=None)[0][2])

    rng = np.random.default_rng(seed)
    draws = [jump(np.concatenate([rng.choice(side, len(side)) for side in sides]))
             for _ in range(N_RESAMPLES)]
    return percentile_interval(jump(np.arange(len(x))), draws, len(x))
