import numpy as np
import pytest
from dc2book import primers

from dc2lib.datasets.simulated import simulate
from dc2lib.errors import DataError
from dc2lib.evaluation.scores import auroc


def test_thinning_keeps_the_share_of_the_reads_and_never_adds_one():
    counts = np.full((200, 50), 8)
    kept = primers.thin_reads(counts, 0.25, seed=1)
    assert kept.mean() == pytest.approx(2.0, abs=0.05)
    assert (kept <= counts).all()
    assert (primers.thin_reads(counts, 1.0) == counts).all()
    assert (primers.thin_reads(counts, 0.25, seed=1) == kept).all()
    with pytest.raises(DataError, match=r"share=1\.5"):
        primers.thin_reads(counts, 1.5)


def test_the_area_under_the_curve_is_the_auroc_ties_included():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 300)
    scores = generator.integers(0, 12, 300) + 3 * labels
    curve = primers.roc_curve(labels, scores)
    area = np.trapezoid(curve["true_positive"], curve["false_positive"])
    assert area == pytest.approx(auroc(labels, scores))
    assert curve.iloc[[0, -1], 1:].to_numpy().tolist() == [[0, 0], [1, 1]]
    with pytest.raises(DataError, match="both classes"):
        primers.roc_curve(np.ones(3), np.arange(3))


def test_the_typical_gene_is_the_one_at_the_quantile():
    (dataset,) = simulate(n_cells=1, n_genes=60, seed=0).datasets.values()
    row = primers.typical_gene(dataset, "H3K4me3", 1.0)
    means = dataset.counts[:, :, dataset.marks.index("H3K4me3")].mean(1)
    assert means[row] == means.max()
    with pytest.raises(DataError, match="has no H3K27ac"):
        primers.typical_gene(dataset, "H3K27ac", 0.5)


def test_the_middle_gene_is_one_of_the_chosen_and_nearest_to_their_median():
    (dataset,) = simulate(n_cells=1, n_genes=60, seed=0).datasets.values()
    totals = np.log1p(dataset.counts.sum(1))
    for chosen in (np.arange(60) < 20, np.arange(60) == 7):
        row = primers.middle_gene(dataset, chosen)
        away = np.abs(totals - np.median(totals[chosen], axis=0)).sum(1)
        assert chosen[row]
        assert away[row] == away[chosen].min()
