import numpy as np
import pytest

from dc2lib.datasets import MARKS, SPLITS, HistoneDataset, shared_marks
from dc2lib.datasets.histone import median_text
from dc2lib.errors import DataError
from dc2lib.labels import label


def dataset(**changes):
    counts = np.arange(6 * 100 * 5).reshape(6, 100, 5) % 1000
    given = {
        "counts": counts,
        "gene_id": [f"ENSG{number:011d}" for number in range(6)],
        "cell": "E003",
        "split": ["train", "train", "train", "valid", "valid", "test"],
        "released_label": [0, 1, 0, 1, 0, 1],
        "rpkm_text": ["0.000", "10.575", "3.329", "2.100", "3.330", "700.001"],
    }
    return HistoneDataset.from_arrays(**(given | changes))


def test_types_and_values():
    cell = dataset()
    assert cell.counts.dtype == np.uint16
    assert cell.counts[1, 2, 3] == 500 + 10 + 3
    assert cell.released_label.dtype == np.int8
    np.testing.assert_array_equal(cell.rpkm, [0, 10.575, 3.329, 2.1, 3.33, 700.001])
    assert cell.rpkm_median_text == "3.3295"
    assert len(cell) == 6
    assert not cell.counts.flags.writeable


def test_take_gives_views_that_cover_the_genes_once():
    cell = dataset()
    parts = [cell.take(split) for split in SPLITS]
    assert [len(part) for part in parts] == [3, 2, 1]
    np.testing.assert_array_equal(np.concatenate([part.gene_id for part in parts]), cell.gene_id)
    assert all(np.shares_memory(part.counts, cell.counts) for part in parts)
    assert all(part.rpkm_median_text == cell.rpkm_median_text for part in parts)


def test_take_of_a_scattered_split():
    cell = dataset(split=["test", "train", "test", "train", "valid", "train"])
    np.testing.assert_array_equal(cell.take("train").rpkm_text, ["10.575", "2.100", "700.001"])
    np.testing.assert_array_equal(cell.take("test").counts, cell.counts[[0, 2]])


def test_unknown_split():
    with pytest.raises(DataError, match="Unknown split 'validation'"):
        dataset().take("validation")


def test_fingerprint_follows_the_content():
    same, other_counts = dataset(), np.zeros((6, 100, 5), dtype=np.uint16)
    assert dataset().fingerprint == same.fingerprint
    assert len(same.fingerprint) == 64
    changed = [
        dataset(counts=other_counts),
        dataset(cell="E004"),
        dataset(source="simulated"),
        dataset(marks=("a", "b", "c", "d", "e")),
        dataset(split=["train"] * 6),
        dataset(released_label=None),
        dataset(rpkm_median_text="3.329"),
        dataset(rpkm_text=["0.000", "10.575", "3.329", "2.100", "3.330", "700.0010"]),
        same.take("train"),
    ]
    assert len({same.fingerprint, *(cell.fingerprint for cell in changed)}) == 10


def test_another_unit_than_reads_is_kept_as_real_numbers():
    values = np.random.default_rng(0).gamma(1, 2, (6, 100, 5))
    cell = dataset(counts=values, unit="peak signal", source="peaks")
    np.testing.assert_array_equal(cell.counts, values.astype(np.float32))
    assert cell.counts.dtype == np.float32
    assert "peaks: peak signal of 6 genes" in repr(cell)
    coverage = dataset(counts=values, unit="coverage", source="peaks")
    assert coverage.fingerprint != cell.fingerprint


def test_the_fingerprint_of_reads_is_that_of_older_stores():
    one = HistoneDataset.from_arrays(np.ones((1, 100, 5), int), ["g"], "E003", ["train"])
    expected = "075ead4488a7075c1c217b2f903ec9c77006882f80a00d3edbd70b6a7b27f2ba"
    assert one.fingerprint == expected


def test_marks_by_name_in_any_order():
    cell = dataset()
    chosen = cell.with_marks(["H3K9me3", "H3K27me3"])
    assert chosen.marks == ("H3K9me3", "H3K27me3")
    np.testing.assert_array_equal(chosen.counts, cell.counts[:, :, [4, 0]])
    assert cell.with_marks(MARKS) is cell
    for marks, message in [
        ([], "no mark is named"),
        (["H3K9me3"] * 2, "a mark comes twice"),
        (["h3k4me"], r"E003 has no mark 'h3k4me'\. Did you mean H3K4me[13]\? It has H3K27me3, "),
        (["CTCF"], r"no mark 'CTCF'\. It has"),
    ]:
        with pytest.raises(DataError, match=message):
            cell.with_marks(marks)


def test_marks_that_cell_types_share():
    three = dataset().with_marks(["H3K9me3", "H3K27me3", "H3K4me1"])
    assert shared_marks([three, dataset()]) == three.marks
    assert shared_marks([dataset(), three]) == ("H3K27me3", "H3K4me1", "H3K9me3")
    other = dataset(cell="mine").with_marks(["H3K36me3"])
    with pytest.raises(DataError, match=r"share no mark \(E003: H3K9me3, .*; mine: H3K36me3"):
        shared_marks([three, other])


@pytest.mark.parametrize(
    ("text", "median"),
    [
        (["2.500", "10.575", "3.329"], "3.329"),
        (["1.000", "3.000"], "2.000"),
        (["1.000", "1.001"], "1.0005"),
        (["0.000", "0.000", "0.000", "5.000"], "0.000"),
        (["9.999", "10.001", "10.000", "9.000", "11.5"], "10.000"),
        (["nan", "2.500", "10.575", "nan", "3.329"], "3.329"),
        (["nan", "1.000", "3.000", "nan"], "2.000"),
        (["nan"], ""),
    ],
)
def test_median_text(text, median):
    assert median_text(np.array(text, dtype=float), np.array(text)) == median


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": np.full((6, 100, 5), -1)}, "from -1 to"),
        ({"counts": np.full((6, 100, 5), 65_536)}, "expected 0 to 65,535"),
        ({"counts": np.full((6, 100, 5), 0.5)}, "whole numbers"),
        ({"counts": np.full((6, 100, 5), np.nan)}, "whole numbers"),
        ({"counts": np.full((6, 100, 5), "3")}, "expected whole numbers"),
        ({"counts": np.zeros((6, 100, 4), int)}, "with the 5 marks"),
        ({"counts": np.zeros((6, 500), int)}, r"expected \(gene, bin, mark\)"),
        ({"counts": np.zeros((5, 100, 5), int)}, "gene_id has shape"),
        ({"gene_id": ["a", "b", "c", "a", "d", "e"]}, "gene a comes 2 times"),
        ({"split": ["train"] * 5 + ["dev"]}, "'dev'"),
        ({"released_label": [0, 1, 2, 0, 1, 0]}, "holds 2.0; use 0, 1 only"),
        ({"rpkm": [1.0]}, "rpkm has shape"),
        ({"source": "roadmaps"}, "unknown source"),
        ({"unit": "RPKM"}, "unknown unit"),
        ({"unit": "coverage", "counts": np.full((6, 100, 5), np.nan)}, "must be finite"),
        ({"unit": "coverage", "counts": np.full((6, 100, 5), -0.1)}, "not below 0"),
        ({"unit": "coverage", "counts": np.full((6, 100, 5), "3")}, "expected numbers"),
        ({"cell": "../E003"}, "cannot name a cell type"),
        ({"cell": ".E003"}, "cannot name a cell type"),
    ],
)
def test_impossible_input_is_named(changes, message):
    with pytest.raises(DataError, match=message):
        dataset(**changes)


GENE_IDS = ["ENSG00000000003", "ENSG00000000005", "ENSG00000000419"]
MASKED = np.ma.masked_equal([1.0, 2.0, 3.0], 2.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rpkm": [-1, 2, 3]}, "rpkm holds -1"),
        ({"rpkm": [np.inf, 2, 3]}, "rpkm holds inf"),
        ({"rpkm": [1 + 2j, 2, 3]}, "rpkm holds no numbers"),
        ({"rpkm": MASKED}, "rpkm are masked"),
        ({"rpkm": [1, 2, 3], "rpkm_text": ["1", "2", "4"]}, "gene 3 has rpkm 3 and rpkm_text '4'"),
        ({"rpkm": [1.24, 2, 3], "rpkm_text": ["1.3", "2", "3"]}, "gene 1 has rpkm"),
        ({"rpkm_text": ["1", "-2", "3"]}, "rpkm holds -2"),
        ({"rpkm_text": ["1", "x", "3"]}, "rpkm_text: 'x' is not a number"),
        ({"rpkm": [1, 2, 3], "rpkm_median_text": "x"}, "'x' is not a number"),
        ({"rpkm": [1, 2, 3], "rpkm_median_text": "nan"}, "the median is 'nan'"),
        ({"rpkm": [1, 2, 3], "rpkm_median_text": "-1"}, "the median is '-1'"),
        ({"rpkm": [1, 2, 3], "rpkm_median_text": 2.0}, "the median is 2.0; give it as text"),
        ({"rpkm": [True, False, True]}, "rpkm holds no numbers"),
        ({"counts": [[1], [1, 2]]}, "counts are no array"),
        ({"gene_id": ["a\n", "b\0c", "d"]}, "gene 2 has no id, but 'b.x00c'"),
        ({"marks": ["a", "a", "b", "c", "d"]}, "a mark comes twice"),
        ({"marks": ["", "a", "b", "c", "d"]}, "give each a name"),
        ({"marks": ["a\n", "e", "b", "c", "d"]}, "give each a name"),
        ({"marks": "abcde"}, "with the 1 marks abcde"),
        ({"counts": np.ma.masked_less(np.arange(1500).reshape(3, 100, 5), 7)}, "counts are masked"),
        ({"gene_id": ["", "b", "c"]}, "gene 1 has no id"),
        ({"gene_id": ["a", None, "c"]}, "gene 2 has no id"),
        ({"gene_id": [3.0, 5.0, 419.0]}, "gene_id holds no texts"),
        ({"released_label": [0, np.nan, 1]}, "released_label holds nan"),
        ({"released_label": ["low", "high", "low"]}, "released_label holds no numbers"),
    ],
)
def test_arrays_that_cannot_be(wrong, message):
    given = {"counts": np.zeros((3, 100, 5), int), "gene_id": GENE_IDS} | wrong
    with pytest.raises(DataError, match=f"mine.*{message}"):
        HistoneDataset.from_arrays(cell="mine", split=["train", "valid", "test"], **given)


def test_a_text_that_rounds_its_number_agrees_with_it():
    texts = ["1.23", "7", "1.5e3"]
    dataset = HistoneDataset.from_arrays(
        np.zeros((3, 100, 5), int), GENE_IDS, "mine", ["train"] * 3,
        rpkm=[1.2345, 7.4, 1514.0], rpkm_text=texts,
    )  # fmt: skip
    assert dataset.rpkm_text.tolist() == texts
    assert dataset.rpkm.tolist() == [1.2345, 7.4, 1514.0]


def test_spaces_around_a_number_do_not_move_its_label():
    text = ["1.0 ", " 1.0", "3.0"]
    given = {"counts": np.zeros((3, 100, 5), int), "gene_id": GENE_IDS, "rpkm_text": text}
    cell = HistoneDataset.from_arrays(cell="mine", split=["train", "valid", "test"], **given)
    assert label(cell, "lexicographic").tolist() == label(cell).tolist() == [0, 0, 1]


def many(**changes):
    """400 genes of 0.05 to 20.00 RPKM: text and number differ for half of those that are high."""
    text = [f"{number / 20:.2f}" for number in range(1, 401)]
    given = {"rpkm_text": text, "rpkm_median_text": "5.00"} | changes
    return HistoneDataset.from_arrays(
        np.zeros((400, 100, 1), int), [f"g{i}" for i in range(400)], "mine",
        np.resize(["train", "valid", "test"], 400), marks=["m"], **given,
    )  # fmt: skip


@pytest.mark.parametrize("rule", ["numeric", "lexicographic"])
def test_labels_that_call_high_what_is_low_are_refused(rule):
    right = label(many(), rule)
    assert many(released_label=right).released_label.tolist() == right.tolist()
    many(released_label=np.random.default_rng(0).permutation(right))  # a null calibration
    with pytest.raises(DataError, match="mine: the labels are the opposite of the expression"):
        many(released_label=1 - right)


@pytest.mark.parametrize("wrong", [{"rpkm_median_text": "19.90"}, {"rpkm_median_text": "0.10"},
                                   {"rpkm_text": ["0"] * 390 + ["1"] * 10,
                                    "rpkm_median_text": "0"}])  # fmt: skip
def test_an_expression_that_makes_one_class_is_refused(wrong):
    with pytest.raises(DataError, match="of 400 genes have an expression above the median"):
        many(**wrong)
