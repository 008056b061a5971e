"""Small files in the released layouts, for the tests of the loaders."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np

SPLITS = ("train", "valid", "test")
SHARED = Path(__file__).resolve().parents[2] / "shared"
ARCHIVE = SHARED / "data" / "roadmap" / "data.tar.gz"
TABLE = SHARED / "data" / "roadmap" / "57epigenomes.RPKM.pc.gz"


def genes_of(split: str, n_genes: int = 3) -> list[str]:
    start = 1 + SPLITS.index(split) * 100
    return [f"{number:06d}" for number in range(start, start + n_genes)]


def rows_of(genes: list[str], seed: int = 0) -> list[list[str]]:
    counts = np.random.default_rng(seed).integers(0, 600, (len(genes), 100, 5))
    return [
        [gene, str(position + 1), *map(str, counts[index, position]), str(index % 2)]
        for index, gene in enumerate(genes)
        for position in range(100)
    ]


def as_csv(rows: list[list[str]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in rows).encode()


def cell_files(n_genes: int = 3, seed: int = 0) -> dict[str, bytes]:
    return {
        split: as_csv(rows_of(genes_of(split, n_genes), seed + place))
        for place, split in enumerate(SPLITS)
    }


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for split, data in files.items():
        (folder / f"{split}.csv").write_bytes(data)
    return folder


def write_archive(path: Path, members: list[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def members_of(cells: dict[str, dict[str, bytes]], top: str = "data/") -> list[tuple[str, bytes]]:
    return [
        (f"{top}{cell}/classification/{split}.csv", data)
        for cell, files in cells.items()
        for split, data in files.items()
    ]


def write_rpkm(
    path: Path, cells: tuple[str, ...] = ("E003", "E012", "E013"), seed: int = 0
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).gamma(0.5, 12.0, (309, len(cells) + 1))
    lines = ["\t".join(["gene_id", "E000", *cells])]
    for gene, row in enumerate(values, start=1):
        numbers = "".join(f"{value:.3f}\t" for value in row)
        lines.append(f"ENSG00000{gene:06d}\t{numbers}")
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return path


def write_mirror(folder: Path, cells: dict[str, dict[str, bytes]]) -> Path:
    write_archive(folder / "roadmap" / "data.tar.gz", members_of(cells))
    write_rpkm(folder / "roadmap" / "57epigenomes.RPKM.pc.gz")
    return folder
