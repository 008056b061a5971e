"""What make hands to the tools, whatever stands in its variables."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from dc2lib.datasets.__main__ import _parser
from tools.build import _request

ROOT = Path(__file__).resolve().parents[2]


def words_of(target, module, *variables):
    command = ["make", "--dry-run", "--always-make", target, *variables]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    env |= {"NAME": "computer"}  # as WSL sets it
    shown = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=True
    ).stdout
    return shlex.split(shown.partition(module)[2].replace("\\\n", " "))


def options_of(*variables):
    return _parser().parse_args(words_of("data", "dc2lib.datasets", *variables))


EVIL = "it's; touch $HOME/`x` \"$(shell y)\" #\\"


@pytest.mark.parametrize(
    ("target", "module", "names"),
    [
        ("book", "tools.build", ["PROFILE", "DATA", "JOBS"]),
        ("chapter", "tools.build", ["PROFILE", "NAME", "PARAMS"]),
        ("reference", "tools.reference", ["JOBS"]),
        ("pdf", "tools.pdf", ["PDF"]),
        ("compare", "tools.compare", ["A", "B", "IGNORE", "KEY"]),
        ("keep", "tools.keep", ["RUN"]),
        ("tidy", "tools.tidy", ["DAYS"]),
        ("serve", "tools.serve", ["PORT"]),
    ],
)
def test_no_value_of_a_variable_is_read_by_a_shell(target, module, names):
    words = words_of(target, module, *(f"{name}={EVIL}" for name in names))
    assert sum(word.partition("=")[2] == EVIL or word == EVIL for word in words) == len(names)


def test_parameters_of_a_chapter_are_words(capsys):
    words = words_of("chapter", "tools.build", "NAME=data", "PARAMS=-p seed 1 -p words 'a b'")
    assert _request(words)[0].overrides == {"seed": "1", "words": "a b"}
    for wrong, said in (("-p seed 'a", "No closing quotation"), ("--jobs 2", "expected -p NAME")):
        with pytest.raises(SystemExit):
            _request(words_of("chapter", "tools.build", "NAME=data", f"PARAMS={wrong}"))
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["mirror", "peaks", "tracks", "binned", "rpkm", "gtf", "suffix", "csv"]
)
@pytest.mark.parametrize("value", ["it's $HOME/`a b`", '-"x"; echo', "a#b\\"])
def test_a_value_arrives_as_it_was_typed(name, value):
    given = getattr(options_of(f"{name.upper()}={value}"), name)
    assert given == ([value] if name == "csv" else value)


def test_lists_and_choices():
    options = options_of("MARKS=H3K4me3 H3K27ac", "CELLS=E003", "VALUE=score", "SOURCE=roadmap")
    assert (options.marks, options.cells) == (["H3K4me3 H3K27ac"], ["E003"])
    assert (options.value, options.source) == ("score", "roadmap")
    assert options_of("PARTIAL=1").partial
    assert options_of() == options_of("CELLS=", "MARKS=", "MIRROR=") == _parser().parse_args([])


@pytest.mark.parametrize("name", ["cells", "marks", "mirror", "peaks", "csv", "rpkm", "home"])
def test_an_option_given_as_nothing_is_refused(name, capsys):
    for nothing in ("", " ,"):
        with pytest.raises(SystemExit):
            _parser().parse_args([f"--{name}", nothing])
        assert f"--{name}: is empty" in capsys.readouterr().err


def test_a_switch_that_is_off_is_off():
    assert words_of("tidy", "tools.tidy", "YES=0") == words_of("tidy", "tools.tidy")
    assert "--yes" in words_of("tidy", "tools.tidy", "YES=1")
    assert not options_of("REFETCH=no", "PARTIAL=0").refetch


def test_the_name_of_the_computer_chooses_no_chapter():
    assert words_of("rehearsal", "tools.rehearsal") == ["--profile=quick"]
    assert words_of("chapter", "tools.build")[-1] == "--chapter="


def test_own_files_that_are_given_as_nothing_are_no_download(capsys):
    for name in ("CSV", "PEAKS", "RPKM"):
        with pytest.raises(SystemExit):
            options_of(f"{name}=", "CELLS=")
        assert "is empty" in capsys.readouterr().err
