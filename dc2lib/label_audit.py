"""Which rule made a set of labels: candidate rules, and how well each explains the labels.

The candidates are what one would try first: the cell's median, mean and quantiles, the gene's own
median over cell types (the wording of section 4.4 of DeepChrome 2.0), fixed thresholds, a threshold
on reads in place of RPKM, and the two rules of `dc2lib.labels`.

    python -m dc2lib.labels audit FOLDER --rpkm 57epigenomes.RPKM.pc.gz
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from dc2lib.datasets import (
    SPLITS,
    HistoneDataset,
    data_home,
    list_cells,
    open_cell,
    published,
    read_csv_folder,
)
from dc2lib.datasets.released import split_file
from dc2lib.datasets.roadmap import open_rpkm
from dc2lib.datasets.rpkm import RpkmTable, read_rpkm
from dc2lib.errors import DataError, exit_code
from dc2lib.labels import above, sorts_after

TOLERANCE = 0.005
SHARE_TOLERANCE = 0.03
MEANINGS = {
    "lexicographic": "the RPKM compared with the cell's median as text, as in the released files",
    "numeric": "RPKM above the cell's median, as numbers",
    "both": "numeric and text comparison alike: no gene tells them apart",
    "neither": "neither the numeric nor the text comparison with the cell's median",
}


@dataclass(frozen=True)
class Expression:
    """Expression of some genes in one cell type, and what thresholds can be made from."""

    gene_id: np.ndarray  #: str (gene,)
    rpkm: np.ndarray  #: float64 (gene,)
    text: np.ndarray  #: str (gene,): the same, as in the file
    median_text: str  #: of the whole column, in the file's notation
    column: np.ndarray  #: float64 (n,): the whole column, of which the genes may be a part
    gene_median: np.ndarray | None = None  #: (gene,): over the cell types of the table

    def reads(self) -> np.ndarray:
        """RPKM times the gene's length in kb, proportional to reads; NaN for unknown genes.

        The length is the span from start to end in `dc2lib.datasets.published.gene_annotation`,
        which holds no exons, so this is a stand-in for a table of reads.
        """
        span = published.gene_annotation().eval("end - start + 1").reindex(self.gene_id)
        return self.rpkm * span.to_numpy() / 1000


class Candidate(NamedTuple):
    """A label rule: what it says, and the labels that it gives (None: cannot be told)."""

    says: str
    labels: Callable[[Expression], np.ndarray | None]


def _rpkm_above(says: str, threshold: Callable[[Expression], object]) -> Candidate:
    return Candidate(f"RPKM above {says}", lambda one: above(one.rpkm, threshold(one)))


def _above_median_reads(one: Expression) -> np.ndarray | None:
    reads = one.reads()
    return None if np.isnan(reads).any() else above(reads, np.median(reads))


CANDIDATES = {
    "lexicographic": Candidate(
        "text of the RPKM sorts after text of the cell's median",
        lambda one: sorts_after(one.text, one.median_text),
    ),
    "lexicographic_mean": Candidate(
        "text of the RPKM sorts after text of the cell's mean",
        lambda one: sorts_after(one.text, f"{one.column.mean():.3f}"),
    ),
    "numeric": _rpkm_above("the cell's median", lambda one: one.median_text),
    "mean": _rpkm_above("the cell's mean", lambda one: one.column.mean()),
    "quantile_25": _rpkm_above(
        "the cell's lower quartile", lambda one: np.quantile(one.column, 0.25)
    ),
    "quantile_75": _rpkm_above(
        "the cell's upper quartile", lambda one: np.quantile(one.column, 0.75)
    ),
    "quantile_90": _rpkm_above("the cell's ninth decile", lambda one: np.quantile(one.column, 0.9)),
    "expressed_median": _rpkm_above(
        "the median of the genes with any expression",
        lambda one: np.median(one.column[one.column > 0]),
    ),
    "above_1": _rpkm_above("1", lambda one: 1.0),
    "above_10": _rpkm_above("10", lambda one: 10.0),
    "gene_median": Candidate(
        "RPKM above the gene's own median over cell types",
        lambda one: None if one.gene_median is None else above(one.rpkm, one.gene_median),
    ),
    "reads_median": Candidate("reads (RPKM times length) above their median", _above_median_reads),
}


@dataclass(frozen=True)
class RuleReport:
    """What the labels of one cell type follow, with the evidence.

    `verdict` is a key of `MEANINGS`, `agreement` the share of labels that each candidate explains.
    `telling` genes have another class under the text rule than under the numeric one; the label of
    `telling_lexicographic` of them is the text rule's, and `examples` holds gene, RPKM text and
    label of the first.  `threshold` is the single RPKM threshold that explains most labels.
    `basis` is ``"shares"`` where there is no expression and only the share of positive labels
    could be compared with the shares expected for a Roadmap cell type, else ``"genes"``.
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


def which_rule(labels: np.ndarray, expression: Expression, cell: str = "") -> RuleReport:
    """Say which rule the labels (gene,) of a cell type follow.

    A rule is followed if it explains all labels but a share of `TOLERANCE` and, where some genes
    tell the two rules apart, if those genes side with it too.

    Raises DataError if shapes differ or a gene has no expression.
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
    telling = np.flatnonzero(made["lexicographic"] != made["numeric"])
    sided = int((labels == made["lexicographic"])[telling].sum())
    threshold, best = best_threshold(labels, expression.rpkm)
    examples = tuple(
        (str(expression.gene_id[i]), str(expression.text[i]), int(labels[i])) for i in telling[:3]
    )
    verdict = _verdict(agreement, sided, len(telling))
    return RuleReport(
        cell, verdict, len(labels), agreement, len(telling), sided, threshold, best,
        expression.median_text, examples,
    )  # fmt: skip


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
    positives_above = labels.sum() - np.searchsorted(np.sort(values[labels]), cuts, "right")
    negatives_below = np.searchsorted(np.sort(values[~labels]), cuts, "right")
    share = (positives_above + negatives_below) / len(labels)
    best = int(share.argmax())
    return float(cuts[best]), float(share[best])


def _verdict(agreement: dict[str, float], sided: int, telling: int) -> str:
    followed = [rule for rule in ("lexicographic", "numeric") if agreement[rule] >= 1 - TOLERANCE]
    if len(followed) < 2:
        return (followed or ["neither"])[0]
    if telling == 0:
        return "both"
    return {0: "numeric", telling: "lexicographic"}.get(sided, "neither")


def expression_of(dataset: HistoneDataset, table: RpkmTable | None = None) -> Expression:
    """Expression of a dataset's genes; with the table also what other rules need.

    Raises DataError if there is none, or only numbers and no text.
    """
    if dataset.rpkm is None or dataset.rpkm_text is None or dataset.rpkm_median_text is None:
        raise DataError(
            f"{dataset.cell}: there is no expression as text; give the RPKM table of the data set "
            "(--rpkm FILE, or rpkm= of read_csv_folder)"
        )
    column, gene_median = dataset.rpkm, None
    if table is not None:
        column = table.rpkm(dataset.cell)
        gene_median = table.frame().median(axis=1).reindex(dataset.gene_id).to_numpy()
    return Expression(
        dataset.gene_id, dataset.rpkm, dataset.rpkm_text, dataset.rpkm_median_text, column,
        gene_median,
    )  # fmt: skip


def audit_dataset(dataset: HistoneDataset, table: RpkmTable | None = None) -> RuleReport:
    """Which rule the labels that came with a data set follow.

    Without expression the shares of positive labels are compared with those expected of each rule
    for this Roadmap cell type; the report then has ``basis="shares"``.

    Raises DataError if the data set has no labels, or neither expression nor a known cell type.
    """
    if dataset.released_label is None:
        raise DataError(f"{dataset.cell}: the data set has no labels to audit")
    if dataset.rpkm_text is None:
        return _audit_shares(dataset)
    return which_rule(dataset.released_label, expression_of(dataset, table), dataset.cell)


def _audit_shares(dataset: HistoneDataset) -> RuleReport:
    """The rule whose share of positive labels, split by split, is nearest to the data set's.

    A rule counts if the shares of all splits lie within `SHARE_TOLERANCE` of those expected over
    all of DeepChrome's genes, and if no other candidate comes closer.
    """
    expected = published.label_rule_counts()
    known = sorted(expected["cell"].unique())
    if dataset.cell not in known:
        raise DataError(
            f"{dataset.cell}: there is no expression, and this is no cell type of Roadmap whose "
            f"shares are known ({known[0]} to {known[-1]}). Give its table of expression: "
            "--rpkm FILE, with a column of this name"
        )
    own = expected[expected["cell"] == dataset.cell].set_index(["split", "rule"])
    share = (own["positive"] / own["genes"]).unstack("rule").loc[list(SPLITS)]
    observed = pd.Series(dataset.released_label).groupby(dataset.split).mean()
    gap = share.sub(observed, axis="index").abs().max()
    limit = min(SHARE_TOLERANCE, gap.min() + 1e-9)
    close = [rule for rule in ("lexicographic", "numeric") if gap[rule] <= limit]
    verdict = "both" if len(close) == 2 else (close or ["neither"])[0]
    agreement = (1 - gap[list(CANDIDATES)]).to_dict()
    return RuleReport(dataset.cell, verdict, len(dataset), agreement, basis="shares")


def describe(report: RuleReport) -> str:
    """The verdict on one cell type with its evidence, several lines of text."""
    evidence = _share_lines(report) if report.basis == "shares" else _gene_lines(report)
    lines = [f"The labels follow {MEANINGS[report.verdict]}.", *evidence]
    return "\n".join([f"{report.cell}: {report.verdict.upper()}", *(f"  {one}" for one in lines)])


def _gene_lines(report: RuleReport) -> list[str]:
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


def _share_lines(report: RuleReport) -> list[str]:
    nearest = sorted(report.agreement, key=report.agreement.__getitem__, reverse=True)[:4]
    return [
        "There is no expression, so this is judged by the share of high genes in each split alone,",
        "beside the shares expected for this Roadmap cell type. It cannot tell a rule from another",
        "of equal shares; for the evidence gene by gene give the table: --rpkm FILE.",
        *(f"{rule:<18} largest difference {1 - report.agreement[rule]:.3f}" for rule in nearest),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit what the command line names; 0 if every cell type could be judged, else 1."""
    options = _parser().parse_args(arguments)
    return exit_code(lambda: _audit(options))


def _audit(options: argparse.Namespace) -> int:
    reports, problems = [], []
    table = open_rpkm() if options.rpkm is None else read_rpkm(options.rpkm)
    openers = _openers(options.folder, table, any_cell=options.rpkm is not None)
    for opener, own in openers:
        try:
            reports.append(audit_dataset(opener(), own))
        except DataError as error:
            problems.append(str(error))
    if options.json:
        print(json.dumps([asdict(one) for one in reports], indent=1, allow_nan=True))
    else:
        verdicts = [one.verdict for one in reports]
        counts = [f"{verdicts.count(name)} {name}" for name in MEANINGS if name in verdicts]
        print("\n\n".join(describe(one) for one in reports))
        print(f"\n{len(reports)} cell type(s): {', '.join(counts) or 'none judged'}.")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dc2lib.labels",
        description="Say which rule the labels of a DeepChrome-format data set follow.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    audit = commands.add_parser("audit", help="audit a folder of cell types, or the store")
    audit.add_argument("folder", nargs="?", help="holds <cell>/classification/"
                       "{train,valid,test}.csv; or the name of a stored cell type; default: all"
                       " that are stored")
    audit.add_argument("--rpkm", metavar="FILE",
                       help="expression table (default: Roadmap's, if `make data` has fetched it)")
    audit.add_argument("--json", action="store_true", help="print the reports as JSON")
    return parser


def _openers(
    folder: str | None, table: RpkmTable | None, any_cell: bool
) -> list[tuple[Callable[[], HistoneDataset], RpkmTable | None]]:
    """What opens each cell type of a folder, of the store, or the one that is named, and its table.

    Roadmap's table, which nobody asked for, is that of Roadmap's cell types only.
    """
    def own(cell: str) -> RpkmTable | None:
        return table if any_cell or (table is not None and cell in table.cells) else None

    if folder is not None and not Path(folder).exists() and folder in list_cells():
        return [(partial(open_cell, folder), own(folder))]
    if folder is not None:
        named = {path: own(path.resolve().name) for path in _cell_folders(Path(folder))}
        return [(partial(read_csv_folder, path, rpkm=one), one) for path, one in named.items()]
    if not list_cells():
        raise DataError(f"the store {data_home()} holds no cell type; name a folder to audit")
    return [(partial(open_cell, name), own(name)) for name in list_cells()]


def _cell_folders(folder: Path) -> list[Path]:
    """The cell types in a folder of the released layout, sorted by name."""
    if not folder.is_dir():
        raise DataError(
            f"{folder} is no folder, and no cell type of the store {data_home()}; give a folder"
            " that holds cell types, or nothing for all that are stored"
        )
    candidates = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    cells = [
        path for path in candidates if path.name != "classification"
        and any(split_file(path / inner, "train").is_file() for inner in ("", "classification"))
    ]  # fmt: skip
    if not cells:
        raise DataError(
            f"{folder}: no cell type found; expected {folder}/<cell>/classification/train.csv or"
            f" {folder}/<cell>/train.csv (valid.csv and test.csv beside it)"
        )
    return cells
