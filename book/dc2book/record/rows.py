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

from dc2book.record.context import display_bundle, inputs_path, results_path, run_context, versions
from dc2lib.errors import DataError

PROVENANCE_MIME = "application/vnd.dc2lib.provenance+json"
GLUE_PREFIX = "application/papermill.record/"
VOCABULARY: dict[str, tuple[str, ...]] = {
    "labels": ("numeric", "lexicographic"),
    "scoring": ("probability", "positive_logit"),
    "recipe": ("paper", "tuned"),
    "class": ("high", "low", *"0123456789"),
    "split": ("train", "valid", "test"),
    "data_source": ("roadmap", "simulated", "published", "mnist"),
}
CONTEXT_KEYS = ("chapter", "profile", "data_source", "fingerprint", "parameters", "seeds", "hash")
ROW_KEYS = ("key", "value", "low", "high", "n", "versions", *CONTEXT_KEYS)
WORD = re.compile(r"[a-z][a-z0-9_]*")


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
        fixed words (`VOCABULARY`) takes no other; a trailing underscore is dropped, so that
        ``class_="high"`` records ``class``.

    Raises
    ------
    DataError
        If the value is not finite, the interval is reversed, or a tag is not one of its words.
    """
    _check_word("key", key)
    tags = _checked_tags(tags)
    plain = _plain(value, key, allow_nan)
    row: dict[str, Any] = {"key": key, "value": _null_nan(plain)}
    row |= _checked_interval(key, low, high, allow_nan)
    row["n"] = None if n is None else int(n)
    context = run_context()
    row |= {name: context.get(name) for name in CONTEXT_KEYS}
    row |= tags
    row["versions"] = versions()
    _append(row)
    name = glue or "_".join([key, *(str(tag) for tag in tags.values())])
    _glue(name, plain)


def results() -> pd.DataFrame:
    """Return the recorded results of other chapters, one row a result.

    In the build these are the chapters that this one declares in its header
    (``dc2lib: {depends: [data]}`` or ``all``); by hand, ``_build/results.json`` of the last build.

    Raises
    ------
    DataError
        If no results have been built.
    """
    path = inputs_path()
    if path is None or not path.exists():
        raise DataError(
            "no recorded results found; run `make book` first, or declare "
            "`dc2lib: {depends: all}` in the chapter's header"
        )
    return pd.DataFrame(json.loads(path.read_text()))


def _plain(value: Any, key: str, allow_nan: bool) -> float | int | str | bool:
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if not isinstance(value, numbers.Real):
        raise DataError(
            f"record({key!r}): value is a {type(value).__name__}; "
            "expected one number, word or truth value"
        )
    number = float(value)
    if math.isinf(number) or (math.isnan(number) and not allow_nan):
        raise DataError(
            f"record({key!r}): value is {number}, not finite; "
            "find out why, or pass allow_nan=True where NaN is an expected outcome"
        )
    return number


def _null_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _checked_interval(
    key: str, low: float | None, high: float | None, allow_nan: bool
) -> dict[str, float | None]:
    if low is None and high is None:
        return {"low": None, "high": None}
    if low is None or high is None:
        raise DataError(f"record({key!r}): an interval needs both low= and high=")
    ends = [_plain(end, key, allow_nan) for end in (low, high)]
    if ends[0] > ends[1]:
        raise DataError(f"record({key!r}): low={ends[0]} lies above high={ends[1]}")
    return {"low": _null_nan(ends[0]), "high": _null_nan(ends[1])}


def _checked_tags(tags: Mapping[str, Any]) -> dict[str, Any]:
    checked = {}
    for written, value in tags.items():
        tag = written.removesuffix("_")
        if value is None:
            continue
        if tag in ROW_KEYS and tag not in VOCABULARY:
            raise DataError(f"tag {tag!r} is written by the build itself; use another name")
        words = VOCABULARY.get(tag)
        if words and value not in words:
            raise DataError(f"tag {tag}={value!r} is not one of {', '.join(words)}")
        value = _plain(value, tag, allow_nan=False)
        if tag in ("model", "experiment"):
            _check_word(f"tag {tag}", value)
        checked[tag] = value
    return checked


def _append(row: Mapping[str, Any]) -> None:
    path = results_path()
    if path is None:
        return
    with path.open("a") as lines:
        lines.write(json.dumps(row, allow_nan=False) + "\n")


def _glue(name: str, value: float | int | str | bool) -> None:
    about = {"scrapbook": {"name": name, "mime_prefix": GLUE_PREFIX}}
    display_bundle({f"{GLUE_PREFIX}text/plain": repr(value)}, about)


def provenance(cells: Iterable[str] | None = None) -> None:
    """Show one line that says what produced the chapter: the last cell of every chapter.

    Parameters
    ----------
    cells
        Names of the cell types used; by default those of the recorded results.
    """
    context = run_context()
    named = sorted(set(cells)) if cells is not None else _recorded_cells()
    facts = {
        "profile": context.get("profile"),
        "data source": context.get("data_source"),
        "cell types": _abridged(named),
        "seeds": ", ".join(f"{k} = {v}" for k, v in (context.get("seeds") or {}).items()),
        "versions": ", ".join(f"{k} {v}" for k, v in versions().items()),
        "hash": (context.get("hash") or "not built")[:12],
        "duration": _duration(context.get("started")),
    }
    line = " · ".join(f"{name}: {fact}" for name, fact in facts.items() if fact)
    display_bundle(
        {
            "text/markdown": f"*Provenance* — {line}",
            "text/plain": f"Provenance: {line}",
            PROVENANCE_MIME: {**facts, "hash": context.get("hash"), "cells": named},
        },
        {},
    )


def _recorded_cells() -> list[str]:
    path = results_path()
    if path is None or not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted({str(row["cell"]) for row in rows if "cell" in row})


def _abridged(names: Sequence[str], most: int = 8) -> str:
    if len(names) <= most:
        return " ".join(names)
    return f"{' '.join(names[:most])} and {len(names) - most} more"


def _duration(started: float | None) -> str:
    return f"{time.time() - started:.0f} s" if started else ""


def _check_word(what: str, word: Any) -> None:
    if not (isinstance(word, str) and WORD.fullmatch(word)):
        raise DataError(f"{what} {word!r}: expected lower-case letters, digits and _")
