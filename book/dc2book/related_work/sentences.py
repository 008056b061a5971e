"""Sentences of the chapter on related work that depend on its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dc2book.mnist.study import joined
from dc2lib.baselines.systems import ALL
from dc2lib.evaluation.statistics import Interval

OF_CHANGE = {
    "deepdiff": "the network",
    "boosting": "boosting",
    "linear": "the linear regression",
}


def leaders_in_words(best: str, verdicts: pd.DataFrame) -> str:
    """Which system is best, and which are equivalent to it.

    Parameters
    ----------
    best
        Its name.
    verdicts
        As `dc2book.related_work.ranking.against` the best one.
    """
    alike = [f"“{ALL[name].title}”" for name in
             verdicts.loc[verdicts["verdict"] == "equivalent", "system"]]
    text = f"“{ALL[best].title}” leads {len(verdicts) + 1} systems"
    if not alike:
        return f"{text}, and none of the others is equivalent to it within 0.01 AUROC"
    verb = "is" if len(alike) == 1 else "are"
    return f"{text}, and {joined(alike)} {verb} equivalent to it within 0.01 AUROC"


def epochs_in_words(network: int, recurrent: int) -> str:
    """How often the convolutional network and the LSTMs pass over the training genes."""
    words = ["once" if number == 1 else f"{number} times" for number in (network, recurrent)]
    if network == recurrent:
        return f"All networks pass over the training genes {words[0]}."
    return (
        "The number of epochs is not the same for all: the convolutional network and the linear "
        f"model pass over the training genes {words[0]}, the LSTMs, whose epochs take far longer, "
        f"{words[1]}."
    )


def change_in_words(network: Interval, over_control: Mapping[str, Interval]) -> str:
    """What predicts a change of expression: paired differences of correlations.

    Parameters
    ----------
    network
        Of the network minus boosting.
    over_control
        By method (`OF_CHANGE`), of it minus the control, which cannot know the direction.
    """
    clauses = joined([
        f"{OF_CHANGE[method]} is {_side(gap)} the control ({signed(gap)})"
        for method, gap in over_control.items()
    ])
    text = (
        f"The network minus boosting is {signed(network)} on the same genes. "
        f"{clauses[0].upper()}{clauses[1:]}."
    )
    blind = [OF_CHANGE[method] for method, gap in over_control.items() if gap.low <= 0]
    if not blind:
        return text
    subject = "correlation of {} is" if len(blind) == 1 else "correlations of {} are"
    named = subject.format(joined(blind))
    return f"{text} The {named} no sign of reading the direction of the change."


def _side(gap: Interval) -> str:
    if gap.low > 0:
        return "ahead of"
    return "behind" if gap.high < 0 else "not told apart from"


def edges_in_words(over_bins: np.ndarray, kb: np.ndarray, marks: Sequence[str]) -> str:
    """How much of a mark's attention falls on the last kilobase of the window.

    Parameters
    ----------
    over_bins
        Attention ``(gene, mark, bin)``.
    kb
        Distance of every bin from the TSS in kilobases, ``(bin,)``.
    marks
        Their names.
    """
    ends = {"upstream": kb < kb.min() + 0.95, "downstream": kb > kb.max() - 0.95}
    shares = {
        (mark, side): float(over_bins[:, number, here].sum(1).mean())
        for number, mark in enumerate(marks) for side, here in ends.items()
    }
    (mark, side), most = max(shares.items(), key=lambda item: item[1])
    evenly = float(ends[side].mean())
    if most < 2 * evenly:
        return (
            f"No mark gives the outermost kilobase on either side twice the {evenly:.0%} that even "
            "attention would give it"
        )
    return (
        f"{mark} gives {most:.0%} of its attention to the outermost kilobase {side}, where even "
        f"attention would give {evenly:.0%}: there an LSTM has read all the other bins of the "
        "mark, so the weight need not be about what lies in those bins"
    )


def imputed_in_words(aurocs: pd.DataFrame) -> str:
    """For which marks the imputed mean says more about expression than the measured one.

    Parameters
    ----------
    aurocs
        Of `dc2book.related_work.agreement.expression_aurocs`.
    """
    says = {
        "says more about expression than the measured one": aurocs["further"].map(
            lambda one: one.low > 0),
        "says less than the measured one": aurocs["further"].map(lambda one: one.high < 0),
    }
    says["is not told apart from the measured one"] = ~np.any(list(says.values()), axis=0)
    marks = aurocs["mark"]
    clauses = [f"{text} for {joined(list(marks[here]))}" for text, here in says.items()
               if here.any()]
    turned = [
        row.mark for row in aurocs.itertuples()
        if min(row.measured.high, row.imputed.high) < 0.5 < max(row.measured.low, row.imputed.low)
    ]
    text = f"By the distance of its AUROC from 0.5, the imputed mean {joined(clauses)}."
    if turned:
        text += f" For {joined(turned)} the two means point in opposite directions."
    return text


def signed(gap: Interval) -> str:
    """A difference with its interval; what rounds to zero has no sign.

    Examples
    --------
    >>> signed(Interval(-0.0001, -0.012, 0.011, 9))
    '0.000 [-0.012, +0.011]'
    """
    value, low, high = (
        "0.000" if abs(one) < 0.0005 else f"{one:+.3f}" for one in (gap.estimate, gap.low, gap.high)
    )
    return f"{value} [{low}, {high}]"


def signed_half(gap: Interval) -> str:
    """A difference with half the width of its interval, for a narrow table.

    Examples
    --------
    >>> signed_half(Interval(-0.05, -0.08, -0.02, 9))
    '-0.050±0.030'
    """
    return f"{signed(gap).split()[0]}±{(gap.high - gap.low) / 2:.3f}"
