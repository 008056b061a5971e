"""The systems of related work against planted truths, and the ways they are judged."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from dc2book.related_work import (
    breadth,
    pairs,
    questions,
    ranking,
    report,
    study,
    trials,
)
from dc2book.related_work import (
    cached_arrays as kept,
)
from dc2book.related_work import (
    scores as judged,
)
from dc2book.related_work import (
    sentences as words,
)
from sklearn import metrics

from dc2lib.baselines import attentive_chrome, costa, deepdiff, dong, ernst, ho, karlic, splits
from dc2lib.baselines.attentive_chrome import AttentiveChrome, JointLSTM
from dc2lib.baselines.contract import Genes, genes_of, to_probability
from dc2lib.baselines.systems import ALL, SYSTEMS
from dc2lib.datasets import HistoneDataset, write_cell
from dc2lib.errors import DataError
from dc2lib.evaluation import scores as scoring
from dc2lib.evaluation.scores import auroc
from dc2lib.evaluation.statistics import Interval
from dc2lib.models.deepchrome import TemporalMeanLinear, count_parameters

N_BINS = 24


def planted(cell="A", n=240, seed=0, effect=(0, 1, 0, 1, 0)):
    """Expression raises some marks, in the middle bins most."""
    rng = np.random.default_rng(seed)
    rpkm = np.round(rng.lognormal(1, 1.5, n), 3)
    shape = np.exp(-(((np.arange(N_BINS) - N_BINS / 2) / 4) ** 2))[None, :, None]
    rate = 1 + 2 * np.log1p(rpkm)[:, None, None] * shape * np.array(effect)
    return HistoneDataset.from_arrays(
        rng.poisson(rate),
        [f"G{i:05d}" for i in range(n)],
        cell,
        np.tile(["train", "train", "valid", "test"], n // 4),
        source="simulated",
        rpkm_text=[f"{value:.3f}" for value in rpkm],
        strand=np.where(rng.random(n) < 0.5, "+", "-"),
    )


def parts(labels="numeric", **options):
    dataset = planted(**options)
    return [genes_of(dataset, labels, split) for split in ("train", "valid", "test")]


@pytest.mark.parametrize("name", [n for n in SYSTEMS if n != "attentive_chrome"])
def test_every_system_finds_a_planted_effect_and_repeats_itself(name):
    train, valid, test = parts()
    system = ALL[name]
    setting = dict(system.candidates[0]) | {"epochs": 3}
    first, second = (system.fit(train, valid, setting, 1) for _ in range(2))
    scores = first.score(test.counts)
    assert auroc(test.label, scores) > 0.8
    np.testing.assert_allclose(second.score(test.counts), scores)
    np.testing.assert_allclose(first.score(test.counts[:7]), scores[:7], atol=1e-5)
    assert first.parameters > 0 and len(report.MISSING[name]) > 3


def test_every_candidate_fits():
    train, valid, test = parts(n=160)
    for system in SYSTEMS.values():
        assert len(system.candidates) == 3
        if system.epochs is None:
            for setting in system.candidates:
                assert np.isfinite(system.fit(train, valid, setting, 0).score(test.counts)).all()


def test_karlic_is_least_squares_on_log_totals_of_its_window():
    train, valid, _ = parts()
    fitted = karlic.fit(train, valid, {"bins": 5}, 0)
    middle = train.counts[:, N_BINS // 2 - 5 : N_BINS // 2 + 5]
    design = np.column_stack([np.log(middle.sum(1) + 1.0), np.ones(len(train))])
    beta = np.linalg.lstsq(design, train.expression, rcond=None)[0]
    np.testing.assert_allclose(fitted.score(train.counts), design @ beta, atol=1e-8)
    assert fitted.parameters == 6


def test_em_recovers_a_planted_mixture():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(1500, 2))
    which = rng.random(1500) < 0.3
    truth = np.array([[2.0, 0.0, 5.0], [-1.0, 1.0, -5.0]])
    means = costa.with_ones(features) @ truth.T
    target = np.where(which, means[:, 0], means[:, 1]) + rng.normal(0, 0.5, 1500)
    found = costa.em(features, target, 2, seed=0)
    order = np.argsort(-found.coefficients[:, 2])
    np.testing.assert_allclose(found.coefficients[order], truth, atol=0.1)
    np.testing.assert_allclose(found.weight[order], [which.mean(), 1 - which.mean()], atol=0.02)
    np.testing.assert_allclose(found.spread, 0.5, atol=0.05)
    share = found.responsibilities(features, target)
    np.testing.assert_allclose(share.sum(1), 1)
    assert (share[:, order[0]] > 0.5).tolist() == which.tolist()


def test_one_component_is_least_squares_and_more_never_fit_worse():
    train, _, _ = parts()
    features = karlic.log_totals(train.counts)
    one = costa.em(features, train.expression, 1, 0)
    beta = np.linalg.lstsq(costa.with_ones(features), train.expression, rcond=None)[0]
    np.testing.assert_allclose(one.coefficients[0], beta, atol=1e-4)
    assert costa.em(features, train.expression, 2, 0).log_likelihood > one.log_likelihood


def test_constant_weights_make_the_mixture_linear():
    train, valid, test = parts()
    fitted = costa.fit(train, valid, {"components": 2, "gate": "constant"}, 0)
    design = costa.with_ones(karlic.log_totals(test.counts))
    scores = fitted.score(test.counts)
    beta = np.linalg.lstsq(design, scores, rcond=None)[0]
    np.testing.assert_allclose(design @ beta, scores, atol=1e-8)


def test_the_best_bin_of_each_mark_is_where_it_was_planted():
    train, _, _ = parts(n=800, effect=(0, 3, 0, 3, 0))
    best = dong.best_bins(train)
    assert best.shape == (5,)
    assert np.abs(best[[1, 3]] - N_BINS / 2).max() <= 4


def test_rules_find_a_planted_conjunction():
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 3, size=(3000, 5))
    planted_rule = (levels[:, 3] == 2) & (levels[:, 0] == 0)
    label = (planted_rule ^ (rng.random(3000) < 0.05)).astype(int)
    rules = ho.learn(levels, label, 10)
    assert set(rules[0].conditions) == {(0, 0), (3, 2)}
    assert rules[0].log_odds > 2 and rules[0].covered == planted_rule.sum()
    assert auroc(planted_rule.astype(int), ho.votes(rules, levels)) > 0.99
    assert ho.in_words([[3, 2], [0, 0]], ("a", "b", "c", "d", "e"), 3) == "d high and a low"


def test_levels_by_hand():
    values = np.array([[0.0, 5.0], [2.0, 1.0], [9.0, 3.0]])
    cuts = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert ho.levels_of(values, cuts).tolist() == [[0, 2], [1, 0], [2, 1]]


def test_attention_sums_to_one_and_parameters_are_counted():
    model = AttentiveChrome()
    signal = torch.rand(3, 5, 100)
    bins, marks = model.attention(signal)
    assert bins.shape == (3, 5, 100) and marks.shape == (3, 5)
    torch.testing.assert_close(bins.sum(-1), torch.ones(3, 5))
    torch.testing.assert_close(marks.sum(-1), torch.ones(3))
    assert model(signal).shape == (3, 2)
    bin_lstm, mark_lstm = 2 * 4 * 32 * (1 + 32 + 2), 2 * 4 * 16 * (64 + 16 + 2)
    assert count_parameters(model) == 5 * (bin_lstm + 64) + mark_lstm + 32 + 66 == 55714
    torch.testing.assert_close(model(signal)[1:2], model(signal[1:2]))


def test_attention_over_bins_of_a_mark_sees_that_mark_alone():
    model = AttentiveChrome(3, 12, hidden=4)
    signal = torch.rand(2, 3, 12)
    other = signal.clone()
    other[:, 2] = 0
    torch.testing.assert_close(model.attention(signal)[0][:, :2], model.attention(other)[0][:, :2])


def test_attentive_chrome_learns_and_attends_to_the_planted_mark():
    train, valid, test = parts(n=600, effect=(0, 0, 0, 4, 0))
    fitted = attentive_chrome.fit(train, valid, {"learning_rate": 1e-2, "epochs": 6}, 0)
    assert auroc(test.label, fitted.score(test.counts)) > 0.85
    model = attentive_chrome.from_record(fitted.about, 5, N_BINS)
    bins, marks = attentive_chrome.attention_maps(model, test.counts)
    assert marks.mean(0).argmax() == 3
    assert bins.shape == (len(test), 5, N_BINS)


def test_the_joint_lstm_reads_all_marks_at_once():
    model = JointLSTM(3, 12, hidden=4)
    assert model(torch.rand(2, 3, 12)).shape == (2, 2)
    assert count_parameters(model) == 2 * 16 * (3 + 4 + 2) + 8 + 18


def test_deepdiff_turns_its_sign_with_the_cell_types():
    first, second = planted("A", n=120), planted("B", n=120, seed=1)
    train, valid, test = (
        deepdiff.paired(genes_of(first, "numeric", split), genes_of(second, "numeric", split))
        for split in ("train", "valid", "test")
    )
    predict, parameters = deepdiff.fit(train, valid, epochs=2)
    np.testing.assert_allclose(predict(test), -predict(test.swapped()), atol=1e-5)
    assert deepdiff.oddness(predict, test) == pytest.approx(1)
    assert np.abs(predict(deepdiff.Pair(test.first, test.first, test.change))).max() < 1e-6
    assert parameters == count_parameters(deepdiff.DeepDiff(5, N_BINS))
    linear, size = deepdiff.fit_linear(train)
    assert size == 5 and deepdiff.correlation(linear(test), test.change) > 0.8
    assert deepdiff.oddness(linear, test) == pytest.approx(1)


def test_cell_types_with_other_numbers_of_genes_are_refused():
    first, second = parts()[0], parts(n=120)[0]
    with pytest.raises(DataError, match="the same genes"):
        deepdiff.paired(first, second)


def test_shared_genes_are_in_one_order():
    first, second = planted("A"), planted("B", seed=1).select(np.arange(200)[::-1])
    here, there = pairs.shared_genes(first, second)
    assert here.gene_id.tolist() == there.gene_id.tolist() == first.gene_id[:200].tolist()


def test_the_control_cannot_know_the_direction(tmp_path, monkeypatch):
    monkeypatch.setenv("DC2LIB_DATA", str(tmp_path))
    first, second = planted("A", n=400), planted("B", n=400, seed=1)
    table, answers = pairs.change_of_expression(first, second, epochs=1)
    found = table.set_index("method")["correlation"]
    assert found[pairs.METHODS["linear"]].estimate > 0.8
    assert abs(found[pairs.METHODS["level"]].estimate) < 0.3
    again, same = pairs.change_of_expression(first, second, epochs=1)
    np.testing.assert_array_equal(answers["deepdiff"], same["deepdiff"])
    assert again["seconds"].tolist() == table["seconds"].tolist()


def test_a_mark_that_copies_another_is_imputed():
    train, _, test = (part.counts.copy() for part in parts(n=240))
    for counts in (train, test):
        counts[:, :, 2] = counts[:, :, 1]
    found = ernst.impute(train, test, 2, n_positions=2000)
    assert found.correlation > 0.9 > found.profile_correlation
    alone = ernst.impute(train, test, 0, n_positions=2000)
    assert abs(alone.correlation) < 0.2
    other = ernst.impute(
        train, test, 0, n_positions=2000, other_train=train[:, :, [0] * 5],
        other_test=test[:, :, [0] * 5],
    )
    assert other.correlation > 0.9


def test_neighbourhood_by_hand():
    counts = np.zeros((1, 4, 2), np.uint16)
    counts[0, :, 1] = [0, 1, 2, 3]
    known = ernst.neighbourhood(counts, 0, reach=1)
    assert known.shape == (1, 4, 4)
    np.testing.assert_allclose(known[0, :, 0], np.log1p([0, 0, 1, 2]), rtol=1e-6)
    np.testing.assert_allclose(known[0, :, 3], [-1.5, -0.5, 0.5, 1.5])


def test_probabilities_keep_the_order_and_take_any_scale():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 400)
    score = label + rng.normal(size=400)
    one = to_probability(score, label, score)
    np.testing.assert_allclose(to_probability(1e6 * score + 5, label, 1e6 * score + 5), one)
    assert auroc(label, one) == auroc(label, score)
    assert one.mean() == pytest.approx(label.mean(), abs=1e-3)
    with pytest.raises(DataError, match="not finite"):
        to_probability(score, label, np.full(3, np.nan))


def test_genes_run_along_the_gene():
    dataset = planted()
    genes = genes_of(dataset, "numeric")
    minus = dataset.strand == "-"
    np.testing.assert_array_equal(genes.counts[minus], dataset.counts[minus][:, ::-1])
    np.testing.assert_array_equal(genes.counts[~minus], dataset.counts[~minus])
    assert isinstance(genes.take(minus), Genes) and len(genes.take(minus)) == minus.sum()


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_scores_are_scikit_learns(ties):
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 300)
    probability = np.clip(rng.normal(0.5 + 0.2 * (truth - 0.5), 0.2), 0.01, 0.99)
    if ties:
        probability = probability.round(1).clip(0.1, 0.9)
    weights = rng.multinomial(300, np.full(300, 1 / 300), size=3).T.astype(float)
    found = judged.weighted_scores(truth, probability, weights)
    for number, weight in enumerate(weights.T):
        options = {"sample_weight": weight}
        for metric, library in (
            ("auroc", metrics.roc_auc_score),
            ("average_precision", metrics.average_precision_score),
            ("log_loss", metrics.log_loss),
        ):
            assert found[metric][number] == pytest.approx(library(truth, probability, **options))
    plain = judged.weighted_scores(truth, probability, np.ones((300, 1)))
    for metric in judged.METRICS:
        assert plain[metric][0] == pytest.approx(scoring.METRICS[metric](truth, probability))


def judged_example():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 500)
    noise = rng.normal(size=500)

    def curve(strength, extra=0.0):
        return 1 / (1 + np.exp(-(strength * (truth - 0.5) + noise + extra)))

    probabilities = {
        "deepchrome": [np.stack([curve(2.0), curve(2.1)])],
        "karlic": [curve(0.5)],
        "linear": [curve(2.05)],
    }
    return judged.judge([truth], probabilities, n_resamples=200)


def test_differences_are_paired_and_intervals_enclose():
    one = judged_example()
    for system in one.estimate:
        for metric in judged.METRICS:
            interval = one.interval(system, metric)
            assert interval.low <= interval.estimate <= interval.high
    gap = one.difference("deepchrome", "linear")
    alone = one.interval("deepchrome", "auroc")
    assert gap.high - gap.low < (alone.high - alone.low) / 2
    assert one.difference("karlic", "karlic") == Interval(0.0, 0.0, 0.0, 500)
    table = ranking.against(one, "deepchrome").set_index("system")
    assert table.loc["karlic", "verdict"] == "worse" and table.loc["karlic", "pvalue"] < 1e-3
    assert ranking.best_first(one)[-1] == "karlic"


def test_orders_are_judged_by_the_paired_interval():
    one = judged_example()
    orders = [("deepchrome", "karlic", "a"), ("karlic", "linear", "b"), ("linear", "linear", "c")]
    table = ranking.ordered_as_published(one, orders)
    assert table["verdict"].tolist() == ["as published", "reversed", "alike"]
    words = report.orders_in_words(table)
    assert words == "of 3 published orders, 1 as published, 1 alike, 1 reversed"
    shown = report.orders_table({"numeric": table})
    assert shown["better > worse"][0] == "DeepChrome > linear regression"
    assert shown["numeric labels"][2] == "0.000 [0.000, 0.000], alike"
    assert ranking.rank_agreement(one, one).estimate == pytest.approx(1)


def test_ranks_by_hand():
    table = pd.DataFrame({"a": [0.9, 0.8, 0.9], "b": [0.8, 0.9, 0.8], "c": [0.7, 0.7, 0.7]})
    found = ranking.rank(table)
    assert found.mean_rank.to_dict() == pytest.approx({"a": 4 / 3, "b": 5 / 3, "c": 3.0})
    # Demsar 2006, table 5: q for three classifiers is 2.343
    assert found.critical == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 3)), abs=1e-3)
    assert found.alike() == [("a", "c")]
    wide = ranking.rank(pd.concat([table] * 30))
    assert wide.alike() == [("a", "b")] and wide.pvalue < 1e-10
    assert "cannot fall below p = 0.250" in report.ranks_in_words(
        replace(found, mean_rank=found.mean_rank.set_axis(["karlic", "ho", "linear"]))
    )


EXPRESSION = pd.DataFrame(
    {"A": [1.0, 9, 5, 0], "B": [8.0, 9, 0, 0], "C": [7.0, 8, 1, 0]}, index=list("wxyz")
)


def test_breadth_leaves_the_cell_type_out():
    genes = np.array(["z", "w", "x", "y"])
    assert breadth.breadth(EXPRESSION, "A", genes).tolist() == [0, 2, 2, 0]
    changed = EXPRESSION.assign(A=[99.0, 0, 0, 99])
    assert breadth.breadth(changed, "A", genes).tolist() == [0, 2, 2, 0]
    groups = breadth.breadth_group(np.array([0, 1, 4, 5, 9, 10]), 10)
    assert groups.tolist() == ["none", "few", "some", "some", "many", "all"]
    assert breadth.group_words(55) == {
        "none": "0", "few": "1-13", "some": "14-41", "many": "42-54", "all": "55"
    }


def test_the_other_cells_never_see_the_cell_itself():
    genes = np.array(["w", "x", "y", "z"])
    score = breadth.other_cells_score(EXPRESSION, "A", genes)
    changed = EXPRESSION.assign(A=[-5.0, 100, 3, 1])
    np.testing.assert_array_equal(breadth.other_cells_score(changed, "A", genes), score)
    np.testing.assert_allclose(score, [0.75, 1.0, 0.4375, 0.3125])
    assert breadth.nearest_cell(EXPRESSION, "B", genes) == "C"
    with pytest.raises(DataError, match="not among"):
        breadth.other_cells_score(EXPRESSION, "E", genes)
    with pytest.raises(DataError, match="only cell type"):
        breadth.breadth(EXPRESSION[["A"]], "A", genes)


def test_small_groups_are_left_out():
    group = np.repeat(["none", "some", "all"], 50)
    label = np.concatenate([np.zeros(50), np.arange(50) % 2, np.ones(50)]).astype(int)
    table = breadth.auroc_by_breadth(label, np.arange(150.0), group, n_resamples=20)
    assert table["group"].tolist() == ["some"] and table["positives"].tolist() == [0.5]


def test_both_together_are_no_worse_than_either():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 2000)
    scores = label[:, None] + rng.normal(0, 1.5, (2000, 2))
    both = breadth.combined(scores[:1000], label[:1000], scores[1000:])
    single = max(auroc(label[1000:], scores[1000:, k]) for k in (0, 1))
    assert auroc(label[1000:], both) > single


def test_splits_keep_sizes_and_chromosomes():
    dataset = planted(n=400)
    assert splits.resplit(dataset, "released") is dataset
    drawn = splits.resplit(dataset, "random", seed=1)
    assert sorted(drawn.split) == sorted(dataset.split)
    blocks = splits.chromosome_of(dataset.gene_id)
    whole = splits.resplit(dataset, "chromosome", seed=1)
    assert all(len(set(whole.split[blocks == name])) == 1 for name in np.unique(blocks))
    assert abs((whole.split == "test").sum() - 100) <= 20
    assert (splits.resplit(dataset, "chromosome", seed=1).split == whole.split).all()
    with pytest.raises(DataError, match="unknown split"):
        splits.resplit(dataset, "by year")


def test_chromosomes_come_from_the_annotation():
    found = splits.chromosome_of(np.array(["ENSG00000000003", "ENSG00000000419", "none"]))
    assert found.tolist() == ["X", "20", "unknown"]


@pytest.fixture(scope="module")
def small_study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DC2LIB_DATA", str(folder))
        for number, cell in enumerate(("A", "B", "C")):
            write_cell(planted(cell, n=400, seed=number), folder)
        budget = study.Budget(candidates=2, n_tune=60, seeds=2, epochs=2)
        systems = ("karlic", "shallow_chrome", "deepchrome", "boosting")
        options = {"systems": systems, "progress": False}
        yield SimpleNamespace(
            run=lambda: study.run_study(["A", "B"], str(folder), budget, **options),
            records=study.run_study(["A", "B"], str(folder), budget, **options),
            folder=folder,
            systems=systems,
        )


def test_a_study_fits_every_system_everywhere(small_study):
    found = {(r.trial.system, r.trial.cell, r.trial.labels, r.trial.seed)
             for r in small_study.records}
    assert len(found) == len(small_study.records) == 4 * (2 * 2 + 2)
    karlics = report.selected(small_study.records, "karlic", "numeric", "A")
    np.testing.assert_array_equal(karlics[0].test_score, karlics[1].test_score)
    assert report.probabilities_of(karlics).shape == (1, 100)
    for system in small_study.systems:
        fits = report.selected(small_study.records, system, "numeric")
        assert len({one.trial.setting for one in fits}) == 1


def test_a_second_study_reads(small_study, monkeypatch):
    monkeypatch.setattr(study, "fit_trial", lambda *_: pytest.fail("fitted again"))
    again = "dc2lib.training.grid.train_together"
    monkeypatch.setattr(again, lambda *_: pytest.fail("trained again"))
    for one, other in zip(small_study.run(), small_study.records, strict=True):
        assert one.trial == other.trial and one.seconds == other.seconds
        np.testing.assert_array_equal(one.test_score, other.test_score)


def test_a_cell_type_written_again_is_another_trial(tmp_path):
    dataset = planted("A", n=400, seed=0)
    trial = trials.Trial("karlic", (), "A", str(tmp_path), "numeric")
    keys = []
    for counts in (dataset.counts, dataset.counts + np.uint16(1)):
        write_cell(replace(dataset, counts=counts), tmp_path)
        keys.append(trials.trial_key(trial))
    assert keys[0] != keys[1]


def test_the_grid_and_the_system_fit_the_same_network(small_study):
    record = report.selected(small_study.records, "deepchrome", "numeric", "A")[0]
    dataset = record.trial.dataset()
    train, valid, test = (genes_of(dataset, "numeric", s) for s in ("train", "valid", "test"))
    fitted = SYSTEMS["deepchrome"].fit(train, valid, dict(record.trial.setting), 0)
    np.testing.assert_allclose(fitted.score(test.counts), record.test_score, atol=1e-4)
    assert fitted.parameters == record.parameters


def test_tables_of_a_study(small_study):
    one = report.judged_systems(small_study.records, "numeric", n_resamples=50)
    table = report.summary_table(one, small_study.records, "numeric")
    assert len(table) == 4 and table["AUROC"].is_monotonic_decreasing
    blocks = report.block_table(small_study.records, "numeric")
    assert blocks.shape == (4, 4)
    assert questions.best_by_validation(small_study.records) in small_study.systems
    assert report.systems_table().shape == (len(SYSTEMS), 3)


def test_open_questions_of_a_study(small_study):
    expression = pd.DataFrame(
        {c: pd.Series(planted(c, n=400, seed=i).rpkm, planted(c, n=400).gene_id)
         for i, c in enumerate(("A", "B", "C"))}
    )
    table, _ = questions.by_breadth(
        small_study.records, expression, ["karlic"], n_resamples=20
    )
    assert set(table["group"]) <= set(breadth.GROUPS) and (table["estimate"] > 0.7).all()
    booster = report.selected(small_study.records, "boosting", "numeric", "A")[0]
    low = np.arange(len(expression)) // 4 % 2
    elsewhere = expression.assign(B=1.0 - low, C=1.0 - low)
    trained = questions.trained_by_breadth(booster, elsewhere, n_resamples=20)
    assert len(trained) == 3 * 2 and set(trained["tested_on"]) == {"broad", "narrow"}
    assert trained["genes"].nunique() == 1
    own = trained["trained_on"] == trained["tested_on"]
    assert trained.loc[own, "own_kind_minus_this"].isna().all()
    assert trained.loc[~own, "own_kind_minus_this"].notna().all()
    assert "test genes, training on" in report.training_in_words(trained)
    beside, gaps = questions.against_others(
        small_study.records, expression, "karlic", n_resamples=20
    )
    alone = beside[beside["predictor"] == questions.OTHERS]
    assert (alone["estimate"] - 0.5).abs().max() < 0.2
    assert all(gap.low > 0.1 for gap in gaps.values())
    everywhere = questions.others_by_cell(gaps, "all genes")
    assert "marks beat the other" in report.others_in_words(everywhere)


def test_splits_of_a_study(small_study):
    trials = questions.split_trials(small_study.records, ["karlic"], 2)
    assert [(t.split, t.seed) for t in trials] == [
        ("released", 0), ("chromosome", 0), ("chromosome", 1), ("random", 0), ("random", 1)
    ]
    table = questions.split_table(trials)
    assert table["draws"].tolist() == [1, 2, 2]
    assert "whole chromosomes" in questions.splits_in_words(table)


def test_kept_arrays_are_computed_once(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"value": 3.0}

    for _ in range(2):
        assert kept.kept("x", {"a": 1}, ernst.__name__, compute, tmp_path)["value"] == 3
    kept.kept("x", {"a": 2}, ernst.__name__, compute, tmp_path)
    assert len(calls) == 2 and not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_training_on_ones_own_kind_in_words():
    gap, none = Interval(0.03, 0.02, 0.04, 9), Interval(0.0, -0.004, 0.004, 9)
    table = pd.DataFrame({
        "trained_on": ["broad", "narrow", "drawn"], "tested_on": "broad",
        "auroc": [Interval(0.83, 0.8, 0.86, 9)] * 3, "own_kind_minus_this": [None, gap, none],
    })
    assert report.training_in_words(table) == (
        "on broad test genes, training on broad ones reaches 0.830 [0.800, 0.860], +0.030 [+0.020, "
        "+0.040] against narrow ones and 0.000 [-0.004, +0.004] against as many drawn from all. "
        "Genes of one's own kind are better to train on than as many drawn from all for 0 of 1 kind"
    )
    assert report.training_in_words(table.iloc[:1]).startswith("too few")


def test_leaders_and_changes_in_words():
    verdicts = pd.DataFrame({"system": ["cheng", "ho"], "verdict": ["worse", "equivalent"]})
    text = words.leaders_in_words("karlic", verdicts)
    assert text == (
        "“linear regression” leads 3 systems, and “rules” is equivalent to it within 0.01 AUROC"
    )
    assert words.epochs_in_words(1, 1) == "All networks pass over the training genes once."
    assert "8 times, the LSTMs" in words.epochs_in_words(8, 4)
    assert "none of the others" in words.leaders_in_words("karlic", verdicts.iloc[:1])
    ahead, level = Interval(0.1, 0.05, 0.15, 9), Interval(0.0, -0.05, 0.05, 9)
    behind = Interval(-0.1, -0.15, -0.05, 9)
    over_control = {"deepdiff": ahead, "boosting": level, "linear": behind}
    assert words.change_in_words(level, over_control) == (
        "The network minus boosting is 0.000 [-0.050, +0.050] on the same genes. The network is "
        "ahead of the control (+0.100 [+0.050, +0.150]), boosting is not told apart from the "
        "control (0.000 [-0.050, +0.050]) and the linear regression is behind the control (-0.100 "
        "[-0.150, -0.050]). The correlations of boosting and the linear regression are no sign of "
        "reading the direction of the change."
    )
    assert words.change_in_words(level, {"deepdiff": ahead}).endswith("[+0.050, +0.150]).")
    assert "The correlation of the network is no sign" in words.change_in_words(
        ahead, {"deepdiff": level}
    )


def test_attention_at_the_edge_in_words():
    kb = (np.arange(100) - 49.5) * 0.1
    even = np.full((3, 2, 100), 0.01)
    assert words.edges_in_words(even, kb, ["A", "B"]).startswith("No mark gives")
    late = even.copy()
    late[:, 1] = np.where(np.arange(100) >= 90, 0.1, 0)
    assert words.edges_in_words(late, kb, ["A", "B"]).startswith(
        "B gives 100% of its attention to the outermost kilobase downstream, where even attention "
        "would give 10%"
    )


def test_paired_difference_of_correlations():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    good, bad = truth + rng.normal(size=400), truth + 5 * rng.normal(size=400)
    found = questions.paired_correlation_difference(truth, good, bad, n_resamples=200)
    expected = np.corrcoef(truth, good)[0, 1] - np.corrcoef(truth, bad)[0, 1]
    assert found.estimate == pytest.approx(expected) and found.low > 0
    same = questions.paired_correlation_difference(truth, good, good, n_resamples=20)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    constant = questions.paired_correlation_difference(truth, good, good * 0, n_resamples=20)
    assert constant.estimate == pytest.approx(np.corrcoef(truth, good)[0, 1])


def test_words_follow_the_numbers():
    unequal = report.attentive_in_words(
        Interval(-0.02, -0.03, -0.012, 9), Interval(0.01, 0.005, 0.015, 9), (4, 8)
    )
    assert unequal.endswith("not of the architectures alone.") and "4 times here" in unequal
    near, far = Interval(-0.002, -0.006, 0.002, 9), Interval(-0.02, -0.03, -0.012, 9)
    gain, nothing = Interval(0.01, 0.005, 0.015, 9), Interval(0.0, -0.01, 0.01, 9)
    assert "within 0.01" in report.attentive_in_words(near, gain)
    assert "more than 0.01 behind" in report.attentive_in_words(far, gain)
    assert "reading every mark alone" in report.attentive_in_words(far, gain)
    assert "does not explain it" in report.attentive_in_words(far, nothing)
    assert report.breadth_in_words({"A": far, "B": far}).startswith(
        "The AUROC is lower among genes of many cell types than among those of few ("
    )
    assert report.breadth_in_words({}).startswith("Too few genes")
    assert report.others_in_words({"A": far, "B": gain}, "it all", "it") == (
        f"the marks lose to it all ({far.estimate:+.3f} [{far.low:+.3f}, {far.high:+.3f}] on A) and"
        f" beat it ({gain.estimate:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] on B)"
    )


def test_the_linear_system_has_twelve_parameters():
    assert count_parameters(TemporalMeanLinear(5)) == 12


def test_a_pair_needs_another_cell_type():
    datasets = {name: planted(name, n=8) for name in ("A", "B")}
    assert pairs.another_cell("A", datasets).cell == "B"
    with pytest.raises(DataError, match="B is the only cell type"):
        pairs.another_cell("B", {"B": datasets["B"]})
