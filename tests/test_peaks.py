import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from input_files import GENES, LENGTHS, windows, write_table, write_text

from dc2lib.datasets import list_cells, open_cell, read_rpkm
from dc2lib.datasets.cell_files import build_cell, mark_files, store_cell
from dc2lib.datasets.gene_windows import GeneWindows
from dc2lib.datasets.peaks import SUFFIXES, bin_peaks, cell_inputs, read_cell, read_peaks
from dc2lib.errors import DataError

NARROW = "chr1\t10000\t10150\tp\t7\t.\t2.5\t-1\t-1\t10\n"


def peaks_of(tmp_path, text, value="signal"):
    return read_peaks(write_text(tmp_path / "a.bed", text), value, LENGTHS)


def bins_of(tmp_path, text, value="signal"):
    return bin_peaks(peaks_of(tmp_path, text, value), windows())


@pytest.mark.parametrize(("value", "height"), [("signal", 2.5), ("score", 7), ("presence", 1)])
def test_a_peak_fills_the_bins_that_it_covers(tmp_path, value, height):
    bins = bins_of(tmp_path, NARROW, value)
    assert bins.shape == (3, 100)
    assert bins.dtype == np.float32
    assert bins[0, :3].tolist() == [height, height / 2, 0]
    assert bins.sum() == 1.5 * height


def test_every_base_has_the_highest_of_its_peaks(tmp_path):
    random = np.random.default_rng(0)
    start = random.integers(9_000, 20_500, 300)
    end = start + random.integers(0, 900, 300)
    value = random.gamma(2, 3, 300).round(3)
    base = np.zeros(40_000)
    for first, last, height in zip(start, end, value, strict=True):
        base[first:last] = np.maximum(base[first:last], height)
    lines = [f"1\t{a}\t{b}\t.\t0\t.\t{v}\n" for a, b, v in zip(start, end, value, strict=True)]
    bins = bins_of(tmp_path, "".join(lines))
    np.testing.assert_allclose(bins[0], base[10_000:20_000].reshape(100, 100).mean(1), rtol=1e-5)
    np.testing.assert_array_equal(bins_of(tmp_path, "".join(sorted(lines))), bins)


def test_headers_contigs_empty_lines_and_windows_over_the_edge(tmp_path):
    text = "track name=x\n#chrom\tstart\n\nchrUn_7\t1\t900000\t.\t1\nchr1\t0\t100\t.\t5\r\n"
    bins = bins_of(tmp_path, text, "score")
    assert np.flatnonzero(bins[1]).tolist() == [20]
    assert bins[1, 20] == 5
    assert not bins[[0, 2]].any()


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        ("chr1\t5\n", "presence", r"line 1: 2 tab-separated column\(s\), expected at least 3"),
        ("chr1 5 10\n", "presence", r"line 1: 1 tab-separated column\(s\)"),
        ("chr1\t5\t10\n", "signal", r"at least 7 for the value 'signal'; use the value presence"),
        (NARROW + "chr1\t5\t10\t.\t1\n", "signal", "line 2: 5 .*use the value score or presence"),
        (NARROW + "chr1\t-5\t10\n", "presence", "line 2: .*starts before the chromosome"),
        (NARROW + "\nchr1\t50\t10\n", "presence", "line 3: .*ends before it starts"),
        ("chr2\t5\t20001\n", "presence", r"line 1: .* a file of another genome\?$"),
        ("chr1\tx\t10\n", "presence", "line 1: .*expected whole numbers"),
        ("chr1\t1.5\t10\n", "presence", "line 1: .*expected whole numbers"),
        ("chr1\t1\t10\t.\tmany\n", "score", "line 1: .*expected a score of 0 or more"),
        ("chr1\t1\t10\t.\t-1\n", "score", "line 1: .*expected a score of 0 or more"),
        (NARROW.replace("2.5", "1e15"), "signal", "line 1: .*at most"),
        (NARROW, "height", "Unknown value 'height'"),
    ],
)
def test_wrong_lines_are_named(tmp_path, text, value, message):
    with pytest.raises(DataError, match=message) as error:
        peaks_of(tmp_path, text, value)
    assert "a.bed" in str(error.value) or value == "height"


def test_a_file_of_another_species_and_one_without_peaks(tmp_path):
    worm = write_text(tmp_path / "worm.bed", "chrIV\t1\t10\n")
    with pytest.raises(DataError, match=r"worm\.bed shares no chromosome with three genes"):
        read_cell({"H3K4me3": worm}, windows(), "presence")
    empty = write_text(tmp_path / "none.bed", "track\n")
    assert not read_cell({"H3K4me3": empty}, windows())["H3K4me3"].any()


def folder_of(tmp_path, *names):
    for name in names:
        write_text(tmp_path / "peaks" / name, NARROW)
    return tmp_path / "peaks"


def test_names_say_cell_and_mark(tmp_path):
    names = ("E003-H3K4me3.narrowPeak.gz", "my-cell-H2A.Z.bed", "E003-H3K27ac.broadPEAK", "a.txt")
    folder = folder_of(tmp_path, *names)
    files = mark_files(folder, SUFFIXES)
    assert {cell: set(marks) for cell, marks in files.items()} == {
        "E003": {"H3K4me3", "H3K27ac"},
        "my-cell": {"H2A.Z"},
    }
    assert list(mark_files(folder, SUFFIXES, ["H3K27ac"])) == ["E003"]
    folder_of(tmp_path, "E003-Input.bed")
    assert list(mark_files(folder, SUFFIXES, ["H3K27ac"])) == ["E003"]
    with pytest.raises(DataError, match="'Input' is no known mark"):
        mark_files(folder, SUFFIXES)
    folder_of(tmp_path, "E003-H3K27a.bed")
    with pytest.raises(DataError, match=r"'H3K27a' is no known mark\. Did you mean H3K27ac\?"):
        mark_files(folder, SUFFIXES, ["H3K27ac"])


def test_a_table_says_cell_and_mark(tmp_path):
    folder_of(tmp_path, "x.bed", "y.bed")
    table = write_text(
        tmp_path / "cells.csv",
        "\ufeffcell,mark,file\nE003,H3K4me3,peaks/x.bed\nE003,mine,peaks/y.bed\n",
    )
    files = mark_files(table, SUFFIXES, ["H3K4me3", "mine"])
    assert {mark: path.name for mark, path in files["E003"].items()} == {
        "H3K4me3": "x.bed",
        "mine": "y.bed",
    }
    with pytest.raises(DataError, match="'mine' is no known mark"):
        mark_files(table, SUFFIXES)
    write_text(table, "cell,mark\nE003,H3K4me3\n")
    with pytest.raises(DataError, match="line 1: expected the columns cell, mark and file"):
        mark_files(table, SUFFIXES)
    for row, message in (("E003,H3K4me3,none.bed", "is missing"), ("E003,H3K4me3", "a file")):
        write_text(table, f"cell,mark,file\n{row}\n")
        with pytest.raises(DataError, match=f"line 2: .*{message}"):
            mark_files(table, SUFFIXES)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["E003-H3K4m3.bed"], r"'H3K4m3' is no known mark\. Did you mean H3K4me3\?"),
        (["E003-h3k27me3.bed"], r"Did you mean H3K27me3\?"),
        (["E003.bed"], r"names no cell type and mark; call it <cell>-<mark>\.bed"),
        (["E003-H3K4me3.bed", "E003-H3K4me3.narrowPeak.gz"], "E003 has H3K4me3 twice, in"),
        ([".bed", "E003-H3K4me3.txt"], "holds no file <cell>-<mark>"),
        (["+-H3K4me3.bed"], "cannot name a cell type"),
    ],
)
def test_wrong_names_are_said(tmp_path, names, message):
    with pytest.raises(DataError, match=message):
        mark_files(folder_of(tmp_path, *names), SUFFIXES)


@pytest.mark.parametrize("asked", [["H3K4me3", "H3K27a"], ["H3K27AC"]])
def test_a_mark_asked_for_that_no_file_has(tmp_path, asked):
    folder = folder_of(tmp_path, "E003-H3K4me3.bed", "E004-H3K27ac.bed")
    with pytest.raises(DataError, match=r"which was asked for\. Did you mean H3K27ac\? It holds"):
        mark_files(folder, SUFFIXES, asked)


def test_a_cell_type_goes_into_the_store_once(tmp_path):
    folder = folder_of(tmp_path, "E003-H3K9ac.narrowPeak", "E003-H3K4me3.narrowPeak")
    write_text(folder / "E003-H3K27ac.bed", "")
    table = read_rpkm(write_table(tmp_path / "table.tsv"))
    (given,) = cell_inputs(folder, windows())
    said = store_cell(given, table, tmp_path)
    assert said.startswith("E003: 3 genes stored, peak signal of H3K4me3, H3K27ac, H3K9ac; ")
    assert {"0 peaks of H3K27ac", "1 peaks of H3K9ac"} < set(said.split("; "))
    assert said.endswith("; 0 around every gene: H3K27ac")
    cell = open_cell("E003", tmp_path)
    assert (cell.source, cell.unit, cell.marks[0]) == ("peaks", "peak signal", "H3K4me3")
    assert cell.counts.dtype == np.float32
    assert cell.strand.tolist() == ["+", "-", "-"]
    np.testing.assert_array_equal(cell.counts, build_cell(given, table).counts)
    assert "already stored" in store_cell(given, table, tmp_path)
    (other,) = cell_inputs(folder, windows(), "score")
    assert "3 genes stored" in store_cell(other, table, tmp_path)
    assert open_cell("E003", tmp_path).counts.max() == 7


def test_files_whose_marks_were_exchanged_are_read_again(tmp_path):
    folder_of(tmp_path, "E003-H3K9ac.narrowPeak")
    write_text(tmp_path / "peaks" / "empty.bed", "")
    table, stored = read_rpkm(write_table(tmp_path / "table.tsv")), []
    for files in (("E003-H3K9ac.narrowPeak", "empty.bed"), ("empty.bed", "E003-H3K9ac.narrowPeak")):
        rows = "E003,H3K4me3,peaks/{}\nE003,H3K9ac,peaks/{}\n".format(*files)
        write_text(tmp_path / "cells.csv", "cell,mark,file\n" + rows)
        (given,) = cell_inputs(tmp_path / "cells.csv", windows())
        store_cell(given, table, tmp_path)
        stored.append(open_cell("E003", tmp_path).counts.any(axis=(0, 1)).tolist())
    assert stored == [[True, False], [False, True]]


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_read_again(tmp_path):
    """As by `cp -p`, rsync or `touch -r`: the time that only the system sets tells them apart."""
    path = folder_of(tmp_path, "E003-H3K4me3.narrowPeak") / "E003-H3K4me3.narrowPeak"
    table, before, highest = read_rpkm(write_table(tmp_path / "table.tsv")), path.stat(), []
    for text in (path.read_text(), path.read_text().replace("2.5", "9.5")):
        path.write_text(text)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        (given,) = cell_inputs(path.parent, windows())
        store_cell(given, table, tmp_path)
        highest.append(open_cell("E003", tmp_path).counts.max())
    assert path.stat().st_size == before.st_size
    assert highest == [2.5, 9.5]


def test_other_files_of_fewer_marks_do_not_replace_a_cell_type(tmp_path):
    folder = folder_of(tmp_path, "E003-H3K9ac.narrowPeak", "E003-H3K4me3.narrowPeak")
    table = read_rpkm(write_table(tmp_path / "table.tsv"))
    (given,) = cell_inputs(folder, windows())
    store_cell(given, table, tmp_path)
    (fewer,) = cell_inputs(folder, windows(), marks=["H3K4me3"])
    with pytest.raises(DataError, match=r"stored already, with H3K9ac, which these.*REFETCH=1"):
        store_cell(fewer, table, tmp_path)
    assert open_cell("E003", tmp_path).marks == ("H3K4me3", "H3K9ac")
    (other,) = cell_inputs(folder, windows(), "score")
    assert "in place of what was stored" in store_cell(other, table, tmp_path)
    store_cell(fewer, table, tmp_path, again=True)
    assert open_cell("E003", tmp_path).marks == ("H3K4me3",)


def test_only_genes_with_expression_are_taken(tmp_path):
    folder = folder_of(tmp_path, "E003-H3K4me3.narrowPeak")
    (given,) = cell_inputs(folder, windows())
    table = read_rpkm(write_table(tmp_path / "table.tsv", genes=(GENES[2] + ".7", GENES[0] + ".1")))
    assert build_cell(given, table).gene_id.tolist() == [GENES[0], GENES[2]]
    assert "NO GENE of the split valid:" in store_cell(given, table, tmp_path / "other")
    mouse = read_rpkm(write_table(tmp_path / "mouse.tsv", genes=("ENSMUSG00000000001",)))
    with pytest.raises(DataError, match=r"mouse\.tsv and three genes share 0 of 1"):
        store_cell(given, mouse, tmp_path)
    other = read_rpkm(write_table(tmp_path / "other.tsv", cells=("E004",)))
    with pytest.raises(DataError, match=r"no cell type 'E003' in other\.tsv"):
        store_cell(given, other, tmp_path)
    same = write_text(tmp_path / "same.tsv", "gene_id\tE003\n" + "\t0\n".join((*GENES, "")))
    with pytest.raises(DataError, match=r"same\.tsv, column E003: 0 of 3 genes lie above"):
        store_cell(given, read_rpkm(same), tmp_path)
    write_text(tmp_path / "log.tsv", f"gene_id\tE003\n{GENES[0]}\t-1.5\n")
    with pytest.raises(DataError, match=r"column E003: ENSG00000000001 has -1\.5; expected RPKM"):
        store_cell(given, read_rpkm(tmp_path / "log.tsv"), tmp_path)
    assert list_cells(tmp_path) == []


def many_genes(**changes):
    """200 genes on each of chr1, chr2 and chrX, and 40 on chrY."""
    chromosome = np.repeat(["chr1", "chr2", "chrX", "chrY"], [200, 200, 200, 40])
    table = pd.DataFrame({"gene_id": [f"g{number}" for number in range(640)],
                          "chromosome": chromosome, "tss": np.arange(640) * 20_000 + 10_000,
                          "strand": "+", "split": np.resize(["train", "valid", "test"], 640)})
    return replace(GeneWindows(table, {}, "many genes"), **changes)  # fmt: skip


def lines_of(genes, names=("chr1", "chr2", "chrX")):
    own = dict(zip(("chr1", "chr2", "chrX"), names, strict=True))
    return [f"{own[row.chromosome]}\t{row.tss}\t{row.tss + 100}\n"
            for row in genes.table.itertuples() if row.chromosome in own]  # fmt: skip


def cell_of(tmp_path, lines, genes):
    write_text(tmp_path / "peaks" / "E003-H3K4me3.bed", "".join(lines))
    return build_cell(cell_inputs(tmp_path / "peaks", genes, "presence")[0])


@pytest.mark.parametrize("lines", [590, 440, 200, 60, 0])
def test_a_file_cut_at_a_lines_end_is_told_by_the_genes_without_a_peak(tmp_path, lines):
    genes = many_genes()
    whole = [*lines_of(genes), *["chrUn_1\t1\t2\n"] * 40]
    if lines == 590:  # chrY, without a peak, is no sign of it
        assert len(cell_of(tmp_path, whole[:lines], genes)) == 640
        return
    with pytest.raises(DataError, match=r"E003-H3K4me3\.bed: .*is 0 around the last"):
        cell_of(tmp_path, whole[:lines], genes)
    assert len(cell_of(tmp_path, whole[:lines], replace(genes, partial=True))) == 640


def test_a_sparse_mark_is_not_taken_for_a_cut_file(tmp_path):
    genes = many_genes()
    assert len(cell_of(tmp_path, lines_of(genes)[:600:190], genes)) == 640


def test_peaks_where_the_table_of_genes_has_none(tmp_path):
    genes = many_genes()
    half = replace(genes, table=genes.table[genes.table["chromosome"] != "chrX"])
    with pytest.raises(DataError, match=r"E003-H3K4me3\.bed has chrX, where no gene of many genes"):
        cell_of(tmp_path, lines_of(genes), half)
    assert len(cell_of(tmp_path, lines_of(genes), replace(half, partial=True))) == 440


@pytest.mark.parametrize(
    "names", [("chr01", "Chr2 ", "chrx"), ("1", '"chr2"', "x"), ("chromosome1", "chr_2", "CHRX")]
)
def test_chromosomes_under_other_names_are_understood(tmp_path, names):
    genes = many_genes()
    contigs = ["chrUn_gl000220", "GL000192.1", "chr17_random", "chr6_apd_hap1", "chrM", "hs37d5"]
    lines = [*lines_of(genes, names), *(f"{name}\t1\t2\n" for name in contigs)]
    assert cell_of(tmp_path, lines, genes).counts.sum() == 600


def test_half_of_the_genes_are_of_another_species(tmp_path):
    folder = folder_of(tmp_path, "E003-H3K4me3.narrowPeak")
    (given,) = cell_inputs(folder, windows())
    ids = (GENES[0], "ENSMUSG00000000001", "ENSMUSG00000000002")
    table = read_rpkm(write_table(tmp_path / "mixed.tsv", genes=ids))
    with pytest.raises(DataError, match=r"share 1 of 3 genes.*ENSMUSG00000000001 and ENSG"):
        build_cell(given, table)
    fewer = read_rpkm(write_table(tmp_path / "fewer.tsv", genes=ids[:1]))
    assert "; 2 genes without expression left out" in store_cell(given, fewer, tmp_path)


def test_one_file_under_the_names_of_two_marks(tmp_path):
    genes = many_genes()
    write_text(tmp_path / "peaks" / "E003-H3K9ac.bed", "".join(lines_of(genes)))
    with pytest.raises(DataError, match=r"E003-H3K9ac\.bed: .*the same as H3K4me3"):
        cell_of(tmp_path, lines_of(genes), genes)


def test_two_names_of_one_chromosome_are_not_merged(tmp_path):
    with pytest.raises(DataError, match="two names of one chromosome"):
        peaks_of(tmp_path, NARROW + NARROW.replace("chr1", "1"))


def test_a_mark_under_another_suffix_is_not_left_out(tmp_path):
    for name in ("liver-H3K4me3.bed", "liver-H3K9me3.narrowPeak.txt", "liver-H3K4me3.bam.bai"):
        write_text(tmp_path / name, NARROW)
    with pytest.raises(DataError, match="H3K9me3"):
        mark_files(tmp_path, SUFFIXES)


def test_peaks_that_are_all_zero_are_refused(tmp_path):
    with pytest.raises(DataError, match="0 in every line"):
        peaks_of(tmp_path, NARROW.replace("2.5", "0"))


def test_a_cut_file_is_told_by_its_last_line_or_said_to_end_early(tmp_path):
    genes, notes = many_genes(), []
    whole = lines_of(genes)
    named = [line.replace("\n", "\tname\n") for line in whole[:-1]]
    with pytest.raises(DataError, match=r"bed, line 600, the last: 3 columns, and 4 in others"):
        cell_of(tmp_path, [*named, whole[-1]], genes)
    for lines, empty in ((whole[:-60], "60 genes of chrX are empty"), (whole, "")):
        write_text(tmp_path / "peaks" / "E003-H3K4me3.bed", "".join(lines))
        build_cell(cell_inputs(tmp_path / "peaks", genes, "presence")[0], notes=notes)
        assert notes.pop().count("empty") == bool(empty)
