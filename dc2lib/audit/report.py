"""``python -m dc2lib.labels audit FOLDER``: which rule do the labels of a data set follow?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from dc2lib.audit.rules import CANDIDATES, RuleReport, audit_dataset, cell_folders, read_cell
from dc2lib.datasets import data_home, list_cells, open_cell
from dc2lib.datasets.rpkm import FILE_NAME, RpkmTable, read_rpkm
from dc2lib.errors import DataError

MEANINGS = {
    "lexicographic": "the RPKM compared with the cell's median as text, as in the released files",
    "numeric": "RPKM above the cell's median, as numbers",
    "both": "numeric and text comparison alike: no gene tells them apart",
    "neither": "neither the numeric nor the text comparison with the cell's median",
}


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
