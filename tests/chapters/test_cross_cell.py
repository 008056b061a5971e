"""The cross-cell page: released training sets, its tables, its simulated worlds, its figures."""

# ruff: noqa: F811 (fixtures are imported and used by name)
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from dc2book.cross_cell import gains, other_cell_types, results, tables, worlds
from dc2book.cross_cell.mark_totals import ranked_totals, totals_of
from released_files import TABLE
from sklearn.linear_model import LogisticRegression
from test_crosscell import CORRELATION, home, records  # noqa: F401
from test_linear import planted

from dc2lib.crosscell import EXPERIMENTS, expression_correlation, one_column_off
from dc2lib.datasets import open_cell, published, read_rpkm
from dc2lib.errors import DataError
from dc2lib.evaluation import pair_statistics as pairs
from dc2lib.evaluation.scores import positive_score
from dc2lib.labels import label


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
    assert (found.estimate, found.low, found.high, found.n) == pytest.approx((1, 1, 1, 4))
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
    shift = tables.prediction_shift([one, one], [other, other], n_bins=4, n_resamples=50)
    rpkm = open_cell("B", home).take("test").rpkm
    difference = positive_score(one.test_logits) - positive_score(other.test_logits)
    lowest = difference[np.argsort(rpkm, kind="stable")[:10]]
    first = shift.iloc[0]
    assert first["n"] == 10 and first["position"] == 0.125
    assert first["mean"] == pytest.approx(lowest.mean())
    assert first["lower"] == pytest.approx(np.quantile(lowest, 0.25))
    assert first["low"] < first["mean"] < first["high"]
    with pytest.raises(DataError, match="same cell type"):
        tables.prediction_shift([one], [records["deepchrome", "A"]])


def test_fifths_average_over_cell_types(records):
    shift = pd.concat([
        tables.prediction_shift([records["inclusive_all", cell]], [records["deepchrome", cell]], 5,
                                n_resamples=10).assign(cell=cell)
        for cell in "ABCD"
    ])
    table = tables.fifths(shift).set_index(["fifth", "cell"])
    low = shift[shift["position"] == 0.1]["mean"]
    assert table.loc[("low", "mean"), "estimate"] == pytest.approx(low.mean())
    assert np.isnan(table.loc[("low", "mean"), "low"]) and table.loc[("low", "mean"), "n"] == 4


def test_released_gain_is_where_labels_are_flipped():
    table = gains.released_gains().set_index(["experiment", "flipped"])
    assert table["estimate"].round(3).to_dict() == {
        ("inclusive_all", "all"): 0.039, ("inclusive_all", "yes"): 0.044,
        ("inclusive_all", "no"): 0.003, ("exclusive_all", "all"): 0.038,
        ("exclusive_all", "yes"): 0.044, ("exclusive_all", "no"): 0.0,
    }
    assert table.loc["inclusive_all", "n"].to_dict() == {"all": 55, "yes": 48, "no": 7}
    both = table.loc[("inclusive_all", "yes")]
    assert (both["low"], both["high"]) == pytest.approx((0.032, 0.057), abs=2e-3)
    assert both["low"] > table.loc[("inclusive_all", "no"), "high"]


def test_changes_are_taken_within_a_seed():
    """The second seed of the own model is worthless; the experiment was run with the first only."""
    truth = {"A": np.array([0, 0, 1, 1])}
    right, wrong = [1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]
    scores = {("deepchrome", "A"): np.array([right, wrong]),
              ("exclusive_all", "A"): np.array([right]),
              ("inclusive_all", "A"): np.array([right, right])}
    change = gains.changes(scores, truth).set_index("experiment")["change"]
    assert change.to_dict() == {"exclusive_all": 0.0, "inclusive_all": 0.5}
    level = gains.levels(scores, truth).set_index("experiment")["estimate"]
    assert level.to_dict() == {"deepchrome": 0.5, "exclusive_all": 1.0, "inclusive_all": 1.0}


def test_relabelled_gain_is_paired_by_cell_type():
    numeric = pd.DataFrame({"experiment": "inclusive_all", "cell": list("ABCDE"),
                            "change": [0.0, 0.1, 0.2, 0.3, 0.4]})
    text = numeric.assign(change=numeric["change"] + 0.05).sample(frac=1, random_state=0)
    table = gains.relabelled({"numeric": numeric, "lexicographic": text}).set_index("trained_on")
    assert table["estimate"].to_dict() == pytest.approx(
        {"numeric": 0.2, "lexicographic": 0.25, "difference": 0.05})
    assert table.loc["difference", "high"] - table.loc["difference", "low"] < 1e-9
    few = gains.relabelled({"numeric": numeric[:3], "lexicographic": text}).iloc[0]
    assert few["n"] == 3 and np.isnan(few["low"])


def test_label_cost_follows_planted_flips():
    cells = list("ABCDEF")
    flips = pd.Series(np.arange(6) / 20, index=cells)
    numeric = pd.DataFrame(0.9, index=cells, columns=cells)
    cost, link = gains.label_cost(numeric, numeric.sub(flips / 2, axis=0), flips, n_resamples=20)
    assert cost["cost"].tolist() == pytest.approx((flips / 2).tolist())
    assert link["estimate"] == pytest.approx(1) and link["n"] == 6


def test_expression_elsewhere_ranks_genes_by_the_other_cells():
    rng = np.random.default_rng(0)
    ids = np.array([f"g{number}" for number in range(200)])
    level = rng.normal(size=200)
    table = pd.DataFrame({cell: level + 0.01 * rng.normal(size=200) for cell in "ABCDE"}, index=ids)
    truth = {cell: (table[cell] > 0).to_numpy().astype(int) for cell in table}
    table["A"] = rng.permutation(table["A"])  # its own column is never read
    genes = dict.fromkeys("A", ids)
    guess = {"own": {"A": rng.random((1, 200))}}
    levels, gaps = other_cell_types.compare_predictors(genes, {"A": truth["A"]}, guess, table,
                                              n_resamples=20)
    found = levels.query("cell == 'A' and genes == 'all'").set_index("predictor")["estimate"]
    assert found["expression_elsewhere"] > 0.99 > found["own"] + 0.3
    assert gaps["estimate"].iloc[0] == pytest.approx(found["own"] - found["expression_elsewhere"])


def test_published_drivers_of_transfer():
    drivers, scores = worlds.published_drivers(), worlds.published_transfer()
    table = worlds.driver_table(drivers, scores, n_resamples=20, n_permutations=20)
    table = table.set_index("driver")
    assert table["estimate"].round(2).drop("log_correlation").to_dict() == {
        "released_correlation": 0.10, "aligned_correlation": -0.02, "label_flips": 0.74,
        "median": 0.74, "positives": 0.73,
    }
    assert table.loc["label_flips", "positive"] == 55


def test_the_released_change_of_a_pair_is_against_the_own_model():
    scores = worlds.published_transfer()
    table = pairs.pair_table(published.rpkm_correlation("released"), scores)
    assert len(table) == 55 * 54 and table.notna().all(axis=None)
    own = published.released_results().query("experiment == 'deepchrome' and cell == 'E004'")
    row = table.query("train_cell == 'E003' and test_cell == 'E004'").iloc[0]
    assert row["change"] == pytest.approx(0.783108 - own["test_auroc"].iloc[0])


def test_worlds_differ_by_their_rule_only():
    shared = worlds.simulated_world(6, 300, 1, True)
    specific = worlds.simulated_world(6, 300, 1, False, 1.0)
    for name in shared.drivers:
        pd.testing.assert_frame_equal(shared.drivers[name], specific.drivers[name])
    off = ~np.eye(6, dtype=bool)
    loss = [
        np.diag(world.transfer["numeric"]).mean() - world.transfer["numeric"].to_numpy()[off].mean()
        for world in (shared, specific)
    ]
    assert loss[1] > loss[0] + 0.05
    assert list(shared.transfer) == ["numeric", "lexicographic"]


def test_ranked_totals_ignore_the_scale_of_a_mark():
    cell = planted("A")
    first = ranked_totals(cell)
    scaled = replace(cell, counts=cell.counts * np.uint16(3))
    np.testing.assert_array_equal(first, ranked_totals(scaled))
    totals = cell.counts.sum(1)[:, 0]
    train = totals[cell.split == "train"]
    assert first[7, 0] == (train < totals[7]).mean()


def test_transfer_of_mark_totals_by_hand():
    cells = {name: planted(name, seed=number) for number, name in enumerate("AB")}
    marks = cells["A"].marks
    assert totals_of(cells, marks[:1]).features["A"].shape[1] == 1 < len(marks)
    models = totals_of(cells)
    matrix = models.transfer("numeric")
    train = cells["A"].split == "train"
    by_hand = LogisticRegression(C=100.0, max_iter=1000).fit(
        ranked_totals(cells["A"])[train], label(cells["A"])[train])
    test = cells["B"].split == "test"
    score = by_hand.decision_function(ranked_totals(cells["B"])[test])
    truth = label(cells["B"])[test]
    expected = (score[truth == 1][:, None] > score[truth == 0]).mean()
    assert matrix.loc["A", "B"] == pytest.approx(expected)
    table = pd.DataFrame(1.0, index=list("AB"), columns=list("AB"))
    scores = models.experiments(table, "numeric", ["deepchrome", "exclusive_all"])
    np.testing.assert_array_equal(scores["exclusive_all", "B"][0], score)


def test_experiment_table_by_hand(home, records):
    table = results.experiment_table(records, CORRELATION).set_index(["experiment", "cell"])
    row = table.loc["exclusive_somewhat", "A"]
    test = open_cell("A", home).take("test")
    auroc = records["exclusive_somewhat", "A"].test_auroc(label(test))
    assert row["auroc"] == auroc and row["genes"] == 200 and row["cells"] == 2
    assert row["correlation"] == pytest.approx(0.7) and not row["own"]
    own = records["deepchrome", "A"].test_auroc(label(test))
    assert row["change"] == pytest.approx(auroc - own)
    assert table.loc["deepchrome", "A"]["change"] == 0


def test_against_baseline_pairs_the_same_cells(records):
    table = results.against_baseline(records, n_resamples=50).set_index("experiment")
    assert "deepchrome" not in table.index
    highly = table.loc["inclusive_highly"]
    assert highly["n"] == 2  # C and D train on themselves alone: their own model
    means = results.experiment_means(records, n_resamples=50).set_index("experiment")
    both = results.experiment_table(records, CORRELATION)
    change = both[both["experiment"] == "inclusive_all"]["change"].mean()
    assert table.loc["inclusive_all", "estimate"] == pytest.approx(change)
    assert means.loc["inclusive_all", "n"] == 4
    assert (table["holm"] >= table["pvalue"]).all()
