"""What each chapter can be given, and what it has cost: the content of the page on rerunning."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tools.chapters import (
    SET_BY_BUILD,
    Chapter,
    chosen_parameters,
    find_chapters,
    read_profile,
)
from tools.compare import read_json, read_run, report

PROFILES = ("smoke", "quick", "reference", "paper")
MUCH_LONGER = 1.5
REFERENCE = Path("book") / "reference" / "provenance.json"
RESULTS = Path("book") / "reference" / "results.json"
EXAMPLE_CHAPTER, EXAMPLE_KEY = "linear_baseline", "auroc_difference"
EXAMPLE_IGNORES = ("cell", "verdict")


def parameter_tables(root: Path) -> list[dict[str, Any]]:
    """Return, chapter by chapter, name, meaning, default and value per profile of each parameter.

    A profile that does not set a parameter leaves its default; ``None`` stands for that.
    """
    settings = _settings(root)
    return [
        {"chapter": name, "parameters": _rows(chapter, settings)}
        for name, chapter in find_chapters(root).items()
    ]


def costs(root: Path) -> list[dict[str, Any]]:
    """Return how long each chapter took when it was last executed, by profile and data source.

    Taken from the executions that are kept in ``_build`` and ran with a profile's own parameters,
    and for profiles that were not executed here from the committed reference run; only the newest
    of each kind, with the ``longest`` of the same data source where that took half as long again
    or more: it trained what the newest found on disk.
    """
    chapters = find_chapters(root)
    settings = _settings(root)
    newest = {(cost["chapter"], cost["profile"]): cost for cost in _reference_costs(root)}
    most: Counter[tuple[str, str, str | None]] = Counter()
    for run in sorted(_runs(root), key=lambda run: run["started"]):
        if not _is_of_profile(run, chapters, settings):
            continue
        place = {name: run.get(name) for name in ("chapter", "profile", "data_source")}
        kind, took = tuple(place.values()), run["duration"]
        most[kind] = max(most[kind], took)
        longest = {"longest": round(most[kind], 1)} if most[kind] >= MUCH_LONGER * took else {}
        newest[kind[:2]] = place | {"seconds": round(took, 1), "where": "here"} | longest
    return [newest[key] for key in sorted(newest)]


def comparison_example(root: Path) -> str:
    """Return what `make compare` says of two cell types of the reference run, taken as two runs."""
    path = root / RESULTS
    rows = read_run(path) if path.exists() else []
    rows = [row for row in rows if row["chapter"] == EXAMPLE_CHAPTER]
    named = [row["cell"] for row in rows if row.get("cell") and row["key"] == EXAMPLE_KEY]
    cells = list(dict.fromkeys(named))[:2]
    if len(cells) < 2:
        return "The reference run holds fewer than two cell types."
    a, b = ([row for row in rows if row.get("cell") == cell] for cell in cells)
    return report(a, b, EXAMPLE_IGNORES, EXAMPLE_KEY)


def _settings(root: Path) -> dict[str, dict[str, dict[str, str]]]:
    named = {file.stem for file in (root / "book" / "profiles").glob("*.yml")}
    profiles = [*(p for p in PROFILES if p in named), *sorted(named - set(PROFILES))]
    return {profile: read_profile(root, profile) for profile in profiles}


def _rows(chapter: Chapter, settings: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for name, default in chapter.parameters.items():
        values = {
            profile: chosen_parameters(chapter, profile, chapters, "").get(name)
            for profile, chapters in settings.items()
        }
        if name in SET_BY_BUILD:
            values = dict.fromkeys(settings, SET_BY_BUILD[name])
        rows.append(
            {"name": name, "meaning": chapter.meanings[name], "default": default, "values": values}
        )
    return rows


def _is_of_profile(
    run: Mapping[str, Any],
    chapters: Mapping[str, Chapter],
    settings: Mapping[str, Mapping[str, Any]],
) -> bool:
    """Return whether a chapter ran with exactly the parameters that its profile gives it now."""
    chapter = chapters.get(run["chapter"])
    if chapter is None or run["profile"] not in settings:
        return False
    given = chosen_parameters(chapter, run["profile"], settings[run["profile"]], "")
    wanted = {**chapter.parameters, **given}
    used = run.get("parameters", {})
    return all(used.get(name) == wanted[name] for name in wanted if name not in SET_BY_BUILD)


def _runs(root: Path) -> Iterator[dict[str, Any]]:
    for file in (root / "_build" / "executed").glob("*/[0-9a-f]*/run.json"):
        with suppress(ValueError, OSError):  # a damaged execution costs nothing
            run = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(run, dict) and {"chapter", "profile", "started", "duration"} <= set(run):
                yield run


def _reference_costs(root: Path) -> Iterator[dict[str, Any]]:
    path = root / REFERENCE
    if not path.exists():
        return
    reference = read_json(path)
    for name, chapter in reference["chapters"].items():
        yield {
            "chapter": name,
            "profile": chapter.get("profile", reference["profile"]),
            "data_source": chapter.get("data_source"),
            "seconds": chapter["seconds"],
            "where": "reference run",
        }
