"""What `make data` hands to `python -m dc2lib.datasets`, whatever stands in its variables."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from dc2lib.datasets.__main__ import _parser

ROOT = Path(__file__).resolve().parents[2]


def options_of(*variables):
    command = ["make", "--dry-run", "--always-make", "data", *variables]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    shown = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=True
    ).stdout
    words = shlex.split(shown.partition("dc2lib.datasets")[2].replace("\\\n", " "))
    return _parser().parse_args(words)


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
    assert options_of() == _parser().parse_args([])
