import numpy as np
import pytest

from dc2lib.datasets import HistoneDataset, open_cell, write_cell
from dc2lib.errors import DataError
from dc2lib.signals import (
    comparable,
    comparable_store,
    ranked_within_cell,
    to_signal,
    training_genes,
)

SPLIT = np.repeat(["train", "valid", "test"], [20, 5, 5])


def cell(name, marks, unit="reads", seed=0, split=SPLIT):
    values = np.random.default_rng(seed).poisson(1.0, (30, 100, len(marks)))
    values = values if unit == "reads" else values * 0.7
    gene_id = [f"ENSG{number:011d}" for number in range(30)]
    return HistoneDataset.from_arrays(values, gene_id, name, split, marks=marks, unit=unit)


def test_a_rank_is_the_share_of_training_bins_that_hold_less():
    given = cell("mine", ("H3K4me3", "H3K9me3"), "coverage")
    ranked = ranked_within_cell(given)
    train = given.counts[:20, :, 1].ravel()
    for gene, place in [(0, 0), (7, 50), (29, 99)]:
        expected = (train < given.counts[gene, place, 1]).mean()
        assert ranked.counts[gene, place, 1] == np.float32(expected)
    assert (ranked.unit, ranked.counts.dtype) == ("rank", np.float32)
    assert ranked.counts[given.counts == 0].max() == 0
    assert ranked.counts.max() <= 1


def test_ranks_do_not_follow_the_scale_of_a_mark_and_know_no_test_gene():
    given = cell("mine", ("H3K4me3", "H3K9me3"), "coverage")
    changed = given.counts**2 * np.float32([3, 0.5])
    changed[25:] = changed[25:][::-1]
    names = (given.gene_id, "mine", given.split)
    other = HistoneDataset.from_arrays(changed, *names, marks=given.marks, unit="peak signal")
    first, second = ranked_within_cell(given).counts, ranked_within_cell(other).counts
    np.testing.assert_array_equal(first[:25], second[:25])
    np.testing.assert_array_equal(first[25:], second[25:][::-1])


def test_ranks_need_training_genes():
    with pytest.raises(DataError, match="mine has no training gene"):
        ranked_within_cell(cell("mine", ("H3K4me3",), split=["test"] * 30))


def test_only_reads_are_pooled_as_they_are():
    reads = cell("a", ("H3K4me3", "H3K9me3")), cell("b", ("H3K9me3", "H3K27ac"), seed=1)
    first, second = comparable(reads)
    assert first.marks == second.marks == ("H3K9me3",)
    np.testing.assert_array_equal(first.counts, reads[0].counts[:, :, 1:])
    peaks = cell("c", ("H3K9me3",), "peak signal")
    assert {one.unit for one in comparable([*reads, peaks])} == {"rank"}
    assert {one.unit for one in comparable([peaks, peaks])} == {"rank"}
    with pytest.raises(DataError, match="share no mark"):
        comparable([peaks, cell("d", ("H3K4me3",))])


def test_cell_types_of_two_units_are_stored_anew_and_others_stay_where_they_are(tmp_path):
    reads, peaks = cell("a", ("H3K4me3", "H3K9me3")), cell("b", ("H3K9me3",), "peak signal")
    for one in (reads, peaks):
        write_cell(one, tmp_path)
    assert comparable_store([reads], tmp_path) == tmp_path
    place = comparable_store([reads, peaks], tmp_path)
    assert place != tmp_path
    opened = [open_cell(name, place) for name in ("a", "b")]
    assert [(one.unit, one.marks) for one in opened] == [("rank", ("H3K9me3",))] * 2
    np.testing.assert_array_equal(opened[1].counts, ranked_within_cell(peaks).counts)
    assert place == comparable_store([reads, peaks], tmp_path)
    assert place != comparable_store([reads, cell("b", ("H3K9me3",), "peak signal", seed=3)],
                                     tmp_path)


@pytest.mark.parametrize("transform", ["raw", "log1p"])
@pytest.mark.parametrize("unit", ["reads", "coverage"])
def test_signals_of_counts_and_of_real_numbers(transform, unit):
    given = cell("mine", ("H3K4me3", "H3K9me3"), unit)
    signal = to_signal(given.counts, transform).numpy()
    expected = given.counts if transform == "raw" else np.log1p(given.counts.astype(np.float32))
    assert signal.shape == (30, 2, 100)
    np.testing.assert_allclose(signal, expected.transpose(0, 2, 1), rtol=1e-6)


def test_training_genes_are_all_or_so_many_drawn_by_the_seed():
    given = cell("mine", ("H3K4me3",))
    assert len(training_genes(given)) == 20
    first, again, other = (
        training_genes(given, 10, seed).gene_id.tolist() for seed in (0, 0, 1)
    )
    assert first == again != other and len(first) == 10
