"""The examples of the pages on rerunning and on own data: commands can be given, Python runs."""

import re
import shlex
from pathlib import Path

import pytest

from dc2lib.datasets.__main__ import _parser
from tools.chapters import find_chapters, read_profile, typed_value

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("how_to_rerun", "your_own_data")
TEXT = "\n".join((ROOT / "book" / f"{name}.md").read_text() for name in PAGES)
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z]+) \??=", MAKEFILE, re.MULTILINE))


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


CHAPTERS = find_chapters(ROOT)
INLINE = re.findall(r"`((?:make|\.venv/bin/python) [^`\n]+)`", TEXT)
COMMANDS = [line for block in blocks("bash") for line in block.splitlines() if line.strip()]
COMMANDS += INLINE
MAKE = [shlex.split(line, comments=True)[1:] for line in COMMANDS if line.startswith("make ")]


def split(words):
    variables = dict(word.split("=", 1) for word in words if "=" in word)
    return [word for word in words if "=" not in word], variables


def test_there_are_examples():
    assert len(MAKE) > 20
    assert len(blocks("python")) == 1


@pytest.mark.parametrize("words", MAKE, ids=" ".join)
def test_every_make_command_names_targets_and_variables_that_exist(words):
    targets, variables = split(words)
    assert set(targets) <= TARGETS
    assert set(variables) <= VARIABLES


@pytest.mark.parametrize("words", [w for w in MAKE if "chapter" in w and len(w) > 1], ids=" ".join)
def test_every_chapter_command_gives_known_parameters_of_a_chapter(words):
    _, variables = split(words)
    chapter = CHAPTERS[variables["NAME"]]
    read_profile(ROOT, variables.get("PROFILE", "quick"))
    given = shlex.split(variables.get("PARAMS", ""))
    for name, text in zip(given[1::3], given[2::3], strict=True):
        assert str(typed_value(chapter, name, text)) == text


def test_the_papermill_command_and_call_name_declared_parameters():
    (line,) = [line for line in COMMANDS if line.startswith(".venv/bin/papermill")]
    words = shlex.split(line)
    chapter = CHAPTERS[Path(words[1]).stem]
    assert set(words[words.index("-p") + 1 :: 3]) <= set(chapter.parameters)


def test_the_papermill_call_is_as_written(monkeypatch):
    import papermill

    calls = []
    monkeypatch.setattr(papermill, "execute_notebook", lambda *a, **k: calls.append((a, k)))
    exec(blocks("python")[0], {})
    ((source, _), options), = calls
    chapter = CHAPTERS[Path(source).stem]
    assert set(options["parameters"]) <= set(chapter.parameters)


STORE = [shlex.split(line, comments=True)[1:] for line in COMMANDS if "dc2lib.datasets" in line]


@pytest.mark.parametrize("words", STORE, ids=" ".join)
def test_every_command_of_the_store_gives_known_options(words):
    assert words[:2] == ["-m", "dc2lib.datasets"]
    _parser().parse_args(words[2:])
