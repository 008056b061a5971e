"""Replicates of planted worlds, their tables and figures, at a size for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dc2book.ground_truth import figures, measured, null_calibration, tables
from dc2book.ground_truth import sentences as words
from dc2book.ground_truth.attributions import Attribution
from dc2book.ground_truth.methods import METHODS, Effort
from dc2book.ground_truth.recovery import recovery, truth_of
from dc2book.ground_truth.replicates import (
    Plan,
    Replicate,
    linear_scores,
    permuted,
    planted_world,
    population_kind,
    replicate_path,
    run_plans,
    wider_bins,
)

from dc2lib.datasets import MARKS
from dc2lib.datasets.store import write_cell
from dc2lib.evaluation.scores import auroc
from dc2lib.evaluation.statistics import Interval
from dc2lib.labels import label

EFFORT = Effort(n_genes=40, ig_steps=4, window=20, starts=2, deepchrome_steps=10, steps=5, keep=20)
PLAN = Plan(
    "one_mark", n_genes=700, epochs=3, attentive_epochs=0, gan_steps=4, n_pool=200, effort=EFFORT
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replicates")


@pytest.fixture(scope="module")
def studied(home: Path) -> dict[str, list[Replicate]]:
    null = replace(PLAN, rule="null", epochs=1, n_genes=300)
    plans = {
        "one_mark": [PLAN],
        "untrained": [replace(PLAN, training="none")],
        "permuted": [replace(null, seed=100 + i, training="permuted") for i in range(6)],
        "null": [replace(null, seed=200 + i) for i in range(3)],
    }
    return {name: run_plans(ones, workers=1, home=home) for name, ones in plans.items()}


def test_right_methods_find_one_mark_and_a_random_attribution_does_not(
    studied: dict[str, list[Replicate]],
) -> None:
    found = studied["one_mark"][0]
    truth = truth_of("one_mark", MARKS)
    assert auroc(found.labels, found.scores["deepchrome_max"]) > 0.9
    assert auroc(found.labels, found.scores["linear"]) > 0.95
    for method in ("saliency", "integrated_gradients", "window_ablation", "mark_ablation"):
        assert recovery(found.attributions[method], truth) == {"marks": 1.0, "sign": 1.0}
    rng = np.random.default_rng(0)
    blind = [Attribution(rng.random(5), rng.standard_normal((5, 100))) for _ in range(20)]
    assert np.mean([recovery(one, truth)["marks"] for one in blind]) < 0.8


def test_a_trained_attribution_is_larger_than_one_of_permuted_labels(
    studied: dict[str, list[Replicate]],
) -> None:
    limits = null_calibration.calibrate_thresholds(studied["permuted"], level=0.4)
    null = null_calibration.findings({"null": studied["null"]}, limits)
    planted = null_calibration.findings({"one_mark": studied["one_mark"]}, limits).set_index(
        ["method", "statistic"]
    )
    assert (null["low"] <= 0.4).all()
    assert set(null["n"]) == {3}
    for method in ("saliency", "integrated_gradients", "mark_ablation"):
        assert planted.loc[(method, "size"), "value"] == 1.0
    ratios = null_calibration.statistics_over_threshold(studied, limits)
    assert ratios[ratios["group"] == "permuted"]["ratio"].max() == pytest.approx(1.0)


def test_replicates_are_kept_and_the_same_again(
    studied: dict[str, list[Replicate]], home: Path, tmp_path: Path
) -> None:
    stored = sorted((home / "replicates").glob("*.npz"))
    times = [path.stat().st_mtime_ns for path in stored]
    again = run_plans([PLAN], workers=1, home=home)[0]
    assert [path.stat().st_mtime_ns for path in stored] == times
    anew = run_plans([PLAN], workers=1, home=tmp_path)[0]
    first = studied["one_mark"][0]
    for method, one in first.attributions.items():
        for other in (again, anew):
            np.testing.assert_array_equal(one.strength, other.attributions[method].strength)
    assert list(first.attributions) == [m for m in METHODS if m != "attention"]
    assert replicate_path(PLAN) != replicate_path(replace(PLAN, seed=1))


def test_attention_joins_where_it_is_asked_for(home: Path) -> None:
    plan = replace(PLAN, n_genes=200, epochs=1, attentive_epochs=1)
    one = run_plans([plan], workers=1, home=home)[0]
    attention = one.attributions["attention"]
    assert attention.evidence.shape == (5, 100)
    assert attention.strength.sum() == pytest.approx(1.0, abs=1e-5)
    assert not attention.signed
    assert len(one.scores["attentive_chrome"]) == len(one.labels)


def test_worlds_of_all_kinds_of_signal() -> None:
    first, second = planted_world("one_mark", 3, 60), planted_world("null", 3, 60)
    np.testing.assert_array_equal(first.counts, second.counts)
    assert population_kind("one_mark") == population_kind("null")
    assert len({population_kind(rule) for rule in ("null", "position", "two_groups")}) == 3
    assert (planted_world("position", 3, 60).counts != first.counts).any()


def test_permuted_labels_stay_in_their_split() -> None:
    split = np.repeat(["train", "valid", "test"], (50, 20, 30))
    labels = (np.arange(100) % 3 == 0).astype(np.int8)
    other = permuted(labels, split, 0)
    assert (other != labels).any()
    for name in set(split):
        assert other[split == name].sum() == labels[split == name].sum()
    np.testing.assert_array_equal(other, permuted(labels, split, 0))


def test_linear_model_cannot_see_positions() -> None:
    for rule, low, high in (("one_mark", 0.97, 1.0), ("position", 0.35, 0.65)):
        world = planted_world(rule, 1, 800)
        labels = label(world)
        scores = linear_scores(world.gene_oriented(), labels, world.split)
        assert low <= auroc(labels[world.split == "test"], scores) <= high


def test_wider_bins_by_hand() -> None:
    counts = np.arange(8, dtype=np.uint16).reshape(1, 8, 1)
    assert wider_bins(counts, 4)[0, :, 0].tolist() == [0.5, 2.5, 4.5, 6.5]


def test_tables_of_a_study(studied: dict[str, list[Replicate]]) -> None:
    table = tables.recovery_table(studied["one_mark"], studied["untrained"], MARKS)
    row = table.set_index(["method", "aspect"]).loc[("saliency", "marks")]
    assert (row["value"], row["n"]) == (1.0, 1)
    assert 0 <= row["untrained"] <= 1
    assert list(tables.mean_by_rule(table).columns) == ["one_mark"]
    alike = tables.similarity_table(studied["one_mark"], studied["untrained"])
    assert alike["other_seed"].to_numpy() == pytest.approx(1.0)  # a single seed follows itself
    assert (alike["untrained"] < 1).all()
    models = tables.model_table(studied["one_mark"])
    assert set(models["model"]) == {"deepchrome_max", "linear"}


def test_paired_difference_by_hand() -> None:
    table = pd.DataFrame(
        {"rule": "null", "seed": [0, 1, 0, 1], "model": ["a", "a", "b", "b"],
         "auroc": [0.6, 0.8, 0.5, 0.5]}
    )  # fmt: skip
    gap = tables.paired_difference(table, "null", "a", "b")
    half = 12.7062 * 0.1  # Student's t with one degree of freedom, standard error 0.1
    assert (gap.estimate, gap.n) == (pytest.approx(0.2), 2)
    assert (gap.low, gap.high) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-4)


def test_score_difference_by_hand() -> None:
    right, wrong = np.array([0, 0, 0, 1.0, 0]), np.array([1.0, 1, 1, 0, 1])
    worlds = [
        Replicate(
            replace(PLAN, seed=seed),
            {
                "saliency": Attribution(right, direction=right),
                "attention": Attribution(wrong if seed else right, np.ones((5, 100)), signed=False),
            },
            np.zeros(0), {},
        )
        for seed in (0, 1)
    ]  # fmt: skip
    gap = tables.score_difference(worlds, MARKS, "saliency", "attention")
    assert (gap.estimate, gap.n) == (0.5, 2)  # marks only: 1 - 1 and 1 - 0


def test_sentences_follow_the_verdicts() -> None:
    def row(method: str, above_chance: bool, untrained: float, rule: str = "two_marks") -> dict:
        return {"rule": rule, "method": method, "aspect": "marks", "value": 1.0,
                "above_chance": above_chance, "untrained": untrained}  # fmt: skip

    good, bad = row("saliency", True, 0.5), row("gan_probe", False, 0.95)
    table = pd.DataFrame([good, bad, bad | {"rule": "one_mark", "above_chance": True}])
    assert words.complete_in_words(table).startswith("saliency shows")
    assert words.complete_in_words(pd.DataFrame([bad])).startswith("no method")
    assert words.missing_in_words(table) == "GAN probe (marks: two marks)"
    assert words.missing_in_words(pd.DataFrame([good])) == "nothing"
    assert "in two marks by GAN probe" in words.blind_in_words(table)
    assert words.blind_in_words(pd.DataFrame([good])).startswith("no method")
    many = pd.DataFrame([row(name, name != "attention", 0.95) for name in METHODS])
    assert words.complete_in_words(many).startswith("all methods but attention")
    null = pd.DataFrame([{"method": "saliency", "statistic": "size", "value": 0.1, "low": 0.01,
                          "high": 0.3, "n": 20}])  # fmt: skip
    assert "no method" in words.silence_in_words(null, 0.1)
    assert "saliency by size" in words.silence_in_words(null, 0.005)
    assert words.power_in_words(null.assign(value=1.0), "size").startswith("by size saliency")
    assert "less than half" in words.power_in_words(null, "size")
    gaps = {"saliency": Interval(0.2, 0.1, 0.3, 4), "attention": Interval(0.0, -0.1, 0.1, 4)}
    text = words.differences_in_words(gaps, "gan_probe")
    assert "scores higher than the GAN probe; attention" in text and "than chance allows" in text
    alike = pd.DataFrame([{"method": "saliency", "other_seed": 0.5, "untrained": 0.6}])
    assert words.similar_in_words(alike) == "saliency fails the check"


def test_figures(studied: dict[str, list[Replicate]]) -> None:
    attributions = studied["one_mark"][0].attributions
    table = tables.recovery_table(studied["one_mark"], studied["untrained"], MARKS)
    limits = null_calibration.calibrate_thresholds(studied["permuted"], level=0.4)
    ratios = null_calibration.statistics_over_threshold(
        {"one_mark": studied["one_mark"], "permuted": studied["permuted"]}, limits
    )
    drawn = [
        figures.world_maps({"one_mark": np.ones((5, 100))}, MARKS),
        figures.attribution_grid({"one_mark": attributions}, MARKS),
        figures.recovery_forest(table),
        figures.finding_strips(ratios),
        figures.similarity_forest(
            tables.similarity_table(studied["one_mark"], studied["untrained"])
        ),
        figures.agreement_map(measured.agreement(attributions)),
    ]
    assert [len(fig.axes) > 0 for fig in drawn] == [True] * 6
    plt.close("all")


def test_a_measured_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DC2LIB_DATA", str(tmp_path))
    world = planted_world("one_mark", 0, 300)
    write_cell(world, tmp_path)
    found = measured.attributions_of_cell(
        world, tmp_path, (0, 1), epochs=1, attentive_epochs=1, n_train=100, gan_steps=2,
        n_pool=100, effort=EFFORT,
    )  # fmt: skip
    assert list(found) == ["seed 0", "seed 1", measured.UNTRAINED]
    assert list(found["seed 0"]) == list(METHODS)
    shares = measured.signed_shares(found["seed 0"], MARKS)
    np.testing.assert_allclose(shares.abs().sum(axis=1), 1.0)
    assert (shares.loc["attention"] >= 0).all()
    together = measured.agreement(found["seed 0"])
    assert "mark_ablation" not in together
    np.testing.assert_allclose(np.diag(together), 1.0)
    assert measured.label_direction(world)[MARKS.index("H3K4me3")] == 1
