"""The audit: what published figures say, what label noise and the released score do."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dc2book.architectures import Budget
from dc2book.audit import (
    alignment,
    association,
    effects,
    evidence,
    figures,
    learning,
    noise,
    scoring_gap,
)
from dc2book.audit import (
    sentences as words,
)
from released_files import TABLE

from dc2lib.crosscell import expression_correlation, one_column_off
from dc2lib.datasets import HistoneDataset, published, read_rpkm, store_of
from dc2lib.datasets.simulated import simulate
from dc2lib.errors import DataError
from dc2lib.evaluation.scores import auroc
from dc2lib.evaluation.statistics import Interval
from dc2lib.labels import label

needs_table = pytest.mark.skipif(not TABLE.exists(), reason=f"{TABLE} is not here")


@pytest.fixture(scope="module")
def cells():
    return simulate(n_cells=4, n_genes=600, seed=5).datasets


@pytest.fixture(scope="module")
def flipping(cells):
    return next(one for one in cells.values() if one.rpkm_median_text[0] != "1")


# published evidence ----------------------------------------------------------------------------


def test_the_thirty_genes():
    explained = evidence.toy_agreement().set_index("rule")["explained"]
    assert explained["lexicographic"] == 30
    assert explained["numeric"] == 24
    assert explained["any_threshold"] == 25
    assert explained["lexicographic_mean"] == 28
    others = explained.drop(["lexicographic", "lexicographic_mean", "any_threshold_on_reads"])
    assert others.max() == explained["any_threshold"]


def test_chance_is_one_over_the_ways_to_choose():
    nulls = evidence.toy_chance()
    assert [one.wrong for one in nulls] == [6, 6, 6]
    assert [one.genes for one in nulls] == [30, 16, 11]
    assert nulls[0].probability == pytest.approx(1 / 593_775)
    assert nulls[2].probability == pytest.approx(1 / 462)


def test_released_accuracies_are_counts_of_the_test_genes():
    accuracy = published.released_results()["test_accuracy"].dropna()
    counts = accuracy * evidence.TEST_GENES
    assert (counts - counts.round()).abs().max() < 0.01


def test_runs_meet_the_text_rule_exactly_and_the_numeric_rule_never():
    table = evidence.coincidences(n_permutations=499).set_index("rule")
    assert table.loc["lexicographic", "exact"] == 17
    assert table.loc["numeric", "exact"] == 0
    assert table["exact"].drop("lexicographic").max() <= 2
    assert table.loc["lexicographic", "pvalue"] == pytest.approx(1 / 500)


def test_coincidences_by_accident_are_not_called_evidence():
    rng = np.random.default_rng(1)
    n = 600
    runs = pd.DataFrame(
        {"rule": "any", "cell": rng.integers(0, 50, n), "distance": rng.integers(-40, 41, n)}
    )
    found = evidence.coincidences(runs, n_permutations=499).iloc[0]
    assert found["pvalue"] > 0.01
    assert found["by_chance"] == pytest.approx(found["exact"], abs=12)


def test_majority_shares_of_the_cells_in_the_reference():
    table = evidence.majority_matches().query("split == 'test'").set_index("cell")
    for cell, value in {"E112": 0.866, "E109": 0.833, "E084": 0.862, "E096": 0.843}.items():
        assert table.loc[cell, "predicted"] == pytest.approx(value, abs=0.001)
    assert table["numeric"].between(0.6, 0.7).all()


def test_cells_without_flips_are_the_best():
    for column in ("published", "released"):
        unflipped, best, lowest, highest = association.best_cells_are_unflipped(column)
        assert unflipped == best
        assert lowest > highest


def test_flips_go_with_scores_beyond_the_median():
    table = association.flips_and_scores()
    found = association.rank_association(
        table["flipped"], table["released"], n_resamples=200, n_permutations=199
    )
    assert found.estimate == pytest.approx(-0.81, abs=0.005)
    assert (found.n, found.pvalue) == (55, 1 / 200)
    assert found.low < found.estimate < found.high < 0
    for column in ("published", "released"):
        slopes = association.competing_slopes(
            table["flipped"], table["median"], table[column], n_resamples=300
        )
        assert slopes["flipped"].high < 0
        assert slopes["median"].high > 0


def test_rank_association_matches_scipy_and_its_partial_form_removes_a_confounder():
    rng = np.random.default_rng(0)
    z = rng.normal(size=300)
    x, y = z + rng.normal(size=300), z + rng.normal(size=300)
    plain = association.rank_association(x, y, n_resamples=50, n_permutations=99)
    assert plain.estimate == pytest.approx(pd.Series(x).corr(pd.Series(y), method="spearman"))
    partial = association.rank_association(x, y, given=z, n_resamples=50, n_permutations=99)
    assert abs(partial.estimate) < 0.15 < plain.estimate


def test_a_step_is_found_where_it_is_and_not_elsewhere():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 5, 200)
    y = 0.9 - 0.02 * x - 0.05 * (x >= 3) + rng.normal(0, 0.01, 200)
    step = association.step_at(x, y, 3, n_resamples=200)
    assert step.estimate == pytest.approx(-0.05, abs=0.01)
    assert step.high < 0
    nothing = association.step_at(x, 0.9 - 0.02 * x + rng.normal(0, 0.01, 200), 3, n_resamples=200)
    assert nothing.low < 0 < nothing.high


# label noise -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("high", "flipped"), [(0.5, 0.1), (0.5, 0.25), (0.4, 0.3), (0.7, 0.05)])
@pytest.mark.parametrize("true_auroc", [1.0, 0.92])
def test_the_ceiling_is_what_simulation_gives(high, flipped, true_auroc):
    separation = None if true_auroc == 1 else noise.separation_of(true_auroc)
    true, observed = noise.simulate_ceiling(high, flipped, separation=separation)
    assert true == pytest.approx(true_auroc, abs=0.004)
    assert observed == pytest.approx(noise.expected_auroc(true_auroc, high, flipped), abs=0.006)


def test_the_decomposition_is_an_identity(flipping):
    scores = np.random.default_rng(0).normal(size=len(flipping))
    truth, observed = label(flipping, "numeric"), label(flipping, "lexicographic")
    parts = noise.decompose(scores, truth, observed)
    rebuilt = (1 - parts.weight_flipped) * parts.kept_over_low
    rebuilt += parts.weight_flipped * parts.kept_over_flipped
    assert rebuilt == pytest.approx(parts.observed)
    assert parts.observed == pytest.approx(auroc(observed, scores))
    with pytest.raises(DataError, match="no gene is flipped"):
        noise.decompose(scores, truth, truth)
    with pytest.raises(DataError, match="labelled high"):
        noise.decompose(scores, observed, truth)


def test_impossible_shares_are_refused():
    with pytest.raises(DataError, match="expected 0 <= flipped < high < 1"):
        noise.class_ceiling(0.3, 0.4)


# alignment -------------------------------------------------------------------------------------


def test_released_training_sets_come_out_one_column_off():
    table = alignment.sets_reproduced().set_index(["kind", "alignment"])["exact"]
    assert table["highly", "released"] == table["somewhat", "released"] == 55
    assert table["highly", "aligned"] == 5
    assert table["somewhat", "aligned"] == 0


def test_random_sets_hold_eight_cells():
    assert alignment.random_set_sizes() == {8: 110}


def test_transfer_pairs_are_all_pairs():
    pairs = alignment.transfer_pairs("released")
    assert len(pairs) == 55 * 54
    assert pairs.notna().all(axis=None)
    own = published.released_results().query("experiment == 'deepchrome' and cell == 'E004'")
    row = pairs.query("train_cell == 'E003' and test_cell == 'E004'").iloc[0]
    assert row["change"] == pytest.approx(0.783108 - own["test_auroc"].iloc[0])


@needs_table
def test_the_carried_correlations_are_those_of_the_table():
    frame = read_rpkm(TABLE).frame()[:6601]
    for name, made in (
        ("aligned", expression_correlation(frame)),
        ("released", expression_correlation(one_column_off(frame))),
    ):
        np.testing.assert_allclose(
            made.to_numpy(), published.rpkm_correlation(name).to_numpy(), atol=1e-6
        )


@needs_table
def test_the_carried_counts_are_those_of_the_table():
    table = read_rpkm(TABLE)
    genes = published.gene_order().drop_duplicates("gene_id")
    counts = published.label_rule_counts().set_index(["cell", "rule", "split"])["positive"]
    row = pd.Series(np.arange(len(table.gene_id)), index=table.gene_id)
    place = row.loc[genes["gene_id"]].to_numpy()
    test = (genes["split"] == "test").to_numpy()
    for cell in ("E003", "E112", "E123"):
        text = table.text(cell)[place][test]
        assert counts[cell, "lexicographic", "test"] == (text > table.median_text(cell)).sum()
        above = table.rpkm(cell)[place][test] > float(table.median_text(cell))
        assert counts[cell, "numeric", "test"] == above.sum()
        assert published.rpkm_columns().loc[cell, "median"] == table.median_text(cell)


# scoring and effects ---------------------------------------------------------------------------


def test_the_smallest_example_is_ranked_in_opposite_order():
    table = scoring_gap.smallest_example()
    assert auroc(table["label"], table["probability"]) == 1
    assert auroc(table["label"], table["positive_logit"]) == 0


def test_released_linear_runs_below_one_half():
    runs = scoring_gap.released_linear_runs()
    lowest = runs[runs["chosen"] == "lowest training loss"]["auroc"]
    assert ((lowest < 0.5).sum(), len(lowest)) == (18, 56)
    assert lowest.min() == pytest.approx(0.162, abs=5e-4)


def test_gaps_at_scale_one_are_those_of_the_models_themselves(cells):
    dataset = next(iter(cells.values()))
    both = {"scales": (1.0, 2.0), "seeds": (0,), "n_train": 100}
    table = pd.concat([
        scoring_gap.linear_gaps([dataset], epochs=(1,), **both),
        scoring_gap.network_gaps([dataset], epochs=(1,), **both),
    ])
    assert table.groupby(["model", "scale"]).size().eq(1).all()
    assert table["probability"].between(0, 1).all()
    assert scoring_gap.rescaled(dataset, 1) is dataset
    assert scoring_gap.rescaled(dataset, 1e9).counts.max() == 65_535


def test_the_mean_gap_has_the_seeds_as_units():
    gaps = pd.DataFrame({"seed": [0, 0, 1, 1], "gap": [0.1, 0.3, -0.1, 0.1]})
    mean = scoring_gap.mean_gap(gaps)
    assert (mean.estimate, mean.n) == (pytest.approx(0.1), 2)
    half = 12.7062047 * 0.1
    assert (mean.low, mean.high) == (-1, 1) and 0.1 + half > 1
    near = scoring_gap.mean_gap(pd.DataFrame({"seed": [0, 1], "gap": [0.09, 0.11]}))
    assert (near.low, near.high) == (pytest.approx(0.1 - half / 10), pytest.approx(0.1 + half / 10))
    again = pd.concat([gaps, gaps])
    assert vars(scoring_gap.mean_gap(again)) == pytest.approx(vars(mean))
    alone = scoring_gap.mean_gap(gaps[gaps["seed"] == 0])
    assert alone.n == 1 and np.isnan(alone.low)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DC2LIB_DATA", str(home))
        store = store_of("simulated", 2, 450, 5)
        from dc2lib.datasets import load_cells

        datasets = load_cells("simulated", "", 2, 450, 5)
        budget = Budget(paper_epochs=1, tuned_epochs=1, rates=1, seeds=2, n_train=100)
        yield effects.train(datasets, str(store), budget, restarts=2, linear_epochs=2), datasets


def test_the_waterfall_ends_agree_with_its_parts(trained):
    models, datasets = trained
    for cell, dataset in datasets.items():
        steps = effects.stages(models, dataset)
        assert [one.name for one in steps] == list(effects.STAGES)
        table = effects.waterfall(steps, n_resamples=50)
        for model, part in table.groupby("model"):
            total = part["estimate"].iloc[-1] - part["estimate"].iloc[0]
            assert part["change"].sum() == pytest.approx(total)
            last = steps[-1].scores[model]
            expected = np.mean([auroc(steps[-1].labels, one) for one in last])
            assert part["estimate"].iloc[-1] == pytest.approx(expected)
        turned = table.query("model == 'linear' and stage == 'gene orientation'")["change"]
        assert turned.iloc[0] == 0, cell


def test_train_and_score_covers_every_combination(trained):
    models, datasets = trained
    boosting = {
        (cell, rule): np.random.default_rng(0).random((one.split == "test").sum())
        for cell, one in datasets.items() for rule in ("numeric", "lexicographic")
    }
    table = effects.train_and_score(models, boosting, datasets, n_resamples=20)
    keys = ["cell", "recipe", "model", "labels", "scored_on", "scoring"]
    assert not table.duplicated(keys).any()
    assert len(table) == len(datasets) * 4 * (2 * 2 * 2 + 1)
    leads = effects.advantages(models, boosting, datasets, n_resamples=20)
    assert len(leads) == len(datasets) * 3 * 4
    costs = learning.learning_differences(models, boosting, datasets, n_resamples=20)
    tuned = table.query("recipe == 'tuned' and scoring == 'probability'")
    means = tuned.groupby(["labels", "scored_on"])["estimate"].mean()
    for rule, one in costs.items():
        expected = means["lexicographic", rule] - means["numeric", rule]
        assert one.estimate == pytest.approx(expected) and one.low <= one.estimate <= one.high
    scoring = learning.scoring_cost(models, boosting, datasets, n_resamples=20)
    expected = means["lexicographic", "numeric"] - means["lexicographic", "lexicographic"]
    assert scoring.estimate == pytest.approx(expected)
    assert scoring.low <= scoring.estimate <= scoring.high


def test_flipped_genes_by_hand():
    text = ["1.000", "4.000", "12.000", "29.999", "31.000", "3.000"]
    dataset = HistoneDataset.from_arrays(
        np.zeros((6, 100, 5), int), list("abcdef"), "E003", ["test"] * 6, rpkm_text=text,
        rpkm_median_text="3.329",
    )
    found = effects.flip_summary(dataset)
    assert found["flipped"] == pytest.approx(2 / 6)
    assert found["flipped_high"] == pytest.approx(2 / 4)
    assert (found["rpkm_low"], found["rpkm_high"]) == (12.0, 29.999)
    assert found["between_10_and_30"] == 1


# sentences -------------------------------------------------------------------------------------


def test_sentences_follow_the_numbers(trained):
    models, datasets = trained
    tables = [
        effects.waterfall(effects.stages(models, one), n_resamples=20).assign(cell=cell)
        for cell, one in datasets.items()
    ]
    table = words.waterfall_table(pd.concat(tables), {"linear": "L", "deepchrome_max": "D"})
    assert len(table) == len(datasets) * 2 * len(effects.STAGES)
    assert table["change"].isna().sum() == len(datasets) * 2
    leads = pd.DataFrame({
        "cell": ["A", "B"] * 2, "labels": ["numeric"] * 2 + ["lexicographic"] * 2,
        "estimate": [0.03, 0.002, 0.0, 0.001], "low": [0.02, -0.002, -0.004, -0.003],
        "high": [0.04, 0.006, 0.004, 0.005], "n": 500,
    })
    assert "better in 1 of 2 cell types on numeric labels" in words.advantage_sentence(leads)
    assert "in 0 of 2 on released labels" in words.advantage_sentence(leads)
    assert words.leads(leads.iloc[:1]) == "A +0.030 [+0.020, +0.040] (better)"
    scoring, same = Interval(0.11, 0.1, 0.12, 9), Interval(0.0, 0.0, 0.0, 9)
    costs = {"numeric": Interval(-0.02, -0.03, -0.01, 9),
             "lexicographic": Interval(-0.01, -0.02, 0.001, 9)}
    text = words.loss_sentence(costs, scoring)
    assert "costs 0.020 [0.010, 0.030] AUROC on numeric labels" in text
    assert "another 0.110 [0.100, 0.120]: the scoring costs more than the learning" in text
    assert "costs not clearly more or less than" in words.loss_sentence(
        costs, Interval(0.04, 0.03, 0.05, 9)
    )
    assert "costs less than the learning" in words.loss_sentence(costs, same)
    assert text.endswith("means over models and cell types of the ends of paired 95 % intervals")
    assert "not told apart from models that learned numeric ones" in text
    costs["lexicographic"] = Interval(-0.01, -0.02, -0.001, 9)
    assert "are worse than models that learned numeric" in words.loss_sentence(costs, scoring)
    assert "nothing is lost" in words.loss_sentence(dict.fromkeys(costs, same), same)
    assert "is flipped" in words.ranking_sentence(pd.DataFrame())
    learned = pd.DataFrame({"kept_over_low": [0.9], "kept_over_flipped": [0.45],
                            "flipped_over_low": [0.93]})
    assert "93% of the pairs, more often than a kept high gene (90%)" in words.ranking_sentence(
        learned
    )
    gaps = pd.DataFrame({"model": "linear", "scale": [1.0, 1.0], "epochs": [1, 4],
                         "seed": [0, 0], "gap": [-0.1, 0.3]})
    text = words.gap_sentence(gaps, "linear")
    assert "+0.100 on average (with one seed, and so without an interval)" in text
    assert "the 2 fits go from -0.100 to +0.300, and 1 of them" in text
    assert "0.100 after 1 epoch and 0.300 after 4 epochs" in text


def test_published_figures_are_drawn():
    for draw in (
        lambda: figures.toy_genes(evidence.toy_labels_under_rules(), 3.329),
        lambda: figures.coincidences(evidence.run_counts()),
        lambda: figures.flips_against_scores(association.flips_and_scores()),
        lambda: figures.linear_runs(scoring_gap.released_linear_runs()),
    ):
        fig = draw()
        assert fig.axes[0].get_xlabel() or fig.axes[-1].get_xlabel()
        plt.close(fig)
