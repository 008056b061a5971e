"""Statistics of pairs of cell types: by hand, against scipy, planted truths, calibration."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from dc2lib.errors import DataError
from dc2lib.evaluation import pair_statistics as pairs


def square(values, cells):
    return pd.DataFrame(np.asarray(values, dtype=float), index=list(cells), columns=list(cells))


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
    values = square([[0.9, 0.7, 0.6, 0.5]] * 4, "ABCD")
    driver = square(np.arange(16).reshape(4, 4), "ABCD")
    table = pairs.pair_table(driver, values)
    assert len(table) == 12 and (table["train_cell"] != table["test_cell"]).all()
    row = table[(table["train_cell"] == "A") & (table["test_cell"] == "B")].iloc[0]
    assert row["driver"] == 1 and row["auroc"] == 0.7 and row["change"] == 0
    assert pairs.change_from_own(values).to_numpy().max() == 0


def test_too_few_cells_are_refused():
    with pytest.raises(DataError, match="at least 4 cell types"):
        pairs.two_way_interval(*(table.iloc[:3, :3] for table in random_tables()))


def test_bootstrap_of_one_kind_of_unit():
    values = np.random.default_rng(0).normal(size=(200, 2))
    estimate, low, high = pairs.bootstrap(lambda rows: values[rows].mean(0), 200, n_resamples=500)
    assert estimate == pytest.approx(values.mean(0))
    half = 1.96 * values.std(0) / np.sqrt(200)
    assert low == pytest.approx(estimate - half, abs=0.03)
    assert high == pytest.approx(estimate + half, abs=0.03)
