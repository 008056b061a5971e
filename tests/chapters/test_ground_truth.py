"""Replicates of planted worlds, their tables and figures, at a size for tests."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from dc2book.ground_truth import measured, null_calibration, tables
from dc2book.ground_truth.attributions import Attribution
from dc2book.ground_truth.methods import METHODS, Effort, Generated, attribute
from dc2book.ground_truth.recovery import recovery
from dc2book.ground_truth.replicates import (
    Plan,
    linear_scores,
    permuted,
    replicate_path,
    run_plans,
    wider_bins,
)
from dc2book.ground_truth.worlds import RULES, drawn_marks, planted_world, truth_of

from dc2lib.datasets import MARKS
from dc2lib.datasets.simulated import simulate
from dc2lib.datasets.store import write_cell
from dc2lib.evaluation.scores import auroc
from dc2lib.models.deepchrome import build

EFFORT = Effort(n_genes=40, ig_steps=4, window=20, starts=2, deepchrome_steps=10, steps=5, keep=20)
CELL = "S001"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicates")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DC2LIB_DATA", str(folder))
        yield folder


@pytest.fixture(scope="module")
def dataset(home):
    made = simulate(1, 1500, 3).datasets[CELL]
    write_cell(made, home)
    return made


@pytest.fixture(scope="module")
def plan(home, dataset):
    return Plan(
        "one_mark", CELL, str(home), n_genes=900, signal=1.0, epochs=4, attentive_epochs=0,
        gan_steps=4, likelihood_epochs=1, n_pool=200, effort=EFFORT,
    )


@pytest.fixture(scope="module")
def studied(plan):
    null = replace(plan, rule="null", epochs=1, n_genes=300)
    plans = {
        "one_mark": [plan],
        "untrained": [replace(plan, training="none")],
        "permuted": [replace(null, seed=100 + i, training="permuted") for i in range(6)],
        "null": [replace(null, seed=200 + i) for i in range(3)],
    }
    return {name: run_plans(ones) for name, ones in plans.items()}


def test_right_methods_find_the_planted_mark_and_a_random_attribution_does_not(studied):
    found = studied["one_mark"][0]
    assert auroc(found.labels, found.scores["deepchrome_max"]) > 0.9
    assert auroc(found.labels, found.scores["linear"]) > 0.9
    for method in ("saliency", "mark_ablation"):
        assert recovery(found.attributions[method], found.truth) == {"marks": 1.0, "sign": 1.0}
    rng = np.random.default_rng(0)
    blind = [Attribution(rng.random(5), rng.standard_normal((5, 100))) for _ in range(20)]
    assert np.mean([recovery(one, found.truth)["marks"] for one in blind]) < 0.8


def test_a_method_that_always_names_one_mark_is_at_chance():
    """Untrained networks show the mark that varies most; that must not be worth a point."""
    names_h3k4me3 = Attribution(np.array([0.1, 0.2, 0.3, 9.0, 0.4]), direction=np.ones(5))
    for rule in RULES:
        scores = [
            recovery(names_h3k4me3, truth_of(rule, drawn_marks(seed, 5))) for seed in range(400)
        ]
        assert np.mean([one["marks"] for one in scores]) == pytest.approx(0.5, abs=0.06)
    assert [drawn_marks(seed, 5)[0] for seed in range(5)] != list(range(5))
    for start in (0, 5, 10):
        assert {drawn_marks(start + i, 5)[0] for i in range(5)} == set(range(5))


def test_worlds_keep_the_measured_signals(dataset):
    one, other = (planted_world(dataset, rule, 3, 600, 1.0) for rule in ("one_mark", "two_groups"))
    np.testing.assert_array_equal(one.counts, other.counts)
    total = np.log1p(one.counts.sum(1))
    measured_total = np.log1p(dataset.counts.sum(1))
    np.testing.assert_allclose(np.corrcoef(total.T), np.corrcoef(measured_total.T), atol=0.15)
    assert one.label.mean() == pytest.approx(0.5, abs=0.01)
    assert [(one.split == name).sum() for name in ("train", "valid", "test")] == [300, 120, 180]


def test_the_planted_mark_tells_the_labels_as_strongly_as_asked(dataset):
    for signal, low, high in ((1.0, 0.99, 1.0), (0.3, 0.53, 0.67), (0.0, 0.45, 0.55)):
        aurocs = []
        for seed in range(4):
            world = planted_world(dataset, "one_mark", seed, 1400, signal)
            mark = int(np.flatnonzero(world.truth.matters)[0])
            score = world.truth.sign[mark] * world.counts[:, :, mark].sum(1, dtype=float)
            aurocs.append(auroc(world.label, score))
        assert low <= np.mean(aurocs) <= high
    assert planted_world(dataset, "null", 0, 200, 1.0).truth is None


def test_a_trained_attribution_is_larger_than_one_of_permuted_labels(studied):
    limits = null_calibration.calibrate_thresholds(studied["permuted"], level=0.4)
    null = null_calibration.findings({"null": studied["null"]}, limits)
    planted = null_calibration.findings({"one_mark": studied["one_mark"]}, limits).set_index(
        ["method", "statistic"]
    )
    assert (null["low"] <= 0.4).all()
    assert set(null["n"]) == {3}
    for method in ("saliency", "mark_ablation"):
        assert planted.loc[(method, "size"), "estimate"] == 1.0


def test_replicates_are_kept_and_the_same_again(studied, plan, home, tmp_path, monkeypatch):
    stored = sorted((home / "replicates").glob("*.npz"))
    times = [path.stat().st_mtime_ns for path in stored]
    again = run_plans([plan])[0]
    assert [path.stat().st_mtime_ns for path in stored] == times
    monkeypatch.setenv("DC2LIB_DATA", str(tmp_path))
    anew = run_plans([plan])[0]
    first = studied["one_mark"][0]
    for method, one in first.attributions.items():
        for other in (again, anew):
            np.testing.assert_array_equal(one.strength, other.attributions[method].strength)
    assert list(first.attributions) == [m for m in METHODS if m != "attention"]
    assert len(list((home / "histone_likelihoods").glob("*.pt"))) == 1
    assert replicate_path(plan) != replicate_path(replace(plan, seed=1))


@pytest.mark.parametrize("n_marks", [3, 5])
def test_each_probe_shows_what_its_own_signals_couple(n_marks):
    """A classifier of the first mark; signals of one source have another mark that goes along."""
    rng = np.random.default_rng(0)
    sources = rng.poisson(2.0, (3, 300, n_marks, 1)) * np.ones(100)
    for mark in (1, 2):
        sources[mark, :, mark] = sources[mark, :, 0]
    gan, likelihood, real = np.log1p(sources).astype(np.float32)
    classifier = build("linear", n_marks, seed=0).eval()
    with torch.no_grad():
        classifier.output.weight.zero_()[1, 0] = 1.0
    generated = Generated(gan, likelihood, real, lambda signals: signals.mean((1, 2)))
    found = attribute(classifier, real, generated, MARKS[:n_marks], effort=EFFORT)
    shown = {"gan_probe": {0}, "likelihood_probe": {0, 1}, "real_favourites": {0, 2}}
    for method, marks in shown.items():
        assert found[method].evidence.shape == (n_marks, 100)
        assert set(np.flatnonzero(found[method].strength > 1)) == marks


def test_permuted_labels_stay_in_their_split():
    split = np.repeat(["train", "valid", "test"], (50, 20, 30))
    labels = (np.arange(100) % 3 == 0).astype(np.int8)
    other = permuted(labels, split, 0)
    assert (other != labels).any()
    for name in set(split):
        assert other[split == name].sum() == labels[split == name].sum()
    np.testing.assert_array_equal(other, permuted(labels, split, 0))


def test_linear_model_cannot_see_positions(dataset):
    for rule, low, high in (("one_mark", 0.95, 1.0), ("position", 0.35, 0.65)):
        world = planted_world(dataset, rule, 1, 1400, 1.0)
        scores = linear_scores(world.counts, world.label, world.split)
        assert low <= auroc(world.label[world.split == "test"], scores) <= high


def test_wider_bins_by_hand():
    counts = np.arange(8, dtype=np.uint16).reshape(1, 8, 1)
    assert wider_bins(counts, 4)[0, :, 0].tolist() == [0.5, 2.5, 4.5, 6.5]


def test_ranks_are_paired_by_world():
    def scores(good, bad):
        rows = [
            {"rule": "one_mark", "seed": seed, "method": method, "aspect": "marks", "value": value}
            for method, values in (("bad", bad), ("good", good))
            for seed, value in enumerate(values)
        ]
        return pd.DataFrame(rows)

    ranks = tables.ranking(scores((1.0, 0.6), (0.8, 0.4)), scores((0.5, 0.5), (0.7, 0.3)))
    by_quantity = dict(list(ranks.groupby("of")))
    assert by_quantity["score"]["method"].tolist() == ["good", "bad"]
    assert by_quantity["score"]["estimate"].tolist() == pytest.approx([0.8, 0.6])
    assert by_quantity["behind"]["estimate"].tolist() == pytest.approx([0.0, 0.2])
    assert by_quantity["behind"]["low"].iloc[1] == pytest.approx(0.2)  # the same in both worlds
    assert by_quantity["learned"]["estimate"].tolist() == pytest.approx([0.3, 0.1])
    other = pd.DataFrame([("good", "sign", 1.0)], columns=["method", "aspect", "estimate"])
    shown = tables.summary(ranks, other)
    assert shown.loc["good"].tolist()[::3] == ["0.80", "1.00"]
    assert shown.loc["bad", "sign"] == ""


def test_paired_difference_by_hand():
    table = pd.DataFrame(
        {"rule": "null", "seed": [0, 1, 0, 1], "model": ["a", "a", "b", "b"],
         "auroc": [0.6, 0.8, 0.5, 0.5]}
    )
    (gap,) = tables.model_differences(table, "a", "b").itertuples()
    half = 12.7062 * 0.1  # Student's t with one degree of freedom, standard error 0.1
    assert (gap.estimate, gap.n) == (pytest.approx(0.2), 2)
    assert (gap.low, gap.high) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-4)


def test_score_difference_by_hand():
    rows = [("marks", "a", 0, 1.0), ("marks", "a", 1, 1.0), ("marks", "b", 0, 1.0),
            ("marks", "b", 1, 0.0), ("sign", "a", 0, 0.0)]  # fmt: skip
    scores = pd.DataFrame(rows, columns=["aspect", "method", "seed", "value"]).assign(rule="null")
    (gap,) = tables.score_differences(scores, ["a"], "b").itertuples()
    assert (gap.estimate, gap.n) == (0.5, 2)  # marks only: 1 - 1 and 1 - 0


def test_a_measured_cell(dataset, plan):
    found = measured.attributions_of_cell(
        dataset, replace(plan, attentive_epochs=1), (0, 1), epochs=1, n_train=100)
    assert list(found) == ["seed 0", "seed 1", measured.UNTRAINED]
    assert list(found["seed 0"]) == list(METHODS)
    shares = measured.signed_shares(found["seed 0"], MARKS)
    np.testing.assert_allclose(shares.abs().sum(axis=1), 1.0)
    assert (shares.loc["attention"] >= 0).all()
    together = measured.agreement(found["seed 0"])
    assert "mark_ablation" not in together
    np.testing.assert_allclose(np.diag(together), 1.0)
    assert measured.label_direction(dataset)[MARKS.index("H3K4me3")] == 1
