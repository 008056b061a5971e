"""Replicates of planted worlds, their tables, words and figures, at a size for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dc2book.ground_truth import figures as attribution_plots
from dc2book.ground_truth import grades, measured
from dc2book.ground_truth import sentences as words
from dc2book.ground_truth.methods import METHODS, Effort
from dc2book.ground_truth.pictures import Picture
from dc2book.ground_truth.replicates import (
    Plan,
    Replicate,
    linear_scores,
    permuted,
    plan_key,
    planted_world,
    population_kind,
    replicates,
    wider_bins,
)
from dc2book.ground_truth.scores import recovery, truth_of

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
    return {name: replicates(ones, workers=1, home=home) for name, ones in plans.items()}


def test_right_methods_find_one_mark_and_a_random_picture_does_not(
    studied: dict[str, list[Replicate]],
) -> None:
    found = studied["one_mark"][0]
    truth = truth_of("one_mark", MARKS)
    assert auroc(found.labels, found.scores["deepchrome_max"]) > 0.9
    assert auroc(found.labels, found.scores["linear"]) > 0.95
    for method in ("saliency", "integrated_gradients", "window_ablation", "mark_ablation"):
        assert recovery(found.pictures[method], truth) == {"marks": 1.0, "sign": 1.0}
    rng = np.random.default_rng(0)
    blind = [Picture(rng.random(5), rng.standard_normal((5, 100))) for _ in range(20)]
    assert np.mean([recovery(one, truth)["marks"] for one in blind]) < 0.8


def test_a_trained_picture_is_larger_than_one_of_permuted_labels(
    studied: dict[str, list[Replicate]],
) -> None:
    limits = grades.thresholds(studied["permuted"], level=0.4)
    null = grades.findings({"null": studied["null"]}, limits)
    planted = grades.findings({"one_mark": studied["one_mark"]}, limits).set_index(
        ["method", "statistic"]
    )
    assert (null["low"] <= 0.4).all()
    assert set(null["n"]) == {3}
    for method in ("saliency", "integrated_gradients", "mark_ablation"):
        assert planted.loc[(method, "size"), "value"] == 1.0
    ratios = grades.statistics_over_threshold(studied, limits)
    assert ratios[ratios["group"] == "permuted"]["ratio"].max() == pytest.approx(1.0)


def test_replicates_are_kept_and_the_same_again(
    studied: dict[str, list[Replicate]], home: Path, tmp_path: Path
) -> None:
    stored = sorted((home / "replicates").glob("*.npz"))
    times = [path.stat().st_mtime_ns for path in stored]
    again = replicates([PLAN], workers=1, home=home)[0]
    assert [path.stat().st_mtime_ns for path in stored] == times
    anew = replicates([PLAN], workers=1, home=tmp_path)[0]
    first = studied["one_mark"][0]
    for method, picture in first.pictures.items():
        for other in (again, anew):
            np.testing.assert_array_equal(picture.strength, other.pictures[method].strength)
    assert list(first.pictures) == [m for m in METHODS if m != "attention"]
    assert plan_key(PLAN) != plan_key(replace(PLAN, seed=1))


def test_attention_joins_where_it_is_asked_for(home: Path) -> None:
    plan = replace(PLAN, n_genes=200, epochs=1, attentive_epochs=1)
    one = replicates([plan], workers=1, home=home)[0]
    picture = one.pictures["attention"]
    assert picture.evidence.shape == (5, 100)
    assert picture.strength.sum() == pytest.approx(1.0, abs=1e-5)
    assert not picture.signed
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
    table = grades.recovery_table(studied["one_mark"], studied["untrained"], MARKS)
    row = table.set_index(["method", "aspect"]).loc[("saliency", "marks")]
    assert (row["value"], row["n"]) == (1.0, 1)
    assert 0 <= row["untrained"] <= 1
    assert list(grades.overall(table).columns) == ["one_mark"]
    alike = grades.similarity_table(studied["one_mark"], studied["untrained"])
    assert alike["other_seed"].to_numpy() == pytest.approx(1.0)  # a single seed follows itself
    assert (alike["untrained"] < 1).all()
    models = grades.model_table(studied["one_mark"])
    assert set(models["model"]) == {"deepchrome_max", "linear"}


def test_paired_difference_by_hand() -> None:
    table = pd.DataFrame(
        {"rule": "null", "seed": [0, 1, 0, 1], "model": ["a", "a", "b", "b"],
         "auroc": [0.6, 0.8, 0.5, 0.5]}
    )  # fmt: skip
    gap = grades.paired_difference(table, "null", "a", "b")
    half = 12.7062 * 0.1  # Student's t with one degree of freedom, standard error 0.1
    assert (gap.estimate, gap.n) == (pytest.approx(0.2), 2)
    assert (gap.low, gap.high) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-4)


def test_score_difference_by_hand() -> None:
    right, wrong = np.array([0, 0, 0, 1.0, 0]), np.array([1.0, 1, 1, 0, 1])
    worlds = [
        Replicate(
            replace(PLAN, seed=seed),
            {
                "saliency": Picture(right, direction=right),
                "attention": Picture(wrong if seed else right, np.ones((5, 100)), signed=False),
            },
            np.zeros(0), {},
        )
        for seed in (0, 1)
    ]  # fmt: skip
    gap = grades.score_difference(worlds, MARKS, "saliency", "attention")
    assert (gap.estimate, gap.n) == (0.5, 2)  # marks only: 1 - 1 and 1 - 0


def _row(method: str, shown: bool, untrained: float = 0.5, rule: str = "two_marks") -> dict:
    return {"rule": rule, "method": method, "aspect": "marks", "shown": shown,
            "value": 1.0, "untrained": untrained}  # fmt: skip


def test_words() -> None:
    good, bad = _row("saliency", True), _row("gan_probe", False, 0.95)
    assert words.complete_in_words(pd.DataFrame([good])) == (
        "saliency shows what it can be asked for in every world"
    )
    seen = bad | {"rule": "one_mark", "shown": True}
    said = words.missing_in_words(pd.DataFrame([good, seen, bad, bad | {"rule": "position"}]))
    assert said == "GAN probe (marks: two marks and position)"
    assert words.missing_in_words(pd.DataFrame([good])) == "nothing"
    assert words.complete_in_words(pd.DataFrame([bad])).startswith("no method shows")
    both = pd.DataFrame([good, good | {"method": "mark_ablation"}])
    assert words.complete_in_words(both).startswith("saliency and mark ablation show what they")
    assert words.blind_in_words(pd.DataFrame([good])).startswith("no method names")
    assert words.blind_in_words(pd.DataFrame([good, bad])).endswith("in two marks by GAN probe")
    null = pd.DataFrame(
        [{"method": "saliency", "statistic": "size", "value": 0.1, "low": 0.01, "high": 0.3,
          "n": 20}]
    )  # fmt: skip
    assert "no method is shown" in words.silence_in_words(null, 0.1)
    assert "saliency by size (0.10" in words.silence_in_words(null, 0.005)
    planted = null.assign(value=1.0)
    assert words.power_in_words(planted, "size") == (
        "by size saliency almost always reports a planted rule"
    )
    assert "less than half" in words.power_in_words(planted.assign(value=0.2), "size")
    alike = pd.DataFrame([{"method": "saliency", "other_seed": 0.5, "untrained": 0.1}])
    gaps = {"saliency": Interval(0.2, 0.1, 0.3, 4), "attention": Interval(-0.2, -0.3, -0.1, 4)}
    assert words.differences_in_words(gaps, "gan_probe") == (
        "saliency (+0.20, +0.10 to +0.30) scores higher than the GAN probe; attention (-0.20, -0.30"
        " to -0.10) scores lower than the GAN probe"
    )
    even = {"saliency": Interval(0.0, -0.1, 0.1, 4)}
    assert words.differences_in_words(even, "gan_probe") == (
        "saliency (+0.00, -0.10 to +0.10) differs from the GAN probe by no more than chance allows"
    )
    assert words.differences_in_words({}, "gan_probe").startswith("none differs")
    assert words.similar_in_words(alike).startswith("every method")
    assert words.similar_in_words(alike.assign(untrained=0.6)) == "saliency fails the check"


def test_words_for_many_methods_are_short() -> None:
    names = list(METHODS)
    rows = [_row(name, name != "attention", 0.95) for name in names]
    table = pd.DataFrame(rows)
    assert words.complete_in_words(table) == (
        "all methods but attention show what they can be asked for in every world"
    )
    assert words.blind_in_words(table).endswith("in two marks by all methods")
    other = table.assign(rule="position", shown=True)
    half = pd.concat([table.assign(shown=False), other])
    assert words.missing_in_words(half).startswith("DeepChrome's recipe (1 of 2); loss (a) (1 ")
    assert words.missing_in_words(half.assign(shown=False)) == "everything, by all methods"


def test_figures(studied: dict[str, list[Replicate]]) -> None:
    pictures = studied["one_mark"][0].pictures
    table = grades.recovery_table(studied["one_mark"], studied["untrained"], MARKS)
    limits = grades.thresholds(studied["permuted"], level=0.4)
    ratios = grades.statistics_over_threshold(
        {"one_mark": studied["one_mark"], "permuted": studied["permuted"]}, limits
    )
    figures = [
        attribution_plots.world_maps({"one_mark": np.ones((5, 100))}, MARKS),
        attribution_plots.picture_grid({"one_mark": pictures}, MARKS),
        attribution_plots.recovery_dots(table),
        attribution_plots.finding_strips(ratios),
        attribution_plots.similarity_dots(
            grades.similarity_table(studied["one_mark"], studied["untrained"])
        ),
        attribution_plots.agreement_map(measured.agreement(pictures)),
    ]
    assert [len(fig.axes) > 0 for fig in figures] == [True] * 6
    plt.close("all")


def test_a_measured_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DC2LIB_DATA", str(tmp_path))
    world = planted_world("one_mark", 0, 300)
    write_cell(world, tmp_path)
    found = measured.cell_pictures(
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
