"""Recorded results as one value with an interval: of one run, or of two side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from dc2lib.evaluation.statistics import MIN_CELLS, proportion, student_interval

COMBINATIONS = ("mean", "hull", "lowest", "highest", "positive_share")
MEAN = "mean"  # what rows of a mean over cell types are tagged with as their cell
NONE = "–"


@dataclass(frozen=True)
class Query:
    """Which recorded rows, and how they become one value."""

    chapter: str | tuple[str, ...]  # chapter (or chapters) that record the rows, and their key
    key: str
    #: what the rows must be tagged with; a tuple allows several words, None asks for no such tag
    tags: Mapping[str, Any] = field(default_factory=dict)
    #: how groups of rows that differ in ``per`` become one: ``"mean"`` of values and of both ends;
    #: ``"hull"``: the value farthest from zero, with the lowest and the highest end of all;
    #: ``"lowest"``: the group with the lowest lower end; ``"highest"``: that with the highest upper
    #: end.  ``"positive_share"``: the share of cell types with a positive value, with Wilson's
    #: interval, of the group with the highest upper end
    combine: str = "mean"
    #: tags that tell the groups apart.  Within a group the unit is the cell type (`over_cells`)
    per: tuple[str, ...] = ()
    minus: Query | None = None  # rows to subtract; the ends are then those farthest apart
    size: bool = False  # whether the value's size is meant, without its sign
    #: tags that decide between rows, where rows have them at all
    prefer: Mapping[str, Any] = field(default_factory=dict)
    #: where the number of cell types stands: in the tag ``"cell"``, in ``"n"``, or in the tags of
    #: another query's rows
    cells: str | Query = "cell"

    def with_tags(self, **tags: Any) -> Query:
        """The same query with further tags, on both sides of a difference."""
        other = None if self.minus is None else self.minus.with_tags(**tags)
        cells = self.cells.with_tags(**tags) if isinstance(self.cells, Query) else self.cells
        return replace(self, tags={**self.tags, **tags}, minus=other, cells=cells)


@dataclass(frozen=True)
class RecordedValue:
    """One value with its interval, and what it rests on.

    ``low`` and ``high`` equal the estimate where no interval was recorded (``has_interval`` false).
    ``cells`` counts cell types.
    """

    estimate: float
    low: float
    high: float
    cells: int
    data_source: tuple[str, ...]
    has_interval: bool = True

    def __str__(self) -> str:
        value, low, high = (_short(one) for one in (self.estimate, self.low, self.high))
        return f"{value} [{low}, {high}]" if self.has_interval else value

    def __sub__(self, other: RecordedValue) -> RecordedValue:
        return RecordedValue(
            estimate=self.estimate - other.estimate,
            low=self.low - other.high,
            high=self.high - other.low,
            cells=min(self.cells, other.cells),
            data_source=tuple(sorted({*self.data_source, *other.data_source})),
            has_interval=self.has_interval or other.has_interval,
        )

    def __abs__(self) -> RecordedValue:
        ends = sorted((abs(self.low), abs(self.high)))
        low = 0.0 if self.low < 0 < self.high else ends[0]
        return replace(self, estimate=abs(self.estimate), low=low, high=ends[1])


def recorded_value(results: pd.DataFrame, query: Query) -> RecordedValue | None:
    """The value of a query among recorded results; None if nothing was recorded.

    Measured rows are taken where there are any, simulated ones only where there are no others.

    ``results``: as `dc2book.record.results`.
    """
    rows = measured_first(matching_rows(results, query))
    if rows.empty:
        return None
    value = _combined(rows, query)
    if isinstance(query.cells, Query):
        named = measured_first(matching_rows(results, query.cells))
        value = replace(value, cells=_count(named))
    if query.minus is not None:
        other = recorded_value(results, query.minus)
        if other is None:
            return None
        value = value - other
    return abs(value) if query.size else value


def matching_rows(results: pd.DataFrame, query: Query) -> pd.DataFrame:
    """The numeric rows that a query names."""
    rows = named_rows(results, query)
    return rows if rows.empty else rows[[
        isinstance(value, int | float) and not isinstance(value, bool) and not pd.isna(value)
        for value in rows["value"]
    ]]


def named_rows(results: pd.DataFrame, query: Query) -> pd.DataFrame:
    """The rows that a query names, whatever their value is."""
    if results.empty:
        return results
    chapters = (query.chapter,) if isinstance(query.chapter, str) else query.chapter
    rows = results[(results["key"] == query.key) & results["chapter"].isin(chapters)]
    for tag, wanted in query.tags.items():
        column = rows.get(tag, pd.Series(None, index=rows.index, dtype=object))
        words = wanted if isinstance(wanted, tuple) else (wanted,)
        rows = rows[column.isna() if wanted is None else column.isin(words)]
    for tag, wanted in query.prefer.items():
        if tag in rows and (rows[tag] == wanted).any():
            rows = rows[rows[tag] == wanted]
    return rows


def measured_first(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that do not come from simulated cell types, where there are any."""
    if rows.empty:
        return rows
    measured = rows["data_source"] != "simulated"
    return rows[measured] if measured.any() else rows


def over_cells(rows: pd.DataFrame) -> tuple[float, float, float]:
    """Value and interval of rows that differ in their cell type.

    The recorded mean where there is one (``cell = "mean"``).  From `MIN_CELLS` cell types on the
    cell type is the unit: Student's interval of the mean over them.  With fewer the ends of their
    own intervals are averaged, which is cautious, since genes are shared.
    """
    cell = rows.get("cell", pd.Series(None, index=rows.index, dtype=object))
    if (cell == MEAN).any():
        rows = rows[cell == MEAN]
    elif cell.nunique() >= MIN_CELLS:
        mean = student_interval(rows["value"].astype(float).groupby(cell).mean())
        return mean.estimate, mean.low, mean.high
    table = rows[["value", "low", "high"]].astype(float)
    table = table.apply(lambda column: column.fillna(table["value"]))
    return tuple(map(float, table.mean()))


def compare_runs(
    build: pd.DataFrame | None, reference: pd.DataFrame | None, chapter: str, key: str,
    by: Sequence[str], only: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """A recorded quantity by some tags, in both runs; means over all other tags (cell types, ...).

    Columns as in ``by``, then "this build" and "reference run", as text; empty if neither run
    recorded the quantity.

    Recorded results of both are as `dc2book.record.results`, or None; ``chapter`` and ``key`` say
    whose rows, and which; the tags ``by`` make the rows of the table; ``only`` are further tags
    that rows must have.
    """
    query = Query(chapter, key, dict(only or {}))
    found = {title: pd.DataFrame() if rows is None else matching_rows(rows, query)
             for title, rows in (("this build", build), ("reference run", reference))}
    known = [rows[list(by)].dropna() for rows in found.values()
             if not rows.empty and set(by) <= set(rows)]
    groups = pd.concat(known).drop_duplicates().to_dict("records") if known else []
    return pd.DataFrame([
        {tag: _tag_text(word) for tag, word in tags.items()}
        | {title: str(recorded_value(rows, query.with_tags(**tags)) or NONE)
           for title, rows in found.items()}
        for tags in groups
    ], columns=[*by, *found])


def _combined(rows: pd.DataFrame, query: Query) -> RecordedValue:
    if query.combine not in COMBINATIONS:
        raise ValueError(f"unknown combination {query.combine!r}: expected one of {COMBINATIONS}")
    groups = [part for _, part in rows.groupby(list(query.per))] if query.per else [rows]
    if query.combine == "positive_share":
        shares = [_positive_share(part) for part in groups]
        table = pd.DataFrame(shares, columns=["value", "low", "high"])
    else:
        table = pd.DataFrame(map(over_cells, groups), columns=["value", "low", "high"])
    value, low, high = table["value"], table["low"], table["high"]
    match query.combine:
        case "hull":
            ends = value[value.abs().idxmax()], low.min(), high.max()
        case "lowest":
            ends = table.loc[low.idxmin()]
        case "highest" | "positive_share":
            ends = table.loc[high.idxmax()]
        case _:
            ends = table.mean()
    return RecordedValue(
        *map(float, ends),
        cells=_n(rows) if query.cells == "n" else _count(rows),
        data_source=tuple(sorted(set(rows["data_source"].dropna()))),
        has_interval=bool((high > low).all()),
    )


def _positive_share(rows: pd.DataFrame) -> tuple[float, float, float]:
    """Share of cell types with a positive value, with Wilson's interval."""
    values = rows[rows["cell"] != MEAN].groupby("cell")["value"].agg(lambda one: one.mean())
    share = proportion(int((values > 0).sum()), len(values))
    return share.estimate, share.low, share.high


def _count(rows: pd.DataFrame) -> int:
    """Number of cell types that rows name; that of a recorded mean where they name none.

    Rows that name no cell type at all are of one, or of none where they are about digits.
    """
    if rows.empty:
        return 0
    cell = rows.get("cell", pd.Series(None, index=rows.index, dtype=object)).dropna()
    if len(cell):
        return len(set(cell) - {MEAN}) or _n(rows)
    return 0 if set(rows["data_source"]) == {"mnist"} else 1


def _n(rows: pd.DataFrame) -> int:
    number = rows["n"].max()
    return 0 if pd.isna(number) else int(number)


def _tag_text(tag: Any) -> str:
    whole = isinstance(tag, float) and tag.is_integer()
    return f"{tag:.0f}" if whole else str(tag).replace("_", " ")


def _short(value: float) -> str:
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"
    return text.replace("-", "−")
