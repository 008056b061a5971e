"""Sentences of the audit chapter that depend on its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from dc2book.audit.released_score import mean_gap
from dc2book.style import interval_text


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
