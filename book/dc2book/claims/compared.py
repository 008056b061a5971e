"""One quantity in this build and in the reference run, side by side and never mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dc2book.claims.lookup import Found, Lookup, find, matching
from dc2book.claims.tables import NONE, RUN_TITLES


def beside(
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
    runs = {"build": build, "reference": reference}
    lookup = Lookup(chapter, key, dict(only or {}))
    known = {
        name: matching(pd.DataFrame() if rows is None else rows, lookup)
        for name, rows in runs.items()
    }
    groups = list(dict.fromkeys(
        group for rows in known.values() for group in _groups(rows, by)
    ))
    table = []
    for group in groups:
        tags = dict(zip(by, group, strict=True))
        values = {
            RUN_TITLES[name]: _text(find(rows, lookup.with_tags(**tags)))
            for name, rows in known.items()
        }
        table.append({**{tag: _word(word) for tag, word in tags.items()}, **values})
    return pd.DataFrame(table, columns=[*by, *RUN_TITLES.values()])


def _groups(rows: pd.DataFrame, by: Sequence[str]) -> list[tuple]:
    if rows.empty or any(tag not in rows for tag in by):
        return []
    return list(rows[list(by)].dropna().drop_duplicates().itertuples(index=False, name=None))


def _word(tag: Any) -> str:
    if isinstance(tag, float) and tag.is_integer():
        return f"{tag:.0f}"
    return str(tag).replace("_", " ")


def _text(found: Found | None) -> str:
    return NONE if found is None else str(found)
