import os
import sys
from dataclasses import replace

import numpy as np
import pytest
from input_files import GENES, LENGTHS, windows, write_table, write_text

from dc2lib.datasets import open_cell, read_rpkm
from dc2lib.datasets.__main__ import main
from dc2lib.datasets.cell_files import store_cell
from dc2lib.datasets.tracks import ReadRule, cell_inputs, read_cell
from dc2lib.errors import DataError

WHY = "the extra tracks is not installed: pip install 'dc2lib[tracks]'"


@pytest.fixture
def bigwig():
    package = pytest.importorskip("pyBigWig", reason=WHY)

    def write(path, spans, lengths=LENGTHS, prefix="chr"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with package.open(str(path), "w") as file:
            file.addHeader([(name.replace("chr", prefix), n) for name, n in lengths.items()])
            for chromosome, start, end, value in spans:
                name = chromosome.replace("chr", prefix)
                file.addEntries([name], [start], ends=[end], values=[float(value)])
        return path

    return write


@pytest.fixture
def bam():
    package = pytest.importorskip("pysam", reason=WHY)

    def write(path, reads, lengths=LENGTHS, index=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        header = package.AlignmentHeader.from_references(list(lengths), list(lengths.values()))
        with package.AlignmentFile(str(path), "wb", header=header) as file:
            for number, (chromosome, start, flag, quality) in enumerate(reads):
                read = package.AlignedSegment(header)
                read.query_name, read.flag, read.mapping_quality = f"r{number}", flag, quality
                read.reference_id = header.get_tid(chromosome)
                read.reference_start, read.cigartuples = start, [(0, 50)]
                read.query_sequence = "A" * 50
                file.write(read)
        if index:
            package.index(str(path))
        return path

    return write


SPANS = [("chr1", 10_000, 10_150, 4.0), ("chr1", 19_990, 20_100, 10.0), ("chr2", 5_000, 5_100, 3)]


@pytest.mark.parametrize("prefix", ["chr", ""])
def test_coverage_is_the_mean_over_the_bases_of_a_bin(tmp_path, bigwig, prefix):
    path = bigwig(tmp_path / "a.bw", SPANS, prefix=prefix)
    bins = read_cell({"H3K4me3": path}, windows())["H3K4me3"]
    assert bins.dtype == np.float32
    assert bins[0, [0, 1, 99]].tolist() == [4, 2, 1]
    assert bins[2, 0] == 3
    assert bins.sum() == 10


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_stored_value_that_is_no_number(tmp_path, bigwig, value):
    path = bigwig(tmp_path / "a.bw", [*SPANS[:2], ("chr2", 5_000, 5_100, value)], prefix="")
    with pytest.raises(DataError, match=rf"a\.bw: 2:5,001-5,100 has the value {value}"):
        read_cell({"H3K4me3": path}, windows())


def test_a_window_over_the_chromosomes_edge(tmp_path, bigwig):
    path = bigwig(tmp_path / "a.bw", [("chr1", 0, 100, 5.0), ("chr2", 0, 1, 1.0)])
    bins = read_cell({"H3K4me3": path}, windows())["H3K4me3"]
    assert np.flatnonzero(bins[1]).tolist() == [20]


def test_a_gene_beyond_the_chromosomes_end(tmp_path, bigwig):
    path = bigwig(tmp_path / "a.bw", [("chr1", 0, 9, 1.0)], {"chr1": 14_000, "chr2": 20_000})
    of_a_gtf = replace(windows(), lengths={})
    with pytest.raises(DataError, match="beyond the end of chr1"):
        read_cell({"H3K4me3": path}, of_a_gtf)


READS = [
    ("chr1", 9_960, 0, 60),  # the last ten bases reach into bin 0
    ("chr1", 10_080, 16, 60),  # reverse: its 5' end lies in bin 1
    ("chr1", 10_300, 0, 10),
    ("chr1", 10_400, 0x400, 60),
    ("chr1", 10_500, 0x100, 60),
    ("chr1", 10_500, 0x200, 60),
]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (ReadRule(), {0: 2, 1: 1}),
        (ReadRule("start"), {1: 1}),
        (ReadRule(min_quality=10), {0: 2, 1: 1, 3: 1}),
        (ReadRule(duplicates=True), {0: 2, 1: 1, 4: 1}),
    ],
)
def test_reads_that_count(tmp_path, bam, rule, expected):
    bins = read_cell({"H3K4me3": bam(tmp_path / "a.bam", READS)}, windows(), rule)["H3K4me3"]
    assert bins.dtype == np.uint16
    assert {int(place): int(bins[0, place]) for place in np.flatnonzero(bins[0])} == expected
    assert not bins[1:].any()


def test_counts_are_those_of_one_read_after_the_other(tmp_path, bam):
    random = np.random.default_rng(1)
    starts = np.sort(random.integers(9_800, 20_100, 400))
    path = bam(tmp_path / "a.bam", [("chr1", int(start), 0, 60) for start in starts])
    expected = np.zeros(100, dtype=int)
    for start in starts:
        touched = {(base - 10_000) // 100 for base in range(start, start + 50)}
        for place in touched & set(range(100)):
            expected[place] += 1
    assert read_cell({"H3K4me3": path}, windows())["H3K4me3"][0].tolist() == expected.tolist()


def test_a_file_of_which_no_read_counts(tmp_path, bam):
    path = bam(tmp_path / "a.bam", [("chr1", 10_000 + 60 * i, 0, 0) for i in range(9)])
    with pytest.raises(DataError, match=r"a\.bam: none of 9 reads.*--min-quality"):
        read_cell({"H3K4me3": path}, windows())
    notes = []
    read_cell({"H3K4me3": path}, windows(), ReadRule(min_quality=0), notes=notes)
    assert notes == ["9 of 9 reads around genes of H3K4me3"]


@pytest.mark.parametrize("index", [None, b"BAI\1\0\0\0\0"])
def test_a_file_without_a_read_around_any_gene(tmp_path, bam, index):
    path = bam(tmp_path / "a.bam", READS if index else [])
    if index:
        (tmp_path / "a.bam.bai").write_bytes(index)
    with pytest.raises(DataError, match=r"a\.bam holds no read around any gene.*samtools index"):
        read_cell({"H3K4me3": path}, windows())


def test_a_damaged_file_is_told_by_its_damage(tmp_path, bam):
    random = np.random.default_rng(0)
    starts = sorted(random.integers(10_000, 20_000, 9_000).tolist())
    path = bam(tmp_path / "a.bam", [("chr1", start, 0, 60) for start in starts])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    (tmp_path / "a.bam.bai").touch()
    with pytest.raises(DataError, match=r"a\.bam cannot be read \(truncated file\)"):
        read_cell({"H3K4me3": path}, windows())


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("none", r"a\.bam has no index; make it with `samtools index"),
        ("older", r"a\.bam\.bai is older than .*samtools index"),  # it may be another file's
        ("pipe", r"a\.bam\.bai is a pipe"),
    ],
)
def test_a_bam_needs_its_own_index(tmp_path, bam, index, message):
    path = bam(tmp_path / "a.bam", READS, index=index == "older")
    if index == "older":
        os.utime(tmp_path / "a.bam.bai", (1, 1))
    elif index == "pipe":
        os.mkfifo(tmp_path / "a.bam.bai")
    with pytest.raises(DataError, match=message):
        read_cell({"H3K4me3": path}, windows())


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ({"I": 40_000}, "shares no chromosome with three genes: it has chrI, and"),
        ({"chr1": 40_000}, "lacks chr2, where 1 genes of three genes lie"),
        ({"chr1": 40_000, "chr2": 9}, "chr2 has 9 bp, and 20,000 in the genome of three genes"),
    ],
)
def test_tracks_of_another_genome(tmp_path, bigwig, bam, lengths, message):
    first = next(iter(lengths))
    files = [
        bigwig(tmp_path / "a.bw", [(first, 0, 9, 1.0)], lengths),
        bam(tmp_path / "a.bam", [], lengths),
    ]
    for path in files:
        with pytest.raises(DataError, match=message) as error:
            read_cell({"H3K4me3": path}, windows())
        assert path.name in str(error.value)


def test_files_that_are_none(tmp_path, bigwig, bam):
    whole = bigwig(tmp_path / "a.bw", SPANS)
    broken = {
        "short.bw": whole.read_bytes()[:40],
        "text.bw": b"chr1\t1\t2\n",
        "text.bam": b"chr1\t1\t2\n",
        "short.bam": bam(tmp_path / "a.bam", READS).read_bytes()[:60],
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            read_cell({"H3K4me3": tmp_path / name}, windows())
    with pytest.raises(DataError, match=r"none\.bw is missing"):
        read_cell({"H3K4me3": tmp_path / "none.bw"}, windows())
    negative = bigwig(tmp_path / "b.bw", [("chr1", 10_000, 10_100, -1.0), ("chr2", 0, 9, 1.0)])
    with pytest.raises(DataError, match="negative values"):
        read_cell({"H3K4me3": negative}, windows())


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pysam", None)
    path = write_text(tmp_path / "a.bam", "x")
    with pytest.raises(DataError, match=r"needs the package pysam: pip install 'dc2lib\[tracks\]'"):
        read_cell({"H3K4me3": path}, windows())


def test_settings_and_kinds(tmp_path, bigwig, bam):
    with pytest.raises(DataError, match="Unknown way 'middle'"):
        ReadRule("middle")
    bam(tmp_path / "E003-H3K4me3.bam", READS)
    bigwig(tmp_path / "E003-H3K9ac.bw", SPANS)
    with pytest.raises(DataError, match="E003 has BAM and bigWig files"):
        cell_inputs(tmp_path, windows())


def test_a_cell_type_is_read_once_and_again_with_other_settings(tmp_path, bam):
    bam(tmp_path / "E003-H3K4me3.bam", READS)
    table = read_rpkm(write_table(tmp_path / "table.tsv"))
    (given,) = cell_inputs(tmp_path, windows())
    said = store_cell(given, table, tmp_path)
    assert said.startswith("E003: 3 genes stored, reads of H3K4me3; 2 of 6 reads")
    assert "already stored" in store_cell(given, table, tmp_path)
    (other,) = cell_inputs(tmp_path, windows(), ReadRule("start"))
    assert "3 genes stored" in store_cell(other, table, tmp_path)
    cell = open_cell("E003", tmp_path)
    assert (cell.source, cell.unit, int(cell.counts.sum())) == ("tracks", "reads", 1)


@pytest.mark.parametrize("said", [["--count", "start"], ["--min-quality", "0"], ["--duplicates"]])
def test_what_is_said_of_reads_where_there_are_none(tmp_path, bigwig, said, capsys):
    bigwig(tmp_path / "tracks" / "E003-H3K4me3.bw", SPANS)
    given = ["--tracks", tmp_path / "tracks", "--rpkm", write_table(tmp_path / "table.tsv")]
    assert main([*map(str, given), "--home", str(tmp_path / "home"), *said]) == 1
    assert "holds no BAM file" in capsys.readouterr().err


def test_the_command_line_goes_on_after_a_wrong_cell(tmp_path, bigwig, capsys):
    gtf = "".join(
        f"{row.chromosome}\tx\tgene\t{row.tss + 1}\t{row.tss + 1}\t.\t{row.strand}\t.\tgene_id"
        f' "{row.gene_id}"; gene_type "protein_coding";\n'
        for row in windows().table.itertuples()
    )
    for cell in ("E003", "E005"):
        bigwig(tmp_path / "tracks" / f"{cell}-H3K4me3.bigWig", SPANS)
    write_text(tmp_path / "tracks" / "E004-H3K4me3.bw", "nothing")
    options = {
        "home": tmp_path / "home",
        "tracks": tmp_path / "tracks",
        "gtf": write_text(tmp_path / "genes.gtf.gz", gtf),
        "rpkm": write_table(tmp_path / "table.tsv", ("E003", "E004", "E005"), GENES),
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert "E004-H3K4me3.bw" in said.err
    rows = [line.split() for line in said.out.splitlines() if line.startswith("E00")]
    assert [row[:3] for row in rows if row[1] == "tracks"] == [
        ["E003", "tracks", "coverage"],
        ["E005", "tracks", "coverage"],
    ]
    assert main(arguments) == 1
    assert capsys.readouterr().out.count("already stored from these files") == 2
