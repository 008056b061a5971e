"""Steps and figures of the GAN probe chapter: collapse is caught, planted effects are found."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dc2book.gan_probe import figures as gan_plots
from dc2book.gan_probe import study as histone_probe

from dc2lib.models.gan import counts_to_signals
from dc2lib.probing import ProbeResult, Samples

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
    good, collapsed = (
        table[table["against"] == "generated"].set_index(["key", "on"])["estimate"]
        for table in (good, collapsed))
    far = "frechet_distance", "features"
    assert collapsed[far] > 5 * good[far]
    assert good["two_sample_accuracy", "features"] < 0.6
    assert collapsed["two_sample_accuracy", "features"] > 0.8
    assert good["memorised_share", "features"] < 0.15
    assert set(good.index) == set(histone_probe.MEASURES)


def test_copied_training_signals_count_as_memorised():
    train, valid = toy_signals(200, 0), toy_signals(200, 1)
    report = histone_probe.quality_report(train, valid, train, own_features, size=150)
    copied = report.set_index(["key", "against"])["estimate"]
    assert copied["memorised_share", "generated"] == 1
    shown = histone_probe.quality_layout(report.assign(text="x"))
    assert shown["measure"].tolist() == list(histone_probe.MEASURES.values())


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


def test_marks_that_vary_and_marks_that_do_not():
    signals = counts_to_signals(np.array([[[0, 3], [0, 3]], [[2, 3], [2, 3]]]))
    assert histone_probe.mark_correlations(signals)[0].round(9).tolist() == [1, 0]


def kept(reads):
    """Three signals of two marks with so many reads in every bin."""
    samples = counts_to_signals(np.tile(np.array(reads), (3, 4, 1)))
    return Samples(np.arange(3), np.array([3.0, 2.0, 1.0]), samples)


def probe_of(low, high):
    return ProbeResult(3, 1, (), top=[kept(low), kept(high)])


def test_a_mark_agrees_with_the_paper_where_it_is_higher_in_the_right_class():
    probes = {
        ("numeric", 0, 0): probe_of(low=[8, 1], high=[1, 8]),
        ("numeric", 0, 1): probe_of(low=[8, 8], high=[1, 1]),
    }
    usual = {0: kept([2, 2]).samples}
    found = histone_probe.activations(probes, usual, MARKS)
    agrees = histone_probe.agrees_with_paper(found).loc["numeric"]
    assert agrees.to_dict() == {"H3K4me3": 0.5, "H3K27me3": 1.0}
    table = histone_probe.over_seeds(found).set_index(["key", "class", "mark"])
    fold = table.loc[("mark_activation", "high", "H3K4me3")]
    assert fold["low"] == pytest.approx(np.log2(1.01 / 2.01))
    assert fold["high"] == pytest.approx(np.log2(8.01 / 2.01))
    assert fold["n"] == 2
    least = histone_probe.least_probability({"numeric": probes["numeric", 0, 0]})
    assert least["estimate"].tolist() == pytest.approx([1 / (1 + np.exp(-1))] * 2)


def test_favourites_are_compared_by_profile_and_by_what_they_reach():
    top = {("numeric", "high"): {"real": kept([1, 8]), "generated": kept([2, 7])}}
    found = histone_probe.compare_favourites(top, largest=np.log1p(8.0))
    values = found.set_index(["key", "input"])["estimate"]
    assert values["share_at_largest_count", "real"] == 1
    assert values["share_at_largest_count", "generated"] == 0
    assert found.loc[found["key"] == "profile_correlation", "estimate"].item() > 0.99
    assert "diversity, generated" in histone_probe.favourites_table(found)


def test_means_stand_beside_the_paper_and_their_distance_from_real_is_known():
    chances = {("numeric", name): np.full(50, value) + np.linspace(0, 0.01, 50)
               for name, value in (("real", 0.5), ("generated", 0.52), ("random", 0.1))}
    means = histone_probe.mean_table(chances)
    apart = histone_probe.distance_from_real(means).loc["numeric"]
    assert apart[["generated", "random"]].tolist() == pytest.approx([0.02, 0.4])
    gaps = histone_probe.largest_gaps(chances).set_index("input")["estimate"]
    assert gaps.to_dict() == {"generated": 1.0, "random": 1.0}
    shown = histone_probe.beside_the_paper(means.assign(text=""))
    assert shown["paper"].tolist() == ["0.30", "0.31", "0.19"]


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
    activation = pd.DataFrame(
        [{"labels": "numeric", "class": c, "mark": m, "key": key,
          "estimate": 0.5, "low": 0.4, "high": 0.6}
         for c in ("high", "low") for m in MARKS for key in gan_plots.NORMALISED]
    )
    figures = [
        gan_plots.signal_profiles(sets, MARKS),
        gan_plots.probability_curves({"numeric": {"real": np.linspace(0, 1, 9)}}),
        gan_plots.mark_activation(activation, MARKS),
        gan_plots.top_profiles({"high": sets, "low": sets}, MARKS),
    ]
    for figure in figures:
        figure.canvas.draw()
    plt.close("all")
