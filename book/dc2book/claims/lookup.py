"""Find the recorded results that a claim is about, and make one value with an interval of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

COMBINATIONS = ("mean", "hull", "lowest", "highest")


@dataclass(frozen=True)
class Lookup:
    """Which recorded rows, and how they become one value.

    Attributes
    ----------
    chapter, key
        Chapter that records the rows, and their key.
    tags
        What the rows must be tagged with; a tuple allows several words, None asks for no such tag.
    combine
        ``"mean"`` of values and of both ends; ``"hull"``: the value farthest from zero, with the
        lowest and the highest end of all; ``"lowest"``: the row with the lowest lower end;
        ``"highest"``: the row with the highest upper end.
    per
        Tags that stay apart: rows that share them (of several cell types, say) are averaged first.
    minus
        Rows to subtract; the ends are then those farthest apart.
    """

    chapter: str
    key: str
    tags: Mapping[str, Any] = field(default_factory=dict)
    combine: str = "mean"
    per: tuple[str, ...] = ()
    minus: Lookup | None = None

    def with_tags(self, **tags: Any) -> Lookup:
        """The same lookup with further tags, on both sides of a difference."""
        other = None if self.minus is None else self.minus.with_tags(**tags)
        return replace(self, tags={**self.tags, **tags}, minus=other)


@dataclass(frozen=True)
class Found:
    """One value with its interval, and what it rests on.

    ``low`` and ``high`` equal the estimate where no interval was recorded (``has_interval`` false).
    """

    estimate: float
    low: float
    high: float
    rows: int
    cells: int
    data_source: tuple[str, ...]
    has_interval: bool

    def __str__(self) -> str:
        if not self.has_interval:
            return _short(self.estimate)
        return f"{_short(self.estimate)} [{_short(self.low)}, {_short(self.high)}]"


def find(results: pd.DataFrame, lookup: Lookup) -> Found | None:
    """The value of a lookup among recorded results; None if nothing was recorded.

    Parameters
    ----------
    results
        As `dc2book.record.results`.
    """
    rows = matching(results, lookup)
    if rows.empty:
        return None
    found = _combined(rows, lookup.combine, lookup.per)
    if lookup.minus is None:
        return found
    other = find(results, lookup.minus)
    return None if other is None else _difference(found, other)


def matching(results: pd.DataFrame, lookup: Lookup) -> pd.DataFrame:
    """The numeric rows that a lookup names."""
    if results.empty:
        return results
    rows = results[(results["key"] == lookup.key) & (results["chapter"] == lookup.chapter)]
    for tag, wanted in lookup.tags.items():
        rows = rows[_matches(rows, tag, wanted)]
    numeric = rows["value"].map(_is_number).astype(bool)
    return rows[numeric]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _matches(rows: pd.DataFrame, tag: str, wanted: Any) -> pd.Series:
    column = rows.get(tag, pd.Series(None, index=rows.index, dtype=object))
    if wanted is None:
        return column.isna()
    return column.isin(wanted if isinstance(wanted, tuple) else (wanted,))


def _combined(rows: pd.DataFrame, combine: str, per: tuple[str, ...]) -> Found:
    if combine not in COMBINATIONS:
        raise ValueError(f"unknown combination {combine!r}: expected one of {COMBINATIONS}")
    value = rows["value"].astype(float)
    ends = {side: rows[side].astype(float).fillna(value) for side in ("low", "high")}
    table = pd.DataFrame({"value": value, **ends})
    if per:
        table = table.groupby([rows[tag] for tag in per]).mean().reset_index(drop=True)
    return Found(
        *(float(one) for one in _triple(table, combine)),
        rows=len(rows),
        cells=_cells(rows),
        data_source=tuple(sorted(set(rows["data_source"].dropna()))),
        has_interval=bool(rows["low"].notna().all()),
    )


def _triple(table: pd.DataFrame, combine: str) -> tuple[float, float, float]:
    value, low, high = table["value"], table["low"], table["high"]
    if combine == "mean":
        return value.mean(), low.mean(), high.mean()
    if combine == "hull":
        return value[value.abs().idxmax()], low.min(), high.max()
    chosen = low.idxmin() if combine == "lowest" else high.idxmax()
    return value[chosen], low[chosen], high[chosen]


def _cells(rows: pd.DataFrame) -> int:
    """Number of cell types behind rows: those named, or the largest n of means over cell types."""
    cells = rows.get("cell", pd.Series(dtype=object)).dropna()
    named = set(cells) - {"mean"}
    if named:
        return len(named)
    number = rows["n"].max()
    return 0 if pd.isna(number) else int(number)


def _difference(first: Found, second: Found) -> Found:
    return Found(
        estimate=first.estimate - second.estimate,
        low=first.low - second.high,
        high=first.high - second.low,
        rows=first.rows + second.rows,
        cells=min(first.cells, second.cells),
        data_source=tuple(sorted({*first.data_source, *second.data_source})),
        has_interval=first.has_interval or second.has_interval,
    )


def _short(value: float) -> str:
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"
    return text.replace("-", "−")
