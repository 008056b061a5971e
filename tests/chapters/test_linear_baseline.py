"""The linear baseline's cross-checks against known answers."""

import numpy as np
import pandas as pd
import pytest
from dc2book import linear_baseline as baseline
from sklearn.linear_model import LogisticRegression
from test_linear import planted

from dc2lib.labels import label
from dc2lib.training.fit import Recipe
from dc2lib.training.linear import fit_linear, mark_means


def test_log_mean_counts_by_hand():
    counts = np.array([[[0, 1], [2, 5]]], dtype=np.uint16)
    np.testing.assert_allclose(baseline.log_mean_counts(counts), np.log([[1.01, 3.01]]), rtol=1e-6)


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


def test_signs_count_whole_intervals():
    weights = pd.DataFrame(
        {
            "cell": ["A", "B", "A", "B"],
            "labels": "numeric",
            "class": "high",
            "mark": ["H3K4me3", "H3K4me3", "H3K27me3", "H3K27me3"],
            "low": [0.5, -0.1, 0.2, -0.8],
            "high": [1.5, 0.3, 0.8, -0.2],
        }
    )
    text = baseline.sign_agreement(weights)["numeric"]
    assert "H3K4me3 points to high expression in 1 of 2" in text
    assert "H3K27me3 points to low expression in 1 of 2 and against it in 1" in text


def test_the_lead_of_one_way_of_averaging_is_paired():
    datasets = {"A": planted("A", n=300)}
    same = baseline.feature_lead(datasets, "mean count", "mean count")["A"]
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    table = baseline.feature_table(datasets).query("labels == 'numeric' and cell == 'A'")
    aurocs = table.set_index("features")["estimate"]
    lead = baseline.feature_lead(datasets, "log of mean count", "mean count")["A"]
    assert lead.estimate == pytest.approx(aurocs["log of mean count"] - aurocs["mean count"])


def faint(cell, seed):
    """Genes of which every second has the marks of the next one."""
    dataset = planted(cell, n=300, seed=seed)
    counts = dataset.counts.copy()
    counts[::2] = counts[1::2]
    return type(dataset)(**{**vars(dataset), "counts": counts})


def test_the_mean_over_cell_types_stands_beside_them():
    datasets = {name: faint(name, seed) for seed, name in enumerate("AB")}
    table = baseline.feature_table(datasets).set_index(["features", "labels", "cell"]).sort_index()
    a, b, mean = (table.loc[("mean count", "numeric", cell)] for cell in ("A", "B", baseline.MEAN))
    assert a.estimate != b.estimate
    assert mean.estimate == pytest.approx((a.estimate + b.estimate) / 2)
    assert mean.low < mean.estimate < mean.high
    assert a.n == mean.n == len(datasets["A"].take("test"))


def test_gradient_descent_reaches_logistic_regression():
    datasets = {"A": planted("A", n=600)}
    recipe = Recipe("log1p", "adam", 0.1, epochs=30, patience=30)
    fits = {("tuned", "numeric"): fit_linear(list(datasets.values()), recipe=recipe, seeds=(0, 1))}
    table = baseline.against_logistic_regression(datasets, fits)
    one = table.loc[0]
    assert table["cell"].tolist() == ["A", baseline.MEAN]
    assert abs(one["estimate"]) < 0.02
    assert one["low"] <= one["estimate"] <= one["high"]
    numbers = ["estimate", "low", "high", "gradient descent", "logistic regression"]
    assert (one[numbers] == table.loc[1, numbers]).all()
    shown = one["gradient descent"] - one["logistic regression"]
    assert one["estimate"] == pytest.approx(shown)
    best = baseline.best_restart_table(datasets, fits).set_index(["scoring", "cell"])
    assert best.loc[("probability", "A"), "estimate"] == pytest.approx(one["gradient descent"])
    restarts = baseline.restart_table(datasets, fits)
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
    assert (numeric["boosting"] > 0.95).all()
    assert numeric["linear"].max() < 0.75
    assert (numeric["low"] > 0).all()
    assert set(numeric["verdict"]) == {"better"}
