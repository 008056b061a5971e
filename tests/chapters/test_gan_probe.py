"""Steps and figures of the GAN probe chapter: collapse is caught, planted effects are found."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dc2book.gan_probe import figures as gan_plots
from dc2book.gan_probe import study as histone_probe

from dc2lib.models.gan import counts_to_signals

MARKS = ("H3K27me3", "H3K4me3")


def toy_signals(n=300, seed=0):
    """Two marks in eight bins; reads of the second fall with those of the first."""
    rng = np.random.default_rng(seed)
    level = rng.gamma(2, 2, size=(n, 1, 1))
    counts = rng.poisson(np.concatenate([level, 8 / (1 + level)], axis=2), size=(n, 8, 2))
    return counts_to_signals(counts)


def own_features(signals):
    return np.concatenate([signals.mean(2), signals.std(2)], axis=1)


def test_a_collapsed_generator_is_caught_and_fresh_data_are_not():
    train, valid, fresh = (toy_signals(400, seed) for seed in range(3))
    good = histone_probe.quality_report(train, valid, fresh, own_features, size=300)
    one_gene = np.repeat(fresh[:1], 300, axis=0)
    collapsed = histone_probe.quality_report(
        train, valid, one_gene + 0.001 * toy_signals(300, 5), own_features, size=300
    )
    assert not histone_probe.has_collapsed(good)
    assert histone_probe.has_collapsed(collapsed)
    good, collapsed = (table.set_index("measure") for table in (good, collapsed))
    assert collapsed.loc["frechet_distance", "generated"] > 5 * good.loc[
        "frechet_distance", "generated"]
    assert good.loc["two_sample_accuracy", "generated"] < 0.6
    assert collapsed.loc["two_sample_accuracy", "generated"] > 0.8
    assert good.loc["memorised_share", "generated"] < 0.15


def test_copied_training_signals_count_as_memorised():
    train, valid = toy_signals(200, 0), toy_signals(200, 1)
    report = histone_probe.quality_report(train, valid, train, own_features, size=150)
    assert report.set_index("measure").loc["memorised_share", "generated"] == 1


@pytest.mark.parametrize("kind", histone_probe.RANDOM_INPUTS)
def test_random_inputs_have_the_shape_and_what_their_name_says(kind):
    signals = toy_signals()
    made = histone_probe.random_inputs(kind, 500, signals, seed=3)
    assert made.shape == (500, 2, 8)
    assert made.dtype == np.float32
    assert made.min() >= 0
    np.testing.assert_array_equal(made, histone_probe.random_inputs(kind, 500, signals, seed=3))
    if kind == "shuffled":
        np.testing.assert_allclose(made.mean((0, 2)), signals.mean((0, 2)), rtol=0.1)
    if kind == "poisson":
        counts = np.expm1(signals).mean((0, 2))
        np.testing.assert_allclose(np.expm1(made).mean((0, 2)), counts, rtol=0.1)


def test_statistics_of_marks_by_hand():
    signals = counts_to_signals(np.array([[[0, 3], [0, 3]], [[2, 3], [2, 3]]]))
    table = histone_probe.mark_statistics(signals, MARKS).set_index("mark")
    assert table["zeros"].tolist() == [0.5, 0]
    assert table["mean"].round(5).tolist() == [1, 3]
    assert table["spread"].round(5).tolist() == [round(np.log(3) / 2, 5), 0]
    assert table["neighbours"].round(5).tolist() == [1, 0]
    assert histone_probe.mark_correlations(signals)[0].round(9).tolist() == [1, 0]


def test_activation_by_hand():
    top = counts_to_signals(np.array([[[1, 3], [1, 3]]]))
    everything = counts_to_signals(np.array([[[1, 6], [1, 6]]]))
    np.testing.assert_allclose(histone_probe.activation(top), [0.25, 0.75], rtol=1e-6)
    np.testing.assert_allclose(
        histone_probe.enrichment(top, everything), [0, np.log2(3.01 / 6.01)], atol=1e-6
    )


def test_diversity_is_the_mean_distance_of_pairs():
    signals = np.zeros((3, 2, 2), np.float32)
    signals[1] = 1
    assert histone_probe.diversity(signals) == pytest.approx(4 / 3)


def test_a_planted_combination_is_found():
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(2000, 3, 4)).astype(np.float32)
    means = signals.mean(2, dtype=np.float64)
    means = (means - means.mean(0)) / means.std(0)
    odds = means @ [1, -2, 0.5] + 1.5 * means[:, 0] * means[:, 2] + rng.normal(size=2000) * 0.1
    table, explained = histone_probe.combination_effects(signals, odds, ("a", "b", "c"))
    assert table["pair"][0] == "a and c"
    assert table["effect"][0] == pytest.approx(1.5, abs=0.02)
    assert table["low"][0] < 1.5 < table["high"][0]
    assert explained["pairs"] > 0.99 > explained["single"]


def test_correlation_of_what_never_varies_is_0():
    assert histone_probe.correlation(np.ones((2, 2)), np.eye(2)) == 0
    assert histone_probe.correlation(2 * np.eye(2), np.eye(2)) == pytest.approx(1)


def test_best_and_worst_by_log_odds():
    signals = toy_signals(4)
    odds = np.array([0.3, -1, 2, 0.5])
    assert histone_probe.top_of(signals, odds, 2, "high").index.tolist() == [2, 3]
    assert histone_probe.top_of(signals, odds, 1, "low").index.tolist() == [1]


def test_figures_are_drawn():
    signals = toy_signals(20)
    sets = {"real": signals, "generated": signals}
    history = {"seed 0": {"step": [1, 2], "frechet_distance": [3.0, 2.0]}}
    activation = pd.DataFrame(
        [{"labels": "numeric", "class": c, "mark": m, "normalised": "share of reads",
          "value": 0.5, "low": 0.4, "high": 0.6} for c in ("high", "low") for m in MARKS]
    )
    figures = [
        gan_plots.gan_training({k: pd.DataFrame(v) for k, v in history.items()}, 0.5),
        gan_plots.signal_profiles(sets, MARKS),
        gan_plots.correlation_panels({"real": np.eye(2), "generated": np.eye(2)}, MARKS),
        gan_plots.probability_curves({"numeric": {"real": np.linspace(0, 1, 9)}}),
        gan_plots.mark_activation(activation, MARKS),
        gan_plots.top_profiles({"high": sets, "low": sets}, MARKS),
        gan_plots.example_signals({"real": signals[:2], "generated": signals[:2]}, MARKS),
    ]
    for figure in figures:
        figure.canvas.draw()
    plt.close("all")
