"""Sentences of the audit chapter that depend on its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from dc2book.audit.released_score import mean_gap
from dc2book.style import interval_text
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


def signed(row: Mapping[str, float], name: str = "") -> str:
    """Signed estimate and interval of a row with columns estimate, low, high.

    With a name the columns are the name, ``<name>_low`` and ``<name>_high``.
    """
    low, high = (f"{name}_{end}" if name else end for end in ("low", "high"))
    return interval_text(row[name or "estimate"], row[low], row[high], signed=True)


def verdict(row: pd.Series) -> str:
    """`compared` of a row with columns estimate, low, high, n."""
    return compared(Interval(*row[["estimate", "low", "high", "n"]]))


def leads(table: pd.DataFrame) -> str:
    """What paired differences to the linear model show, cell type by cell type.

    Parameters
    ----------
    table
        Columns cell, estimate, low, high, n.
    """
    return listing(
        [f"{row['cell']} {signed(row)} ({verdict(row)})" for _, row in table.iterrows()]
    )


def advantage_sentence(table: pd.DataFrame) -> str:
    """Whether the network's lead is there under the numeric and gone under the released labels.

    Parameters
    ----------
    table
        Columns cell, labels, estimate, low, high, n: network minus linear, learned from and scored
        on the same rule.
    """
    better = table.apply(verdict, axis=1).eq("better").groupby(table["labels"]).sum()
    means = table.groupby("labels")["estimate"].mean()
    number = table["cell"].nunique()
    return (
        f"the network is better in {better['numeric']} of {number} cell "
        f"type{'s' * (number != 1)} on numeric labels (mean lead {means['numeric']:+.3f}) and in "
        f"{better['lexicographic']} of {number} on released labels "
        f"(mean lead {means['lexicographic']:+.3f})"
    )


def repair_sentence(table: pd.DataFrame) -> str:
    """From where to where the repairs moved a model on a cell type, and which moved it most.

    Parameters
    ----------
    table
        The rows of one model and cell type, see `dc2book.audit.label_effects.repair_table`.
    """
    largest = table.loc[table["change"].abs().idxmax()]
    return (
        f"from {table['estimate'].iloc[0]:.3f} to {table['estimate'].iloc[-1]:.3f}, the largest "
        f"step being “{largest['stage']}” ({signed(largest, 'change')})"
    )


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
        f"{signed(vars(own))}. The brackets are means over "
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
