"""Fill the store: ``python -m dc2lib.datasets``, which ``make data`` calls."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from dc2lib.datasets import binned, mnist, peaks, released, roadmap, rpkm, store, tracks
from dc2lib.datasets.cell_files import CellInput, refuse_other_source, store_cell
from dc2lib.datasets.fetch import fetch, mirror_holds
from dc2lib.datasets.gene_windows import deepchrome_windows, missing_genes, read_gtf
from dc2lib.datasets.histone import MARKS, SPLITS, HistoneDataset
from dc2lib.errors import DataError, exit_code
from dc2lib.files import input_file, named_folder
from dc2lib.labels import RULES, label

# What cell types are made of, as messages call it, and with which of these an option is used; an
# option that is not listed is used with all but the list of the store.
PEAKS, TRACKS, CSV = "--peaks (PEAKS=)", "--tracks (TRACKS=)", "--csv (CSV=)"
NPZ, RDATA = "--binned (BINNED=) with an .npz file", "--binned (BINNED=) with a folder"
PATTERNCHROME, DOWNLOAD = "--source patternchrome (SOURCE=)", "a download"
ARCHIVE, LIST = "Roadmap's archive", "--list"
FILES = (PEAKS, TRACKS, RDATA, PATTERNCHROME)
OWN = (*FILES, NPZ, CSV)
USED_WITH = {
    "value": (PEAKS,), "count": (TRACKS,), "min_quality": (TRACKS,), "duplicates": (TRACKS,),
    "gtf": FILES, "rpkm": OWN, "marks": OWN, "suffix": OWN, "partial": OWN,
    "source": (PATTERNCHROME, ARCHIVE), "mirror": (DOWNLOAD,),
    "home": (*OWN, ARCHIVE, LIST), "quiet": (*OWN, ARCHIVE, LIST), "list": (LIST,),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the store as the command line says; 0 if all went well, 1 if something is missing."""
    options = _parser().parse_args(arguments)
    return exit_code(lambda: _filled(options))


def _filled(options: argparse.Namespace) -> int:
    _check_used(options)
    home = store.usable_home(options.home)
    problems: list[str] = []
    if not options.list:
        common = {name: getattr(options, name) for name in ("mirror", "refetch")}
        common["progress"] = not options.quiet
        with _noting(problems, home):
            _fill(options, home, problems, common)
        with _noting(problems, home):
            if options.mnist or _brings_digits(options):
                mnist.fetch_mnist(home, **common)
                print("MNIST: 70,000 digits stored")
    _print_table(home, problems)
    if problems:
        print(f"\n{len(problems)} problem(s):", file=sys.stderr)
        print("\n".join(f"- {problem}" for problem in problems), file=sys.stderr)
    return 1 if problems else 0


def _brings_digits(options: argparse.Namespace) -> bool:
    """Whether the digits come along: with what is downloaded, or where the mirror has them."""
    if options.mirror:
        return mirror_holds(mnist.FILES[0], options.mirror)
    return not (_names_files(options) or options.csv)


def _names_files(options: argparse.Namespace) -> bool:
    """Whether cell types are made from files of marks, and not from the released layout."""
    own = options.peaks or options.tracks or options.binned
    return bool(own or options.source == "patternchrome")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dc2lib.datasets",
        description="Download Roadmap's cell types and expression, and store them for the book.",
    )
    add = parser.add_argument
    named, own = partial(add, type=_given), partial(add, type=_path)
    named("--cells", nargs="+", metavar="CELL", help="only these cell types, such as E003 E123")
    named("--mirror", metavar="PATH_OR_URL", help="folder or address to take the files from")
    add("--home", type=_home, metavar="DIR",
        help="where the store lies (default: $DC2LIB_DATA or the cache)")  # fmt: skip
    own("--csv", nargs="+", metavar="FOLDER", help="store your own cell types, one folder each")
    own("--peaks", metavar="FOLDER", help="store cell types from <cell>-<mark>.narrowPeak, ...")
    own("--tracks", metavar="FOLDER", help="store cell types from files <cell>-<mark>.bw or .bam")
    own("--binned", metavar="PATH", help="store cell types from an .npz file or a folder of RData")
    add("--source", choices=("roadmap", "patternchrome"),
        help="where Roadmap's cell types come from")  # fmt: skip
    own("--rpkm", metavar="FILE", help="your own table of expression (default: Roadmap's)")
    own("--gtf", metavar="FILE", help="genes of --peaks and --tracks (default: DeepChrome's, hg19)")
    named("--marks", nargs="+", metavar="MARK", help="only these marks; with --csv, its columns")
    add("--partial", action="store_true",
        help="files, or genes, are meant to cover a part of the genome only")  # fmt: skip
    add("--value", choices=tuple(peaks.COLUMN_OF),
        help="what --peaks measure (default: signal)")  # fmt: skip
    add("--count", choices=tracks.WAYS, help="where a read of a BAM counts (default: overlap)")
    add("--min-quality", type=int, help="mapping quality below which no read counts (default: 30)")
    add("--duplicates", action="store_true", help="count reads marked as duplicates too")
    add("--suffix", default="", help="added to the names under which own cell types are stored")
    add("--mnist", action="store_true", help="download the MNIST digits too")
    add("--refetch", action="store_true", help="download again, even what is there")
    add("--list", action="store_true", help="show what is stored and stop")
    add("--quiet", action="store_true", help="no progress bars")
    return parser


def _given(text: str) -> str:
    if not text.strip(" ,"):
        raise argparse.ArgumentTypeError("is empty; leave the option out, or name something")
    return text


def _path(text: str) -> str:
    _given(text)
    try:
        return str(Path(text).expanduser())
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


def _home(text: str) -> str:
    try:
        return str(named_folder(_given(text)))
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


@contextmanager
def _noting(problems: list[str], home: Path) -> Iterator[None]:
    """What goes wrong in the block joins the problems, and what follows is done all the same."""
    try:
        with store.explained(home):
            yield
    except DataError as error:
        problems.append(str(error))


def _check_used(options: argparse.Namespace) -> None:
    """Raise DataError if an option was given that nothing of what is asked for looks at."""
    given = {
        PEAKS: options.peaks, TRACKS: options.tracks, CSV: options.csv,
        RDATA: options.binned and os.path.isdir(options.binned),
        NPZ: options.binned and not os.path.isdir(options.binned),
        PATTERNCHROME: options.source == "patternchrome",
    }  # fmt: skip
    asked = [LIST] if options.list else [way for way in given if given[way]] or [ARCHIVE]
    downloads = options.source == "patternchrome" or not options.rpkm or options.mnist
    looking = {*asked}
    if not options.list and (downloads or _brings_digits(options)):
        looking.add(DOWNLOAD)
    for name, value in vars(options).items():
        used = USED_WITH.get(name, (*OWN, ARCHIVE))
        if not (value is None or value is False or value == "") and looking.isdisjoint(used):
            raise DataError(
                f"--{name.replace('_', '-')} would change nothing about {', '.join(asked)}: it is"
                f" used with {', '.join(used)}. Leave it out, or name what it belongs to."
            )


def _fill(
    options: argparse.Namespace, home: Path, problems: list[str], common: dict[str, object]
) -> None:
    given = (options.peaks, options.tracks, options.binned, options.rpkm, options.gtf)
    for path in filter(None, given):
        if not os.path.isdir(path):
            input_file(Path(path).absolute(), "nothing was stored")
    files = _names_files(options)
    expression = options.rpkm or fetch(roadmap.RPKM, home, check=rpkm.read_rpkm, **common)
    table = rpkm.read_rpkm(expression)
    cells = _names(options.cells)
    if files or options.csv:
        inputs = _inputs(options, table, home, common) if files else []
        folders = {Path(folder).resolve().name: folder for folder in options.csv or ()}
        if len(folders) < len(options.csv or ()):
            raise DataError("Two folders of --csv have one name, that of their cell type.")
        for cell in cells or ():
            rpkm.check_cell(cell, [*folders, *(one.cell for one in inputs)], "these files")
        for cell, folder in folders.items():
            with _noting(problems, home):
                if cells is None or cell in cells:
                    _store_folder(folder, table, home, options)
        for one in inputs:
            with _noting(problems, home):
                if cells is None or one.cell in cells:
                    again = {"suffix": options.suffix, "again": options.refetch}
                    _say(store_cell(one, table, home, **again))
        return
    for cell in cells or ():
        rpkm.check_cell(cell, table.cells, "Roadmap's RPKM table")
    stored = cells and all(store.is_current(cell, home) for cell in cells)
    if stored and not options.refetch:
        print(f"Already stored: {', '.join(cells)}")
        return
    result = roadmap.Ingestion()
    read: list[Path] = []

    def store_cells(archive: Path) -> None:
        read.append(archive)
        roadmap.ingest_archive(
            archive, table, home, cells, again=options.refetch, progress=not options.quiet,
            say=_say, result=result,
        )  # fmt: skip

    def first_time(archive: Path) -> None:
        """An archive that nothing is known of is read to its end, whatever is stored of it."""
        store_cells(archive)
        if cells:
            roadmap.check_archive(archive)

    try:
        archive = fetch(
            roadmap.ARCHIVE, home, in_place=True, any_source=False, check=first_time, **common
        )
        if not read:
            store_cells(archive)
    finally:
        problems.extend(result.failed.values())
        if result.present:
            print(f"Already stored: {', '.join(result.present)}")


def _inputs(
    options: argparse.Namespace, table: rpkm.RpkmTable, home: Path, common: dict[str, object]
) -> list[CellInput]:
    """The cell types that the files named on the command line hold."""
    windows = read_gtf(options.gtf) if options.gtf else deepchrome_windows()
    windows = replace(windows, partial=options.partial)
    marks = _names(options.marks)
    inputs: list[CellInput] = []
    if options.peaks:
        inputs += peaks.cell_inputs(options.peaks, windows, options.value or "signal", marks)
    if options.tracks:
        rule = tracks.ReadRule(**_read_rule(options))
        found = tracks.cell_inputs(options.tracks, windows, rule, marks, not options.quiet)
        if _read_rule(options) and "reads" not in {one.unit for one in found}:
            raise DataError(
                f"{options.tracks} holds no BAM file: --count, --min-quality and --duplicates say"
                " which reads of those count. Leave them out."
            )
        inputs += found
    if options.binned:
        inputs += binned.cell_inputs(options.binned, windows, marks)
    if options.source == "patternchrome":
        mirror = options.mirror
        if mirror and Path(mirror).expanduser().is_dir():
            inputs += binned.cell_inputs(mirror, windows, marks)
        else:
            chosen = marks or MARKS
            inputs += binned.patternchrome_inputs(table.cells, windows, home, chosen, **common)
    return inputs


def _read_rule(options: argparse.Namespace) -> dict[str, object]:
    """What was said about the reads of BAM files."""
    given = {"way": options.count, "min_quality": options.min_quality}
    given["duplicates"] = options.duplicates or None
    return {name: value for name, value in given.items() if value is not None}


def _names(cells: Sequence[str] | None) -> list[str] | None:
    return None if cells is None else " ".join(cells).replace(",", " ").split()


def _say(line: str) -> None:
    from tqdm import tqdm

    tqdm.write(line)


def _store_folder(
    folder: str, table: rpkm.RpkmTable, home: Path, options: argparse.Namespace
) -> None:
    dataset = released.read_csv_folder(
        folder, rpkm=table, marks=_names(options.marks) or MARKS, partial=options.partial
    )
    dataset = replace(dataset, cell=dataset.cell + options.suffix, source="binned")
    if not options.refetch:
        refuse_other_source(dataset.cell, dataset.source, home)
    origin = {"folder": str(Path(folder).resolve()), "rpkm_table": table.name}
    store.write_cell(dataset, home, origin)
    part = missing_genes(dataset.gene_id, dataset.split, dataset.cell, partial=True)
    print("; ".join(filter(None, [f"{dataset.cell}: {len(dataset):,} genes stored", part])))


def _print_table(home: Path, problems: list[str]) -> None:
    cells = store.list_cells(home)
    print(f"\nStore: {home}")
    if not cells:
        print("No cell type is stored.")
        return
    head = f"{'cell':<12}{'source':<14}{'unit':<13}{'genes':>7}"
    head += "".join(f"{split:>7}" for split in SPLITS) + "".join(f"{rule:>15}" for rule in RULES)
    print(f"{head}  marks   (shares of positive genes by label rule)")
    for cell in cells:
        with _noting(problems, home):
            print(_row(cell, home))


def _row(cell: str, home: Path) -> str:
    dataset = store.open_cell(cell, home)
    sizes = [int((dataset.split == split).sum()) for split in SPLITS]
    shares = "".join(f"{_share(dataset, rule):>15}" for rule in RULES)
    return (
        f"{cell:<12}{dataset.source:<14}{dataset.unit:<13}{len(dataset):>7,}"
        + "".join(f"{size:>7,}" for size in sizes)
        + f"{shares}  {' '.join(dataset.marks)}"
    )


def _share(dataset: HistoneDataset, rule: str) -> str:
    """Share of positive genes; a dash where the rule cannot label this cell type."""
    try:
        return f"{label(dataset, rule).mean():.3f}"
    except DataError:
        return "-"


if __name__ == "__main__":
    sys.exit(main())
