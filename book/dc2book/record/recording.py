"""Results as rows: a value, its interval, what it belongs to and what produced it."""

from __future__ import annotations

import json
import math
import numbers
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from dc2book.record import context
from dc2lib.datasets.histone import SOURCES, SPLITS, HistoneDataset
from dc2lib.errors import DataError

PROVENANCE_MIME = "application/vnd.dc2lib.provenance+json"
GLUE_PREFIX = "application/papermill.record/"
VOCABULARY: dict[str, tuple[str, ...]] = {
    "labels": ("numeric", "lexicographic"),
    "scoring": ("probability", "positive_logit"),
    "recipe": ("paper", "tuned"),
    "class": ("high", "low", *"0123456789"),
    "split": SPLITS,
    "data_source": (*SOURCES, "published", "mnist"),
}
CONTEXT_KEYS = ("chapter", "profile", "data_source", "fingerprint", "parameters", "seeds", "hash")
ROW_KEYS = ("key", "value", "low", "high", "n", "versions", *CONTEXT_KEYS)
ESTIMATE = ("estimate", "low", "high", "n")
FINDING = "finding"
WORD = re.compile(r"[a-z][a-z0-9_]*")
MOST_CELLS = 8


def record(
    key: str,
    value: float | int | str | bool,
    *,
    low: float | None = None,
    high: float | None = None,
    n: int | None = None,
    glue: str | None = None,
    allow_nan: bool = False,
    **tags: Any,
) -> None:
    """Record one result and glue it for prose.

    Parameters
    ----------
    key
        The field's word for the quantity: ``auroc``, ``auroc_difference``, ``parameters``.
    value
        A number, word or truth value; NumPy and zero-dimensional torch scalars are converted.
    low, high
        Ends of the interval, in the unit of ``value``; both or neither.
    n
        How many observations (genes, cells, seeds) the value rests on.
    glue
        Name for prose, used by the role ``glue:text`` with a format, as in ``name:.3f``; by default
        the key and the tag values joined by ``_``.
    allow_nan
        Accept a NaN; it is stored as null.
    **tags
        What the value belongs to, such as ``cell="E012"`` or ``labels="numeric"``.  A tag with
        fixed words (`VOCABULARY`) takes no other; a trailing underscore is dropped (``class_``).

    Raises DataError if the value is not finite, the interval is reversed, or a tag is not one of
    its words.
    """
    _check_word("key", key)
    given = {name.removesuffix("_"): one for name, one in tags.items() if one is not None}
    checked = {tag: _checked_tag(tag, one) for tag, one in given.items()}
    plain = _scalar(value, key, allow_nan)
    if (low is None) != (high is None):
        raise DataError(f"record({key!r}): an interval needs both low= and high=")
    ends = [end if end is None else _scalar(end, key, allow_nan) for end in (low, high)]
    if low is not None and ends[0] > ends[1]:
        raise DataError(f"record({key!r}): low={ends[0]} lies above high={ends[1]}")
    about = context.run_context()
    row = {
        "key": key,
        "value": _null_nan(plain),
        "low": _null_nan(ends[0]),
        "high": _null_nan(ends[1]),
        "n": None if n is None else int(n),
        **{name: about.get(name) for name in CONTEXT_KEYS},
        **checked,
        "versions": context.versions(),
    }
    path = context.results_path()
    if path is not None:
        with path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row, allow_nan=False) + "\n")
    glue_value(glue or "_".join([key, *map(str, checked.values())]), plain)


def record_table(
    table: pd.DataFrame, key: str | None, *, by: Sequence[str] = (),
    datasets: Mapping[str, HistoneDataset] | None = None, **tags: Any,
) -> None:
    """Record each row of a tidy table of estimates and glue it for prose.

    Parameters
    ----------
    table
        One row per value: column estimate; low, high and n where there are; every other column is
        a tag of the recorded row, where it is not missing.
    key
        The quantity; None if the table's column ``key`` says it.
    by
        Columns that tell the rows of a key apart, by default all tags of the table.  Prose takes a
        value by the key and these, joined by ``_``: ``auroc_numeric_linear:.3f``.
    datasets
        The cell types that the models read, by name: a row whose column ``cell`` names one gets
        the tags ``marks`` (how many) and ``unit`` (``"reads"``, ``"peak signal"``, ...).
    **tags
        Tags of all rows.

    Raises DataError if two rows are alike in ``by``, or a row cannot be recorded.
    """
    if key is not None:
        table = table.assign(key=key)
    own = [column for column in table.columns if column not in (*ESTIMATE, "key")]
    by = list(by) or own
    if table.duplicated(["key", *by]).any():
        named = " or ".join(dict.fromkeys(table["key"]))
        raise DataError(f"{named}: rows are not told apart by {', '.join(by)}; add a tag")
    for row in table.to_dict("records"):
        numbers_of = {one: row[one] for one in ESTIMATE[1:] if pd.notna(row.get(one))}
        given = {tag: row[tag] for tag in own if pd.notna(row[tag])}
        read = (datasets or {}).get(row.get("cell"))
        inputs = {} if read is None else {"marks": len(read.marks), "unit": read.unit}
        record(row["key"], row["estimate"], **numbers_of, **(inputs | given | tags),
               glue="_".join([row["key"], *(str(row[tag]) for tag in by if tag in given)]))


def record_range(key: str, values: Iterable[float], *, glue: str | None = None) -> None:
    """Record the lowest and the highest of some values, as ``key_lowest`` and ``key_highest``.

    Prose takes them by these names, or by ``glue`` in place of the key.
    """
    found = list(values)
    for end, value in (("lowest", min(found)), ("highest", max(found))):
        record(f"{key}_{end}", value, glue=f"{glue or key}_{end}")


def finding(name: str, holds: bool | None, says: str = "") -> None:
    """Record whether a claim of the prose holds in this build, and glue a mark for its sentence.

    The prose says what the reference run on measured cell types found; the mark beside the
    sentence says whether this build agrees.  `make reference` fails where a finding does not
    hold, so that its author rewrites the sentence.

    ``name``: words joined by ``-``, unique in the chapter; prose shows the mark by the role
    ``glue:text`` under this name.  ``holds``: None where this build did not compute it.  ``says``:
    this build's value, shown where the claim does not hold.

    A sentence such as "The network leads {glue:text}`network-leads`." and, in the cell above it::

        finding("network-leads", lead.low > 0, says=f"{lead.estimate:+.3f}")
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise DataError(f"finding {name!r}: expected lower-case letters, digits and -")
    if holds is None:
        mark = "(– not computed here)"
    elif holds:
        mark = "(✓ holds here too)"
    else:
        mark = f"(✗ does not hold here{': ' + says if says else ''})"
    record(FINDING, math.nan if holds is None else bool(holds), name=name, allow_nan=True,
           glue=f"{name}-value")
    glue_value(name, mark)


def failed_findings(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Findings among recorded rows that do not hold or were not computed, a line each.

    >>> failed_findings([{"key": "finding", "chapter": "data", "name": "a-b", "value": False}])
    ['data: finding a-b does not hold']
    """
    return [
        f"{row['chapter']}: finding {row['name']} "
        + ("was not computed" if row.get("value") is None else "does not hold")
        for row in rows
        if row["key"] == FINDING and not row.get("value")
    ]


def results() -> pd.DataFrame:
    """Return the recorded results of other chapters, one row a result.

    In the build these are the chapters that this one declares in its header
    (``dc2lib: {depends: [data]}`` or ``all``); by hand, ``_build/results.json`` of the last build.

    Raises DataError if no results have been built.
    """
    path = context.inputs_path()
    if path is None or not path.exists():
        raise DataError(
            "no recorded results found; run `make book` first, or declare "
            "`dc2lib: {depends: all}` in the chapter's header"
        )
    return pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))


def provenance(cells: Iterable[str] | None = None) -> None:
    """Show one line that says what produced the chapter: the last cell of every chapter.

    ``cells``: names of the cell types used; by default those of the recorded results.
    """
    about = context.run_context()
    rows = _recorded_rows()
    named = sorted({str(row["cell"]) for row in rows if "cell" in row} if cells is None
                   else set(cells))
    own = about.get("data_source")
    others = {row["data_source"] for row in rows if row.get("data_source")} - {own}
    more = f" and {len(named) - MOST_CELLS} more" if len(named) > MOST_CELLS else ""
    started = about.get("started")
    facts = {
        "profile": about.get("profile"),
        "data source": ", ".join(one for one in (own, *sorted(others)) if one),
        "cell types": " ".join(named[:MOST_CELLS]) + more,
        "seeds": ", ".join(f"{k} = {v}" for k, v in (about.get("seeds") or {}).items()),
        "versions": ", ".join(f"{k} {v}" for k, v in context.versions().items()),
        "hash": (about.get("hash") or "not built")[:12],
        "duration": f"{time.time() - started:.0f} s" if started else "",
    }
    line = " · ".join(f"{name}: {fact}" for name, fact in facts.items() if fact)
    context.display_bundle(
        {
            "text/markdown": f"*Provenance* — {line}",
            "text/plain": f"Provenance: {line}",
            PROVENANCE_MIME: {**facts, "hash": about.get("hash"), "cells": named},
        }
    )


def glue_value(name: str, value: float | int | str | bool) -> None:
    """Make a value available to the prose of the chapter under a name."""
    about = {"scrapbook": {"name": name, "mime_prefix": GLUE_PREFIX}}
    context.display_bundle({f"{GLUE_PREFIX}text/plain": repr(value)}, about)


def _scalar(value: Any, key: str, allow_nan: bool = False) -> float | int | str | bool:
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if not isinstance(value, numbers.Real):
        raise DataError(f"record({key!r}): value is a {type(value).__name__}; "
                        "expected one number, word or truth value")
    number = float(value)
    if math.isinf(number) or (math.isnan(number) and not allow_nan):
        raise DataError(f"record({key!r}): value is {number}, not finite; find out why, or pass "
                        "allow_nan=True where NaN is an expected outcome")
    return number


def _null_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _checked_tag(tag: str, value: Any) -> float | int | str | bool:
    if tag in ROW_KEYS and tag not in VOCABULARY:
        raise DataError(f"tag {tag!r} is written by the build itself; use another name")
    words = VOCABULARY.get(tag)
    if words and value not in words:
        raise DataError(f"tag {tag}={value!r} is not one of {', '.join(words)}")
    plain = _scalar(value, tag)
    if tag in ("model", "experiment"):
        _check_word(f"tag {tag}", plain)
    return plain


def _recorded_rows() -> list[dict[str, Any]]:
    path = context.results_path()
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _check_word(what: str, word: Any) -> None:
    if not (isinstance(word, str) and WORD.fullmatch(word)):
        raise DataError(f"{what} {word!r}: expected lower-case letters, digits and _")
