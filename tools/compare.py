"""Show the recorded results of two runs side by side.

Usage: python -m tools.compare A B [--ignore cell,seed] [--key auroc] [--csv FILE]

A and B are a ``results.json``, or a folder that holds one: ``_build``, ``runs/NAME``, a folder made
by ``make chapter``, an executed chapter under ``_build/executed``, or ``book/reference``.
Results belong together if chapter, key and tags are equal; tags named by ``--ignore`` do not count.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from dc2book.record.recording import ROW_KEYS
from tabulate import tabulate

from tools.errors import BuildError, exit_code

FILES = ("results.json", "results.jsonl")
NOT_TAGS = {*ROW_KEYS, "data_source"}
COLUMNS = ("chapter", "key", "tags", "A", "B", "difference", "intervals")
DIGITS = 4


def read_run(path: Path) -> list[dict[str, Any]]:
    """Return the recorded results of a file or folder; BuildError if there are none."""
    file = _results_file(path)
    rows, about = read_json(file), _provenance(file)
    if not rows or not isinstance(rows, list) or not all(map(_is_row, rows)):
        raise BuildError(f"{file} holds no recorded results (rows with chapter, key and value)")
    return [{**about, **row} for row in rows]


def read_json(file: Path) -> Any:
    """Return what a file holds in JSON, or its lines do; else a `BuildError`."""
    try:
        text = file.read_text(encoding="utf-8")
        lines = file.suffix == ".jsonl"
        return [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{file} holds no JSON: {error}") from None


def recorded(run: Path) -> list[dict[str, Any]]:
    """Return the rows that the execution of a chapter recorded, in its folder."""
    return read_json(run / "results.jsonl")


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("chapter"), str) and isinstance(row.get("key"), str)
        and isinstance(row.get("value", ()), str | int | float | None)
        and all(isinstance(row.get(end), int | float | None) for end in ("low", "high"))
        and all(isinstance(row.get(one) or {}, dict) for one in ("versions", "parameters"))
    )  # fmt: skip


def compare(
    a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]], ignored: Iterable[str] = ()
) -> pd.DataFrame:
    """Return one row a result with its value in each run; a missing one is None.

    Tags that are ``ignored``, such as ``cell``, do not tell results apart; repeated results of one
    run are paired in the order in which they were recorded.  Columns ``chapter, key, tags, A, B,
    difference, intervals``: B - A of numbers, and ``apart``, ``overlap`` or empty.
    """
    left, right = (_by_identity(rows, set(ignored)) for rows in (a, b))
    rows = []
    for chapter, key, tags, number in dict.fromkeys([*left, *right]):
        one, other = (side.get((chapter, key, tags, number)) for side in (left, right))
        shown = ", ".join(f"{name}={value}" for name, value in tags)
        rows.append((chapter, key, shown, one, other, _difference(one, other),
                     _intervals(one, other)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def about(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return what produced a run: profile, data, cell types, seeds, versions, each joined."""
    facts: dict[str, dict[str, None]] = {}
    for row in rows:
        for name in ("profile", "data_source", "fingerprint", "cell"):
            if row.get(name) is not None:
                facts.setdefault(name, {})[str(row[name])[:60]] = None
        for package, version in (row.get("versions") or {}).items():
            facts.setdefault("versions", {})[f"{package} {version}"] = None
        for name, value in (row.get("parameters") or {}).items():
            if name not in ("profile", "data"):
                fact = f"{row['chapter']}.{name} = {value!r}"
                facts.setdefault("parameters", {})[fact] = None
    return {name: ", ".join(values) for name, values in facts.items()}


def differing(a: Mapping[str, str], b: Mapping[str, str]) -> list[str]:
    """Return a line for each fact that both runs state and that is not the same."""
    lines = []
    for name in a:
        if name not in b:
            continue
        one, other = _without(a[name], b[name]), _without(b[name], a[name])
        if one or other:
            lines.append(f"- {name.replace('_', ' ')}: A {one or '–'} | B {other or '–'}")
    return lines


def report(
    a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]], ignored: Iterable[str] = (),
    key: str = "",
) -> str:
    """Return the comparison of two runs as Markdown."""
    table = compare(a, b, ignored)
    if key:
        table = table[table["key"].str.contains(key, regex=False)]
    if table.empty:
        return f"No recorded result has a key with {key!r} in it."
    both = table["A"].notna() & table["B"].notna()
    same = both & (table["A"].map(_value) == table["B"].map(_value))
    if table["chapter"].nunique() == 1:
        table = table.drop(columns="chapter")
    differ = table[both & ~same]
    sections = [
        "\n".join(differing(about(a), about(b)) or ["Profile, data and versions are the same."]),
        f"{both.sum()} results in both runs, {same.sum()} of them equal; "
        f"{(table['B'].isna()).sum()} only in A, {(table['A'].isna()).sum()} only in B.",
    ]
    if len(differ):
        sections.append(f"## Differ\n\n{_markdown(differ)}")
        sections.append(
            "The difference is B - A. Intervals that overlap or lie apart are no test: the runs "
            "may share genes, cell types and seeds."
        )
    for side in ("A", "B"):
        alone = table[table["AB".replace(side, "")].isna()]
        if len(alone):
            columns = [name for name in ("chapter", "key", "tags", side) if name in alone]
            sections.append(f"## Only in {side}\n\n{_markdown(alone[columns])}")
    return "\n\n".join(sections)


def _results_file(path: Path) -> Path:
    found = next((one for one in (path, *map(path.joinpath, FILES)) if one.is_file()), None)
    if found is None:
        raise BuildError(f"{path} is no file, and no folder that holds {' or '.join(FILES)}")
    return found


def _provenance(file: Path) -> dict[str, Any]:
    """Return what the reference run says once for all of its rows."""
    path = file.with_name("provenance.json")
    if not path.exists():
        return {}
    said = read_json(path)
    if not isinstance(said, dict) or not isinstance(said.get("versions", {}), dict):
        raise BuildError(f"{path} does not say what produced a run")
    return {name: said[name] for name in ("profile", "versions") if name in said}


def _by_identity(
    rows: Iterable[Mapping[str, Any]], ignored: set[str]
) -> dict[tuple[str, str, tuple[tuple[str, str], ...], int], Mapping[str, Any]]:
    seen: Counter[tuple[Any, ...]] = Counter()
    found = {}
    for row in rows:
        tags = tuple(
            (name, str(value))
            for name, value in sorted(row.items())
            if name not in NOT_TAGS and name not in ignored and value is not None
        )
        identity = (row["chapter"], row["key"], tags)
        found[(*identity, seen[identity])] = row
        seen[identity] += 1
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(row: Mapping[str, Any] | None) -> Any:
    """Return a recorded value; floats to seven digits, which is what the reference run keeps."""
    value = row["value"] if isinstance(row, Mapping) else None
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _difference(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> float | None:
    one, other = _value(a), _value(b)
    return other - one if _is_number(one) and _is_number(other) else None


def _intervals(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> str:
    ends = [row.get(end) if row else None for row in (a, b) for end in ("low", "high")]
    if any(end is None for end in ends):
        return ""
    return "overlap" if ends[0] <= ends[3] and ends[2] <= ends[1] else "apart"


def _without(text: str, other: str) -> str:
    """Return the facts of one list that the other does not have."""
    known = set(other.split(", "))
    return ", ".join(fact for fact in text.split(", ") if fact not in known)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        shown = _cell(value["value"])
        if value.get("low") is None:
            return shown
        return f"{shown} [{_cell(value['low'])}, {_cell(value['high'])}]"
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "–"
    text = f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _markdown(table: pd.DataFrame) -> str:
    shown = [[_cell(cell) for cell in row] for row in table.itertuples(index=False)]
    return tabulate(shown, list(table.columns), tablefmt="pipe", disable_numparse=True)


def main() -> None:
    """Compare the runs that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tools.compare", description=__doc__)
    parser.add_argument("a", type=Path, metavar="A")
    parser.add_argument("b", type=Path, metavar="B")
    parser.add_argument("--ignore", default="", help="tags, separated by commas")
    parser.add_argument("--key", default="", help="only results whose key holds this text")
    parser.add_argument("--csv", type=Path, help="write the whole table there")
    options = parser.parse_args()
    ignored = [tag for tag in options.ignore.replace(",", " ").split() if tag]
    a, b = read_run(options.a), read_run(options.b)
    print(report(a, b, ignored, options.key))
    if options.csv:
        table = compare(a, b, ignored)
        for side in ("A", "B"):
            table[side] = table[side].map(_value, na_action="ignore")
        table.to_csv(options.csv, index=False)
        print(f"\nthe whole table is in {options.csv}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
