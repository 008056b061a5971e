"""Which rule made a set of labels: candidate rules, and how well each explains the labels.

The candidates are what one would try first: the cell's median, mean and quantiles, the gene's own
median over cell types (the wording of section 4.4 of DeepChrome 2.0), fixed thresholds, a threshold
on reads in place of RPKM, and the two rules of `dc2lib.labels`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from dc2lib.datasets import (
    HistoneDataset,
    data_home,
    list_cells,
    open_cell,
    published,
    read_csv_folder,
)
from dc2lib.datasets.histone import SPLITS
from dc2lib.datasets.rpkm import FILE_NAME, RpkmTable, check_cell, read_rpkm
from dc2lib.errors import DataError

TOLERANCE = 0.005
SHARE_TOLERANCE = 0.03
VERDICTS = ("lexicographic", "numeric", "both", "neither")
MEANINGS = {
    "lexicographic": "the RPKM compared with the cell's median as text, as in the released files",
    "numeric": "RPKM above the cell's median, as numbers",
    "both": "numeric and text comparison alike: no gene tells them apart",
    "neither": "neither the numeric nor the text comparison with the cell's median",
}


@dataclass(frozen=True)
class Expression:
    """Expression of some genes in one cell type, and what thresholds can be made from.

    Attributes
    ----------
    gene_id : str array (gene,)
    rpkm, text : arrays (gene,)
        As numbers, and character by character as in the file.
    median_text : str
        Median of the whole column, in the file's notation.
    column : float64 array (n,)
        The whole column, of which the genes may be a part.
    gene_median : float64 array (gene,) or None
        Each gene's median over the cell types of the table.
    """

    gene_id: np.ndarray
    rpkm: np.ndarray
    text: np.ndarray
    median_text: str
    column: np.ndarray
    gene_median: np.ndarray | None = None

    @property
    def median(self) -> float:
        """The median as a number."""
        return float(self.median_text)

    def reads(self) -> np.ndarray:
        """RPKM times the gene's length in kb, proportional to reads; NaN for unknown genes.

        The length is the span from start to end in `dc2lib.datasets.published.gene_annotation`,
        which holds no exons, so this is a stand-in for a table of reads.
        """
        span = published.gene_annotation().eval("end - start + 1").reindex(self.gene_id)
        return self.rpkm * span.to_numpy() / 1000


@dataclass(frozen=True)
class Candidate:
    """A label rule: its name, what it says, and the labels that it gives (None: cannot be told)."""

    name: str
    says: str
    labels: Callable[[Expression], np.ndarray | None]


def _above(threshold: Callable[[Expression], float]) -> Callable[[Expression], np.ndarray]:
    return lambda one: one.rpkm > threshold(one)


def _above_gene_median(one: Expression) -> np.ndarray | None:
    return None if one.gene_median is None else one.rpkm > one.gene_median


def _above_median_reads(one: Expression) -> np.ndarray | None:
    reads = one.reads()
    return None if np.isnan(reads).any() else reads > np.median(reads)


def _quantile(q: float) -> Callable[[Expression], np.ndarray]:
    return _above(lambda one: np.quantile(one.column, q))


CANDIDATES = {
    one.name: one
    for one in (
        Candidate(
            "lexicographic", "text of the RPKM sorts after text of the cell's median",
            lambda one: one.text > one.median_text,
        ),
        Candidate(
            "lexicographic_mean", "text of the RPKM sorts after text of the cell's mean",
            lambda one: one.text > f"{one.column.mean():.3f}",
        ),
        Candidate("numeric", "RPKM above the cell's median", _above(lambda one: one.median)),
        Candidate("mean", "RPKM above the cell's mean", _above(lambda one: one.column.mean())),
        Candidate("quantile_25", "RPKM above the cell's lower quartile", _quantile(0.25)),
        Candidate("quantile_75", "RPKM above the cell's upper quartile", _quantile(0.75)),
        Candidate("quantile_90", "RPKM above the cell's ninth decile", _quantile(0.9)),
        Candidate(
            "expressed_median", "RPKM above the median of the genes with any expression",
            _above(lambda one: np.median(one.column[one.column > 0])),
        ),
        Candidate("above_1", "RPKM above 1", _above(lambda one: 1.0)),
        Candidate("above_10", "RPKM above 10", _above(lambda one: 10.0)),
        Candidate(
            "gene_median", "RPKM above the gene's own median over cell types", _above_gene_median
        ),
        Candidate(
            "reads_median", "reads (RPKM times length) above their median", _above_median_reads
        ),
    )
}


@dataclass(frozen=True)
class RuleReport:
    """What the labels of one cell type follow, with the evidence.

    Attributes
    ----------
    cell : str
    verdict : str
        One of ``"lexicographic"``, ``"numeric"``, ``"both"`` (no gene tells the two apart) and
        ``"neither"``.
    n_genes : int
    agreement : dict
        Share of the labels that each candidate explains.
    telling : int
        Genes whose class differs between the numeric and the text rule.
    telling_lexicographic : int
        Those of them whose label is that of the text rule.
    threshold, threshold_agreement : float
        The single RPKM threshold that explains most labels (no rule of the form "RPKM above t"
        does better), and the share it explains.
    examples : tuple of (gene_id, rpkm text, label)
        Telling genes.
    basis : str
        ``"genes"``, or ``"shares"`` where there is no expression and only the share of positive
        labels could be compared with the shares expected for a Roadmap cell type.
    """

    cell: str
    verdict: str
    n_genes: int
    agreement: dict[str, float]
    telling: int = 0
    telling_lexicographic: int = 0
    threshold: float = float("nan")
    threshold_agreement: float = float("nan")
    median_text: str = ""
    examples: tuple[tuple[str, str, int], ...] = ()
    basis: str = "genes"


def which_rule(
    labels: np.ndarray, expression: Expression, cell: str = "", tolerance: float = TOLERANCE
) -> RuleReport:
    """Say which rule the labels of a cell type follow.

    A rule is followed if it explains all labels but a share of ``tolerance`` and, where some genes
    tell the two rules apart, if those genes side with it too.

    Parameters
    ----------
    labels : 0/1 array (gene,)
    expression : Expression
        Of the same genes.
    cell : str
        For the report.
    tolerance : float

    Raises
    ------
    DataError
        If shapes differ or a gene has no expression.
    """
    labels = np.asarray(labels).astype(bool)
    if labels.shape != expression.rpkm.shape:
        raise DataError(
            f"{cell}: {labels.shape} labels for {expression.rpkm.shape} genes: expected as many"
        )
    if np.isnan(expression.rpkm).any():
        raise DataError(f"{cell}: {np.isnan(expression.rpkm).sum()} gene(s) have no RPKM")
    made = {name: one.labels(expression) for name, one in CANDIDATES.items()}
    agreement = {
        name: float((labels == given).mean()) for name, given in made.items() if given is not None
    }
    telling = made["lexicographic"] != made["numeric"]
    sided = int((labels == made["lexicographic"])[telling].sum())
    threshold, best = best_threshold(labels, expression.rpkm)
    return RuleReport(
        cell=cell,
        verdict=_verdict(agreement, sided, int(telling.sum()), tolerance),
        n_genes=len(labels),
        agreement=agreement,
        telling=int(telling.sum()),
        telling_lexicographic=sided,
        threshold=threshold,
        threshold_agreement=best,
        median_text=expression.median_text,
        examples=_examples(labels, expression, telling),
    )


def best_threshold(labels: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """The threshold t for which ``values > t`` agrees with most labels, and the share that agrees.

    Every threshold is tried, so no mean, median or quantile does better.

    Examples
    --------
    >>> best_threshold(np.array([0, 1, 0, 1]), np.array([1.0, 2.0, 3.0, 4.0]))
    (1.0, 0.75)
    """
    labels = np.asarray(labels).astype(bool)
    cuts = np.concatenate([[-np.inf], np.unique(values)])
    order = np.sort(values[labels]), np.sort(values[~labels])
    positives_above = labels.sum() - np.searchsorted(order[0], cuts, "right")
    negatives_below = np.searchsorted(order[1], cuts, "right")
    share = (positives_above + negatives_below) / len(labels)
    best = int(share.argmax())
    return float(cuts[best]), float(share[best])


def expression_of(dataset: HistoneDataset, table: RpkmTable | None = None) -> Expression:
    """Expression of a dataset's genes; with the table also what other rules need.

    Raises
    ------
    DataError
        If there is none, or only numbers and no text.
    """
    if dataset.rpkm is None or dataset.rpkm_text is None or dataset.rpkm_median_text is None:
        raise DataError(
            f"{dataset.cell}: there is no expression as text; give the RPKM table of the data set "
            "(--rpkm FILE, or rpkm= of read_csv_folder)"
        )
    column, gene_median = dataset.rpkm, None
    if table is not None:
        column = table.rpkm(dataset.cell)
        median = table.frame().median(axis=1)
        gene_median = median.reindex(dataset.gene_id).to_numpy()
    return Expression(
        dataset.gene_id, dataset.rpkm, dataset.rpkm_text, dataset.rpkm_median_text, column,
        gene_median,
    )


def audit_dataset(dataset: HistoneDataset, table: RpkmTable | None = None) -> RuleReport:
    """Which rule the labels that came with a data set follow.

    Without expression the shares of positive labels are compared with those expected of each rule
    for this Roadmap cell type; the report then has ``basis="shares"``.

    Raises
    ------
    DataError
        If the data set has no labels, or neither expression nor a known cell type.
    """
    if dataset.released_label is None:
        raise DataError(f"{dataset.cell}: the data set has no labels to audit")
    if dataset.rpkm_text is not None:
        expression = expression_of(dataset, table)
        return which_rule(dataset.released_label, expression, dataset.cell)
    return audit_shares(dataset)


def audit_shares(dataset: HistoneDataset) -> RuleReport:
    """The rule whose share of positive labels, split by split, is nearest to the data set's.

    A rule counts if the shares of all splits lie within `SHARE_TOLERANCE` of those expected over
    all of DeepChrome's genes, and if no other candidate comes closer.

    Raises
    ------
    DataError
        If the cell type is not one of Roadmap's.
    """
    expected = published.label_rule_counts()
    check_cell(dataset.cell, sorted(expected["cell"].unique()), "the carried Roadmap shares")
    own = expected[expected["cell"] == dataset.cell].set_index(["rule", "split"])
    share = own["positive"] / own["genes"]
    observed = pd.Series(
        {split: float(dataset.released_label[dataset.split == split].mean()) for split in SPLITS}
    )
    gap = {
        rule: float((share[rule].reindex(SPLITS) - observed).abs().max())
        for rule in share.index.unique("rule")
    }
    nearest = min(gap.values())
    close = [
        rule for rule in ("lexicographic", "numeric")
        if gap[rule] <= min(SHARE_TOLERANCE, nearest + 1e-9)
    ]
    verdict = "both" if len(close) == 2 else (close or ["neither"])[0]
    return RuleReport(
        dataset.cell, verdict, len(dataset), {rule: 1 - one for rule, one in gap.items()},
        basis="shares",
    )


def cell_folders(folder: Path) -> list[Path]:
    """The cell types in a folder of the released layout, sorted by name.

    Raises
    ------
    DataError
        If there is none.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; give one that holds cell types")
    candidates = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    found = [path for path in candidates if path.name != "classification" and _holds_splits(path)]
    if not found:
        raise DataError(
            f"{folder}: no cell type found; expected {folder}/<cell>/classification/train.csv or"
            f" {folder}/<cell>/train.csv (valid.csv and test.csv beside it)"
        )
    return found


def read_cell(folder: Path, table: RpkmTable | None = None) -> HistoneDataset:
    """One cell type of a folder, with its expression if there is a table.

    Raises
    ------
    DataError
        If a file is wrong, or the table has no column of the folder's name or lacks a gene.
    """
    dataset = read_csv_folder(folder)
    if table is None:
        return dataset
    return replace(dataset, **table.join(dataset.cell, dataset.gene_id))


def _holds_splits(folder: Path) -> bool:
    return any((folder / inner / "train.csv").is_file() for inner in ("", "classification"))


def _verdict(agreement: dict[str, float], sided: int, telling: int, tolerance: float) -> str:
    followed = [
        rule for rule in ("lexicographic", "numeric") if agreement[rule] >= 1 - tolerance
    ]
    if not followed:
        return "neither"
    if len(followed) == 1:
        return followed[0]
    if telling == 0:
        return "both"
    if sided in (0, telling):
        return "lexicographic" if sided else "numeric"
    return "neither"


def _examples(
    labels: np.ndarray, expression: Expression, telling: np.ndarray, most: int = 3
) -> tuple[tuple[str, str, int], ...]:
    return tuple(
        (str(expression.gene_id[i]), str(expression.text[i]), int(labels[i]))
        for i in np.flatnonzero(telling)[:most]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit what the command line names; 0 if every cell type could be judged, else 1."""
    options = _parser().parse_args(arguments)
    try:
        table = _table(options.rpkm)
        reports, problems = _reports(options, table)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps([asdict(one) for one in reports], indent=1, allow_nan=True))
    else:
        print("\n\n".join(describe(one) for one in reports))
        print(f"\n{summary(reports)}")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


def describe(report: RuleReport) -> str:
    """The verdict on one cell type with its evidence, several lines of text."""
    head = [
        f"{report.cell}: {report.verdict.upper()}",
        f"  The labels follow {MEANINGS[report.verdict]}.",
    ]
    evidence = _shares(report) if report.basis == "shares" else _genes(report)
    return "\n".join([*head, *(f"  {line}" for line in evidence)])


def _genes(report: RuleReport) -> list[str]:
    right = {rule: round(share * report.n_genes) for rule, share in report.agreement.items()}
    lines = [f"{'rule':<18}{'explains':>10}  of {report.n_genes:,} labels"]
    for rule in sorted(right, key=right.__getitem__, reverse=True):
        share = f"{report.agreement[rule]:6.1%}"
        lines.append(f"{rule:<18}{right[rule]:>10,}  {share}  {CANDIDATES[rule].says}")
    lines.append(
        f"No single RPKM threshold explains more than {report.threshold_agreement:.1%}"
        f" (RPKM > {report.threshold:g})."
    )
    if not report.telling:
        return [*lines, "No gene of this cell type tells text and number apart."]
    lines.append(
        f"Of {report.telling:,} genes that tell the two apart,"
        f" {report.telling_lexicographic:,} side with the text comparison, for example:"
    )
    return lines + [
        f"  {gene}  RPKM {text}, median {report.median_text}: label {label}"
        for gene, text, label in report.examples
    ]


def _shares(report: RuleReport) -> list[str]:
    nearest = sorted(report.agreement, key=report.agreement.__getitem__, reverse=True)[:4]
    return [
        "There is no expression, so this is judged by the share of high genes in each split alone,",
        "beside the shares expected for this Roadmap cell type. It cannot tell a rule from another",
        "of equal shares; for the evidence gene by gene give the table: --rpkm FILE.",
        *(f"{rule:<18} largest difference {1 - report.agreement[rule]:.3f}" for rule in nearest),
    ]


def summary(reports: Sequence[RuleReport]) -> str:
    """One line: how many cell types follow which rule."""
    counts = {name: sum(one.verdict == name for one in reports) for name in MEANINGS}
    listing = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    return f"{len(reports)} cell type(s): {listing or 'none judged'}."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dc2lib.labels",
        description="Say which rule the labels of a DeepChrome-format data set follow.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    audit = commands.add_parser("audit", help="audit a folder of cell types, or the store")
    audit.add_argument(
        "folder", nargs="?",
        help="holds <cell>/classification/{train,valid,test}.csv; default: the cell types in the"
        " store",
    )
    audit.add_argument("--rpkm", metavar="FILE", help="expression table (default: Roadmap's, if"
                       " `make data` has fetched it)")
    audit.add_argument("--json", action="store_true", help="print the reports as JSON")
    return parser


def _table(named: str | None) -> RpkmTable | None:
    if named is not None:
        return read_rpkm(named)
    fetched = data_home() / "downloads" / FILE_NAME
    return read_rpkm(fetched) if fetched.is_file() else None


def _reports(
    options: argparse.Namespace, table: RpkmTable | None
) -> tuple[list[RuleReport], list[str]]:
    if options.folder is None:
        names = list_cells()
        if not names:
            raise DataError(f"the store {data_home()} holds no cell type; name a folder to audit")
        makers = [lambda name=name: open_cell(name) for name in names]
    else:
        places = cell_folders(Path(options.folder))
        makers = [lambda place=place: read_cell(place, table) for place in places]
    reports, problems = [], []
    for make in makers:
        try:
            reports.append(audit_dataset(make(), table))
        except DataError as error:
            problems.append(str(error))
    return reports, problems
