"""The ways into the library on real files, where they are: counts twice, peaks against counts."""

import numpy as np
import pytest
from released_files import ARCHIVE, SHARED, TABLE
from scipy.stats import rankdata, spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from dc2lib.datasets import binned, peaks, read_rpkm
from dc2lib.datasets.cell_files import build_cell
from dc2lib.datasets.gene_windows import deepchrome_windows
from dc2lib.datasets.roadmap import ingest_archive
from dc2lib.datasets.store import open_cell
from dc2lib.labels import label

PEAKS = SHARED / "data" / "peaks"
PATTERNCHROME = SHARED / "data" / "patternchrome"
NPZ = PATTERNCHROME / "counts.npz"

needs = {
    name: pytest.mark.skipif(not path.exists(), reason=f"the real {name} are not here")
    for name, path in {"peaks": PEAKS, "counts": NPZ, "archive": ARCHIVE, "table": TABLE}.items()
}


def by_cell(inputs):
    return {one.cell: one for one in inputs}


@needs["counts"]
@needs["archive"]
def test_three_sources_give_the_same_counts(tmp_path):
    table = read_rpkm(TABLE)
    ingest_archive(ARCHIVE, table, tmp_path, progress=False)
    windows = deepchrome_windows()
    given = by_cell(binned.cell_inputs(NPZ, windows))
    values = 0
    for cell in ("E012", "E013"):
        archive, npz = open_cell(cell, tmp_path), build_cell(given[cell], table)
        for name in ("counts", "gene_id", "split", "rpkm_text"):
            np.testing.assert_array_equal(getattr(npz, name), getattr(archive, name))
        values += npz.counts.size
    assert values == 18_421_000
    pytest.importorskip("rdata", reason="the extra tracks is not installed")
    rdata = build_cell(by_cell(binned.cell_inputs(PATTERNCHROME, windows))["E013"], table)
    np.testing.assert_array_equal(rdata.gene_id, archive.gene_id)
    np.testing.assert_array_equal(rdata.counts, archive.with_marks(rdata.marks).counts)


@needs["peaks"]
@needs["counts"]
def test_peaks_are_most_like_the_counts_of_their_own_cell_type():
    windows = deepchrome_windows()
    with np.load(NPZ) as archive:
        rows = np.flatnonzero(np.isin(windows.gene_id, archive["gene_id"]))
        counted = {
            name: archive[name].sum(axis=1)
            for name in archive.files
            if name.endswith(("/H3K27me3", "/H3K36me3", "/H3K9me3"))
        }
    pairs = 0
    for cell in ("E122", "E127"):
        for mark in ("H3K27me3", "H3K36me3", "H3K9me3"):
            for path in PEAKS.glob(f"{cell}-{mark}.*"):
                total = peaks.read_cell({mark: path}, windows)[mark][rows].sum(axis=1)
                alike = {
                    name: spearmanr(total, counts).statistic
                    for name, counts in counted.items()
                    if name.endswith(mark)
                }
                assert max(alike, key=alike.get) == f"{cell}/{mark}", alike
                pairs += 1
    assert pairs == 5


@needs["peaks"]
@needs["table"]
@pytest.mark.parametrize(
    ("cell", "expected"),
    [("E003", 0.851), ("E116", 0.896), ("E117", 0.897), ("E122", 0.882), ("E123", 0.898)],
)
def test_totals_of_peaks_predict_expression(cell, expected):
    given = by_cell(peaks.cell_inputs(PEAKS, deepchrome_windows()))[cell]
    dataset = build_cell(given, read_rpkm(TABLE))
    totals = rankdata(dataset.counts.sum(axis=1), axis=0) / len(dataset)
    train, test, high = dataset.split == "train", dataset.split == "test", label(dataset)
    model = LogisticRegression(max_iter=1000).fit(totals[train], high[train])
    score = roc_auc_score(high[test], model.predict_proba(totals[test])[:, 1])
    assert score == pytest.approx(expected, abs=0.005)
