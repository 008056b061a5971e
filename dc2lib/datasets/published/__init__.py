"""Figures that others published or released, carried with the library, for comparison.

``SOURCES.md`` beside this file says for every table where it is from, and by what it was computed.
No result of the book is computed from them unless a chapter says so.

>>> label_audit().loc["E003", "rpkm_median"]
'3.329'
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd

from dc2lib.datasets.histone import SPLITS

FOLDER = files(__package__)
SPLIT_SIZES = (6601, 6601, 6600)


def gene_annotation() -> pd.DataFrame:
    """Symbol, chromosome, start, end (GRCh37, base pairs) and strand of DeepChrome's genes, by id.

    Genes that Ensembl has retired are absent. Source: Ensembl release 100 (doi:10.1093/nar/gkz966).
    """
    return _table("gene_annotation.csv.gz", "gene_id", {"chromosome": str})


def gene_strand(gene_id: np.ndarray) -> np.ndarray:
    """Strand of each gene, ``"+"``, ``"-"`` or ``"."`` where unknown: str array (gene,).

    The released files give bins along the genome and no strand; this is what turns them.
    """
    known = _strands()
    return np.array([known.get(gene, ".") for gene in np.asarray(gene_id).tolist()], dtype="<U1")


@cache
def _strands() -> dict[str, str]:
    return gene_annotation()["strand"].to_dict()


def released_results() -> pd.DataFrame:
    """Test scores of the paper's released runs: experiment, cell, test AUROC, accuracy and loss.

    Source: github.com/ssss1029/gene_expression_294 at 759ba9e; linear rows from ``linear_model``.
    """
    return _table("released_results.csv")


def released_linear_restarts() -> pd.DataFrame:
    """The paper's linear model as released: five restarts in each of 56 cell types.

    Columns cell, restart, test_auroc, test_acc, test_loss, chosen_by_validation_auroc (bool): the
    chosen ones are the paper's row of Table 2.  Source: the repository of `released_results`, its
    branch ``linear_model``, bdb4105.
    """
    return _table("released_linear_restarts.csv").astype({"chosen_by_validation_auroc": bool})


def released_aurocs() -> pd.DataFrame:
    """Test AUROC of `released_results` (cell, experiment), NaN where there is no run.

    ``linear_chosen`` are the chosen ones of `released_linear_restarts`.
    """
    table = released_results().pivot(index="cell", columns="experiment", values="test_auroc")
    restarts = released_linear_restarts()
    chosen = restarts[restarts["chosen_by_validation_auroc"]].set_index("cell")["test_auroc"]
    return table.assign(linear_chosen=chosen)


def released_linear_weights() -> pd.DataFrame:
    """Weights of the chosen restarts: cell, class ("low", "high"), a column a mark, bias.

    Figure 8 of the paper; the unit is logits per read in the mean bin. Source: the repository of
    :func:`released_linear_restarts`, 75202c44.
    """
    return _table("released_linear_weights.csv")


def released_test_on_rest() -> pd.DataFrame:
    """AUROC (55, 55) of the released cross-cell evaluation: row = training, column = test cell.

    NaN on the diagonal. Source: as for :func:`released_results`.
    """
    return _table("released_test_on_rest_auroc.csv", "train_cell")


def released_training_sets() -> dict[str, dict[str, list[str]]]:
    """Training cells by experiment and test cell, as released.

    The Random sets hold 8 cells, where section 3.3 of the paper says 10. Source: as for
    :func:`released_results`.
    """
    return json.loads((FOLDER / "released_training_sets.json").read_text(encoding="utf-8"))


def label_audit() -> pd.DataFrame:
    """Per cell type: median RPKM, positives under the text rule, and AUROC published for it.

    Shares between 0 and 1; `rpkm_median` is text, without trailing zeros. Sources: Roadmap's RPKM
    table (doi:10.1038/nature14248); DeepChrome's AUROC (doi:10.1093/bioinformatics/btw427).
    """
    return _table("label_audit.csv", "cell", {"rpkm_median": str})


def toy_labels() -> pd.DataFrame:
    """The 30 genes of DeepChrome's toy set: split, gene_id, rpkm_E003 (text), released_label.

    Source: github.com/QData/DeepChrome at 4f2367f; RPKM from Roadmap's table.
    """
    return _table("toy_labels_E003.csv", None, {"rpkm_E003": str})


def toy_gene_medians() -> pd.Series:
    """Median RPKM over the 56 cell types of the toy set's genes, by gene_id."""
    return _table("toy_gene_medians.csv", "gene_id")["gene_median_rpkm"]


def label_rule_counts() -> pd.DataFrame:
    """Positive labels that each rule of `dc2lib.label_audit.CANDIDATES` gives, by cell and split.

    Columns cell, rule, split, genes, positive; over DeepChrome's genes, each counted once.
    """
    return _table("label_rule_counts.csv")


def rpkm_columns() -> pd.DataFrame:
    """Median (text), mean and quantiles of every column of Roadmap's RPKM table, by cell."""
    return _table("rpkm_columns.csv", "cell", {"median": str})


def rpkm_correlation(alignment: str = "aligned") -> pd.DataFrame:
    """Pearson correlation of RPKM between cell types over the table's first 6,601 rows.

    Parameters
    ----------
    alignment : {"aligned", "released", "log"}
        ``"released"``: columns read one off, as in the released code; E128 is then all NaN.
        ``"log"``: read rightly, of log (1 + RPKM).
    """
    return _table(f"rpkm_correlation_{alignment}.csv", "cell")


def gene_order() -> pd.DataFrame:
    """DeepChrome's 19,802 genes in order: gene_id, and the split that each row falls into.

    Seven gene ids come twice, side by side. Source: github.com/DEIB-GECO/ShallowChrome at 3dc2604a.
    """
    order = _table("deepchrome_gene_order.csv.gz")
    return order.assign(split=np.repeat(SPLITS, SPLIT_SIZES))


def gene_windows() -> pd.DataFrame:
    """DeepChrome's 19,795 windows: gene_id, chromosome, tss (their middle, hg19), strand.

    Source: github.com/DEIB-GECO/ShallowChrome at 3dc2604a; strand from GENCODE v10.
    """
    return _table("deepchrome_tss_hg19.csv.gz")


def _table(
    name: str, index: str | None = None, types: dict[str, type] | None = None
) -> pd.DataFrame:
    return pd.read_csv(str(FOLDER / name), index_col=index, dtype=types)
