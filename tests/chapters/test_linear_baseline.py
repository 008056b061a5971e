"""The linear baseline's cross-checks against known answers."""

import numpy as np
import pandas as pd
import pytest
from dc2book import linear_baseline as baseline
from dc2book.architectures import TrainingBudget, linear_rows
from sklearn.linear_model import LogisticRegression
from test_linear import planted

from dc2lib.labels import label
from dc2lib.training.linear import mark_means


def test_the_optimum_is_scikit_learns():
    dataset = planted("A", n=500).take("train")
    features, truth = mark_means(dataset.counts, "log1p").astype(float), label(dataset)
    ours = baseline._logistic_optimum(features, truth, np.ones(len(truth)))
    library = LogisticRegression(C=1e3, tol=1e-8, max_iter=5000).fit(features, truth)
    np.testing.assert_allclose(ours, np.r_[library.coef_[0], library.intercept_], atol=0.02)


def test_bootstrap_weights_mirror_and_enclose_the_estimate():
    weights = baseline.bootstrap_weights({"A": planted("A", n=500)}, n_resamples=40)
    numeric = weights[weights["labels"] == "numeric"].set_index(["class", "mark"])
    high, low = numeric.loc["high"], numeric.loc["low"]
    np.testing.assert_allclose(high["estimate"], -low["estimate"])
    np.testing.assert_allclose(high["low"], -low["high"])
    assert (high["low"] <= high["estimate"]).all() and (high["estimate"] <= high["high"]).all()
    assert high.loc[["H3K36me3", "H3K4me3"], "low"].min() > 0


def test_signs_count_whole_intervals_of_each_mark():
    weights = pd.DataFrame(
        {
            "cell": ["A", "B", "A", "B", baseline.MEAN],
            "labels": "numeric",
            "class": "high",
            "mark": ["H3K4me3", "H3K4me3", "H3K27me3", "H3K27me3", "H3K4me3"],
            "low": [0.5, -0.1, 0.2, -0.8, 1.0],
            "high": [1.5, 0.3, 0.8, -0.2, 2.0],
        }
    )
    counts = baseline.sign_counts(weights).set_index("mark")
    assert counts.loc["H3K4me3", ["above", "below", "n"]].tolist() == [1, 0, 2]
    assert counts.loc["H3K27me3", ["above", "below", "n"]].tolist() == [1, 1, 2]


def test_restarts_spread_as_far_as_in_the_worst_cell_type():
    restarts = pd.DataFrame({
        "labels": "numeric", "scoring": "probability", "cell": list("AABB"),
        "auroc": [0.8, 0.9, 0.7, 0.72],
    })
    (one,) = baseline.spread_of_restarts(restarts).to_dict("records")
    assert one["estimate"] == pytest.approx(0.1) and one["n"] == 2


def test_cell_types_are_the_unit_of_means_over_many():
    cells = pd.DataFrame({"estimate": np.arange(6.0), "low": -100.0, "high": 100.0})
    many, few = baseline.mean_over_cells(cells), baseline.mean_over_cells(cells[:2])
    assert (many.estimate, many.n) == (2.5, 6) and 0 < many.low < 2.5 < many.high < 5
    assert (few.estimate, few.low, few.high, few.n) == (0.5, -100, 100, 2)


def test_mean_weights_stand_beside_the_cell_types():
    cells = {name: planted(name, n=400, seed=seed) for seed, name in enumerate("AB")}
    weights = baseline.bootstrap_weights(cells, n_resamples=20).query("labels == 'numeric'")
    table = weights[weights["class"] == "high"].set_index(["cell", "mark"])["estimate"]
    mean = (table["A", "H3K4me3"] + table["B", "H3K4me3"]) / 2
    assert table[baseline.MEAN, "H3K4me3"] == pytest.approx(mean)


def test_the_lead_of_one_way_of_averaging_is_paired():
    datasets = {"A": planted("A", n=300)}
    same = baseline.feature_lead(datasets, "mean count", "mean count")
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    table = baseline.feature_table(datasets).query("labels == 'numeric' and cell == 'A'")
    aurocs = table.set_index("features")["estimate"]
    lead = baseline.feature_lead(datasets, "log of mean count", "mean count")
    assert lead.estimate == pytest.approx(aurocs["log of mean count"] - aurocs["mean count"])


def test_gradient_descent_reaches_logistic_regression():
    datasets = {"A": planted("A", n=600)}
    budget = TrainingBudget(tuned_epochs=30, restarts=2)
    trained = pd.DataFrame(linear_rows(datasets, budget, "tuned", "genome", 0))
    trained = trained[trained["labels"] == "numeric"]
    table = baseline.against_logistic_regression(trained)
    one = table.loc[0]
    assert table["cell"].tolist() == ["A", baseline.MEAN]
    assert abs(one["estimate"]) < 0.02
    assert one["low"] <= one["estimate"] <= one["high"]
    numbers = ["estimate", "low", "high", "gradient descent", "logistic regression"]
    assert (one[numbers] == table.loc[1, numbers]).all()
    shown = one["gradient descent"] - one["logistic regression"]
    assert one["estimate"] == pytest.approx(shown)
    best = baseline.best_restart_table(trained).set_index(["scoring", "cell"])
    assert best.loc[("probability", "A"), "estimate"] == pytest.approx(one["gradient descent"])
    restarts = baseline.restart_table(trained)
    assert len(restarts) == 4 and restarts["chosen"].sum() == 2


def test_boosting_finds_what_the_means_hide():
    rng = np.random.default_rng(0)
    dataset = planted("A", n=900)
    counts = dataset.counts.copy()
    high = label(dataset) == 1
    counts[:] = rng.poisson(1.0, counts.shape)
    counts[high, :20, 3] += 2
    counts[~high, -20:, 3] += 2
    turned = type(dataset)(**{**vars(dataset), "counts": counts, "strand": np.full(900, "+")})
    gains = baseline.boosting_gain({"A": turned}, n_resamples=50)
    numeric = gains[gains["labels"] == "numeric"]
    assert (numeric["estimate"] > 0.2).all() and (numeric["low"] > 0).all()
    assert numeric["cell"].tolist() == ["A", baseline.MEAN] * 2
    assert set(numeric["verdict"]) == {"better"}


def test_log_mean_counts_by_hand():
    counts = np.array([[[0, 1], [2, 5]]], dtype=np.uint16)
    np.testing.assert_allclose(baseline.log_mean_counts(counts), np.log([[1.01, 3.01]]), rtol=1e-6)
