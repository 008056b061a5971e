"""Small files of peaks, tracks, bins and genes, for the tests of the ways into the library."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pandas as pd

from dc2lib.datasets.gene_windows import GeneWindows

GENES = ("ENSG00000000001", "ENSG00000000002", "ENSG00000000003")
LENGTHS = {"chr1": 40_000, "chr2": 20_000}


def windows() -> GeneWindows:
    """Two genes on chr1, of which the second's window begins before the chromosome, one on chr2."""
    table = pd.DataFrame(
        {
            "gene_id": GENES,
            "chromosome": ["chr1", "chr1", "chr2"],
            "tss": [15_000, 3_000, 10_000],
            "strand": ["+", "-", "-"],
            "split": ["train", "valid", "test"],
        }
    )
    return GeneWindows(table, LENGTHS, "three genes")


def write_text(path: Path, text: str) -> Path:
    """Text, gzipped where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def write_table(path: Path, cells: tuple[str, ...] = ("E003",), genes=GENES) -> Path:
    """Expression by gene and cell type, tab-separated."""
    rows = [[gene, *(f"{i + 0.5 * len(cells):.3f}" for _ in cells)] for i, gene in enumerate(genes)]
    return write_text(path, "\n".join("\t".join(r) for r in [["gene_id", *cells], *rows]) + "\n")


def write_rdata(path: Path, values: np.ndarray, genes: list[str], name: str) -> Path:
    """A matrix with row names as R's `save` writes it (XDR, version 2)."""

    def number(value: int) -> bytes:
        return struct.pack(">i", value)

    def text(value: str) -> bytes:
        return number(0x40009) + number(len(value)) + value.encode()

    def tag(value: str) -> bytes:
        return number(0x402) + number(1) + text(value)

    end = number(254)
    numbers = number(14 | 1 << 9) + number(values.size) + values.T.astype(">f8").tobytes()
    shape = tag("dim") + number(13) + number(2) + b"".join(number(n) for n in values.shape)
    rows = number(16) + number(len(genes)) + b"".join(text(gene) for gene in genes)
    names = tag("dimnames") + number(19) + number(2) + rows + end
    head = b"RDX2\nX\n" + number(2) + number(0x40200) + number(0x20300)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(head + tag(name) + numbers + shape + names + end + end))
    return path
