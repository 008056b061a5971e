import numpy as np
import pytest
from released_files import ARCHIVE, TABLE

from dc2lib.datasets import HistoneDataset
from dc2lib.datasets.released import assemble, read_split
from dc2lib.datasets.roadmap import split_members
from dc2lib.datasets.rpkm import read_rpkm
from dc2lib.errors import DataError
from dc2lib.labels import flipped, label


def cell_with(**expression) -> HistoneDataset:
    size = len(next(iter(expression.values())))
    return HistoneDataset.from_arrays(
        np.zeros((size, 100, 5), dtype=int),
        [f"g{number}" for number in range(size)],
        "E003",
        ["train"] * size,
        **expression,
    )


def test_rules_on_a_column_worked_out_by_hand():
    text = ["0.000", "2.999", "3.329", "3.330", "4.000", "10.575", "29.999", "30.000", "400.100"]
    cell = cell_with(rpkm_text=text, rpkm_median_text="3.329")
    np.testing.assert_array_equal(label(cell), [0, 0, 0, 1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(label(cell, "lexicographic"), [0, 0, 0, 1, 1, 0, 0, 1, 1])
    np.testing.assert_array_equal(flipped(cell), np.isin(text, ["10.575", "29.999"]))
    assert label(cell).dtype == np.int8


def test_text_comparison_is_pythons():
    generator = np.random.default_rng(0)
    text = [f"{value:.3f}" for value in generator.gamma(0.4, 40, 500)]
    cell = cell_with(rpkm_text=text)
    median = cell.rpkm_median_text
    np.testing.assert_array_equal(label(cell, "lexicographic"), [int(one > median) for one in text])
    np.testing.assert_array_equal(label(cell), [int(float(one) > float(median)) for one in text])


def test_a_median_that_starts_with_one_flips_nothing():
    generator = np.random.default_rng(1)
    text = [f"{value:.3f}" for value in generator.gamma(0.4, 40, 2000)]
    cells = [cell_with(rpkm_text=text, rpkm_median_text=median) for median in ("1.500", "2.500")]
    assert not flipped(cells[0]).any()
    assert flipped(cells[1]).any()


def test_the_split_keeps_the_median_of_the_whole_column():
    cell = cell_with(rpkm_text=["1.000", "2.000", "3.000", "4.000", "5.000"])
    assert label(cell.select(slice(3, 5))).tolist() == [1, 1]


def test_errors_say_what_is_missing():
    with pytest.raises(DataError, match="no expression"):
        label(HistoneDataset.from_arrays(np.zeros((1, 100, 5), int), ["g"], "E003", ["train"]))
    with pytest.raises(DataError, match="compares the file's text"):
        label(cell_with(rpkm=[1.0, 2.0]), "lexicographic")
    with pytest.raises(DataError, match="Unknown label rule 'text'"):
        label(cell_with(rpkm=[1.0, 2.0]), "text")
    empty = cell_with(rpkm_text=["1.000", "", "2.000"], rpkm_median_text="1.000")
    with pytest.raises(DataError, match=r"1 gene\(s\) have no RPKM \(g1\)"):
        label(empty)


@pytest.mark.skipif(not ARCHIVE.is_file(), reason="the real archive is not here")
def test_text_rule_explains_every_released_label_of_e012():
    table, splits = read_rpkm(TABLE), {}
    for member in split_members(ARCHIVE):
        if member.cell != "E012":
            break
        splits[member.split] = read_split(member.read(), member.name)
    cell, repeated = assemble("E012", splits, "archive", rpkm=table)
    assert len(cell) == 18_421
    assert not repeated
    np.testing.assert_array_equal(label(cell, "lexicographic"), cell.released_label)
    shares = [label(cell.take(split)).mean() for split in ("train", "valid", "test")]
    assert [round(float(share), 2) for share in shares] == [0.62, 0.53, 0.39]
