"""The published systems against planted truths and closed forms."""

import numpy as np
import pytest
import torch
from planted_cells import N_BINS, parts, planted

from dc2lib.baselines import contract, costa, deepdiff, dong, ernst, ho, karlic, networks
from dc2lib.baselines.contract import Genes, genes_of, log_totals, to_probability
from dc2lib.baselines.systems import SYSTEMS
from dc2lib.errors import DataError
from dc2lib.evaluation.scores import auroc
from dc2lib.models.attentive_chrome import AttentiveChrome, DeepDiff, JointLSTM
from dc2lib.models.deepchrome import count_parameters


@pytest.mark.parametrize("name", [n for n in SYSTEMS if n != "attentive_chrome"])
def test_every_system_finds_a_planted_effect_and_repeats_itself(name):
    train, valid, test = parts()
    system = SYSTEMS[name]
    setting = dict(system.candidates[0]) | {"epochs": 3}
    first, second = (system.fit(train, valid, setting, 1) for _ in range(2))
    scores = first.score(test.counts)
    assert auroc(test.label, scores) > 0.8 and first.parameters > 0
    assert all(isinstance(values, np.ndarray) for values in first.about.values())
    np.testing.assert_allclose(second.score(test.counts), scores)
    np.testing.assert_allclose(first.score(test.counts[:7]), scores[:7], atol=1e-5)


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
    mixture = costa.em(features, target, 2, seed=0)
    order = np.argsort(-mixture.coefficients[:, 2])
    np.testing.assert_allclose(mixture.coefficients[order], truth, atol=0.1)
    np.testing.assert_allclose(mixture.weight[order], [which.mean(), 1 - which.mean()], atol=0.02)
    np.testing.assert_allclose(mixture.spread, 0.5, atol=0.05)
    share = mixture.responsibilities(features, target)
    np.testing.assert_allclose(share.sum(1), 1)
    assert (share[:, order[0]] > 0.5).tolist() == which.tolist()


def test_one_component_is_least_squares_and_more_never_fit_worse():
    train, _, _ = parts()
    features, target = log_totals(train.counts), train.expression
    one, two = (costa.em(features, target, k, 0) for k in (1, 2))
    beta = np.linalg.lstsq(costa.with_ones(features), target, rcond=None)[0]
    np.testing.assert_allclose(one.coefficients[0], beta, atol=1e-4)
    assert two.log_likelihood(features, target) > one.log_likelihood(features, target)


def test_constant_weights_make_the_mixture_linear():
    train, valid, test = parts()
    fitted = costa.fit(train, valid, {"components": 2, "gate": "constant"}, 0)
    design = costa.with_ones(log_totals(test.counts))
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
    assert rules.conditions[0].tolist() == [0, ho.ANY, ho.ANY, 2, ho.ANY]
    assert rules.log_odds[0] > 2 and rules.covered[0] == planted_rule.sum()
    assert auroc(planted_rule.astype(int), rules.votes(levels)) > 0.99
    assert ho.describe(rules.conditions[0], tuple("abcde"), 3) == "a low and d high"


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
    fitted = networks.fit_attentive_chrome(train, valid, {"learning_rate": 1e-2, "epochs": 6}, 0)
    assert auroc(test.label, fitted.score(test.counts)) > 0.85
    model = AttentiveChrome(5, N_BINS)
    model.load_state_dict(networks.fitted_weights(fitted.about))
    signals = np.log1p(test.counts.astype(np.float32)).transpose(0, 2, 1)
    bins, marks = networks.attention_maps(model, signals)
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
    assert np.abs(predict(deepdiff.Pair(test.first, test.first, test.change))).max() < 1e-6
    assert parameters == count_parameters(DeepDiff(5, N_BINS))
    linear, size = deepdiff.fit_linear(train)
    assert size == 5 and deepdiff.correlation(linear(test), test.change) > 0.8
    np.testing.assert_allclose(linear(test), -linear(test.swapped()))
    level, _ = deepdiff.fit_level(train)
    np.testing.assert_array_equal(level(test), level(test.swapped()))


def test_cell_types_with_other_numbers_of_genes_are_refused():
    with pytest.raises(DataError, match="the same genes"):
        deepdiff.paired(parts()[0], parts(n=120)[0])


def test_a_mark_that_copies_another_is_imputed():
    train, _, test = (part.counts.copy() for part in parts(n=240))
    for counts in (train, test):
        counts[:, :, 2] = counts[:, :, 1]

    def correlation(mark, **options):
        imputed = ernst.impute(train, test, mark, n_positions=2000, **options)
        return np.corrcoef(imputed.ravel(), np.log1p(test[:, :, mark]).ravel())[0, 1]

    assert correlation(2) > 0.9
    assert abs(correlation(0)) < 0.2
    copied = {"other_train": train[:, :, [0] * 5], "other_test": test[:, :, [0] * 5]}
    assert correlation(0, **copied) > 0.9


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


def test_splits_keep_sizes_and_chromosomes():
    dataset = planted(n=400)
    assert contract.resplit(dataset, "released") is dataset
    drawn = contract.resplit(dataset, "random", seed=1)
    assert sorted(drawn.split) == sorted(dataset.split)
    blocks = contract.chromosome_of(dataset.gene_id)
    whole = contract.resplit(dataset, "chromosome", seed=1)
    assert all(len(set(whole.split[blocks == name])) == 1 for name in np.unique(blocks))
    assert abs((whole.split == "test").sum() - 100) <= 20
    assert (contract.resplit(dataset, "chromosome", seed=1).split == whole.split).all()
    with pytest.raises(DataError, match="unknown split"):
        contract.resplit(dataset, "by year")


def test_chromosomes_come_from_the_annotation():
    named = contract.chromosome_of(np.array(["ENSG00000000003", "ENSG00000000419", "none"]))
    assert named.tolist() == ["X", "20", "unknown"]
