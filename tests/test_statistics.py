"""Intervals cover what they should, tests reject when they should."""

import numpy as np
import pytest
from scipy import stats

from dc2lib.evaluation import scores as scoring
from dc2lib.evaluation import statistics
from dc2lib.evaluation.statistics import Interval

TRUE_AUROC = stats.norm.cdf(1 / np.sqrt(2))


def binormal(seed, n=300, second_noise=1.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    signal = labels + rng.normal(size=n)
    return labels, signal, signal + second_noise * rng.normal(size=n)


def test_resampled_auroc_is_the_auroc_of_the_repeated_genes():
    labels, scores, _ = binormal(1, n=60)
    scores = np.round(scores, 1)
    place = np.repeat(np.random.default_rng(2).permutation(30), 2)
    times = np.random.default_rng(0).integers(0, 4, (30, 5)).astype(np.uint16)
    expected = [
        scoring.auroc(np.repeat(labels, w), np.repeat(scores, w)) for w in times[place].T
    ]
    np.testing.assert_allclose(
        statistics._resampled_auroc(labels, scores, place, times), expected, rtol=1e-12
    )


def test_bootstrap_interval_covers_the_truth():
    inside = 0
    for seed in range(200):
        labels, scores, _ = binormal(seed)
        inside += TRUE_AUROC in statistics.bootstrap_auroc(
            labels, scores, n_resamples=300, seed=seed
        )
    # binomial(200, 0.95): outside [181, 199] happens once in some thousand runs
    assert 181 <= inside <= 199


def test_paired_interval_is_delongs_for_many_genes_and_sees_the_worse_score():
    """Variance of a difference of AUROCs from its pairs (DeLong 1988, doi:10.2307/2531595)."""
    labels, scores, noisy = binormal(3, n=2000)

    def wins(values):
        return values[labels == 1][:, None] > values[labels == 0]

    gap = wins(scores).astype(float) - wins(noisy)
    parts = gap.mean(1), gap.mean(0)
    half = stats.norm.ppf(0.975) * np.sqrt(sum(one.var(ddof=1) / len(one) for one in parts))
    bootstrap = statistics.paired_auroc_difference(labels, scores, noisy, n_resamples=2000)
    assert bootstrap.estimate == pytest.approx(gap.mean())
    assert bootstrap.low == pytest.approx(gap.mean() - half, abs=0.003)
    assert bootstrap.high == pytest.approx(gap.mean() + half, abs=0.003)
    assert bootstrap.low > 0


def test_fits_add_their_spread_to_the_interval():
    labels, scores, noisy = binormal(5)
    alone = statistics.bootstrap_auroc(labels, scores)
    both = statistics.bootstrap_auroc(labels, np.stack([scores, noisy]))
    assert both.estimate == pytest.approx(
        (scoring.auroc(labels, scores) + scoring.auroc(labels, noisy)) / 2
    )
    assert both.high - both.low > alone.high - alone.low


def test_proportion_is_wilson_by_hand():
    z = stats.norm.ppf(0.975)
    centre = (0.2 + z**2 / 100) / (1 + z**2 / 50)
    half = z * np.sqrt(0.2 * 0.8 / 50 + z**2 / 4 / 50**2) / (1 + z**2 / 50)
    interval = statistics.proportion(10, 50)
    assert interval.low == pytest.approx(centre - half)
    assert interval.high == pytest.approx(centre + half)


def test_equivalence_needs_a_narrow_interval_within_the_margin():
    assert statistics.equivalence_test(Interval(0.002, -0.002, 0.006, 5000)) < 0.05
    assert statistics.equivalence_test(Interval(0.002, -0.02, 0.024, 50)) > 0.05
    assert statistics.equivalence_test(Interval(0.02, 0.019, 0.021, 5000)) > 0.05
    assert statistics.equivalence_test(Interval(0.01, 0.01, 0.01, 1)) == 1


def test_equivalence_pvalue_is_the_larger_one_sided_test():
    gap = Interval(0.004, 0.004 - 2 * 1.959964, 0.004 + 2 * 1.959964, 9)  # a standard error of 2
    expected = max(stats.norm.sf(0.014 / 2), stats.norm.cdf(-0.006 / 2))
    assert statistics.equivalence_test(gap) == pytest.approx(expected)


def test_holm_by_hand():
    np.testing.assert_allclose(
        statistics.holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06]
    )
    assert statistics.holm(np.array([0.5, 0.9])).max() <= 1


def test_impossible_requests_are_refused():
    with pytest.raises(ValueError, match="both 0 and 1"):
        statistics.bootstrap_auroc(np.zeros(5), np.arange(5.0))


def test_mean_over_cells_by_hand_and_for_one_cell():
    cases = [binormal(seed, n=200) for seed in range(3)]
    labels, first, second = zip(*cases, strict=True)
    interval = statistics.bootstrap_mean_auroc(labels, first, second, n_resamples=200)
    expected = np.mean([scoring.auroc(c[0], c[1]) - scoring.auroc(c[0], c[2]) for c in cases])
    assert interval.estimate == pytest.approx(expected)
    assert interval.low < expected < interval.high
    one = statistics.bootstrap_mean_auroc(labels[:1], first[:1], n_resamples=300)
    assert one == statistics.bootstrap_auroc(labels[0], first[0], n_resamples=300)


def test_blocks_of_one_gene_are_genes_and_alike_neighbours_widen_the_interval():
    labels, scores, _ = binormal(3, n=200)
    plain = statistics.bootstrap_auroc(labels, scores)
    assert statistics.bootstrap_auroc(labels, scores, blocks=np.arange(200)) == plain
    labels, scores, place = (np.repeat(one, 5) for one in (labels, scores, np.arange(200)))
    wide = statistics.bootstrap_auroc(labels, scores, blocks=place)
    assert wide.estimate == pytest.approx(plain.estimate)
    assert (wide.low, wide.high) == pytest.approx((plain.low, plain.high), abs=1e-6)
    narrow = statistics.bootstrap_auroc(labels, scores)
    assert narrow.high - narrow.low < 0.6 * (wide.high - wide.low)


def test_cell_types_with_other_genes_share_their_blocks():
    labels, first, second = binormal(5, n=300)
    place, part = np.arange(300) // 10, np.arange(300) % 10 < 7
    whole = [labels, labels[part]], [first, first[part]], [second, second[part]]
    gap = statistics.bootstrap_mean_auroc(*whole, blocks=[place, place[part]], n_resamples=300)
    expected = [scoring.auroc(one, a) - scoring.auroc(one, b)
                for one, a, b in zip(*whole, strict=True)]
    assert gap.estimate == pytest.approx(np.mean(expected))
    with pytest.raises(ValueError, match="or blocks"):
        statistics.bootstrap_mean_auroc(*whole)
    with pytest.raises(ValueError, match="one a gene"):
        statistics.bootstrap_auroc(labels, first, blocks=place[:7])


def test_paired_fits_cancel_what_the_seeds_share():
    labels, first, second = binormal(7)
    fits = np.stack([first, second])
    apart = statistics.bootstrap_mean_auroc([labels], [fits], [fits], n_resamples=200)
    together = statistics.bootstrap_mean_auroc(
        [labels], [fits], [fits], paired_fits=True, n_resamples=200
    )
    assert (together.low, together.high) == (0, 0)
    assert apart.low < 0 < apart.high


def test_cells_add_their_spread_once_there_are_enough():
    cells = [binormal(seed, n=400) for seed in range(2)] * 3
    labels = [c[0] for c in cells]
    scores = [c[1] if i % 2 else c[2] for i, c in enumerate(cells)]
    few = statistics.bootstrap_mean_auroc(labels[:2], scores[:2])
    many = statistics.bootstrap_mean_auroc(labels, scores)
    assert many.estimate == pytest.approx(few.estimate)
    assert many.high - many.low > few.high - few.low


def test_a_mean_over_few_cells_covers_what_students_interval_covers():
    """Where cell types differ far more than genes make them, the interval is Student's."""
    rng = np.random.default_rng(2)
    labels = [np.tile([0, 1], 2_000)] * 7
    scores = [rng.normal(size=4_000) + shift * labels[0] for shift in np.linspace(0.5, 2.5, 7)]
    interval = statistics.bootstrap_mean_auroc(labels, scores, n_resamples=2_000)
    exact = statistics.student_interval(
        np.array([scoring.auroc(*one) for one in zip(labels, scores, strict=True)]))
    assert interval.estimate == pytest.approx(exact.estimate)
    assert interval.high - interval.low == pytest.approx(exact.high - exact.low, rel=0.08)


def test_students_interval_exceeds_a_bootstrap_of_few_values_by_the_factor():
    values = stats.norm.ppf((np.arange(8) + 0.5) / 8)
    drawn = statistics.bootstrap_mean(values, n_resamples=20_000)
    exact = statistics.student_interval(values)
    assert (exact.high - exact.low) / (drawn.high - drawn.low) == pytest.approx(
        statistics.few_units_factor(8), rel=0.03)


def test_students_interval_is_scipys_stays_in_bounds_and_needs_two_values():
    values = np.array([0.2, 0.9, 0.4, 0.7])
    theirs = stats.ttest_1samp(values, 0).confidence_interval(statistics.LEVEL)
    ours = statistics.student_interval(values)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert statistics.student_interval(values, lowest=0.3, highest=0.6).low == 0.3
    assert np.isnan(statistics.student_interval(values[:1]).low)


@pytest.mark.parametrize(
    ("bounds", "word"),
    [
        ((0.02, 0.01, 0.03), "better"),
        ((-0.02, -0.03, -0.01), "worse"),
        ((0.002, -0.001, 0.005), "equivalent"),
        ((0.004, 0.002, 0.006), "equivalent"),
        ((0.005, -0.02, 0.03), "undecided"),
    ],
)
def test_a_difference_in_words(bounds, word):
    assert statistics.compared(Interval(*bounds, 1000)) == word


def test_changes_between_stages_agree_with_the_paired_difference_and_may_change_labels():
    labels, first, second = binormal(3, n=500)
    (one, none), (two, change) = statistics.paired_auroc_changes(
        [(labels, first), (labels, second)], n_resamples=400
    )
    paired = statistics.paired_auroc_difference(labels, second, first, n_resamples=400)
    assert none is None
    assert change.estimate == pytest.approx(two.estimate - one.estimate)
    assert (change.low, change.high) == pytest.approx((paired.low, paired.high), abs=0.01)
    turned = statistics.paired_auroc_changes([(labels, first), (1 - labels, first)])[1][1]
    assert turned.estimate == pytest.approx(1 - 2 * one.estimate)
    same = statistics.paired_auroc_changes([(labels, np.stack([first, second]))] * 2)[1][1]
    assert (same.low, same.high) == (0, 0)


def test_one_format_of_intervals():
    gap = Interval(0.0123, -0.0014, 0.0256, 500)
    assert (str(gap), f"{gap}") == ("0.012 [-0.001, 0.026]",) * 2
    assert f"{gap:+.2f}" == "+0.01 [-0.00, +0.03]"
