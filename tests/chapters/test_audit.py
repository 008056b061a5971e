"""The audit: what published figures say, what label noise and the released score do."""

import numpy as np
import pandas as pd
import pytest
from dc2book import architectures
from dc2book.architectures import TrainingBudget
from dc2book.audit import evidence, label_effects, label_noise, released_score
from released_files import TABLE

from dc2lib.datasets import HistoneDataset, published, read_rpkm, store_of
from dc2lib.datasets.simulated import simulate
from dc2lib.errors import DataError
from dc2lib.evaluation.scores import auroc
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
    assert nulls["wrong"].tolist() == [6, 6, 6]
    assert nulls["genes"].tolist() == [30, 16, 11]
    assert nulls["probability"].iloc[[0, 2]].tolist() == pytest.approx([1 / 593_775, 1 / 462])


def test_runs_meet_the_text_rule_exactly_and_the_numeric_rule_never():
    table = evidence.coincidences(evidence.run_counts(), n_permutations=499).set_index("rule")
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


def test_cells_without_flips_are_the_best():
    border = evidence.border_of_unflipped()
    assert border["are_best"].all() and (border["lowest"] > border["highest_other"]).all()
    assert (border["n"] > 3).all()


def test_flips_go_with_scores_beyond_the_median():
    table = evidence.flips_and_scores()
    rho, pvalue = evidence.rank_association(
        table["flipped"], table["released"], n_permutations=199
    )
    assert rho.estimate == pytest.approx(-0.81, abs=0.005)
    assert (rho.n, pvalue) == (55, 1 / 200)
    assert rho.low < rho.estimate < rho.high < 0
    slopes = evidence.slope_table(table).query("key == 'auroc_slope'").groupby("predictor")["high"]
    assert slopes.max()["flipped"] < 0 < slopes.min()["median"]


def test_rank_association_is_spearmans_and_leaves_out_missing_pairs():
    rng = np.random.default_rng(0)
    x, y = (pd.Series(rng.normal(size=30)).round(1) for _ in range(2))
    y[3] = np.nan
    rho, pvalue = evidence.rank_association(x, y, n_permutations=99)
    assert rho.n == 29
    assert rho.estimate == pytest.approx(x.corr(y, method="spearman"))
    assert rho.low < rho.estimate < rho.high and 0.01 <= pvalue <= 1


def test_a_step_is_found_where_it_is_and_not_elsewhere():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 5, 200)
    y = 0.9 - 0.02 * x - 0.05 * (x >= 3) + rng.normal(0, 0.01, 200)
    step = evidence.step_at(x, y, 3)
    assert step.estimate == pytest.approx(-0.05, abs=0.01)
    assert step.high < 0
    nothing = evidence.step_at(x, 0.9 - 0.02 * x + rng.normal(0, 0.01, 200), 3)
    assert nothing.low < 0 < nothing.high


def test_a_step_does_not_look_across_the_next_whole_number():
    median = np.linspace(1.6, 5.4, 77)
    table = pd.DataFrame({"median": median, "published": -np.floor(median)})
    table["released"] = table["published"]
    near = evidence.first_digit_steps(table)
    control = near[~near["first_digit_changes"]]
    assert control["estimate"].abs().max() < 1e-9
    assert near[near["first_digit_changes"]]["estimate"].max() == pytest.approx(-1)


# label noise -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("high", "flipped"), [(0.5, 0.1), (0.5, 0.25), (0.4, 0.3), (0.7, 0.05)])
@pytest.mark.parametrize("true_auroc", [1.0, 0.92])
def test_the_ceiling_is_what_simulation_gives(high, flipped, true_auroc):
    simulated = label_noise.simulated_auroc(true_auroc, high, flipped)
    assert simulated == pytest.approx(
        label_noise.expected_auroc(true_auroc, high, flipped), abs=0.006
    )
    assert label_noise.simulated_auroc(true_auroc, high, 0) == pytest.approx(true_auroc, abs=0.004)


def test_the_decomposition_is_an_identity(flipping):
    scores = np.random.default_rng(0).normal(size=len(flipping))
    truth, observed = label(flipping, "numeric"), label(flipping, "lexicographic")
    parts = label_noise.decompose(scores, truth, observed)
    weight = parts["weight_flipped"]
    rebuilt = (1 - weight) * parts["kept_over_low"] + weight * parts["kept_over_flipped"]
    assert rebuilt == pytest.approx(parts["observed"])
    assert parts["observed"] == pytest.approx(auroc(observed, scores))
    with pytest.raises(DataError, match="no gene is flipped"):
        label_noise.decompose(scores, truth, truth)
    with pytest.raises(DataError, match="labelled high"):
        label_noise.decompose(scores, observed, truth)


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


def test_released_linear_runs_are_the_papers():
    runs = released_score.released_linear_runs()
    chosen = runs[runs["chosen"]]
    spread = runs.groupby("cell")["auroc"].agg(lambda part: part.max() - part.min())
    assert (len(runs), len(chosen), (runs["auroc"] < 0.5).sum()) == (280, 56, 123)
    assert chosen["cell"].is_unique
    assert chosen["auroc"].mean() == pytest.approx(0.776, abs=5e-4)
    assert (chosen["auroc"] < 0.5).sum() == 1
    assert spread.mean() == pytest.approx(0.49, abs=0.005)


def test_gaps_at_scale_one_are_those_of_the_models_themselves(cells):
    dataset = next(iter(cells.values()))
    few = {"epochs": (1,), "seeds": (0,), "n_train": 100}
    for model in ("linear", "deepchrome_max"):
        table = released_score.scoring_gaps(model, [dataset], scales=(1.0, 2.0), **few)
        assert table["scale"].tolist() == [1, 2] and (table["model"] == model).all()
        assert (table["gap"] == table["probability"] - table["positive_logit"]).all()
        again = released_score.scoring_gaps(
            model, [released_score.rescaled(dataset, 2)], scales=(1.0,), **few
        )
        assert again["gap"].iloc[0] == table["gap"].iloc[1]
    assert released_score.rescaled(dataset, 1) is dataset
    assert released_score.rescaled(dataset, 1e9).counts.max() == 65_535


def test_the_mean_gap_has_the_seeds_as_units():
    gaps = pd.DataFrame({"seed": [0, 0, 1, 1], "gap": [0.1, 0.3, -0.1, 0.1]})
    mean = released_score.mean_gap(gaps)
    assert (mean.estimate, mean.n) == (pytest.approx(0.1), 2)
    half = 12.7062047 * 0.1
    assert (mean.low, mean.high) == (-1, 1) and 0.1 + half > 1
    near = released_score.mean_gap(pd.DataFrame({"seed": [0, 1], "gap": [0.09, 0.11]}))
    assert (near.low, near.high) == (pytest.approx(0.1 - half / 10), pytest.approx(0.1 + half / 10))
    again = pd.concat([gaps, gaps])
    assert vars(released_score.mean_gap(again)) == pytest.approx(vars(mean))
    alone = released_score.mean_gap(gaps[gaps["seed"] == 0])
    assert alone.n == 1 and np.isnan(alone.low)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DC2LIB_DATA", str(home))
        store = store_of("simulated", 2, 450, 5)
        from dc2lib.datasets import load_cells

        datasets = load_cells("simulated", "", 2, 450, 5)
        budget = TrainingBudget(2, 2, rates=1, seeds=2, n_train=100, restarts=3)
        yield label_effects.trained_models(datasets, str(store), budget)


def tuned(models, cell, model, labels):
    rows = label_effects.of_setup(models, "tuned", "gene")
    return rows.query("cell == @cell and model == @model and labels == @labels")


def test_the_repairs_add_up_to_their_ends(models):
    table = label_effects.repair_table(models, n_resamples=50)
    for (cell, model), part in table.groupby(["cell", "model"]):
        assert part["stage"].tolist() == list(label_effects.REPAIRS)
        assert part["change"].sum() == pytest.approx(
            part["estimate"].iloc[-1] - part["estimate"].iloc[0]
        )
        if cell != label_effects.MEAN:
            (_, row), = tuned(models, cell, model, "numeric").iterrows()
            truth = architectures.labels_of(row)
            assert part["estimate"].iloc[-1] == pytest.approx(
                np.mean([auroc(truth, one) for one in architectures.scores_of(row)])
            )
    changes = label_effects.stage_rows(table, "change")
    assert len(changes) == len(table) - len(table[["cell", "model"]].drop_duplicates())
    assert changes["estimate"].sum() == pytest.approx(table["change"].sum())
    assert label_effects.stage_rows(table)["stage"].str.contains(" ").sum() == 0
    turned = table.query("model == 'linear' and stage == 'gene orientation'")["change"]
    assert (turned == 0).all()
    network = table.query("model == 'deepchrome_max'").set_index(["cell", "stage"])
    linear = table.query("model == 'linear'").set_index(["cell", "stage"])
    gap = network["estimate"] - linear["estimate"]
    assert network["lead"].to_numpy() == pytest.approx(gap.to_numpy())


def test_every_lead_is_the_mean_network_minus_the_best_of_all_restarts(models):
    table = label_effects.repair_table(models, n_resamples=20)
    leads = table.query("model == 'deepchrome_max'").set_index(["cell", "stage"])["lead"]
    of_book = architectures.difference_table(
        models, ["labels", "recipe", "orientation"], [architectures.BASE], "linear", 20
    ).set_index(["cell", "recipe", "orientation", "labels"])["estimate"]
    for cell in (*models["cell"].unique(), label_effects.MEAN):
        for stage, tags in list(label_effects.REPAIRS.items())[1:]:
            recipe, orientation, rule, _ = tags
            expected = of_book[cell, recipe, orientation, rule]
            assert leads[cell, stage] == pytest.approx(expected)
    linear = models[models["model"] == "linear"]
    assert set(linear["fits"].map(len)) == {3}
    assert {len(architectures.scores_of(row)) for _, row in linear.iterrows()} == {1}


def test_train_and_score_covers_every_combination(models):
    n = models["cell"].nunique()
    table = label_effects.train_and_score(models, n_resamples=20)
    keys = ["cell", "recipe", "model", "labels", "scored_on", "scoring"]
    assert not table.duplicated(keys).any()
    assert len(table) == n * 4 * (2 * 2 * 2 + 1)
    costs = label_effects.label_costs(models, n_resamples=20)
    scoring = costs.pop("scoring")
    tuned = table.query("recipe == 'tuned' and scoring == 'probability'")
    means = tuned.groupby(["labels", "scored_on"])["estimate"].mean()
    for rule, one in costs.items():
        expected = means["lexicographic", rule] - means["numeric", rule]
        assert one.estimate == pytest.approx(expected) and one.low <= one.estimate <= one.high
    expected = means["lexicographic", "numeric"] - means["lexicographic", "lexicographic"]
    assert scoring.estimate == pytest.approx(expected)
    assert scoring.low <= scoring.estimate <= scoring.high


def test_flipped_genes_by_hand():
    text = ["1.000", "4.000", "12.000", "29.999", "31.000", "3.000"]
    dataset = HistoneDataset.from_arrays(
        np.zeros((6, 100, 5), int), list("abcdef"), "E003", ["test"] * 6, rpkm_text=text,
        rpkm_median_text="3.329",
    )
    found = label_effects.flip_summary(dataset)
    assert found["flipped"] == pytest.approx(2 / 6)
    assert found["flipped_high"] == pytest.approx(2 / 4)
    assert (found["rpkm_low"], found["rpkm_high"]) == (12.0, 29.999)
    assert found["between_10_and_30"] == 1
