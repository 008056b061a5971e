"""Recorded results as one value with an interval: of one run, or of two side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

COMBINATIONS = ("mean", "hull", "lowest", "highest")
RUN_TITLES = {"build": "this build", "reference": "reference run"}
NONE = "–"


@dataclass(frozen=True)
class Query:
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
    minus: Query | None = None

    def with_tags(self, **tags: Any) -> Query:
        """The same query with further tags, on both sides of a difference."""
        other = None if self.minus is None else self.minus.with_tags(**tags)
        return replace(self, tags={**self.tags, **tags}, minus=other)


@dataclass(frozen=True)
class RecordedValue:
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
        value, low, high = (_short(one) for one in (self.estimate, self.low, self.high))
        return f"{value} [{low}, {high}]" if self.has_interval else value

    def __sub__(self, other: RecordedValue) -> RecordedValue:
        return RecordedValue(
            estimate=self.estimate - other.estimate,
            low=self.low - other.high,
            high=self.high - other.low,
            rows=self.rows + other.rows,
            cells=min(self.cells, other.cells),
            data_source=tuple(sorted({*self.data_source, *other.data_source})),
            has_interval=self.has_interval or other.has_interval,
        )


def recorded_value(results: pd.DataFrame, query: Query) -> RecordedValue | None:
    """The value of a query among recorded results; None if nothing was recorded.

    Parameters
    ----------
    results
        As `dc2book.record.results`.
    """
    rows = matching_rows(results, query)
    if rows.empty:
        return None
    value = _combined(rows, query.combine, query.per)
    if query.minus is None:
        return value
    other = recorded_value(results, query.minus)
    return None if other is None else value - other


def matching_rows(results: pd.DataFrame, query: Query) -> pd.DataFrame:
    """The numeric rows that a query names."""
    if results.empty:
        return results
    rows = results[(results["key"] == query.key) & (results["chapter"] == query.chapter)]
    for tag, wanted in query.tags.items():
        column = rows.get(tag, pd.Series(None, index=rows.index, dtype=object))
        words = wanted if isinstance(wanted, tuple) else (wanted,)
        rows = rows[column.isna() if wanted is None else column.isin(words)]
    numeric = [
        isinstance(value, int | float) and not isinstance(value, bool) and not pd.isna(value)
        for value in rows["value"]
    ]
    return rows[numeric]


def compare_runs(
    build: pd.DataFrame | None,
    reference: pd.DataFrame | None,
    chapter: str,
    key: str,
    by: Sequence[str],
    only: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """A recorded quantity by some tags, in both runs; means over all other tags (cell types, ...).

    Parameters
    ----------
    build, reference
        Recorded results, as `dc2book.record.results`; None where there are none.
    chapter, key
        Whose rows, and which.
    by
        Tags that make the rows of the table.
    only
        Further tags that rows must have.

    Returns
    -------
    DataFrame
        Columns as in ``by``, then "this build" and "reference run", as text; empty if neither run
        recorded the quantity.
    """
    query = Query(chapter, key, dict(only or {}))
    found = {
        RUN_TITLES[name]: pd.DataFrame() if rows is None else matching_rows(rows, query)
        for name, rows in (("build", build), ("reference", reference))
    }
    groups = [
        tuple(group)
        for rows in found.values()
        if not rows.empty and set(by) <= set(rows)
        for group in rows[list(by)].dropna().drop_duplicates().to_numpy()
    ]
    table = []
    for group in dict.fromkeys(groups):
        tags = dict(zip(by, group, strict=True))
        values = {
            title: str(recorded_value(rows, query.with_tags(**tags)) or NONE)
            for title, rows in found.items()
        }
        table.append({tag: _tag_text(word) for tag, word in tags.items()} | values)
    return pd.DataFrame(table, columns=[*by, *RUN_TITLES.values()])


def _combined(rows: pd.DataFrame, combine: str, per: tuple[str, ...]) -> RecordedValue:
    if combine not in COMBINATIONS:
        raise ValueError(f"unknown combination {combine!r}: expected one of {COMBINATIONS}")
    table = rows[["value", "low", "high"]].astype(float)
    table = table.apply(lambda column: column.fillna(table["value"]))
    if per:
        table = table.groupby([rows[tag] for tag in per]).mean().reset_index(drop=True)
    value, low, high = table["value"], table["low"], table["high"]
    if combine == "mean":
        ends = tuple(table.mean())
    elif combine == "hull":
        ends = value[value.abs().idxmax()], low.min(), high.max()
    else:
        ends = tuple(table.loc[low.idxmin() if combine == "lowest" else high.idxmax()])
    return RecordedValue(
        *map(float, ends),
        rows=len(rows),
        cells=_cells(rows),
        data_source=tuple(sorted(set(rows["data_source"].dropna()))),
        has_interval=bool(rows["low"].notna().all()),
    )


def _cells(rows: pd.DataFrame) -> int:
    """Number of cell types behind rows: those named, or the largest n of means over cell types."""
    named = set(rows.get("cell", pd.Series(dtype=object)).dropna()) - {"mean"}
    number = rows["n"].max()
    return len(named) or (0 if pd.isna(number) else int(number))


def _tag_text(tag: Any) -> str:
    whole = isinstance(tag, float) and tag.is_integer()
    return f"{tag:.0f}" if whole else str(tag).replace("_", " ")


def _short(value: float) -> str:
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"
    return text.replace("-", "−")
