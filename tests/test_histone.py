import numpy as np
import pytest

from dc2lib.datasets import SPLITS, HistoneDataset
from dc2lib.datasets.histone import median_text
from dc2lib.errors import DataError


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


def test_counts_up_to_the_limit_are_kept():
    counts = np.zeros((1, 100, 5), dtype=np.int64)
    counts[0, 0, 0] = 65_535
    cell = HistoneDataset.from_arrays(counts, ["g"], "E003", ["train"])
    assert cell.counts[0, 0, 0] == 65_535


def test_further_marks_and_bins_are_taken_from_the_data():
    cell = HistoneDataset.from_arrays(
        np.ones((2, 40, 2)), ["a", "b"], "mine", ["train", "test"], marks=("H3K27ac", "H3K4me3")
    )
    assert cell.counts.shape == (2, 40, 2)
    assert cell.marks == ("H3K27ac", "H3K4me3")


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


def test_fingerprint_of_no_genes():
    empty = dataset().select(slice(0, 0))
    assert len(empty) == 0
    assert len(empty.fingerprint) == 64


@pytest.mark.parametrize(
    ("text", "median"),
    [
        (["2.500", "10.575", "3.329"], "3.329"),
        (["1.000", "3.000"], "2.000"),
        (["1.000", "1.001"], "1.0005"),
        (["0.000", "0.000", "0.000", "5.000"], "0.000"),
        (["9.999", "10.001", "10.000", "9.000", "11.5"], "10.000"),
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
        ({"rpkm_text": ["1.0"] * 5 + ["x"]}, "'x' is not a number"),
        ({"rpkm": [1.0]}, "rpkm has shape"),
        ({"source": "roadmaps"}, "unknown source"),
        ({"cell": "../E003"}, "cannot name a cell type"),
        ({"cell": ".E003"}, "cannot name a cell type"),
    ],
)
def test_impossible_input_is_named(changes, message):
    with pytest.raises(DataError, match=message):
        dataset(**changes)
