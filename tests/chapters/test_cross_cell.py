"""The cross-cell page: released training sets, its tables, its simulated worlds, its figures."""

# ruff: noqa: F811 (fixtures are imported and used by name)
import numpy as np
import pandas as pd
import pytest
from dc2book.cross_cell import figures, tables, worlds
from released_files import TABLE
from sklearn.linear_model import LogisticRegression
from test_crosscell import CORRELATION, home, records  # noqa: F401
from test_pair_statistics import random_tables

from dc2lib.crosscell import EXPERIMENTS, experiments, expression_correlation, one_column_off
from dc2lib.datasets import open_cell, published, read_rpkm
from dc2lib.errors import DataError
from dc2lib.evaluation import pair_statistics as pairs
from dc2lib.evaluation.scores import positive_score


def test_released_sets_come_out_with_the_columns_one_off():
    table = tables.released_sets_reproduced().set_index(["kind", "alignment"])
    assert table["exact"].to_dict() == {
        ("highly", "released"): 55, ("highly", "aligned"): 5,
        ("somewhat", "released"): 55, ("somewhat", "aligned"): 0,
    }
    assert (table["cells"] == 55).all()


@pytest.mark.skipif(not TABLE.exists(), reason=f"{TABLE} is not there")
def test_the_carried_correlations_are_those_of_the_real_table():
    table = read_rpkm(TABLE).frame().iloc[:6601]
    one_off = expression_correlation(one_column_off(table))
    for name, matrix in {
        "released": one_off, "aligned": expression_correlation(table),
        "log": expression_correlation(np.log1p(table)),
    }.items():
        np.testing.assert_allclose(matrix, published.rpkm_correlation(name), atol=1e-6)
    assert one_off["E128"].isna().all()
    for kind in ("highly", "somewhat"):
        assert tables.exact_sets(one_off, kind) == (55, 55)


def test_normalised_by_cell():
    table = pd.DataFrame(
        {
            "experiment": ["deepchrome", "inclusive_all", "exclusive_all"] * 2,
            "cell": ["Z"] * 3 + ["Y"] * 3,
            "auroc": [0.6, 0.8, 0.7, 0.9, 0.9, 0.9],
        }
    ).iloc[:-1]
    wide = tables.normalised_by_cell(table)
    assert wide.columns.tolist() == ["Z", "Y"]
    assert wide["Z"].tolist() == pytest.approx([0, 1, 0.5])
    assert wide["Y"].isna().all()


def test_bars_that_follow_the_number_of_genes():
    rows = [
        (experiment, cell, genes, -genes, genes + 10 * level)
        for experiment, genes in zip(list(EXPERIMENTS)[:3], (1, 8, 4), strict=True)
        for level, cell in enumerate("ABCD")
    ]
    table = pd.DataFrame(rows, columns=["experiment", "cell", "genes", "correlation", "auroc"])
    found = tables.bar_correlation(table, "genes", n_resamples=20)
    assert (found.estimate, found.low, found.high, found.n) == pytest.approx((1, 1, 1, 3))
    assert tables.bar_correlation(table, "correlation", n_resamples=5).estimate == (
        pytest.approx(-1)
    )


def test_size_and_correlation_finds_planted_slopes():
    rng = np.random.default_rng(0)
    rows = []
    for cell in range(12):
        level = rng.normal()
        for _ in range(8):
            genes, correlation, own = 2 ** rng.integers(5, 10), rng.random(), rng.random() < 0.5
            auroc = level + 0.02 * np.log2(genes) + 0.03 * correlation - 0.01 * own
            rows.append((str(cell), genes, correlation, own, auroc))
    table = pd.DataFrame(rows, columns=["cell", "genes", "correlation", "own", "auroc"])
    slopes = tables.size_and_correlation(table, n_resamples=20)
    assert slopes["estimate"].tolist() == pytest.approx([0.02, 0.03, -0.01])
    assert (slopes["high"] - slopes["low"]).max() < 1e-9


def test_prediction_shift_by_hand(home, records):
    one, other = records["inclusive_all", "B"], records["deepchrome", "B"]
    shift = tables.prediction_shift(one, other, n_bins=4)
    rpkm = open_cell("B", home).take("test").rpkm
    difference = positive_score(one.test_logits) - positive_score(other.test_logits)
    lowest = difference[np.argsort(rpkm, kind="stable")[:10]]
    first = shift.iloc[0]
    assert first["n"] == 10 and first["position"] == 0.125
    assert first["mean"] == pytest.approx(lowest.mean())
    assert first["lower"] == pytest.approx(np.quantile(lowest, 0.25))
    assert first["low"] < first["mean"] < first["high"]
    with pytest.raises(DataError, match="same cell type"):
        tables.prediction_shift(one, records["deepchrome", "A"])


def test_published_drivers_of_transfer():
    drivers, scores = worlds.published_drivers(), worlds.published_transfer()
    table = worlds.driver_table(drivers, scores, n_resamples=20, n_permutations=20)
    table = table.set_index("driver")
    assert table["estimate"].round(2).drop("log_correlation").to_dict() == {
        "released_correlation": 0.10, "aligned_correlation": -0.02, "label_flips": 0.74
    }
    assert table.loc["label_flips", "positive"] == 55


def test_the_released_change_of_a_pair_is_against_the_own_model():
    scores = worlds.published_transfer()
    table = pairs.pair_table(published.rpkm_correlation("released"), scores)
    assert len(table) == 55 * 54 and table.notna().all(axis=None)
    own = published.released_results().query("experiment == 'deepchrome' and cell == 'E004'")
    row = table.query("train_cell == 'E003' and test_cell == 'E004'").iloc[0]
    assert row["change"] == pytest.approx(0.783108 - own["test_auroc"].iloc[0])


def test_linear_transfer_by_hand():
    rng = np.random.default_rng(0)
    features = {cell: rng.random((60, 5)) for cell in "AB"}
    labels = {cell: (features[cell][:, 0] > 0.5).astype(int) for cell in "AB"}
    train, test = np.arange(60) < 30, np.arange(60) >= 30
    matrix = worlds.linear_transfer(features, labels, train, test)
    model = LogisticRegression(C=100.0, max_iter=1000).fit(features["A"][train], labels["A"][train])
    positive, negative = (
        model.decision_function(features["B"][test & (labels["B"] == side)]) for side in (1, 0)
    )
    expected = (positive[:, None] > negative).mean()
    assert matrix.loc["A", "B"] == pytest.approx(expected)


def test_worlds_differ_by_their_rule_only():
    shared = worlds.linear_world(6, 300, 1, True)
    specific = worlds.linear_world(6, 300, 1, False, 1.0)
    for name in worlds.DRIVERS:
        pd.testing.assert_frame_equal(shared.drivers[name], specific.drivers[name])
    off = ~np.eye(6, dtype=bool)
    loss = [
        np.diag(world.transfer["numeric"]).mean() - world.transfer["numeric"].to_numpy()[off].mean()
        for world in (shared, specific)
    ]
    assert loss[1] > loss[0] + 0.05
    assert list(shared.transfer) == ["numeric", "lexicographic"]


def test_every_figure_draws_what_it_is_given(records):
    table = experiments.experiment_table(records, CORRELATION)
    about = table.groupby(["labels", "experiment"], as_index=False)[["correlation", "genes"]].mean()
    means = experiments.experiment_means(records, n_resamples=20).assign(labels="numeric")
    changes = experiments.against_baseline(records, n_resamples=20).assign(labels="numeric")
    driver, values = random_tables()
    table_of_drivers = worlds.driver_table({"aligned_correlation": driver}, values, n_resamples=20,
                               n_permutations=20).assign(labels="numeric")
    shift = tables.prediction_shift(
        records["inclusive_all", "A"], records["deepchrome", "A"], n_bins=4
    )
    drawn = [
        figures.correlation_maps({"right": CORRELATION}),
        figures.experiment_maps({"numeric": tables.normalised_by_cell(table)}),
        figures.experiment_bars(means.merge(about)),
        figures.change_forest(changes.assign(setup="all genes")),
        figures.pair_panels(
            {name: (pairs.pair_table(driver, values), "r", "text") for name in ("a", "b", "c")}
        ),
        figures.driver_forest(table_of_drivers.assign(study="simulated")),
        figures.world_dots(table_of_drivers.assign(world="shared")),
        figures.probability_shift(shift),
    ]
    for figure in drawn:
        figure.canvas.draw()
        assert any(axis.has_data() for axis in figure.axes)
    bars = drawn[2].axes[0].get_yticklabels()
    assert bars[-1].get_text().startswith("DeepChrome (own), r 1.00")
