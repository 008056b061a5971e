"""Sentences of the audit chapter that depend on its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from dc2book.audit.scoring_gap import mean_gap
from dc2lib.evaluation.statistics import Interval, compared


def listing(items: Sequence[str]) -> str:
    """Items with commas and an "and".

    Examples
    --------
    >>> listing(["E012", "E013", "E017"])
    'E012, E013 and E017'
    """
    items = list(items)
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def interval_text(row: pd.Series) -> str:
    """Signed estimate and interval of a row with columns estimate, low, high."""
    return f"{row['estimate']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def leads(table: pd.DataFrame) -> str:
    """What paired differences to the linear model show, cell type by cell type.

    Parameters
    ----------
    table
        Columns cell, estimate, low, high, n.
    """
    return listing(
        [
            f"{row['cell']} {interval_text(row)} "
            f"({compared(Interval(row['estimate'], row['low'], row['high'], row['n']))})"
            for _, row in table.iterrows()
        ]
    )


def advantage_sentence(table: pd.DataFrame) -> str:
    """Whether the network's lead is there under the numeric and gone under the released labels.

    Parameters
    ----------
    table
        Columns cell, labels, estimate, low, high, n: network minus linear, learned from and scored
        on the same rule.
    """
    words = {
        rule: [
            compared(Interval(row["estimate"], row["low"], row["high"], row["n"]))
            for _, row in part.iterrows()
        ]
        for rule, part in table.groupby("labels")
    }
    means = table.groupby("labels")["estimate"].mean()
    number = len(words["numeric"])
    return (
        f"the network is better in {words['numeric'].count('better')} of {number} cell "
        f"type{'s' * (number != 1)} on numeric labels (mean lead {means['numeric']:+.3f}) and in "
        f"{words['lexicographic'].count('better')} of {number} on released labels "
        f"(mean lead {means['lexicographic']:+.3f})"
    )


def stage_sentence(table: pd.DataFrame, model: str) -> str:
    """Which step of a waterfall moved a model most, and from where to where it went.

    Parameters
    ----------
    table
        As `dc2book.audit.effects.waterfall`.
    """
    part = table[table["model"] == model]
    largest = part.loc[part["change"].abs().idxmax()]
    return (
        f"from {part['estimate'].iloc[0]:.3f} to {part['estimate'].iloc[-1]:.3f}, the largest step "
        f"being “{largest['stage']}” ({largest['change']:+.3f} "
        f"[{largest['change_low']:+.3f}, {largest['change_high']:+.3f}])"
    )


def waterfall_table(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The waterfall as text: one row a cell type, model and step.

    Parameters
    ----------
    table
        As `dc2book.audit.effects.waterfall`, with a column cell.
    names
        Of the models.
    """
    return pd.DataFrame(
        {
            "cell": table["cell"],
            "model": table["model"].map(names),
            "step": table["stage"],
            "AUROC": table["estimate"],
            "change": _intervals(table, "change"),
            "network minus linear": _intervals(table, "lead"),
        }
    )


def _intervals(table: pd.DataFrame, name: str) -> list[str | None]:
    return [
        None if pd.isna(value) else f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"
        for value, low, high in zip(
            table[name], table[f"{name}_low"], table[f"{name}_high"], strict=True
        )
    ]


def loss_sentence(differences: Mapping[str, Interval], scoring: Interval) -> str:
    """Where the AUROC is lost: in learning from the released labels, or in scoring on them.

    Parameters
    ----------
    differences
        By rule scored on, AUROC after learning released labels minus after learning numeric ones.
    scoring
        Of models that learned released labels, AUROC on numeric minus AUROC on released ones.
    """
    gain, own = differences["numeric"], differences["lexicographic"]
    learning = Interval(-gain.estimate, -gain.high, -gain.low, gain.n)
    if abs(learning.estimate) < 0.0005 and abs(scoring.estimate) < 0.0005:
        return "On these cell types the two rules agree, and nothing is lost"
    side = "better than" if own.low > 0 else "worse than" if own.high < 0 else "not told apart from"
    return (
        f"Learning from released labels costs {learning} AUROC on numeric labels, and scoring "
        f"these models on released labels another {scoring}: the scoring "
        f"{_costs(scoring, learning)} the learning. On released labels, models that learned these "
        f"very labels are {side} models that learned numeric ones, with a difference of "
        f"{own.estimate:+.3f} [{own.low:+.3f}, {own.high:+.3f}]. The brackets are means over "
        "models and cell types of the ends of paired 95 % intervals"
    )


def _costs(one: Interval, other: Interval) -> str:
    """Costs more or less where the intervals are apart."""
    if one.low > other.high:
        return "costs more than"
    return "costs less than" if one.high < other.low else "costs not clearly more or less than"


def ranking_sentence(learned: pd.DataFrame) -> str:
    """What models that learned the released labels make of the flipped genes.

    Parameters
    ----------
    learned
        Columns kept_over_low, kept_over_flipped, flipped_over_low; no row: nothing flips.
    """
    if learned.empty:
        return "No gene of these cell types is flipped, so there is nothing to see here"
    kept, flipped = learned["kept_over_low"].mean(), learned["flipped_over_low"].mean()
    against = learned["kept_over_flipped"].mean()
    side = "more" if flipped > kept else "less"
    verdict = (
        "They rank the flipped genes with the high ones, against the labels they learned from, and "
        "are marked down for it"
        if flipped > 0.5 + (kept - 0.5) / 2
        else "They have partly learned to rank the flipped genes low"
    )
    return (
        f"Models that learned the released labels put a flipped gene above a truly low one in "
        f"{flipped:.0%} of the pairs, {side} often than a kept high gene ({kept:.0%}), and a kept "
        f"gene above a flipped one in {against:.0%}. {verdict}"
    )


def gap_sentence(gaps: pd.DataFrame, model: str) -> str:
    """How far the two scores lie apart, by scale of the counts and by epochs.

    Parameters
    ----------
    gaps
        Columns model, scale, epochs, seed, gap (probability minus released score).
    """
    part = gaps[gaps["model"] == model]
    mean = mean_gap(part)
    interval = (
        f"[{mean.low:+.3f}, {mean.high:+.3f}], over the means of {mean.n} seeds"
        if mean.n > 1 else "with one seed, and so without an interval"
    )
    size = part["gap"].abs()
    scales = [f"{value:.3f} at scale {scale:g}" for scale, value in
              size.groupby(part["scale"]).mean().items()]
    epochs = [f"{value:.3f} after {number} epoch{'s' if number > 1 else ''}" for number, value in
              size.groupby(part["epochs"]).mean().items()]
    return (
        f"probability minus released score is {mean.estimate:+.3f} on average ({interval}); the "
        f"{len(part)} fits go from {part['gap'].min():+.3f} to {part['gap'].max():+.3f}, and "
        f"{int((part['gap'] > 0).sum())} of them are positive; the mean size is "
        f"{listing(scales)}, and {listing(epochs)}"
    )
