"""Steps and figures of the GAN probe chapter: collapse is caught, planted effects are found."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from dc2book.gan_probe import favourites, quality
from dc2book.gan_probe import study as histone_probe
from test_histone_gan import own_features, toy_signals
from torch import nn

from dc2lib.datasets import HistoneDataset
from dc2lib.errors import DataError
from dc2lib.models.gan import counts_to_signals
from dc2lib.models.networks import initial_weights
from dc2lib.probing import ProbeResult, Samples, monte_carlo_probe

MARKS = ("H3K27me3", "H3K4me3")


def report_on(train, valid, made, size):
    report = quality.quality_report(train, valid, {"made": made}, own_features, size=size)
    return report, report.set_index(["against", "key", "on"])["estimate"]["generated"]


def test_a_collapsed_and_a_copying_generator_are_caught_and_fresh_data_are_not():
    train, valid, fresh = (toy_signals(400, seed) for seed in range(3))
    report, good = report_on(train, valid, fresh, 300)
    assert not quality.has_collapsed(report)
    collapsed_report, collapsed = report_on(train, valid, np.repeat(fresh[:1], 300, axis=0), 300)
    assert quality.has_collapsed(collapsed_report)
    far = "frechet_distance", "features"
    assert collapsed[far] > 5 * good[far]
    for judge in ("features", "bins", "raw", "convolutions"):
        assert good["two_sample_accuracy", judge] < 0.62 < collapsed["two_sample_accuracy", judge]
    told = [quality.told_by_trees(train, part, size=300).estimate
            for part in (fresh, np.repeat(fresh[:1], 300, axis=0))]
    assert told[0] < 0.62 < told[1]
    _, copied = report_on(train, valid, train, 300)
    assert good["memorised_share", "features"] < 0.15
    assert copied["memorised_share", "features"] == 1
    assert set(good.index) == set(quality.MEASURES)
    shown = quality.quality_layout(report.assign(text="x", model="histone_gan"))
    assert shown.columns.tolist() == ["measure", "GAN", "measured genes"]


def test_a_peak_stays_one_height_in_whole_steps(tmp_path, monkeypatch):
    monkeypatch.setenv("DC2LIB_DATA", str(tmp_path))
    signal = np.zeros((40, 10, 2))
    signal[:, 2:7, 0] = np.linspace(1.5, 64, 40)[:, None]
    cell = HistoneDataset.from_arrays(
        signal, [f"g{i}" for i in range(40)], "mine", ["train"] * 39 + ["test"], marks=MARKS,
        unit="peak signal", strand=["+", "-"] * 20, source="peaks")
    stepped, home = histone_probe.in_whole_steps(cell, tmp_path)
    peaks = np.asarray(stepped.counts)[:, 2:7, 0]
    assert home != tmp_path and stepped.unit == "peak signal"
    assert (peaks == peaks[:, :1]).all() and (peaks == np.rint(peaks)).all()
    assert (np.diff(peaks[:, 0]) >= 0).all() and (peaks.min(), peaks.max()) == (1, 32)
    assert (np.asarray(stepped.counts)[signal == 0] == 0).all()
    reads = replace(cell, counts=signal.astype(np.uint16), unit="reads")
    assert histone_probe.in_whole_steps(reads, tmp_path) == (reads, tmp_path)
    with pytest.raises(DataError, match="unit"):
        histone_probe.gene_signals([stepped, reads], "train")


def test_no_judge_sees_which_program_took_the_logarithm():
    train, valid = (toy_signals(100, seed) for seed in range(2))
    counts = np.random.default_rng(5).poisson(8, size=(100, 8, 2))
    by_torch = counts_to_signals(counts)
    by_numpy = np.log1p(counts.astype(np.float32)).transpose(0, 2, 1)
    assert (by_torch != by_numpy).mean() > 0.01
    one, other = (quality.quality_report(train, valid, {"made": made}, own_features, size=100)
                  for made in (by_torch, by_numpy))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


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


def kept(reads):
    """Three signals of two marks with so many reads in every bin."""
    samples = counts_to_signals(np.tile(np.array(reads), (3, 4, 1)))
    return Samples(np.arange(3), np.array([3.0, 2.0, 1.0]), samples)


def probe_of(low, high):
    return ProbeResult(3, 1, (), top=[kept(low), kept(high)])


def test_a_mark_is_active_where_all_pairs_say_so_in_the_class_of_the_paper():
    probes = {
        ("histone_gan", "numeric", 0, 0): probe_of(low=[8, 1], high=[1, 8]),
        ("histone_likelihood", "numeric", 0, 1): probe_of(low=[8, 8], high=[1, 1]),
        ("measured_genes", "numeric", 0, 0): probe_of(low=[1, 1], high=[1, 8]),
    }
    usual = {(model, 0): kept([2, 2]).samples for model, *_ in probes}
    found = favourites.over_seeds(favourites.activations(probes, usual, MARKS))
    verdict = favourites.verdicts(found).set_index(["model", "mark", "class"])["verdict"]
    assert verdict[favourites.BOTH].to_dict() == {
        ("H3K4me3", "high"): "not determined", ("H3K27me3", "low"): "yes"}
    assert verdict["measured_genes"].to_dict() == {
        ("H3K4me3", "high"): "yes", ("H3K27me3", "low"): "no"}
    table = found.set_index(["key", "model", "class", "mark"])
    fold = table.loc[("mark_activation", favourites.BOTH, "high", "H3K4me3")]
    assert fold["low"] == pytest.approx(np.log2(1.01 / 2.01))
    assert fold["high"] == pytest.approx(np.log2(8.01 / 2.01))
    assert fold["n"] == 2


def test_a_mark_that_both_classes_favour_is_told_from_one_of_a_single_class():
    probes = {("histone_gan", "numeric", 0, 0): probe_of(low=[8, 1], high=[8, 8]),
              ("measured_genes", "numeric", 0, 0): probe_of(low=[1, 8], high=[8, 1])}
    usual = {(model, 0): kept([2, 2]).samples for model, *_ in probes}
    found = favourites.over_seeds(favourites.activations(probes, usual, MARKS))
    first = favourites.active_in_both(found, MARKS[0])
    assert first["histone_gan"] and not first["measured_genes"]


def reads_of_the_second_mark(signals):
    """Log odds of high: mean signal of the second mark beyond 2."""
    odds = signals[:, 1].mean(1) - 2
    return torch.stack([torch.zeros_like(odds), odds], 1)


def test_favourites_are_compared_with_those_of_measured_genes():
    genes = counts_to_signals(np.tile(np.arange(1, 101)[:, None, None], (1, 4, 2)))
    classifiers = {("numeric", 0): reads_of_the_second_mark}
    of_genes = favourites.favourites_of_genes(genes, classifiers, 3)
    best = of_genes["measured_genes", "numeric", 0, 0].top
    assert best[1].index.tolist() == [99, 98, 97] and best[0].index.tolist() == [0, 1, 2]
    top = {("numeric", "high"): {"measured_genes": best[1], "histone_gan": kept([1, 120]),
                                 "histone_likelihood": kept([1, 60])}}
    odds = histone_probe.classifier_log_odds(reads_of_the_second_mark, genes)
    found = favourites.compare_favourites(
        top, {"numeric": {"itself": (reads_of_the_second_mark, odds)}}, genes)
    value = found.set_index(["key", "model"])["estimate"]
    for key, expected in {"confirmed": (1 / 3, 1, 0), "outside_measured": (0, 1, 0),
                          "share_at_largest_count": (1 / 3, 1, 0)}.items():
        assert value[key].tolist() == pytest.approx(expected)
    shown = favourites.favourites_table(found)
    assert {"confirmed by itself", "outside measured"} < set(shown)


class Spread(nn.Module):
    """Noise as signals of two marks in two bins."""

    n_latent = 4

    def forward(self, noise):
        return noise.abs().view(-1, 2, 2)


def test_one_stream_serves_all_classifiers():
    with initial_weights(0):
        classifiers = {("numeric", n): nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
                       for n in range(2)}
    found = favourites.probe_all(("histone_gan", 3), Spread(), classifiers, 5000, 7, seed=1)
    for (rule, number), classifier in classifiers.items():
        alone = monte_carlo_probe(Spread(), classifier, 5000, 7, seed=1)
        shared = found["histone_gan", rule, 3, number]
        assert [one.index.tolist() for one in shared.top] == [
            one.index.tolist() for one in alone.top]
        assert shared.n == 5000 and shared.accepted.shape == (2, 0)


def test_effects_of_pairs_that_are_those_of_measured_genes_correlate():
    rng = np.random.default_rng(0)
    genes = rng.normal(size=(500, 3, 4)).astype(np.float32)

    def classifier(signals):
        means = signals.mean(2)
        odds = means[:, 0] * means[:, 2] - means[:, 0] * means[:, 1]
        return torch.stack([torch.zeros_like(odds), odds], 1)

    found = favourites.effects_alike(
        {"measured_genes": genes[:250], "made": genes[250:]}, classifier, "abc")
    assert found["made"] > 0.9


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
