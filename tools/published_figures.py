"""Write the summary figures of Roadmap's RPKM table that the library carries.

Usage: python -m tools.published_figures RPKM_TABLE

Only summaries over thousands of genes, and the 30 genes of DeepChrome's toy set, are written.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from dc2lib.datasets.histone import SPLITS
from dc2lib.datasets.published import gene_order, toy_labels
from dc2lib.datasets.rpkm import RpkmTable, read_rpkm
from dc2lib.evaluation.scores import auroc
from dc2lib.label_audit import CANDIDATES, Expression
from dc2lib.labels import sorts_after

FOLDER = Path(__file__).parents[1] / "dc2lib" / "datasets" / "published"
FIRST_ROWS = 6601


def expressions(table: RpkmTable, gene_id: np.ndarray) -> dict[str, Expression]:
    """Expression of the given genes in every cell type, with each gene's median over them."""
    rows = pd.Series(np.arange(len(table.gene_id)), index=table.gene_id).loc[gene_id].to_numpy()
    gene_median = table.frame().median(axis=1).to_numpy()[rows]
    return {
        cell: Expression(
            gene_id, table.rpkm(cell)[rows], table.text(cell)[rows], table.median_text(cell),
            table.rpkm(cell), gene_median,
        )
        for cell in table.cells
    }


def label_rule_counts(table: RpkmTable) -> pd.DataFrame:
    """Positive labels by rule, cell type and split, over DeepChrome's genes (each once)."""
    order = gene_order().drop_duplicates("gene_id")
    split = order["split"].to_numpy()
    rows = []
    for cell, one in expressions(table, order["gene_id"].to_numpy(dtype=str)).items():
        for rule, candidate in CANDIDATES.items():
            labels = _labels(candidate.labels, one, rule)
            rows += [
                {"cell": cell, "rule": rule, "split": name, "genes": int((split == name).sum()),
                 "positive": int(labels[split == name].sum())}
                for name in SPLITS
            ]
    return pd.DataFrame(rows)


def _labels(rule, one: Expression, name: str) -> np.ndarray:
    if name != "reads_median":
        return rule(one)
    reads = one.reads()
    return reads > np.nanmedian(reads)


def toy_expression(table: RpkmTable) -> pd.DataFrame:
    """Each toy gene's median RPKM over the cell types."""
    genes = toy_labels()["gene_id"]
    median = table.frame().median(axis=1).loc[genes]
    return pd.DataFrame({"gene_id": genes, "gene_median_rpkm": median.round(6).to_numpy()})


def column_summary(table: RpkmTable) -> pd.DataFrame:
    """Mean, quantiles and median of expressed genes of every column."""
    frame = table.frame()
    return pd.DataFrame(
        {
            "cell": frame.columns,
            "median": [table.median_text(cell) for cell in frame],
            "mean": frame.mean().round(4).to_numpy(),
            "quantile_25": frame.quantile(0.25).round(4).to_numpy(),
            "quantile_75": frame.quantile(0.75).round(4).to_numpy(),
            "quantile_90": frame.quantile(0.9).round(4).to_numpy(),
            "expressed_median": frame.where(frame > 0).median().round(4).to_numpy(),
            "rpkm_auroc": [expression_auroc(table, cell) for cell in frame],
        }
    )


def expression_auroc(table: RpkmTable, cell: str) -> float:
    """AUROC on the test genes, under the text rule, of the RPKM itself as score."""
    order = gene_order().drop_duplicates("gene_id").query("split == 'test'")
    test = np.isin(table.gene_id, order["gene_id"].to_numpy(dtype=str))
    labels = sorts_after(table.text(cell), table.median_text(cell))[test].astype(int)
    return round(auroc(labels, table.rpkm(cell)[test]), 4)


def correlation(path: Path, alignment: str) -> pd.DataFrame:
    """Pearson correlation of RPKM, or of its logarithm, over the first 6,601 rows of the table."""
    frame = read_rpkm(path, "aligned" if alignment == "log" else alignment).frame()[:FIRST_ROWS]
    frame = np.log1p(frame) if alignment == "log" else frame
    return frame.corr().round(6).rename_axis("cell")


def main() -> None:
    """Write the files."""
    path = Path(sys.argv[1])
    table = read_rpkm(path)
    label_rule_counts(table).to_csv(FOLDER / "label_rule_counts.csv", index=False)
    toy_expression(table).to_csv(FOLDER / "toy_gene_medians.csv", index=False)
    column_summary(table).to_csv(FOLDER / "rpkm_columns.csv", index=False)
    for alignment in ("aligned", "released", "log"):
        correlation(path, alignment).to_csv(FOLDER / f"rpkm_correlation_{alignment}.csv")


if __name__ == "__main__":
    main()
