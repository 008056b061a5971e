"""The files of the exercises for a class: published tables as a colleague would send them."""

from __future__ import annotations

from dc2lib.datasets import published


def class_files() -> dict[str, str]:
    """Text of each file by name.

    ``genes.csv`` and ``median.csv`` are of the first exercise, ``expression.tsv``, whose rows end
    in a tab as Roadmap's do, and ``computed.csv`` of the second.

    >>> class_files()["median.csv"]
    'cell,median\\nE003,3.329\\n'
    """
    columns = published.rpkm_columns()[["median", "mean"]].astype(str).T
    rows = [["row", *columns.columns]] + [
        [name, *values, ""] for name, values in zip(columns.index, columns.to_numpy(), strict=True)
    ]
    genes = published.toy_labels()[["gene_id", "rpkm_E003"]]
    return {
        "genes.csv": genes.to_csv(index=False),
        "median.csv": "cell,median\nE003,3.329\n",
        "expression.tsv": "\n".join("\t".join(row) for row in rows),
        "computed.csv": published.label_audit()[["rpkm_median"]].head(5).to_csv(),
    }
