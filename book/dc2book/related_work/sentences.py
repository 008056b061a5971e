"""Sentences of the chapter on related work that depend on its results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from dc2book.mnist.study import joined
from dc2book.related_work.correlations import Correlations
from dc2book.related_work.scores import Ranking
from dc2book.related_work.tables import signed
from dc2lib.baselines.systems import ALL
from dc2lib.evaluation.statistics import Interval, compared

OF_CHANGE = {
    "deepdiff": "the network",
    "boosting": "boosting",
    "linear": "the linear regression",
}
BY_BREADTH = {
    "better": "higher among genes of many cell types than among those of few",
    "worse": "lower among genes of many cell types than among those of few",
    "equivalent": "alike among genes of many cell types and of few",
    "undecided": "undecided between genes of many cell types and of few",
}
AGAINST_OTHERS = {
    "better": "beat",
    "worse": "lose to",
    "equivalent": "equal",
    "undecided": "are not told apart from",
}


def leaders_in_words(best: str, differences: pd.DataFrame) -> str:
    """Which system is best, and which are equivalent to it.

    Parameters
    ----------
    best
        Its name.
    differences
        `dc2book.related_work.scores.differences_to` the best one.
    """
    equivalent = differences.loc[differences["verdict"] == "equivalent", "system"]
    alike = [f"“{ALL[name].title}”" for name in equivalent]
    text = f"“{ALL[best].title}” leads {len(differences) + 1} systems"
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


def attentive_in_words(gap: Interval, joint: Interval, epochs: tuple[int, int]) -> str:
    """AttentiveChrome beside the convolutional network, and why.

    Parameters
    ----------
    gap
        AttentiveChrome minus DeepChrome.
    joint
        One LSTM over all marks minus AttentiveChrome.
    epochs
        Of AttentiveChrome and of DeepChrome; unequal ones are named.
    """
    unequal = "" if epochs[0] == epochs[1] else (
        f" AttentiveChrome passes over the genes {epochs[0]} times here and DeepChrome {epochs[1]} "
        "times, so the distance is one of these budgets and not of the architectures alone."
    )
    text = f"AttentiveChrome minus DeepChrome is {signed(gap)}"
    if gap.low > -0.01:
        return f"{text}: within 0.01 AUROC of the convolutional network or better.{unequal}"
    text += ": not shown to be within 0.01." if gap.high > -0.01 else ": more than 0.01 behind."
    if joint.low > 0:
        return (
            f"{text} One LSTM that reads all marks of a bin together, with the same epochs and a "
            f"fifth of the work, gains {signed(joint)} over AttentiveChrome: part of the distance "
            "is the price of reading every mark alone and letting the marks meet only at the end."
            + unequal
        )
    return (
        f"{text} One LSTM that reads all marks of a bin together differs from AttentiveChrome by "
        f"{signed(joint)}, so reading the marks apart does not explain it here; more genes or "
        f"epochs would have to.{unequal}"
    )


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


def orders_in_words(orders: pd.DataFrame) -> str:
    """How many of the published orders are found."""
    counts = orders["verdict"].value_counts()
    parts = [f"{counts[word]} {word}" for word in
             ("as published", "alike", "reversed", "undecided") if word in counts]
    return f"of {len(orders)} published orders, {', '.join(parts)}"


def ranks_in_words(ranking: Ranking) -> str:
    """What the ranks can tell, computed from the number of blocks."""
    first, last = ranking.mean_rank.index[0], ranking.mean_rank.index[-1]
    runs = ranking.not_told_apart()
    told = "all systems lie within one critical difference" if runs == [(first, last)] else (
        f"{ALL[first].title} and {ALL[last].title} are told apart, and between them "
        f"{len(runs)} overlapping runs are not"
    )
    return (
        f"With {ranking.blocks} block{'s' * (ranking.blocks > 1)} and {len(ranking.mean_rank)} "
        f"systems, mean ranks have to differ by {ranking.critical:.1f} to be told apart; {told}. "
        "A signed-rank test of two systems cannot fall below "
        f"p = {2.0 ** (1 - ranking.blocks):.3f} on so many blocks, before any correction."
    )


def correlations_in_words(correlations: Correlations) -> str:
    """Which mark follows best from the others and which least, and how far they lie apart."""
    best, least = correlations.extremes()
    best_r, least_r = (correlations.interval(mark, "others") for mark in (best, least))
    return (
        f"{best} follows best from the others (r = {best_r}) and {least} least (r = {least_r}), a "
        f"difference of {signed(correlations.spread(best, least))} (both chosen by these very "
        "values)."
    )


def imputed_in_words(aurocs: pd.DataFrame) -> str:
    """For which marks the imputed mean says more about expression than the measured one.

    Parameters
    ----------
    aurocs
        Of `dc2book.related_work.correlations.expression_aurocs`.
    """
    more = np.array([one.low > 0 for one in aurocs["further"]])
    less = np.array([one.high < 0 for one in aurocs["further"]])
    says = {
        "says more about expression than the measured one": more,
        "says less than the measured one": less,
        "is not told apart from the measured one": ~more & ~less,
    }
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


def change_in_words(network: Interval, over_control: Mapping[str, Interval]) -> str:
    """What predicts a change of expression: paired differences of correlations.

    Parameters
    ----------
    network
        Of the network minus boosting.
    over_control
        By method (`OF_CHANGE`), of it minus the control, which cannot know the direction.
    """
    sides = {
        method: "ahead of" if gap.low > 0 else "behind" if gap.high < 0 else "not told apart from"
        for method, gap in over_control.items()
    }
    clauses = joined([
        f"{OF_CHANGE[method]} is {sides[method]} the control ({signed(gap)})"
        for method, gap in over_control.items()
    ])
    text = (
        f"The network minus boosting is {signed(network)} on the same genes. "
        f"{clauses[0].upper()}{clauses[1:]}."
    )
    blind = [OF_CHANGE[method] for method, side in sides.items() if side != "ahead of"]
    if not blind:
        return text
    subject = "correlation of {} is" if len(blind) == 1 else "correlations of {} are"
    named = subject.format(joined(blind))
    return f"{text} The {named} no sign of reading the direction of the change."


def breadth_in_words(differences: Mapping[str, Interval]) -> str:
    """Whether models do better on broadly expressed genes, by cell type."""
    parts = _by_verdict(differences, BY_BREADTH)
    if not parts:
        return "Too few genes in the groups to compare."
    return f"The AUROC is {'; it is '.join(f'{word} {gaps}' for word, gaps in parts)}."


def others_in_words(
    gaps: Mapping[str, Interval], other: str = "the other cell types", again: str = "them"
) -> str:
    """Whether the marks beat expression elsewhere, by cell type; `again` is the second mention."""
    parts = [
        f"{verb} {again if place else other} {listed}"
        for place, (verb, listed) in enumerate(_by_verdict(gaps, AGAINST_OTHERS))
    ]
    return f"the marks {' and '.join(parts)}" if parts else "too few genes of either class"


def training_in_words(table: pd.DataFrame) -> str:
    """Whether training on broadly expressed genes suits broadly expressed test genes.

    Parameters
    ----------
    table
        As `dc2book.related_work.breadth.trained_by_breadth`.
    """
    parts, verdicts = [], []
    for kind, rows in table.groupby("tested_on", sort=False):
        own = rows[rows["trained_on"] == kind]
        others = rows[rows["trained_on"] != kind]
        if own.empty or others.empty:
            continue
        gaps = dict(zip(others["trained_on"], others["own_kind_minus_this"], strict=True))
        listed = " and ".join(
            f"{signed(gap)} against "
            + ("as many drawn from all" if name == "drawn" else f"{name} ones")
            for name, gap in gaps.items()
        )
        parts.append(
            f"on {kind} test genes, training on {kind} ones reaches {own['auroc'].iloc[0]}, "
            f"{listed}"
        )
        verdicts += [compared(gaps["drawn"])] if "drawn" in gaps else []
    if not parts:
        return "too few genes of either class to train on"
    text = "; ".join(parts)
    if not verdicts:
        return text
    return (
        f"{text}. Genes of one's own kind are better to train on than as many drawn from all for "
        f"{verdicts.count('better')} of {len(verdicts)} kind{'s' * (len(verdicts) > 1)}"
    )


def splits_in_words(table: pd.DataFrame) -> str:
    """How far the split by chromosome lies from the released and a random one, and for how many
    systems its interval lies wholly below that of genes drawn at random."""
    wide = table.pivot(index="system", columns="split", values="auroc")
    value = wide.map(lambda one: one.estimate)
    released = (value["chromosome"] - value["released"]).mean()
    drawn = (value["chromosome"] - value["random"]).mean()
    below = sum(one.chromosome.high < one.random.low for one in wide.itertuples())
    return (
        f"on average over {len(wide)} systems, whole chromosomes change the AUROC by "
        f"{released:+.3f} against the released split and by {drawn:+.3f} against genes drawn at "
        f"random; their interval lies wholly below that of drawn genes for {below} of {len(wide)} "
        "systems, so " + ("neighbours leak there" if below else "no leak of neighbours is seen")
    )


def _by_verdict(
    gaps: Mapping[str, Interval], words: Mapping[str, str]
) -> Iterable[tuple[str, str]]:
    """Each verdict in words, with the gaps of its cell types in brackets."""
    groups: dict[str, list[str]] = {}
    for cell, gap in gaps.items():
        groups.setdefault(words[compared(gap)], []).append(f"{signed(gap)} on {cell}")
    return [(word, f"({', '.join(listed)})") for word, listed in groups.items()]
