"""Intervals of imputed marks: hand-computed correlations, whole genes resampled, paired."""

import numpy as np
import pandas as pd
import pytest
from dc2book.related_work import agreement
from dc2book.related_work import sentences as words

from dc2lib.baselines.ernst import correlation_of, moments_by_gene
from dc2lib.evaluation.scores import auroc
from dc2lib.evaluation.statistics import Interval

ANSWER = np.array([[0.0, 1.0], [2.0, 4.0]])
TRUTH = np.array([[1.0, 2.0], [2.0, 1.0]])


def imputations(n=120, n_bins=6, seed=0):
    """Two marks: one imputed well, one badly, both better with another cell type."""
    rng = np.random.default_rng(seed)
    label = (np.arange(n) % 2).astype(np.int8)
    found = {}
    for mark, noise, sign in (("A", 0.3, 1), ("B", 3, -1)):
        truth = sign * label[:, None] + rng.normal(size=(n, n_bins))
        answers = {
            "profile": np.broadcast_to(np.arange(float(n_bins)), truth.shape),
            "others": truth + noise * rng.normal(size=truth.shape),
            "other_cell": truth + noise / 2 * rng.normal(size=truth.shape),
        }
        found[mark] = {way: moments_by_gene(one, truth) for way, one in answers.items()}
        found[mark] |= {"measured": truth.mean(1), "imputed": answers["others"].mean(1)}
        found[mark] |= {"label": label, "truth": truth, "answer": answers["others"]}
    return found


def test_moments_by_hand():
    expected = [[0.5, 0.5, 0.5, 0.5, 0.5], [3.0, 0.5, 10.0, 0.5, 1.0]]
    np.testing.assert_array_equal(moments_by_gene(ANSWER, TRUTH), expected)


def test_correlation_by_hand():
    # means of a = 0, 1, 2, 4 and t = 0, 1, 1, 0: 7/4, 1/2, 21/4, 1/2, 3/4
    by_hand = (3 / 4 - 7 / 8) / np.sqrt((21 / 4 - 49 / 16) * (1 / 2 - 1 / 4))
    moments = moments_by_gene(ANSWER, TRUTH)
    assert correlation_of(moments.mean(0)) == pytest.approx(by_hand, abs=1e-15)
    assert by_hand == pytest.approx(np.corrcoef(ANSWER.ravel(), TRUTH.ravel())[0, 1])
    # the second gene drawn twice: rows of bins are repeated, not bins
    twice = np.r_[0, 1, 1]
    expected = np.corrcoef(ANSWER[twice].ravel(), TRUTH[twice].ravel())[0, 1]
    assert correlation_of(moments[twice].mean(0)) == pytest.approx(expected)


@pytest.mark.parametrize("constant", [0.0, 0.1, 7.3])
def test_what_is_constant_has_no_correlation(constant):
    flat = np.full(TRUTH.shape, constant)
    for moments in (moments_by_gene(flat, TRUTH), moments_by_gene(TRUTH, flat)):
        assert correlation_of(moments.mean(0)) == 0


def test_a_drawn_gene_brings_all_its_bins():
    found = imputations(n=40)
    got = agreement.correlations(found, n_resamples=3, seed=5)
    drawn = np.random.default_rng(5).integers(40, size=(3, 40))
    for number, mark in enumerate(found):
        answer, truth = found[mark]["answer"], found[mark]["truth"]
        expected = [np.corrcoef(answer[i].ravel(), truth[i].ravel())[0, 1] for i in drawn]
        np.testing.assert_allclose(got.draws[:, number, 1], expected, rtol=1e-10)
        one = got.interval(mark, "others")
        assert one.estimate == pytest.approx(np.corrcoef(answer.ravel(), truth.ravel())[0, 1])
        low, high = np.quantile(expected, [0.025, 0.975])
        assert (one.low, one.high, one.n) == (pytest.approx(low), pytest.approx(high), 40)


def test_differences_of_correlations_are_paired():
    found = imputations()
    got = agreement.correlations(found, n_resamples=200)
    assert got.ends() == ("A", "B")
    spread, gain = got.spread("A", "B"), got.mean_gain()
    r = got.estimate
    assert spread.estimate == pytest.approx(r[0, 1] - r[1, 1]) and spread.low > 0
    assert gain.estimate == pytest.approx((r[:, 2] - r[:, 1]).mean()) and gain.low > 0
    draws = (got.draws[:, :, 2] - got.draws[:, :, 1]).mean(1)
    assert (gain.low, gain.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])))
    same = found | {"C": found["A"]}
    twins = agreement.correlations(same, n_resamples=20).spread("A", "C")
    assert (twins.estimate, twins.low, twins.high) == (0, 0, 0)
    assert got.spread("A", "A") == Interval(0, 0, 0, 120)


def test_bins_that_repeat_do_not_narrow_the_interval():
    found = imputations()
    wide = agreement.correlations(found, n_resamples=100).interval("A", "others")
    one = found["A"]
    repeated = {"A": dict(one)}
    repeated["A"]["others"] = moments_by_gene(
        np.tile(one["answer"], 9), np.tile(one["truth"], 9)
    )
    again = agreement.correlations(repeated, n_resamples=100).interval("A", "others")
    assert (again.low, again.high) == pytest.approx((wide.low, wide.high))


def test_aurocs_and_their_paired_difference():
    found = imputations()
    table = agreement.expression_aurocs(found, n_resamples=100).set_index("mark")
    for mark, one in found.items():
        row = table.loc[mark]
        measured, imputed = (auroc(one["label"], one[name]) for name in ("measured", "imputed"))
        assert row["measured"].estimate == pytest.approx(measured)
        assert row["imputed"].estimate == pytest.approx(imputed)
        assert row["difference"].estimate == pytest.approx(imputed - measured)
        assert row["measured"].low < measured < row["measured"].high
    assert table.loc["A", "measured"].estimate > 0.5 > table.loc["B", "measured"].estimate
    # a mark that goes with silence: nearer to 0.5 is further up
    for mark, sign in (("A", 1), ("B", -1)):
        plain, further = table.loc[mark, "difference"], table.loc[mark, "further"]
        assert further.estimate == pytest.approx(sign * plain.estimate)
        bounds = sorted([sign * plain.low, sign * plain.high])
        assert (further.low, further.high) == pytest.approx(tuple(bounds))
    copied = {"A": found["A"] | {"imputed": found["A"]["measured"]}}
    none = agreement.expression_aurocs(copied, n_resamples=20).loc[0, "difference"]
    assert (none.estimate, none.low, none.high) == (0, 0, 0)


def test_aurocs_by_hand():
    one = {
        "label": np.array([1, 1, 0, 0]),
        "measured": np.array([3.0, 1.0, 2.0, 0.0]),  # 3 of 4 pairs in order
        "imputed": np.array([0.0, 1.0, 2.0, 3.0]),  # none of 4
    }
    row = agreement.expression_aurocs({"A": one}, n_resamples=50).loc[0]
    assert [row[name].estimate for name in ("measured", "imputed", "difference", "further")] == (
        pytest.approx([0.75, 0.0, -0.75, 0.25])
    )


def test_the_tables_have_an_interval_in_every_cell():
    found = imputations()
    got = agreement.correlations(found, n_resamples=50)
    aurocs = agreement.expression_aurocs(found, n_resamples=50)
    correlations = agreement.correlation_table(got, "E013")
    assert list(correlations) == ["mark", "mean profile", "four other marks", "and E013"]
    assert correlations.iloc[:, 1:].map(lambda text: "±" in text).to_numpy().all()
    table = agreement.auroc_table(aurocs)
    one = aurocs.loc[0, "measured"]
    half = (one.high - one.low) / 2
    assert table.loc[0, "measured"] == f"{one.estimate:.3f}±{half:.3f}"
    gap = aurocs.loc[1, "difference"]
    half = (gap.high - gap.low) / 2
    assert table.loc[1, "imputed minus measured"] == f"{gap.estimate:+.3f}±{half:.3f}"
    assert words.signed_half(Interval(-0.0001, -0.02, 0.01, 9)) == "0.000±0.015"


def test_words_of_the_correlations():
    got = agreement.correlations(imputations(), n_resamples=50)
    assert agreement.in_words(got) == (
        f"A follows best from the others (r = {got.interval('A', 'others')}) and B least "
        f"(r = {got.interval('B', 'others')}), a difference of "
        f"{words.signed(got.spread('A', 'B'))} (both chosen by these very values)."
    )


def row(mark, further, measured=(0.7, 0.8), imputed=(0.7, 0.8)):
    ends = {name: Interval(np.mean(two), *two, 9) for name, two in
            (("measured", measured), ("imputed", imputed), ("further", further))}
    return {"mark": mark} | ends


def test_words_of_the_imputed_mean():
    rows = [row("A", (0.01, 0.02)), row("B", (-0.02, -0.01)), row("C", (-0.01, 0.01)),
            row("D", (-0.03, -0.01), (0.3, 0.4), (0.51, 0.6))]
    assert words.imputed_in_words(pd.DataFrame(rows)) == (
        "By the distance of its AUROC from 0.5, the imputed mean says more about expression than "
        "the measured one for A, says less than the measured one for B and D and is not told apart "
        "from the measured one for C. For D the two means point in opposite directions."
    )
    assert words.imputed_in_words(pd.DataFrame(rows[2:3])) == (
        "By the distance of its AUROC from 0.5, the imputed mean is not told apart from the "
        "measured one for C."
    )
