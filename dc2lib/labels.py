"""From expression to the class of a gene, by a named rule.

DeepChrome (Singh et al. 2016, doi:10.1093/bioinformatics/btw427) calls a gene highly expressed
when its RPKM lies above the median of its cell type: `above`. The released labels are what comes
out when the two numbers are compared as text: `sorts_after`.

>>> above(np.array([2.1, 10.575]), 3.329), sorts_after(np.array(["2.100", "10.575"]), "3.329")
(array([False,  True]), array([False, False]))
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from dc2lib.errors import DataError

RULES = ("numeric", "lexicographic")


class Expressed(Protocol):
    """What a label is made from; `dc2lib.datasets.HistoneDataset` has it."""

    cell: str
    gene_id: np.ndarray
    rpkm: np.ndarray | None
    rpkm_text: np.ndarray | None
    rpkm_median_text: str | None


def above(rpkm: np.ndarray, threshold: float | str | np.ndarray) -> np.ndarray:
    """Genes whose RPKM lies above a threshold, number or text: bool (gene,)."""
    return rpkm > np.asarray(threshold, dtype=np.float64)


def sorts_after(rpkm_text: np.ndarray, median_text: str) -> np.ndarray:
    """Genes whose RPKM as text sorts after the median's text: bool (gene,)."""
    return rpkm_text > median_text


def label(dataset: Expressed, rule: str = "numeric") -> np.ndarray:
    """Class of every gene: 1 for high expression, 0 for low.

    The rule is ``"numeric"``: RPKM above the median of the cell's whole RPKM column, as the papers
    say; or ``"lexicographic"``: the RPKM's text sorts after the median's text, as was released
    ("10.575" sorts before "3.329"). Returns int8 (gene,).

    Raises DataError if the rule is unknown, or a gene has no expression.
    """
    if rule not in RULES:
        raise DataError(f"Unknown label rule {rule!r}: use one of {', '.join(RULES)}.")
    _check_expression(dataset)
    if rule == "numeric":
        return above(dataset.rpkm, dataset.rpkm_median_text).astype(np.int8)
    if dataset.rpkm_text is None:
        raise DataError(
            f"{dataset.cell}: the lexicographic rule compares the file's text, and this dataset"
            " has numbers only; give rpkm_text to HistoneDataset.from_arrays."
        )
    return sorts_after(dataset.rpkm_text, dataset.rpkm_median_text).astype(np.int8)


def flipped(dataset: Expressed) -> np.ndarray:
    """Genes whose class differs between the two rules, bool (gene,); errors are `label`'s."""
    return label(dataset, "numeric") != label(dataset, "lexicographic")


def _check_expression(dataset: Expressed) -> None:
    if dataset.rpkm is None or dataset.rpkm_median_text is None:
        raise DataError(
            f"{dataset.cell}: there is no expression (RPKM) to make labels from. Stored cells get"
            " it from the RPKM table (`make data`); for your own cells give rpkm_text to"
            " HistoneDataset.from_arrays, or an RPKM table to read_csv_folder."
        )
    missing = ~np.isfinite(dataset.rpkm)
    if missing.any():
        genes = dataset.gene_id[missing]
        named = ", ".join(genes[:5].tolist()) + (", ..." if len(genes) > 5 else "")
        raise DataError(
            f"{dataset.cell}: {len(genes):,} gene(s) have no RPKM ({named});"
            " leave them out with dataset.select(...) or complete the table."
        )


if __name__ == "__main__":  # python -m dc2lib.labels audit FOLDER
    import sys

    from dc2lib.label_audit import main

    sys.exit(main())
