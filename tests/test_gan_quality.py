"""Quality measures against closed forms; collapse and memorising are caught."""

import numpy as np
import pytest
import torch

from dc2lib.errors import DataError
from dc2lib.evaluation import generated as gan_quality


def normal(n, mean=0.0, scale=1.0, dim=3, seed=0):
    return np.random.default_rng(seed).normal(mean, scale, (n, dim)).astype(np.float32)


def standardised(n, dim=3, seed=0):
    """Points whose sample mean is exactly 0 and sample covariance exactly the identity."""
    raw = np.random.default_rng(seed).normal(size=(n, dim))
    raw -= raw.mean(0)
    return raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T


def test_frechet_distance_of_normals_is_the_closed_form():
    base = standardised(500)
    scales = np.array([2.0, 0.5, 1.0])
    moved = standardised(400, seed=1) * scales + [1.0, 0.0, -2.0]
    expected = 1 + 4 + np.square(scales - 1).sum()
    assert gan_quality.frechet_distance(base, moved) == pytest.approx(expected, rel=1e-9)
    assert gan_quality.frechet_distance(base, base) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_rotated_covariances():
    base = standardised(300, dim=2) * [3.0, 1.0]
    turned = base[:, ::-1]
    a, b = np.diag([9.0, 1.0]), np.diag([1.0, 9.0])
    expected = np.trace(a + b - 2 * np.diag([3.0, 3.0]))
    assert gan_quality.frechet_distance(base, turned) == pytest.approx(expected, rel=1e-9)


def test_split_distances_are_smaller_within_a_set():
    real, other = normal(400), normal(400, mean=1, seed=1)
    within = gan_quality.split_distances(gan_quality.frechet_distance, real, real, size=150)
    between = gan_quality.split_distances(gan_quality.frechet_distance, real, other, size=150)
    assert within.shape == (10,)
    assert within.max() < 0.3 < between.min()
    with pytest.raises(DataError, match="at least 600"):
        gan_quality.split_distances(gan_quality.frechet_distance, real, real, size=300)


def test_two_sample_test_is_at_chance_for_one_distribution():
    assert 0.5 in gan_quality.two_sample_test(normal(2000), normal(2000, seed=1))


def test_two_sample_accuracy_of_shifted_normals_is_the_bayes_accuracy():
    result = gan_quality.two_sample_test(normal(4000), normal(5000, mean=[2.0, 0, 0], seed=1))
    assert result.n == 4000
    assert result.estimate == pytest.approx(0.8413, abs=0.02)  # Phi(1)


def test_nearest_equals_a_full_sort():
    queries, reference = normal(1500), normal(300, seed=1)
    full = np.sort(np.linalg.norm(queries[:, None] - reference[None], axis=2), 1)
    for k in (1, 3):
        distances = gan_quality.nearest_distances(queries, reference, k)
        np.testing.assert_allclose(distances, full[:, k - 1], rtol=1e-5, atol=1e-6)
    assert (gan_quality.nearest_distances(reference) > 0).all()


def test_coverage_by_hand():
    real = np.array([[0.0], [1.0], [10.0], [11.0]])
    made = np.array([[0.5], [0.6], [100.0], [101.0]])
    found = gan_quality.precision_recall_coverage(real, made, k=1)
    assert found == {"precision": 0.5, "recall": 0.0, "coverage": 0.5}


def test_coverage_of_one_distribution_and_of_a_collapsed_generator():
    real = normal(1000, dim=2)
    good = gan_quality.precision_recall_coverage(real, normal(1000, dim=2, seed=1))
    assert good["coverage"] == pytest.approx(1 - 2**-5, abs=0.02)
    assert min(good["precision"], good["recall"]) > 0.9
    collapsed = gan_quality.precision_recall_coverage(real, normal(1000, scale=0.01, dim=2))
    assert collapsed["precision"] == 1
    assert max(collapsed["recall"], collapsed["coverage"]) < 0.05


def test_memorising_is_caught():
    train, held_out = normal(2000, seed=0), normal(1000, seed=1)
    honest = gan_quality.memorised(normal(1000, seed=2), train, held_out)
    assert honest.low < 0.05 < honest.high
    copied = gan_quality.memorised(train[:500] + 1e-4, train, held_out)
    assert copied.estimate == 1


def test_images_are_flattened_and_mismatches_named():
    images = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(0)).numpy()
    assert gan_quality.nearest_distances(images, images).max() < 1e-3
    with pytest.raises(DataError, match="same number of features"):
        gan_quality.frechet_distance(normal(10), normal(10, dim=4))
    with pytest.raises(DataError, match="at least 4"):
        gan_quality.two_sample_test(normal(3), normal(3))
