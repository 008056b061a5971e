"""Cross-cell experiments: training sets as released, exact statistics of pairs, planted worlds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dc2book.cross_cell import figures as crosscell_plots
from dc2book.cross_cell import worlds
from scipy.stats import spearmanr
from test_linear import planted

from dc2lib import crosscell
from dc2lib.crosscell import cost, experiments
from dc2lib.crosscell.transfer import transfer
from dc2lib.datasets import open_cell, published, read_rpkm, write_cell
from dc2lib.errors import DataError
from dc2lib.evaluation import pair_statistics as pairs
from dc2lib.evaluation.scores import positive_score
from dc2lib.labels import label
from dc2lib.training.fit import PAPER, TUNED, Recipe, predict_logits
from dc2lib.training.grid import run_grid
from dc2lib.training.grid_fits import Fit

SHARED = Path(__file__).parents[2] / "shared"
TABLE = SHARED / "data/roadmap/57epigenomes.RPKM.pc.gz"
RECIPE = Recipe(transform="log1p", optimizer="adam", learning_rate=0.1, epochs=2, patience=2)
CELLS = ["A", "B", "C", "D"]


def square(values, cells=CELLS):
    return pd.DataFrame(np.asarray(values, dtype=float), index=cells, columns=cells)


CORRELATION = square(
    [[1, 0.8, 0.6, 0.1], [0.8, 1, 0.5, 0.2], [0.6, 0.5, 1, 0.3], [0.1, 0.2, 0.3, 1]]
)


# --- training sets ---


def test_training_sets_by_hand():
    sets = crosscell.training_sets
    assert sets(CORRELATION, "own") == {cell: (cell,) for cell in CELLS}
    assert sets(CORRELATION, "own", inclusive=False) == {}
    assert sets(CORRELATION, "all")["C"] == ("A", "B", "C", "D")
    assert sets(CORRELATION, "all", inclusive=False)["C"] == ("A", "B", "D")
    assert sets(CORRELATION, "highly") == {
        "A": ("A", "B"), "B": ("A", "B"), "C": ("C",), "D": ("D",)
    }
    assert sets(CORRELATION, "highly", inclusive=False) == {"A": ("B",), "B": ("A",)}
    assert sets(CORRELATION, "somewhat", inclusive=False) == {
        "A": ("B", "C"), "B": ("A",), "C": ("A",)
    }


def test_a_threshold_is_not_reached_by_equality():
    assert "C" not in crosscell.training_sets(CORRELATION, "somewhat")["B"]


def test_random_sets_have_their_size_and_are_drawn_from_the_seed():
    names = [f"S{i:03d}" for i in range(20)]
    correlation = square(np.eye(20), names)
    inclusive = crosscell.training_sets(correlation, "random", n_random=10, seed=3)
    exclusive = crosscell.training_sets(
        correlation, "random", inclusive=False, n_random=10, seed=3
    )
    for cell in names:
        assert len(set(inclusive[cell])) == len(set(exclusive[cell])) == 10
        assert cell in inclusive[cell] and cell not in exclusive[cell]
        assert len(set(inclusive[cell]) & set(exclusive[cell])) == 9
    assert inclusive == crosscell.training_sets(correlation, "random", n_random=10, seed=3)
    assert inclusive != crosscell.training_sets(correlation, "random", n_random=10, seed=4)
    assert len(crosscell.training_sets(CORRELATION, "random")["A"]) == 4


def test_a_cell_without_correlation_takes_no_part():
    table = CORRELATION.copy()
    table.loc["D"] = table["D"] = np.nan
    assert crosscell.training_sets(table, "all") == dict.fromkeys(("A", "B", "C"), ("A", "B", "C"))


def test_unknown_sets_are_refused():
    with pytest.raises(DataError, match="highly"):
        crosscell.training_sets(CORRELATION, "very")
    with pytest.raises(DataError, match="highly, somewhat"):
        crosscell.exact_sets(CORRELATION, "random")


@pytest.mark.parametrize("kind", ["highly", "somewhat"])
def test_released_sets_come_out_with_the_columns_one_off(kind):
    released, aligned = (published.rpkm_correlation(name) for name in ("released", "aligned"))
    assert crosscell.exact_sets(released, kind) == (55, 55)
    assert crosscell.exact_sets(aligned, kind) == ({"highly": 5, "somewhat": 0}[kind], 55)


@pytest.mark.skipif(not TABLE.exists(), reason=f"{TABLE} is not there")
def test_released_sets_come_out_of_the_real_table():
    table = read_rpkm(TABLE).frame().iloc[:6601]
    one_off = crosscell.expression_correlation(crosscell.one_column_off(table))
    right = crosscell.expression_correlation(table)
    for kind, exact in {"highly": 5, "somewhat": 0}.items():
        assert crosscell.exact_sets(one_off, kind) == (55, 55)
        assert crosscell.exact_sets(right, kind) == (exact, 55)
    assert one_off["E128"].isna().all()
    for name, matrix in {"released": one_off, "aligned": right}.items():
        carried = published.rpkm_correlation(name)
        np.testing.assert_allclose(matrix, carried, atol=1e-6)
    log = crosscell.expression_correlation(np.log1p(table))
    np.testing.assert_allclose(log, published.rpkm_correlation("log"), atol=1e-6)


@pytest.mark.skipif(not SHARED.exists(), reason=f"{SHARED} is not there")
def test_the_carried_training_sets_are_the_reference():
    import json

    text = (SHARED / "reference/released_training_sets.json").read_text()
    assert json.loads(text) == published.released_training_sets()


def test_one_column_off_gives_each_cell_the_next():
    table = pd.DataFrame({"A": [1.0, 2], "B": [3.0, 4], "C": [5.0, 6]})
    shifted = crosscell.one_column_off(table)
    assert shifted["A"].tolist() == [3, 4] and shifted["B"].tolist() == [5, 6]
    assert shifted["C"].isna().all()


def test_correlation_of_a_study():
    study = {cell: planted(cell, seed=number) for number, cell in enumerate(CELLS)}
    table = crosscell.expression_of(study).iloc[:100]
    plain = crosscell.study_correlation(study)
    np.testing.assert_allclose(plain, np.corrcoef(table.T), atol=1e-12)
    log = crosscell.study_correlation(study, log=True)
    np.testing.assert_allclose(log, np.corrcoef(np.log1p(table).T), atol=1e-12)
    off = crosscell.study_correlation(study, "released")
    assert off.loc["A", "B"] == pytest.approx(plain.loc["B", "C"]) and off["D"].isna().all()
    measured = {
        cell: replace(planted(cell), source="roadmap") for cell in ("E012", "E013")
    }
    real = crosscell.study_correlation(measured)
    assert real.loc["E012", "E013"] == published.rpkm_correlation().loc["E012", "E013"]
    with pytest.raises(DataError, match="sideways"):
        crosscell.study_correlation(study, "sideways")


# --- experiments ---


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("store")
    for number, cell in enumerate(CELLS):
        strands = np.tile(["+", "-"], 90)
        write_cell(replace(planted(cell, seed=number), strand=strands), place)
    return str(place)


@pytest.fixture(scope="module")
def records(home, tmp_path_factory):
    base = Fit("linear", RECIPE, ("",), "", home)
    fits = experiments.planned_experiments(base, CORRELATION, n_random=2)
    done = run_grid(list(fits.values()), tmp_path_factory.mktemp("fits"), progress=False)
    return dict(zip(fits, done, strict=True))


def test_planned_experiments(records):
    assert sorted({name for name, _ in records}) == sorted(crosscell.EXPERIMENTS)
    assert ("exclusive_highly", "C") not in records
    assert records["deepchrome", "B"].fit.train_cells == ("B",)
    assert records["exclusive_all", "B"].fit.train_cells == ("A", "C", "D")
    base = records["deepchrome", "A"].fit
    only = experiments.planned_experiments(
        base, CORRELATION, experiments=["exclusive_highly"], test_cells=["A", "D"]
    )
    assert list(only) == [("exclusive_highly", "A")]


def test_experiment_table_by_hand(home, records):
    table = experiments.experiment_table(records, CORRELATION).set_index(["experiment", "cell"])
    row = table.loc["exclusive_somewhat", "A"]
    test = open_cell("A", home).take("test")
    auroc = records["exclusive_somewhat", "A"].test_auroc(label(test))
    assert row["auroc"] == auroc and row["genes"] == 200 and row["cells"] == 2
    assert row["correlation"] == pytest.approx(0.7) and not row["own"]
    own = records["deepchrome", "A"].test_auroc(label(test))
    assert row["change"] == pytest.approx(auroc - own)
    assert table.loc["deepchrome", "A"]["change"] == 0


def test_normalised_by_cell():
    table = pd.DataFrame(
        {
            "experiment": ["deepchrome", "inclusive_all", "exclusive_all"] * 2,
            "cell": ["Z"] * 3 + ["Y"] * 3,
            "auroc": [0.6, 0.8, 0.7, 0.9, 0.9, 0.9],
        }
    ).iloc[:-1]
    wide = experiments.normalised_by_cell(table)
    assert wide.columns.tolist() == ["Z", "Y"]
    assert wide["Z"].tolist() == pytest.approx([0, 1, 0.5])
    assert wide["Y"].isna().all()


def test_against_baseline_pairs_the_same_cells(records):
    table = experiments.against_baseline(records, n_resamples=50).set_index("experiment")
    assert "deepchrome" not in table.index
    highly = table.loc["inclusive_highly"]
    assert highly["n"] == 2  # C and D train on themselves alone: their own model
    means = experiments.experiment_means(records, n_resamples=50).set_index("experiment")
    both = experiments.experiment_table(records, CORRELATION)
    change = both[both["experiment"] == "inclusive_all"]["change"].mean()
    assert table.loc["inclusive_all", "estimate"] == pytest.approx(change)
    assert means.loc["inclusive_all", "n"] == 4
    assert (table["holm"] >= table["pvalue"]).all()


def test_bars_that_follow_the_number_of_genes():
    rows = [
        (experiment, cell, genes, -genes, genes + 10 * level)
        for experiment, genes in zip(list(crosscell.EXPERIMENTS)[:3], (1, 8, 4), strict=True)
        for level, cell in enumerate("ABCD")
    ]
    table = pd.DataFrame(rows, columns=["experiment", "cell", "genes", "correlation", "auroc"])
    found = experiments.bar_correlation(table, "genes", n_resamples=20)
    assert (found.estimate, found.low, found.high, found.n) == pytest.approx((1, 1, 1, 3))
    assert experiments.bar_correlation(table, "correlation", n_resamples=5).estimate == (
        pytest.approx(-1)
    )


def test_means_use_the_genes_that_all_cells_have(home, tmp_path):
    cells = [planted("A"), planted("B", seed=1)]
    for cell in (cells[0], cells[1].select(np.arange(5, 179))):
        write_cell(cell, tmp_path / "store")
    base = Fit("linear", RECIPE, ("",), "", str(tmp_path / "store"))
    fits = experiments.planned_experiments(base, CORRELATION.loc[["A", "B"], ["A", "B"]],
                                           experiments=["deepchrome"])
    done = run_grid(list(fits.values()), tmp_path / "fits", progress=False)
    means = experiments.experiment_means(dict(zip(fits, done, strict=True)), n_resamples=20)
    assert len(done[0].test_logits) == 40 and len(done[1].test_logits) == 39
    test = open_cell("A", base.home).take("test")
    first = replace(done[0], test_logits=done[0].test_logits[:39]).test_auroc(label(test)[:39])
    second = done[1].test_auroc(label(open_cell("B", base.home).take("test")))
    assert means["estimate"][0] == pytest.approx((first + second) / 2)


def test_size_and_correlation_finds_planted_slopes():
    rng = np.random.default_rng(0)
    rows = []
    for cell in range(12):
        level = rng.normal()
        for _ in range(8):
            genes, correlation, own = 2 ** rng.integers(5, 10), rng.random(), rng.random() < 0.5
            auroc = level + 0.02 * np.log2(genes) + 0.03 * correlation - 0.01 * own
            rows.append((str(cell), genes, correlation, own, auroc))
    table = pd.DataFrame(rows, columns=["cell", "genes", "correlation", "own", "auroc"])
    slopes = experiments.size_and_correlation(table, n_resamples=20)
    assert slopes["estimate"].tolist() == pytest.approx([0.02, 0.03, -0.01])
    assert (slopes["high"] - slopes["low"]).max() < 1e-9


def test_prediction_shift_by_hand(home, records):
    one, other = records["inclusive_all", "B"], records["deepchrome", "B"]
    shift = experiments.prediction_shift(one, other, n_bins=4)
    rpkm = open_cell("B", home).take("test").rpkm
    difference = positive_score(one.test_logits) - positive_score(other.test_logits)
    lowest = difference[np.argsort(rpkm, kind="stable")[:10]]
    first = shift.iloc[0]
    assert first["n"] == 10 and first["position"] == 0.125
    assert first["mean"] == pytest.approx(lowest.mean())
    assert first["lower"] == pytest.approx(np.quantile(lowest, 0.25))
    assert first["low"] < first["mean"] < first["high"]
    with pytest.raises(DataError, match="same cell type"):
        experiments.prediction_shift(one, records["deepchrome", "A"])


# --- cost ---


def test_cost_counts_equal_trainings_once():
    base = Fit("deepchrome_average", TUNED, ("",), "", "nowhere")
    fits = experiments.planned_experiments(base, CORRELATION, experiments=["inclusive_all"])
    whole = cost.grid_cost(fits.values(), 100, 50)
    assert whole == cost.Cost(4, 1, 20 * 400, 20 * 400, 20 * 50 * 4)
    once = [replace(fit, each_gene_once=True) for fit in fits.values()]
    assert cost.grid_cost(once, 100, 50).gene_passes == 20 * 100
    few = [replace(fit, n_train=30) for fit in fits.values()]
    assert cost.grid_cost(few, 100, 50).gene_passes == 20 * 4 * 30
    speed = cost.Speed(passes=2.0, evaluations=8.0)
    assert whole.hours(speed) == pytest.approx((4000 + 500) / 3600)
    assert whole.hours(speed, workers=100) == pytest.approx(4000 / 3600)


def test_cost_of_the_papers_grid():
    fits = experiments.planned_experiments(
        Fit("deepchrome_average", PAPER, ("",), "", "nowhere"),
        published.rpkm_correlation("released"),
    )
    whole = cost.grid_cost(fits.values(), 6601, 6601)
    assert sum(name == "inclusive_all" for name, _ in fits) == 55
    assert whole.longest == 55 * 6601 * 100
    assert whole.fits - whole.trainings >= 54


def test_speed_is_measured(records):
    speed = cost.measured_speed(records["deepchrome", "A"].fit, n_genes=300)
    assert speed.passes > 0 and speed.evaluations > 0


# --- transfer ---


def test_transfer_equals_one_model_on_one_cell(home, records, tmp_path):
    own = {cell: records["deepchrome", cell] for cell in CELLS}
    matrix = transfer(own, tmp_path)
    test = open_cell("C", home).take("test")
    logits = predict_logits(own["B"].load_model(), test.counts, transform="log1p")
    expected = replace(own["B"], test_logits=logits).test_auroc(label(test))
    assert matrix.loc["B", "C"] == pytest.approx(expected)
    assert matrix.loc["A", "A"] == own["A"].test_auroc(label(open_cell("A", home).take("test")))
    assert len(list(tmp_path.glob("*.npz"))) == 4


def test_transfer_to_some_cell_types_is_part_of_the_matrix(records, tmp_path):
    own = {cell: records["deepchrome", cell] for cell in CELLS}
    part = transfer(own, tmp_path, cells=["B"])
    assert len(list(tmp_path.glob("*.npz"))) == 1
    pd.testing.assert_frame_equal(part, transfer(own, tmp_path)[["B"]])


def test_transfer_is_kept_on_disk(records, tmp_path, monkeypatch):
    own = {cell: records["deepchrome", cell] for cell in CELLS}
    first = transfer(own, tmp_path)
    monkeypatch.setattr("dc2lib.crosscell.transfer.evaluate_all", None)
    pd.testing.assert_frame_equal(first, transfer(own, tmp_path))
    changed = {cell: own[cell] for cell in CELLS[:-1]}
    with pytest.raises(RuntimeError, match="test cell type A"):
        transfer(changed, tmp_path)


# --- statistics of pairs ---


def random_tables(n=8, seed=0):
    rng = np.random.default_rng(seed)
    cells = [f"S{i:03d}" for i in range(n)]
    return square(rng.random((n, n)), cells), square(rng.random((n, n)), cells)


def test_rank_correlations_are_spearmans():
    driver, values = random_tables()
    y = values.to_numpy().copy()
    np.fill_diagonal(y, np.nan)
    found = pairs.rank_correlations(driver.to_numpy(), y)
    for column in range(8):
        others = np.arange(8) != column
        expected = spearmanr(driver.to_numpy()[others, column], y[others, column]).statistic
        assert found[column] == pytest.approx(expected)
    assert pairs.within_test_cells(driver.to_numpy(), y) == pytest.approx(found.mean())


def test_ties_and_missing_drivers():
    driver = np.array([[1.0, 1, np.nan], [1, 2, 3], [2, 2, 4], [3, 1, 5]])
    values = np.array([[1.0, 4, 1], [2, 3, 2], [3, 2, 3], [4, 1, 4]])
    found = pairs.rank_correlations(driver, values)
    assert found[0] == pytest.approx(spearmanr(driver[:, 0], values[:, 0]).statistic)
    assert found[1] == pytest.approx(0) and found[2] == pytest.approx(1)
    assert pairs.rank_correlations(np.ones((4, 1)), values[:, :1])[0] == 0
    assert np.isnan(pairs.rank_correlations(driver[:2], values[:2])).all()
    assert pairs.pearson(np.ones((4, 1)), values[:, :1]) == 0
    assert np.isnan(pairs.pearson(np.full((4, 1), np.nan), values[:, :1]))


def test_pair_statistics_ignore_how_hard_a_test_cell_is_and_how_good_a_training_cell():
    driver, values = random_tables()
    harder = values + np.arange(8)
    for name in ("within_test_cells", "beyond_training_cell"):
        plain = pairs.two_way_interval(driver, values, name, n_resamples=5).estimate
        assert pairs.two_way_interval(driver, harder, name, n_resamples=5).estimate == (
            pytest.approx(plain)
        )
    better = values.add(np.arange(8) * 10.0, axis=0)
    beyond = [
        pairs.two_way_interval(driver, table, "beyond_training_cell", n_resamples=5).estimate
        for table in (values, better)
    ]
    assert beyond[0] == pytest.approx(beyond[1])


def test_a_training_cells_own_quality_is_found_and_a_pairs_is_found():
    _, noise = random_tables(12)
    quality = pd.Series(np.linspace(0, 1, 12), index=noise.index)
    transfer_ = noise * 0.01 + pairs.by_training_cell(quality)
    driver = pairs.by_training_cell(quality)
    found = pairs.two_way_interval(driver, transfer_, n_resamples=100)
    assert found.estimate > 0.95 and found.low > 0.8
    assert pairs.mantel(driver, transfer_, n_permutations=200) == pytest.approx(1 / 201)
    alike, _ = random_tables(12, seed=2)
    alike = (alike + alike.T) / 2
    both = transfer_ + 0.2 * alike
    assert pairs.mantel(alike, both, "beyond_training_cell", n_permutations=200) < 0.01


def test_mantel_is_calibrated_where_there_is_nothing():
    pvalues = []
    for seed in range(60):
        driver, values = random_tables(7, seed)
        driver = (driver + driver.T) / 2
        quality = np.random.default_rng(seed + 1000).normal(size=7)
        pvalues.append(pairs.mantel(driver, values.add(quality, axis=0), n_permutations=99))
    assert 0 <= np.mean(np.array(pvalues) < 0.05) < 0.17
    assert 0.35 < np.mean(pvalues) < 0.65


def test_pairs_and_changes():
    values = square([[0.9, 0.7, 0.6, 0.5]] * 4)
    table = pairs.pair_table(CORRELATION, values)
    assert len(table) == 12 and (table["train_cell"] != table["test_cell"]).all()
    row = table[(table["train_cell"] == "A") & (table["test_cell"] == "B")].iloc[0]
    assert row["driver"] == 0.8 and row["auroc"] == 0.7 and row["change"] == 0
    assert pairs.change_from_own(values).to_numpy().max() == 0


def test_too_few_cells_are_refused():
    with pytest.raises(DataError, match="at least 4 cell types"):
        pairs.two_way_interval(*(table.iloc[:3, :3] for table in random_tables()))


def test_published_drivers_of_transfer():
    scores = published.released_test_on_rest().rename_axis(None)
    flips = published.label_audit()["labels_flipped"][scores.columns]
    drivers = {
        "released_correlation": published.rpkm_correlation("released"),
        "aligned_correlation": published.rpkm_correlation("aligned"),
        "label_flips": pairs.by_training_cell(-flips),
    }
    told = worlds.driver_table(drivers, scores, n_resamples=20, n_permutations=20)
    told = told.set_index("driver")
    assert told["estimate"].round(2).to_dict() == {
        "released_correlation": 0.10, "aligned_correlation": -0.02, "label_flips": 0.74
    }
    assert told.loc["label_flips", "positive"] == 55


# --- simulated worlds ---


def test_linear_transfer_by_hand():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    features = {cell: rng.random((60, 5)) for cell in "AB"}
    labels = {cell: (features[cell][:, 0] > 0.5).astype(int) for cell in "AB"}
    train, test = np.arange(60) < 30, np.arange(60) >= 30
    matrix = worlds.linear_transfer(features, labels, train, test)
    model = LogisticRegression(C=100.0, max_iter=1000).fit(features["A"][train], labels["A"][train])
    positive, negative = (
        model.decision_function(features["B"][test & (labels["B"] == side)]) for side in (1, 0)
    )
    expected = (positive[:, None] > negative).mean()
    assert matrix.loc["A", "B"] == pytest.approx(expected)


def test_worlds_differ_by_their_rule_only():
    shared = worlds.linear_world(6, 300, 1, True)
    specific = worlds.linear_world(6, 300, 1, False, 1.0)
    for name in worlds.DRIVERS:
        pd.testing.assert_frame_equal(shared.drivers[name], specific.drivers[name])
    off = ~np.eye(6, dtype=bool)
    loss = [
        np.diag(world.transfer["numeric"]).mean() - world.transfer["numeric"].to_numpy()[off].mean()
        for world in (shared, specific)
    ]
    assert loss[1] > loss[0] + 0.05
    assert list(shared.transfer) == ["numeric", "lexicographic"]


# --- figures ---


def test_every_figure_draws_what_it_is_given(records):
    table = experiments.experiment_table(records, CORRELATION)
    about = table.groupby(["labels", "experiment"], as_index=False)[["correlation", "genes"]].mean()
    means = experiments.experiment_means(records, n_resamples=20).assign(labels="numeric")
    changes = experiments.against_baseline(records, n_resamples=20).assign(labels="numeric")
    driver, values = random_tables()
    told = worlds.driver_table({"aligned_correlation": driver}, values, n_resamples=20,
                               n_permutations=20).assign(labels="numeric")
    shift = experiments.prediction_shift(
        records["inclusive_all", "A"], records["deepchrome", "A"], n_bins=4
    )
    figures = [
        crosscell_plots.correlation_maps({"right": CORRELATION}),
        crosscell_plots.experiment_maps({"numeric": experiments.normalised_by_cell(table)}),
        crosscell_plots.experiment_bars(means.merge(about)),
        crosscell_plots.change_forest(changes.assign(setup="all genes")),
        crosscell_plots.pair_panels(
            {name: (pairs.pair_table(driver, values), "r", "text") for name in ("a", "b", "c")}
        ),
        crosscell_plots.driver_forest(told.assign(study="simulated")),
        crosscell_plots.world_dots(told.assign(world="shared")),
        crosscell_plots.probability_shift(shift),
    ]
    for figure in figures:
        figure.canvas.draw()
        assert any(axis.has_data() for axis in figure.axes)
    bars = figures[2].axes[0].get_yticklabels()
    assert bars[-1].get_text().startswith("DeepChrome (own), r 1.00")


def test_likeness_of_heat_maps_has_an_interval_over_cell_types():
    rng = np.random.default_rng(0)
    rpkm = pd.DataFrame(rng.gamma(1, 9, (60, 8)), columns=[f"E{n:03d}" for n in range(8)])
    matrix, other = (crosscell.expression_correlation(part) for part in (rpkm[:30], rpkm[30:]))
    table = crosscell.correlation_summary({"train": matrix, "test": other}).set_index("split")
    ends = ["similarity", "similarity_low", "similarity_high"]
    np.testing.assert_allclose(table.loc["train", ends].astype(float), 1)
    middle, low, high = table.loc["test", ends].astype(float)
    assert low < middle < high
    few = crosscell.correlation_summary({"train": matrix.iloc[:4, :4]})
    assert few[ends[1:]].isna().all(axis=None)


def test_dark_lines_are_those_against_the_average():
    means = pd.DataFrame({"train": [0.5, 0.5, 0.5], "valid": [0.7, 0.7, 0.1], "test": [0.3] * 3},
                         index=["A", "B", "C"])
    assert crosscell.fallen_behind(means) == {"valid": ["C"], "test": []}
