"""Where genes are: the windows around their starts, DeepChrome's own or those of a GTF file.

>>> print(*deepchrome_windows().table.iloc[0])
ENSG00000000003 chrX 99894988 - train
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from dc2lib.datasets import published
from dc2lib.datasets.histone import N_BINS, SPLITS
from dc2lib.datasets.rpkm import without_version
from dc2lib.errors import DataError
from dc2lib.files import text_lines

BIN_SIZE = 100
BLOCK = 1_000_000  # bp
HG19 = {
    "chr1": 249250621, "chr2": 243199373, "chr3": 198022430, "chr4": 191154276,
    "chr5": 180915260, "chr6": 171115067, "chr7": 159138663, "chr8": 146364022,
    "chr9": 141213431, "chr10": 135534747, "chr11": 135006516, "chr12": 133851895,
    "chr13": 115169878, "chr14": 107349540, "chr15": 102531392, "chr16": 90354753,
    "chr17": 81195210, "chr18": 78077248, "chr19": 59128983, "chr20": 63025520,
    "chr21": 48129895, "chr22": 51304566, "chrX": 155270560, "chrY": 59373566,
}  # fmt: skip
CHROMOSOME = re.compile(
    r"[\W_]*(?:chr(?:om(?:osome)?)?)?[\W_]*0*(\d{1,2}[a-z]?|[wyzm]|mt|[ivx]+)[\W_]*",
    re.IGNORECASE | re.ASCII,
)  # others are contigs
PLACE = re.compile(r"\d{1,12}", re.ASCII)
LONGEST = 2**33  # bases, more than any chromosome has
MAY_LACK = ("chrY", "chrM")


@dataclass(frozen=True, eq=False)
class GeneWindows:
    """One window a gene, 50 bins of 100 bp on either side of its start.

    Attributes
    ----------
    table : DataFrame
        gene_id (without version), chromosome (with "chr"), tss (base pairs, from 0), strand, split.
    lengths : mapping
        Base pairs of the genome's chromosomes, as far as they are known; files are checked
        against them.
    name : str
        For messages.
    partial : bool
        Whether these genes, or the files to be read, are meant to cover a part of the genome only.
    """

    table: pd.DataFrame
    lengths: Mapping[str, int]
    name: str
    partial: bool = False

    def __len__(self) -> int:
        return len(self.table)

    @property
    def gene_id(self) -> np.ndarray:
        """Ids of the genes, str (gene,)."""
        return self.table["gene_id"].to_numpy(dtype=str)

    @cached_property
    def digest(self) -> str:
        """Changes when a gene, its place or its split does."""
        return hashlib.sha256(self.table.to_csv().encode()).hexdigest()[:16]

    def by_chromosome(self) -> Iterable[tuple[str, np.ndarray, np.ndarray]]:
        """Each chromosome with its genes' rows (gene,) and bin edges (gene, bin + 1) in bp."""
        steps = BIN_SIZE * np.arange(-N_BINS // 2, N_BINS // 2 + 1)
        tss = self.table["tss"].to_numpy(dtype=np.int64)
        for chromosome, rows in self.table.groupby("chromosome", sort=False).indices.items():
            yield chromosome, rows, tss[rows, None] + steps

    def check_chromosomes(self, names: Iterable[str], where: str, *, whole: bool = False) -> None:
        """Raise DataError if a file and the genes do not lie on the same chromosomes.

        At least one must be the same. A chromosome of the file without genes must be a contig, or
        in `MAY_LACK`, unless all this is `partial`.

        Parameters
        ----------
        names
            Chromosomes of the file, as `chromosome_name` gives them.
        where
            The file, for the message.
        whole
            Whether the file must name every chromosome with genes, but chrY and chrM.
        """
        names, wanted = set(names), set(self.table["chromosome"])
        if not names & wanted:
            raise DataError(
                f"{where} shares no chromosome with {self.name}: it has {_some(names)}, and the"
                f" genes lie on {_some(wanted)}. Is it of another genome or species?"
            )
        if self.partial:
            return
        surplus = set(filter(CHROMOSOME.fullmatch, names - wanted)) - set(MAY_LACK)
        if surplus:
            raise DataError(
                f"{where} has {_some(surplus)}, where no gene of {self.name} lies. Is one of the"
                " two cut, or of another genome? If it is meant so: PARTIAL=1 (--partial)."
            )
        lacking = wanted - names - set(MAY_LACK)
        if whole and lacking:
            genes = int(self.table["chromosome"].isin(lacking).sum())
            raise DataError(
                f"{where} lacks {_some(lacking)}, where {genes:,} genes of {self.name} lie; give a"
                " file of the whole genome, or a GTF of the genes that it covers; or PARTIAL=1"
                " (--partial) if it is meant so."
            )


def deepchrome_windows() -> GeneWindows:
    """DeepChrome's own 19,795 genes on hg19, in its order and with its split."""
    table = published.gene_windows()
    return GeneWindows(table.assign(split=split_of(table["gene_id"])), HG19, "DeepChrome's genes")


def genome_blocks(gene_id: Sequence[str] | np.ndarray) -> np.ndarray:
    """The stretch of the genome that each gene lies in, int ``(gene,)``, for a block bootstrap.

    Neighbouring genes are alike, so they are drawn together.  Stretches of `BLOCK` base pairs begin
    at the start of each chromosome (DeepChrome's TSS on hg19); equal numbers mean the same stretch
    in every call.  A gene that DeepChrome does not have is a stretch of its own.

    Examples
    --------
    >>> near, far, alone = genome_blocks(["ENSG00000000419", "ENSG00000000457", "mine"])
    >>> bool(near == far), bool(alone < 0)
    (False, True)
    """
    stretches = _deepchrome_stretches()
    return np.array([stretches.get(gene, -1 - zlib.crc32(gene.encode())) for gene in gene_id])


@cache
def _deepchrome_stretches() -> dict[str, int]:
    table = deepchrome_windows().table
    number = table.groupby([table["chromosome"], table["tss"] // BLOCK]).ngroup()
    return dict(zip(table["gene_id"], number, strict=True))


def read_gtf(path: str | Path, gene_type: str | None = "protein_coding") -> GeneWindows:
    """The genes of a GTF file, such as GENCODE's, in its order.

    The start of a gene is its 5' end. Versions of gene ids are cut off, and the second copies of
    genes on both sex chromosomes (``_PAR_Y``) left out.

    Parameters
    ----------
    path
        Plain or gzipped.
    gene_type
        Only genes whose ``gene_type`` or ``gene_biotype`` is this; None for all.

    Raises
    ------
    DataError
        If a line is no line of a GTF, a gene comes twice, or no gene is left.
    """
    path = Path(path)
    rows = []
    for number, line in enumerate(text_lines(path), start=1):
        if "\tgene\t" in line and not line.startswith("#"):
            rows.append(_gtf_gene(line, f"{path}, line {number}", gene_type))
    table = pd.DataFrame(
        [row for row in rows if row], columns=["gene_id", "chromosome", "tss", "strand"]
    )
    table = table[~table["gene_id"].str.endswith("_PAR_Y")].reset_index(drop=True)
    if table.empty:
        raise DataError(
            f"{path} has no line of a gene of type {gene_type!r}; expected a GTF with such lines in"
            " its third column, as GENCODE's and Ensembl's have."
        )
    table["gene_id"] = without_version(table["gene_id"])
    twice = table["gene_id"][table["gene_id"].duplicated()]
    if len(twice):
        raise DataError(f"{path}: gene {twice.iloc[0]} comes twice; expected each gene once.")
    return GeneWindows(table.assign(split=split_of(table["gene_id"])), {}, path.name)


def split_of(gene_id: Iterable[str]) -> np.ndarray:
    """Split of each gene, str (gene,): DeepChrome's for its genes, else the CRC-32 of the id mod 3.

    The rule for new genes depends on the id alone, so that a gene keeps its split whatever genes
    come with it.
    """
    order = published.gene_order().drop_duplicates("gene_id")
    known = dict(zip(order["gene_id"], order["split"], strict=True))
    return np.array(
        [known.get(gene) or SPLITS[zlib.crc32(gene.encode()) % 3] for gene in gene_id], dtype=str
    )


def missing_genes(gene_id: np.ndarray, split: np.ndarray, cell: str, partial: bool) -> str:
    """How many of DeepChrome's genes are there, where it is most but not all; else nothing.

    Raises DataError, unless all this is `partial`, if a split breaks off: its genes are the first
    of DeepChrome's split, while another split is whole.
    """
    order = published.gene_order().drop_duplicates("gene_id")
    said, whole, broken, known = [], False, "", 0
    for name, genes in order.groupby("split", sort=False)["gene_id"]:
        here = np.isin(genes.to_numpy(str), gene_id[split == name])
        number = int(here.sum())
        known += number
        said.append(f"{number:,} of {len(here):,} {name}")
        whole |= number == len(here)
        if 0 < number < len(here) and here[:number].all():
            broken = f"it ends after {said[-1]} genes of DeepChrome"
    if whole and broken and not partial:
        raise DataError(
            f"{cell}: {broken}, and has all of another split. Is a file, or the table of"
            " expression, cut? Get it whole; if it is meant so: PARTIAL=1 (--partial)."
        )
    part = len(order) / 2 < known < len(order)
    return f"of DeepChrome's genes {', '.join(said)}" if part else ""


def chromosome_name(name: str) -> str:
    """One name for a chromosome: ``"chr1"`` for 1, Chr1, chr01 and "chr1 "; ``"chrM"`` for MT.

    >>> [chromosome_name(name) for name in ("1", "chrx", "MT", "chrUn_7")]
    ['chr1', 'chrX', 'chrM', 'chrUn_7']
    """
    plain = CHROMOSOME.fullmatch(name)
    if not plain:
        return f"chr{re.sub('^chr', '', name.strip(), flags=re.IGNORECASE)}"
    return "chrM" if plain[1].upper() == "MT" else f"chr{plain[1].upper()}"


def chromosome_names(names: Iterable[str], where: str | Path) -> dict[str, str]:
    """A file's own name of each chromosome, by `chromosome_name`; DataError if one has two."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(chromosome_name(name), name)
        if other != name:
            raise DataError(
                f"{where}: {other!r} and {name!r} are two names of one chromosome; rename or remove"
                " what is not this genome's, such as a spike-in."
            )
    return known


def _gtf_gene(line: str, where: str, gene_type: str | None) -> tuple[str, str, int, str] | None:
    fields = line.rstrip("\n").split("\t")
    places = all(map(PLACE.fullmatch, fields[3:5]))
    if len(fields) != 9 or fields[6] not in ("+", "-") or not places:
        raise DataError(
            f"{where}: no line of a GTF; expected nine tab-separated fields with numbers in the"
            " fourth and fifth and '+' or '-' in the seventh."
        )
    start, end = int(fields[3]), int(fields[4])
    if not 1 <= start <= end < LONGEST:
        raise DataError(
            f"{where}: a gene from {start} to {end}; expected 1 <= start <= end on a chromosome."
        )
    about = dict(reversed(re.findall(r'(\w+) "([^"]*)"', fields[8])))  # the first of each name
    if "gene_id" not in about:
        raise DataError(f'{where}: the ninth field names no gene_id "..."; this is no GTF.')
    if gene_type and about.get("gene_type", about.get("gene_biotype")) != gene_type:
        return None
    tss = (start if fields[6] == "+" else end) - 1
    return about["gene_id"], chromosome_name(fields[0]), tss, fields[6]


def _some(names: Iterable[str]) -> str:
    names = sorted(names, key=lambda name: (len(name), name))
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") or "none"
