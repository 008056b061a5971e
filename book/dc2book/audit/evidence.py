"""What the published figures say about the released labels, without any download.

Two lines of evidence: the 30 genes of DeepChrome's toy set, and released runs that answered with
the majority class, whose accuracy is then a count of labels.  `dc2book.audit.association` holds the
third.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import pandas as pd

from dc2lib.datasets import published
from dc2lib.label_audit import CANDIDATES, Expression, best_threshold

TEST_GENES = 6597
SHIFT = 30
CLOSE = 3
TOY_CELL = "E003"


def toy_expression() -> Expression:
    """The toy set's 30 genes as `Expression` of cell type E003."""
    toy = published.toy_labels()
    column = published.rpkm_columns().loc[TOY_CELL]
    text = toy["rpkm_E003"].to_numpy(dtype=str)
    return Expression(
        gene_id=toy["gene_id"].to_numpy(dtype=str),
        rpkm=text.astype(float),
        text=text,
        median_text=str(column["median"]),
        column=text.astype(float),
        gene_median=published.toy_gene_medians().loc[toy["gene_id"]].to_numpy(),
    )


def toy_labels_under_rules() -> pd.DataFrame:
    """Label of each toy gene under every candidate rule, beside the released one.

    Thresholds of E003 come from its whole column (`dc2lib.datasets.published.rpkm_columns`).

    Returns
    -------
    DataFrame
        Columns gene_id, rpkm (text), released, and one a rule (0 or 1).
    """
    one = toy_expression()
    column = published.rpkm_columns().loc[TOY_CELL]
    table = pd.DataFrame(
        {
            "gene_id": one.gene_id,
            "rpkm": one.text,
            "released": published.toy_labels()["released_label"],
        }
    )
    for rule, candidate in CANDIDATES.items():
        if rule == "lexicographic_mean":
            table[rule] = one.text > f"{float(column['mean']):.3f}"
        elif rule in column.index:
            table[rule] = one.rpkm > float(column[rule])
        elif rule != "reads_median":
            table[rule] = candidate.labels(one)
    return table.astype(dict.fromkeys(table.columns[3:], int))


def toy_agreement() -> pd.DataFrame:
    """How many of the 30 toy labels each rule explains, best first.

    ``any_threshold`` and ``any_threshold_on_reads`` are the best that any single threshold on RPKM,
    or on RPKM times the gene's length, can do: they bound every mean, median and quantile.

    Returns
    -------
    DataFrame
        Columns rule, says, explained, genes.
    """
    table = toy_labels_under_rules()
    released = table["released"].to_numpy()
    explained = {rule: int((table[rule] == released).sum()) for rule in table.columns[3:]}
    rows = [
        {"rule": rule, "says": CANDIDATES[rule].says, "explained": number}
        for rule, number in explained.items()
    ]
    one = toy_expression()
    for name, values, says in (
        ("any_threshold", one.rpkm, "RPKM above the best possible threshold"),
        ("any_threshold_on_reads", one.reads(), "reads above the best possible threshold"),
    ):
        share = best_threshold(released, values)[1]
        rows.append({"rule": name, "says": says, "explained": round(share * len(table))})
    rows = [row | {"genes": len(table)} for row in rows]
    return pd.DataFrame(rows).sort_values("explained", ascending=False, kind="stable")


@dataclass(frozen=True)
class ChanceMatch:
    """Probability that a given number of wrong labels falls exactly on the genes of the text rule.

    Attributes
    ----------
    null : str
        Which genes could have been wrong.
    genes, wrong : int
    probability : float
        One over the number of ways to choose ``wrong`` of ``genes``.
    """

    null: str
    genes: int
    wrong: int

    @property
    def probability(self) -> float:
        """Of exactly this choice, if all are equally likely."""
        return 1 / comb(self.genes, self.wrong)


def toy_chance() -> list[ChanceMatch]:
    """How likely the toy match is by chance, under nulls from the easiest to the hardest.

    The labels that the numeric rule cannot explain are taken as given in number; the null says
    that they fall anywhere, anywhere among the genes that are numerically high (all of them are),
    or anywhere among the high genes up to the largest RPKM that is called low.
    """
    table = toy_labels_under_rules()
    rpkm = table["rpkm"].astype(float)
    wrong = table["numeric"] != table["released"]
    high = table["numeric"] == 1
    reach = high & (rpkm <= rpkm[wrong].max())
    number = int(wrong.sum())
    return [
        ChanceMatch("any gene may carry a wrong label", len(table), number),
        ChanceMatch("any gene above the median may", int(high.sum()), number),
        ChanceMatch(
            "any gene between the median and the highest that is called low may",
            int(reach.sum()), number,
        ),
    ]


def run_counts() -> pd.DataFrame:
    """Correct answers of every released run, and the majority class under every rule.

    The released accuracies are multiples of 1/6,597, the number of different genes in the test
    split, so each is a count of correct answers.  A model that always gives one answer is right
    exactly as often as that class occurs.

    Returns
    -------
    DataFrame
        One row a run and rule: experiment, cell, test_auroc, correct, rule, majority, distance
        (correct minus majority).
    """
    runs = published.released_results()
    runs = runs[runs["test_accuracy"].notna()].copy()
    runs["correct"] = (runs["test_accuracy"] * TEST_GENES).round().astype(int)
    counts = published.label_rule_counts().query("split == 'test'")
    majority = counts.assign(
        majority=np.maximum(counts["positive"], counts["genes"] - counts["positive"])
    )
    table = runs.merge(majority[["cell", "rule", "majority"]], on="cell")
    table["distance"] = table["correct"] - table["majority"]
    columns = ["experiment", "cell", "test_auroc", "correct", "rule", "majority", "distance"]
    return table[columns]


@dataclass(frozen=True)
class Coincidences:
    """Runs whose number of correct answers is exactly the size of a rule's majority class.

    Attributes
    ----------
    rule : str
    exact : int
        Runs at distance 0.
    cells : int
        Different cell types among them.
    runs : int
        All runs.
    by_chance, most_by_chance : float, int
        Mean and largest number when every cell type's majority class is moved by 1 to 30 genes.
    pvalue : float
        Share of such moves, the true place among them, with as many exact runs.
    """

    rule: str
    exact: int
    cells: int
    runs: int
    by_chance: float
    most_by_chance: int
    pvalue: float


def coincidences(
    table: pd.DataFrame | None = None, *, n_permutations: int = 9999, seed: int = 0
) -> pd.DataFrame:
    """For every rule, how often a released run is right exactly as often as its majority class.

    No run is selected by hand.  The comparison moves the majority class of every cell type by up to
    `SHIFT` genes, at random and never by 0: this keeps how close accuracies lie to class balances,
    and breaks the identity.

    Returns
    -------
    DataFrame
        Columns as the attributes of `Coincidences`, most coincidences first.
    """
    table = run_counts() if table is None else table
    rng = np.random.default_rng(seed)
    rows = [
        vars(_coincidences(rule, part, n_permutations, rng))
        for rule, part in table.groupby("rule", sort=False)
    ]
    return pd.DataFrame(rows).sort_values("exact", ascending=False, kind="stable")


def _coincidences(
    rule: str, part: pd.DataFrame, n_permutations: int, rng: np.random.Generator
) -> Coincidences:
    distance = part["distance"].to_numpy()
    cell = pd.factorize(part["cell"])[0]
    size = (n_permutations, cell.max() + 1)
    shift = rng.integers(1, SHIFT + 1, size) * rng.choice([-1, 1], size)
    elsewhere = (distance == shift[:, cell]).sum(1)
    exact = int((distance == 0).sum())
    return Coincidences(
        rule=rule,
        exact=exact,
        cells=int(part.loc[distance == 0, "cell"].nunique()),
        runs=len(part),
        by_chance=float(elsewhere.mean()),
        most_by_chance=int(elsewhere.max()),
        pvalue=float((1 + (elsewhere >= exact).sum()) / (1 + n_permutations)),
    )


def majority_matches(cells: Sequence[str] | None = None) -> pd.DataFrame:
    """Predicted majority share beside released accuracies of runs that learned nothing else.

    Test rows: for every cell type with a run within `CLOSE` genes of the predicted count, the
    closest run.  These rows are chosen because they match and illustrate; `coincidences` is the
    test.  Validation rows: `dc2lib.datasets.published.released_first_epoch`.

    Returns
    -------
    DataFrame
        Columns cell, split, predicted, numeric (share under the numeric rule), released, runs.
    """
    counts = published.label_rule_counts()
    share = counts["positive"] / counts["genes"]
    majority = counts.assign(share=np.maximum(share, 1 - share)).set_index(
        ["rule", "cell", "split"]
    )["share"]
    runs = run_counts().query(f"rule == 'lexicographic' and abs(distance) <= {CLOSE}")
    runs = runs.sort_values("distance", key=abs, kind="stable")
    test = runs.groupby("cell")["correct"].first() / TEST_GENES
    number = runs.groupby("cell").size()
    rows = [
        {"cell": cell, "split": "test", "released": value, "runs": int(number[cell])}
        for cell, value in test.items()
    ]
    rows += [
        {"cell": one.cell, "split": one.split, "released": one.accuracy, "runs": 1}
        for one in published.released_first_epoch().itertuples()
    ]
    table = pd.DataFrame(rows)
    for name, rule in (("predicted", "lexicographic"), ("numeric", "numeric")):
        table[name] = [majority[rule, row.cell, row.split] for row in table.itertuples()]
    wanted = table if cells is None else table[table["cell"].isin(cells)]
    return wanted[["cell", "split", "predicted", "numeric", "released", "runs"]]
