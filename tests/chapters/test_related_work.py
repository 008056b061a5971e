"""How systems are compared, which genes are broadly expressed, and two cell types at once."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from dc2book.cross_cell import other_cell_types
from dc2book.related_work import breadth, pairs, scores, study, trials
from dc2book.related_work import correlations as agreement
from planted_cells import planted
from sklearn import metrics
from sklearn.svm import SVC

from dc2lib.baselines import cheng
from dc2lib.baselines.contract import genes_of
from dc2lib.baselines.systems import ALL, SYSTEMS
from dc2lib.datasets import write_cell
from dc2lib.errors import DataError
from dc2lib.evaluation import scores as scoring
from dc2lib.evaluation.statistics import Interval, compared


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_scores_are_scikit_learns(ties):
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 300)
    probability = np.clip(rng.normal(0.5 + 0.2 * (truth - 0.5), 0.2), 0.01, 0.99)
    if ties:
        probability = probability.round(1).clip(0.1, 0.9)
    weights = rng.multinomial(300, np.full(300, 1 / 300), size=3).T.astype(float)
    weighted = scores.weighted_scores(truth, probability, weights)
    for number, weight in enumerate(weights.T):
        for metric, library in (
            ("auroc", metrics.roc_auc_score),
            ("average_precision", metrics.average_precision_score),
            ("log_loss", metrics.log_loss),
        ):
            expected = library(truth, probability, sample_weight=weight)
            assert weighted[metric][number] == pytest.approx(expected)
    plain = scores.weighted_scores(truth, probability, np.ones((300, 1)))
    for metric in scores.METRICS:
        assert plain[metric][0] == pytest.approx(scoring.METRICS[metric](truth, probability))


@pytest.fixture(scope="module")
def judged():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 500)
    noise = rng.normal(size=500)

    def curve(strength):
        return 1 / (1 + np.exp(-(strength * (truth - 0.5) + noise)))

    probabilities = {
        "deepchrome": [np.stack([curve(2.0), curve(2.1)])],
        "karlic": [curve(0.5)],
        "linear": [curve(2.05)],
    }
    return scores.metric_bootstrap([truth], probabilities, [np.arange(500)], n_resamples=200)


def test_differences_are_paired_and_intervals_enclose(judged):
    for system in judged.estimate:
        for metric in scores.METRICS:
            interval = judged.interval(system, metric)
            assert interval.low <= interval.estimate <= interval.high
    gap, alone = judged.difference("deepchrome", "linear"), judged.interval("deepchrome", "auroc")
    assert gap.high - gap.low < (alone.high - alone.low) / 2
    assert judged.difference("karlic", "karlic") == Interval(0.0, 0.0, 0.0, 500)
    assert compared(judged.difference("karlic", "deepchrome")) == "worse"
    assert judged.best_first()[-1] == "karlic"
    table = scores.metric_table({"numeric": judged})
    assert table["system"].tolist() == 3 * list(judged.estimate)


def test_orders_are_judged_by_the_paired_interval(judged):
    orders = [("deepchrome", "karlic", "a"), ("karlic", "linear", "b"), ("linear", "linear", "c")]
    table = scores.check_published_orders(judged, orders)
    assert table["verdict"].tolist() == ["as published", "reversed", "alike"]


def test_neighbours_that_are_alike_make_intervals_wider():
    """Genes come in stretches of ten that share label and score: a tenth as many tell something."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    score = 1 / (1 + np.exp(-(truth - 0.5 + rng.normal(size=60))))
    truth, score, blocks = (np.repeat(one, 10) for one in (truth, score, np.arange(60)))
    by_gene, by_block = (
        scores.metric_bootstrap([truth], {"a": [score]}, [one], n_resamples=300)
        .interval("a", "auroc")
        for one in (np.arange(600), blocks)
    )
    assert by_block.estimate == by_gene.estimate
    assert (by_block.high - by_block.low) > 2 * (by_gene.high - by_gene.low)


EXPRESSION = pd.DataFrame(
    {"A": [1.0, 9, 5, 0], "B": [8.0, 9, 0, 0], "C": [7.0, 8, 1, 0]}, index=list("wxyz")
)


def test_breadth_leaves_the_cell_type_out():
    genes = np.array(["z", "w", "x", "y"])
    assert other_cell_types.breadth(EXPRESSION, "A", genes).tolist() == [0, 2, 2, 0]
    changed = EXPRESSION.assign(A=[99.0, 0, 0, 99])
    assert other_cell_types.breadth(changed, "A", genes).tolist() == [0, 2, 2, 0]
    groups = breadth.breadth_group(np.array([0, 1, 4, 5, 9, 10]), 10)
    assert groups.tolist() == ["none", "few", "some", "some", "many", "all"]
    assert breadth.group_ranges(55) == {
        "none": "0", "few": "1-13", "some": "14-41", "many": "42-54", "all": "55"
    }


def test_the_other_cells_never_see_the_cell_itself():
    genes = np.array(["w", "x", "y", "z"])
    score = other_cell_types.other_cells_score(EXPRESSION, "A", genes)
    changed = EXPRESSION.assign(A=[-5.0, 100, 3, 1])
    np.testing.assert_array_equal(other_cell_types.other_cells_score(changed, "A", genes), score)
    np.testing.assert_allclose(score, [0.75, 1.0, 0.4375, 0.3125])


def test_an_own_cell_type_beside_a_table_that_lacks_it_and_some_genes():
    genes = np.array(["w", "new", "y"])
    assert other_cell_types.other_cells(EXPRESSION, "mine").columns.tolist() == ["A", "B", "C"]
    count = other_cell_types.breadth(EXPRESSION, "mine", genes)
    assert count.tolist() == [2, -1, 1]
    assert breadth.breadth_group(count, 3).tolist() == ["some", "unknown", "some"]
    score = other_cell_types.other_cells_score(EXPRESSION, "mine", genes)
    assert np.isnan(score).tolist() == [0, 1, 0]
    assert not other_cell_types.varying(EXPRESSION, "mine", genes)[1]


def test_small_groups_are_left_out():
    group = np.repeat(["none", "some", "all"], 50)
    label = np.concatenate([np.zeros(50), np.arange(50) % 2, np.ones(50)]).astype(int)
    rows = breadth.aurocs_of_groups(label, np.arange(150.0)[None], group, n_resamples=20)
    assert [(row["group"], row["positives"], row["n"]) for row in rows] == [("some", 0.5, 50)]


@pytest.fixture(scope="module")
def small_study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DC2LIB_DATA", str(folder))
        for number, cell in enumerate(("A", "B", "C")):
            write_cell(planted(cell, n=400, seed=number), folder)
        size = study.StudySize(candidates=2, n_tune=60, seeds=2, epochs=2)
        systems = ("karlic", "shallow_chrome", "deepchrome", "boosting")
        options = {"systems": systems}
        yield SimpleNamespace(
            run=lambda: study.run_study(["A", "B"], str(folder), size, **options),
            records=study.run_study(["A", "B"], str(folder), size, **options),
            systems=systems,
        )


def test_a_study_fits_every_system_everywhere(small_study):
    fits = {(r.trial.system, r.trial.cell, r.trial.labels, r.trial.seed)
            for r in small_study.records}
    assert len(fits) == len(small_study.records) == 4 * (2 * 2 + 2)
    karlics = trials.select(small_study.records, "karlic", "numeric", "A")
    np.testing.assert_array_equal(karlics[0].test_score, karlics[1].test_score)
    assert trials.probabilities_of(karlics).shape == (1, 100)
    for system in small_study.systems:
        fits = trials.select(small_study.records, system, "numeric")
        assert len({one.trial.setting for one in fits}) == 1


def test_a_second_study_reads(small_study, monkeypatch):
    monkeypatch.setattr(trials, "_fitted", lambda *_: pytest.fail("fitted again"))
    again = "dc2lib.training.grid.train_together"
    monkeypatch.setattr(again, lambda *_: pytest.fail("trained again"))
    for one, other in zip(small_study.run(), small_study.records, strict=True):
        assert one.trial == other.trial and one.seconds == other.seconds
        np.testing.assert_array_equal(one.test_score, other.test_score)


def test_a_cell_type_written_again_is_another_trial(tmp_path):
    dataset = planted("A", n=400, seed=0)
    trial = trials.Trial("karlic", (), "A", str(tmp_path), "numeric")
    paths = []
    for counts in (dataset.counts, dataset.counts + np.uint16(1)):
        write_cell(replace(dataset, counts=counts), tmp_path)
        paths.append(trials.trial_path(trial))
    assert paths[0] != paths[1]


def test_the_grid_and_the_system_fit_the_same_network(small_study):
    record = trials.select(small_study.records, "deepchrome", "numeric", "A")[0]
    dataset = record.trial.dataset()
    train, valid, test = (genes_of(dataset, "numeric", s) for s in ("train", "valid", "test"))
    fitted = SYSTEMS["deepchrome"].fit(train, valid, dict(record.trial.setting), 0)
    np.testing.assert_allclose(fitted.score(test.counts), record.test_score, atol=1e-4)
    assert fitted.parameters == record.parameters


def test_a_fit_that_still_improves_has_not_converged(small_study):
    one = small_study.records[0]
    curves = [np.array([0.5, 0.6, 0.7, 0.7, 0.7]), np.array([0.5, 0.55, 0.6, 0.65, 0.7])]
    share = study.converged([replace(one, about={"valid_auroc": curve}) for curve in curves])
    assert (share.estimate, share.n) == (0.5, 2)
    network = trials.select(small_study.records, "deepchrome", "numeric", "A")[0]
    assert len(network.about["valid_auroc"]) == 2  # every epoch is known


def test_classes_that_weigh_alike_are_asked_of_the_machine(monkeypatch):
    asked = []
    monkeypatch.setattr(cheng, "SVC", lambda **given: asked.append(given) or SVC(**given))
    genes = genes_of(planted("A", n=120), "numeric", "train")
    for name in ("cheng", "cheng_balanced"):
        ALL[name].fit(genes, genes, dict(ALL[name].candidates[0]), 0)
    assert [one["class_weight"] for one in asked] == [None, "balanced"]


def test_open_questions_of_a_study(small_study):
    records = small_study.records
    expression = pd.DataFrame(
        {c: pd.Series(planted(c, n=400, seed=i).rpkm, planted(c, n=400).gene_id)
         for i, c in enumerate(("A", "B", "C"))}
    )
    for results in (
        *breadth.by_breadth(records[:1], expression[["A"]], ["karlic"]),
        breadth.trained_by_breadth(records[0], expression[["A"]]),
    ):
        assert len(results) == 0  # no other cell type is known
    table, _ = breadth.by_breadth(records, expression, ["karlic"], n_resamples=20)
    assert set(table["group"]) <= set(breadth.GROUPS) and (table["estimate"] > 0.7).all()
    booster = trials.select(records, "boosting", "numeric", "A")[0]
    low = np.arange(len(expression)) // 4 % 2
    others = expression.assign(B=1.0 - low, C=1.0 - low)
    trained = breadth.trained_by_breadth(booster, others, n_resamples=20)
    by_key = dict(list(trained.groupby("key")))
    assert len(by_key["breadth_transfer_auroc"]) == 3 * 2
    gains = by_key["own_kind_minus_this_auroc"]
    assert len(gains) == 4 and (gains["trained_on"] != gains["tested_on"]).all()


def test_splits_of_a_study(small_study):
    planned = study.split_trials(small_study.records, ["karlic"], 2)
    assert [(t.split, t.seed) for t in planned] == [
        ("released", 0), ("chromosome", 0), ("chromosome", 1), ("random", 0), ("random", 1)
    ]
    table = study.split_table(planned)
    assert table["split"].tolist() == ["released", "chromosome", "random"]
    assert table["estimate"].between(table["low"], table["high"]).all()


def test_a_pair_has_one_unit_and_the_marks_that_both_hold():
    cells = {name: planted(name, n=8) for name in ("A", "B", "C")}
    cells["B"] = replace(cells["B"], unit="peak signal")
    cells["C"] = cells["C"].with_marks(cells["C"].marks[:0:-1])
    first, second = pairs.pair_of(cells["A"], cells)
    assert (first.cell, second.cell) == ("A", "C")
    assert first.marks == second.marks == cells["A"].marks[1:]
    assert pairs.pair_of(cells["B"], cells) is None


def test_shared_genes_are_in_one_order():
    first, second = planted("A"), planted("B", seed=1).select(np.arange(200)[::-1])
    here, there = pairs.shared_genes(first, second)
    assert here.gene_id.tolist() == there.gene_id.tolist() == first.gene_id[:200].tolist()


def test_a_pair_of_other_marks_is_refused():
    first, second = planted("A"), planted("B")
    turned = replace(second, marks=second.marks[::-1])
    with pytest.raises(DataError, match="B has the marks"):
        pairs.shared_genes(first, turned)


def test_the_control_cannot_know_the_direction(tmp_path, monkeypatch):
    monkeypatch.setenv("DC2LIB_DATA", str(tmp_path))
    first, second = planted("A", n=400), planted("B", n=400, seed=1)
    table, answers = pairs.change_of_expression(first, second, epochs=1)
    correlation = table.set_index("method")["estimate"]
    assert correlation["linear"] > 0.8
    assert abs(correlation["level"]) < 0.3
    assert table["oddness"][0] == pytest.approx(1)
    again, same = pairs.change_of_expression(first, second, epochs=1)
    np.testing.assert_array_equal(answers["deepdiff"], same["deepdiff"])
    assert again["seconds"].tolist() == table["seconds"].tolist()


def test_paired_difference_of_correlations():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    good, bad = truth + rng.normal(size=400), truth + 5 * rng.normal(size=400)
    gap = agreement.correlation_difference(truth, good, bad, n_resamples=200)
    expected = np.corrcoef(truth, good)[0, 1] - np.corrcoef(truth, bad)[0, 1]
    assert gap.estimate == pytest.approx(expected) and gap.low > 0
    same = agreement.correlation_difference(truth, good, good, n_resamples=20)
    assert (same.estimate, same.low, same.high) == pytest.approx((0, 0, 0), abs=1e-12)
    constant = agreement.correlation_difference(truth, good, good * 0, n_resamples=20)
    assert constant.estimate == pytest.approx(np.corrcoef(truth, good)[0, 1])


ANSWER = np.array([[0.0, 1.0], [2.0, 4.0]])
TRUTH = np.array([[1.0, 2.0], [2.0, 1.0]])


def imputations(n=120, n_bins=6, seed=0):
    """Two marks: one imputed well, one badly, both better with another cell type."""
    rng = np.random.default_rng(seed)
    label = (np.arange(n) % 2).astype(np.int8)
    marks = {}
    for mark, noise, sign in (("A", 0.3, 1), ("B", 3, -1)):
        truth = sign * label[:, None] + rng.normal(size=(n, n_bins))
        answers = {
            "profile": np.broadcast_to(np.arange(float(n_bins)), truth.shape),
            "others": truth + noise * rng.normal(size=truth.shape),
            "other_cell": truth + noise / 2 * rng.normal(size=truth.shape),
        }
        marks[mark] = {way: pairs.moments_by_gene(one, truth) for way, one in answers.items()}
        marks[mark] |= {"measured": truth.mean(1), "imputed": answers["others"].mean(1)}
        marks[mark] |= {"label": label, "truth": truth, "answer": answers["others"]}
    return marks


def test_correlation_by_hand():
    expected = [[0.5, 0.5, 0.5, 0.5, 0.5], [3.0, 0.5, 10.0, 0.5, 1.0]]
    moments = pairs.moments_by_gene(ANSWER, TRUTH)
    np.testing.assert_array_equal(moments, expected)
    # means of a = 0, 1, 2, 4 and t = 0, 1, 1, 0: 7/4, 1/2, 21/4, 1/2, 3/4
    by_hand = (3 / 4 - 7 / 8) / np.sqrt((21 / 4 - 49 / 16) * (1 / 2 - 1 / 4))
    assert pairs.correlation_of(moments.mean(0)) == pytest.approx(by_hand, abs=1e-15)
    # the second gene drawn twice: rows of bins are repeated, not bins
    twice = np.r_[0, 1, 1]
    again = np.corrcoef(ANSWER[twice].ravel(), TRUTH[twice].ravel())[0, 1]
    assert pairs.correlation_of(moments[twice].mean(0)) == pytest.approx(again)


@pytest.mark.parametrize("constant", [0.0, 0.1, 7.3])
def test_what_is_constant_has_no_correlation(constant):
    flat = np.full(TRUTH.shape, constant)
    for two in ((flat, TRUTH), (TRUTH, flat)):
        assert pairs.correlation_of(pairs.moments_by_gene(*two).mean(0)) == 0


def test_a_drawn_gene_brings_all_its_bins():
    marks = imputations(n=40)
    table, _ = agreement.correlations(marks, n_resamples=3, seed=5)
    drawn = np.random.default_rng(5).integers(40, size=(3, 40))
    for mark in marks:
        answer, truth = marks[mark]["answer"], marks[mark]["truth"]
        expected = [np.corrcoef(answer[i].ravel(), truth[i].ravel())[0, 1] for i in drawn]
        one = table[(table["mark"] == mark) & (table["inputs"] == "other_marks")].iloc[0]
        assert one.estimate == pytest.approx(np.corrcoef(answer.ravel(), truth.ravel())[0, 1])
        low, high = np.quantile(expected, [0.025, 0.975])
        assert (one.low, one.high, one.n) == (pytest.approx(low), pytest.approx(high), 40)


def test_differences_of_correlations_are_paired():
    marks = imputations()
    table, gain = agreement.correlations(marks, n_resamples=200)
    alone, both = (table[table["inputs"] == name]["estimate"].mean()
                   for name in ("other_marks", "other_marks_and_cell"))
    assert gain.estimate == pytest.approx(both - alone) and gain.low > 0
    same = {mark: one | {"other_cell": one["others"]} for mark, one in marks.items()}
    _, nothing = agreement.correlations(same, n_resamples=20)
    assert (nothing.low, nothing.high) == (0, 0)


def test_aurocs_and_their_paired_difference():
    marks = imputations()
    table = agreement.expression_aurocs(marks, n_resamples=100).set_index(["mark", "key"])
    # a mark that goes with silence: nearer to 0.5 is further up
    for mark, sign in (("A", 1), ("B", -1)):
        plain, further = (table.loc[(mark, f"imputed_minus_measured_{what}")]
                          for what in ("auroc", "distance"))
        assert further.estimate == pytest.approx(sign * plain.estimate)
        bounds = sorted([sign * plain.low, sign * plain.high])
        assert (further.low, further.high) == pytest.approx(tuple(bounds))
    by_hand = {
        "label": np.array([1, 1, 0, 0]),
        "measured": np.array([3.0, 1.0, 2.0, 0.0]),  # 3 of 4 pairs in order
        "imputed": np.array([0.0, 1.0, 2.0, 3.0]),  # none of 4
    }
    found = agreement.expression_aurocs({"A": by_hand}, n_resamples=50)["estimate"]
    assert found.tolist() == pytest.approx([0.75, 0.0, -0.75, 0.25])
