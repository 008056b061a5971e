"""Simulated cell types: like real ones where it counts, and true to what was planted."""

from itertools import islice

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from dc2lib.datasets.histone import MARKS, SPLITS, HistoneDataset
from dc2lib.datasets.released import read_csv_folder, write_released_csv
from dc2lib.datasets.rpkm import write_rpkm_table
from dc2lib.datasets.simulated import iter_cells, simulate, study
from dc2lib.datasets.simulated.draws import published_figures
from dc2lib.datasets.store import cell_stamp
from dc2lib.errors import DataError
from dc2lib.labels import flipped, label

K36, K4ME3 = MARKS.index("H3K36me3"), MARKS.index("H3K4me3")


def log_means(dataset):
    return np.log1p(dataset.counts.mean(axis=1))


def auroc(features, dataset, rule, model):
    labels = label(dataset, rule)
    train, test = dataset.split == "train", dataset.split == "test"
    model.fit(features[train], labels[train])
    return roc_auc_score(labels[test], model.predict_proba(features[test])[:, 1])


def linear_auroc(dataset, rule="numeric"):
    return auroc(log_means(dataset), dataset, rule, LogisticRegression(max_iter=1000))


@pytest.fixture(scope="module")
def small():
    return simulate(n_cells=3, n_genes=300, seed=5)


@pytest.fixture(scope="module")
def reference():
    """Cell types like E012 (blend 0) and E013 (blend 1), half as large as the real ones."""
    size = {"n_cells": 1, "n_genes": 9_000, "seed": 1, "library_spread": 0.0}
    return [next(iter_cells(**size, blend=blend)) for blend in (0.0, 1.0)]


# what comes out


def test_a_study_has_the_documented_form(small):
    assert list(small.datasets) == ["S001", "S002", "S003"]
    dataset = small.datasets["S002"]
    assert dataset.counts.shape == (300, 100, 5)
    assert dataset.counts.dtype == np.uint16
    assert dataset.marks == MARKS
    assert dataset.source == "simulated"
    assert dataset.gene_id[0] == "ENSG00000900001"
    assert dataset.split.tolist() == [split for split in SPLITS for _ in range(100)]
    np.testing.assert_array_equal(dataset.gene_id, small.datasets["S001"].gene_id)
    np.testing.assert_array_equal(dataset.strand, small.genes.strand)
    assert small.cells["S001"].expression.shape == (300,)
    assert small.cells["S003"].mark_level.shape == (300, 5)
    assert [truth.lineage for truth in small.cells.values()] == [0, 1, 2]


def test_same_seed_same_study_whatever_is_simulated_beside_it(small):
    again = simulate(n_cells=2, n_genes=300, seed=5)
    assert again.datasets["S002"].fingerprint == small.datasets["S002"].fingerprint
    np.testing.assert_array_equal(
        again.cells["S002"].mark_level, small.cells["S002"].mark_level
    )
    other = simulate(n_cells=1, n_genes=300, seed=6)
    assert other.datasets["S001"].fingerprint != small.datasets["S001"].fingerprint


def test_cells_one_at_a_time_are_the_cells_of_the_study(small):
    for dataset, truth in islice(iter_cells(900, 300, 5), 2):
        assert dataset.fingerprint == small.datasets[dataset.cell].fingerprint
        assert truth.lineage == small.cells[dataset.cell].lineage


def test_marks_are_free_to_choose():
    one = simulate(1, 50, marks=("H3K36me3",))
    assert one.datasets["S001"].counts.shape == (50, 100, 1)
    six = simulate(1, 2000, marks=(*MARKS, "H3K27ac"))
    score = six.cells["S001"].mark_score
    assert 0.6 < np.corrcoef(score[:, K4ME3], score[:, 5])[0, 1] < 0.99


# expression


@pytest.fixture(scope="module")
def many_cells():
    """The RPKM of 24 cell types; one mark only, to be quick."""
    return [dataset for dataset, _ in iter_cells(24, 4000, 0, ("H3K9me3",))]


def test_medians_and_flipped_labels_are_as_in_real_cell_types(many_cells):
    clean = 0
    for dataset in many_cells:
        assert 1.5 <= float(dataset.rpkm_median_text) <= 5.4
        assert float(dataset.rpkm_median_text) == pytest.approx(np.median(dataset.rpkm), abs=6e-4)
        if dataset.rpkm_median_text.startswith("1."):
            clean += 1
            assert flipped(dataset).mean() < 0.001
        else:
            assert 0.125 <= flipped(dataset).mean() <= 0.33
    assert 3 <= clean <= 8


def test_released_labels_compare_text(small):
    for dataset in small.datasets.values():
        np.testing.assert_array_equal(dataset.released_label, label(dataset, "lexicographic"))


def test_correlation_between_cells_spans_the_real_range():
    rpkm = [dataset.rpkm for dataset, _ in iter_cells(8, 8000, 0, ("H3K9me3",))]
    pairs = np.corrcoef(rpkm)[np.triu_indices(8, 1)]
    assert 0.15 < pairs.min() < 0.45
    assert 0.85 < pairs.max() < 0.99


def test_rpkm_follows_latent_expression_whose_parts_add_up(small):
    for cell, dataset in small.datasets.items():
        truth = small.cells[cell]
        order = np.argsort(truth.expression)
        assert (np.diff(dataset.rpkm[order]) >= 0).all()
        parts = small.genes.shared + truth.lineage_part + truth.cell_part
        np.testing.assert_array_equal(np.argsort(parts), order)


def test_expression_falls_along_the_gene_order():
    dataset, _ = next(iter_cells(1, 6000, 3, ("H3K9me3",)))
    shares = [label(dataset)[dataset.split == split].mean() for split in SPLITS]
    np.testing.assert_allclose(shares, [0.62, 0.53, 0.36], atol=0.05)


# counts like those of E012 and E013


def test_linear_model_scores_as_on_real_cells(reference):
    for dataset, _ in reference:
        assert linear_auroc(dataset) == pytest.approx(0.92, abs=0.03)
        assert linear_auroc(dataset, "lexicographic") == pytest.approx(0.81, abs=0.03)


@pytest.mark.parametrize(("cell", "index"), [("E012", 0), ("E013", 1)])
def test_counts_resemble_the_real_cell(reference, cell, index):
    dataset, truth = reference[index]
    real = published_figures()["cells"][cell]["check"]
    high = truth.expression > 0
    for value, chosen in enumerate((~high, high)):
        mean = dataset.counts[chosen].mean(axis=(0, 1))
        np.testing.assert_allclose(mean, real["mean"][value], rtol=0.12)
        empty = (dataset.counts[chosen] == 0).mean(axis=(0, 1))
        np.testing.assert_allclose(empty, real["empty_bins"][value], atol=0.1)
    logs = np.log1p(dataset.gene_oriented().astype(np.float32))
    np.testing.assert_allclose(logs.std(axis=(0, 1)), real["log_spread"], rtol=0.1)
    correlation = np.corrcoef(log_means(dataset).T)
    np.testing.assert_allclose(correlation, real["mark_correlation"], atol=0.13)
    centred = (logs - logs.mean(axis=0)) / (logs.std(axis=0) + 1e-3)
    for column, lag in enumerate((1, 5, 20)):
        made = (centred[:, lag:] * centred[:, :-lag]).mean(axis=(0, 1))
        expected = np.array(real["neighbour_correlation"])[:, column]
        np.testing.assert_allclose(made, expected, atol=0.1)


def test_profiles_run_along_the_strand(reference):
    dataset = reference[1][0]
    high = label(dataset) == 1
    body = dataset.gene_oriented()[high][:, :, K36].mean(axis=0)
    assert body[60:].mean() > 2 * body[:40].mean()
    released = dataset.counts[high][:, :, K36].mean(axis=0)
    assert released[60:].mean() == pytest.approx(released[:40].mean(), rel=0.1)
    promoter = dataset.gene_oriented()[high][:, :, K4ME3].mean(axis=0)
    assert 45 <= promoter.argmax() <= 60
    assert promoter[45:60].mean() > 10 * promoter[:20].mean()


def test_counts_scatter_about_the_true_levels(reference):
    dataset, truth = reference[0]
    ratio = dataset.counts.mean(axis=(0, 1)) / truth.mark_level.mean(axis=0)
    np.testing.assert_allclose(ratio, 1, atol=0.02)
    for m in range(len(MARKS)):
        made = log_means(dataset)[:, m]
        assert np.corrcoef(made, np.log1p(truth.mark_level[:, m]))[0, 1] > 0.9


def test_without_signal_the_marks_tell_nothing():
    dataset, _ = next(iter_cells(1, 6000, 4, signal=0.0))
    assert linear_auroc(dataset) == pytest.approx(0.5, abs=0.04)


def test_cells_share_the_rule_or_have_their_own():
    def transfer(shared_rule):
        study = simulate(4, 4000, 3, shared_rule=shared_rule, signal=0.95)
        features = {cell: log_means(d) for cell, d in study.datasets.items()}
        scaled = {cell: (f - f.mean(0)) / f.std(0) for cell, f in features.items()}
        labels = {cell: label(d) for cell, d in study.datasets.items()}
        models = {c: LogisticRegression().fit(scaled[c], labels[c]) for c in labels}
        return np.array(
            [
                [roc_auc_score(labels[b], models[a].decision_function(scaled[b])) for b in labels]
                for a in labels
            ]
        )

    shared, own = transfer(True), transfer(False)
    assert (np.diag(shared) - shared).max() < 0.015
    assert np.diag(own).min() > 0.85
    between_lineages, within_lineage = [own[0, 1], own[0, 2], own[1, 2]], own[0, 3]
    assert max(between_lineages) < np.diag(own).min() - 0.02
    assert within_lineage > np.mean(between_lineages)


# errors


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_cells": 0}, "n_cells = 0: expected a whole number from 1"),
        ({"n_genes": 2.5}, "n_genes = 2.5: expected a whole number"),
        ({"marks": ("H3K4me3", "H2AZ")}, "no mark 'H2AZ': it knows H3K27me3"),
        ({"marks": ()}, "at least one mark"),
        ({"signal": 1.5}, "signal = 1.5: expected a number from 0 to 1"),
        ({"blend": float("nan")}, "blend = nan"),
    ],
)
def test_bad_parameters_name_what_was_expected(wrong, message):
    with pytest.raises(DataError, match=message):
        simulate(**{"n_cells": 1, "n_genes": 50} | wrong)


# as released files


def test_written_in_the_released_layout_it_reads_back_the_same(small, tmp_path):
    table = write_rpkm_table(small.datasets, tmp_path / "rpkm.gz")
    dataset = small.datasets["S003"]
    folder = write_released_csv(dataset, tmp_path)
    assert folder == tmp_path / "S003"
    first = (folder / "classification" / "train.csv").read_text().splitlines()[0]
    counts = ",".join(str(count) for count in dataset.counts[0, 0])
    assert first == f"900001,1,{counts},{dataset.released_label[0]}"
    back = read_csv_folder(folder, rpkm=table)
    for name in ("counts", "gene_id", "split", "released_label", "rpkm_text"):
        np.testing.assert_array_equal(getattr(back, name), getattr(dataset, name))
    assert back.rpkm_median_text == dataset.rpkm_median_text


def test_what_cannot_be_released_says_so(small, tmp_path):
    dataset = small.datasets["S001"]
    ids = [f"ENSG{i:05d}900001" for i in range(len(dataset))]
    bare = HistoneDataset.from_arrays(dataset.counts, ids, "mine", dataset.split)
    with pytest.raises(DataError, match="there are none"):
        write_released_csv(bare, tmp_path)
    twins = HistoneDataset.from_arrays(
        dataset.counts, ids, "mine", dataset.split, released_label=dataset.released_label
    )
    with pytest.raises(DataError, match="last six digits"):
        write_released_csv(twins, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cell_that_another_process_stored_meanwhile_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("DC2LIB_DATA", str(tmp_path))
    home = study.stored_simulation(2, 40)
    before = {cell: cell_stamp(cell, home) for cell in ("S001", "S002")}
    seen_first = iter([[]])
    monkeypatch.setattr(study, "list_cells", lambda home: next(seen_first, ["S001", "S002"]))
    assert study.stored_simulation(2, 40) == home
    assert {cell: cell_stamp(cell, home) for cell in before} == before
    assert sorted(entry.name for entry in (home / "cells").iterdir()) == ["S001", "S002"]
