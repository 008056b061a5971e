"""The digest of the deciding code changes with what is imported, and with nothing else."""

import re

import pytest
from dc2book.related_work import trials

from dc2lib import cache as digests
from dc2lib.baselines.systems import ALL
from dc2lib.cache import deciding_modules, digest_of, modules_of

PLANTED = {
    "__init__": '__version__ = "1"\n',
    "fitting": "from lib.nets import build\n\n\ndef fit():\n    return build()\n",
    "nets/__init__": "from lib.nets.deep import build\nfrom lib.nets.other import unused\n",
    "nets/deep": "def build():\n    from lib.steps import step\n\n    return step\n",
    "nets/other": "unused = 1\n",
    "steps": '"""Steps."""\n\n\ndef step(x):\n    """One."""\n    return x\n',
    "loop": "import lib.turn\n\nleft = 1\n",
    "turn": "from lib import loop, fitting\n",
    "reading/__init__": "def read():\n    return 0\n",
    "reading/made/__init__": "",
    "reading/made/study": "from lib.reading import read\nfrom lib.reading.made import marks\n",
    "reading/made/marks": "height = 3\n",
    "drawing": "from lib import fitting\n",
}
FOUND = ["lib.fitting", "lib.nets.deep", "lib.steps"]
SHOWS = re.compile(r"dc2book\..*(figures|sentences|style|record|claims|front_page|primers)|dc2lib$")
RESULTS = {
    "fits": (["dc2lib.training.grid_fits"], ["fast.fused_step", "evaluation.scores"]),
    "digits": (["dc2book.mnist.training"], ["models.networks", "training.fit"]),
    "gans": (["dc2lib.training.gan"], ["models.gan", "models.networks"]),
    "replicates": (
        ["dc2book.ground_truth.replicates"],
        ["probing.optimise", "training.gan", "models.gan"],
    ),
    "cells": (["dc2lib.datasets.simulated.study"], ["datasets.simulated.draws"]),
    "pairs": (["dc2book.related_work.pairs"], ["baselines.deepdiff", "baselines.ernst", "signals"]),
}


@pytest.fixture
def lib(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "LEFT_OUT", ("lib.reading",))
    for name, source in PLANTED.items():
        file = tmp_path / "lib" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    return tmp_path / "lib"


def found(lib, *names, without=()):
    return deciding_modules(names, without, lib)


def digest(lib, *names):
    return digest_of(found(lib, *(names or ("lib.fitting",))))


def test_imports_are_followed_to_what_defines_the_name(lib):
    assert list(found(lib, "lib.fitting")) == FOUND


@pytest.mark.parametrize("name", ["fitting", "nets/deep", "steps"])
def test_an_indirect_dependency_changes_the_digest(lib, name):
    before = digest(lib)
    file = lib / f"{name}.py"
    file.write_text(file.read_text() + "\nmore = 1\n")
    assert digest(lib) != before


@pytest.mark.parametrize("name", ["__init__", "nets/other", "drawing", "turn"])
def test_what_is_not_needed_does_not(lib, name):
    before = digest(lib)
    file = lib / f"{name}.py"
    file.write_text(file.read_text() + "\nmore = 1\n")
    assert digest(lib) == before


def test_comments_docstrings_and_layout_do_not_count(lib):
    before = digest(lib)
    changed = '"""New."""\n\ndef step( x ):  # why\n    """New."""\n    return x'
    (lib / "steps.py").write_text(changed)
    assert digest(lib) == before
    (lib / "steps.py").write_text("def step(x):\n    return x\n")
    assert digest(lib) == before
    (lib / "steps.py").write_text("def step(x):\n    return x + 1\n")
    assert digest(lib) != before


def test_a_name_that_comes_from_elsewhere_changes_the_digest(lib):
    before = digest(lib)
    (lib / "nets" / "other.py").write_text((lib / "nets" / "deep.py").read_text())
    (lib / "nets" / "__init__.py").write_text("from lib.nets.other import build\n")
    assert "lib.nets.other" in found(lib, "lib.fitting")
    assert digest(lib) != before


def test_a_cycle_of_imports_ends(lib):
    assert list(found(lib, "lib.loop")) == [*FOUND[:1], "lib.loop", *FOUND[1:], "lib.turn"]


def test_a_package_that_is_left_out_is_open_to_what_is_named_in_it(lib):
    (lib / "fitting.py").write_text("import lib.reading\nfrom lib.reading.made import marks\n")
    assert list(found(lib, "lib.fitting")) == ["lib.fitting"]
    made = ["lib.reading.made.marks", "lib.reading.made.study"]
    assert list(found(lib, "lib.reading.made.study")) == made
    assert list(found(lib, "lib.turn", without=["lib.fitting"])) == ["lib.loop", "lib.turn"]


def test_data_beside_the_modules_count(lib):
    before = digest(lib, "lib.reading.made.study"), digest(lib)
    (lib / "reading" / "made" / "figures.json").write_text("1")
    assert digest(lib, "lib.reading.made.study") != before[0]
    assert digest(lib) == before[1]


def test_a_module_that_is_not_there_is_named(lib):
    with pytest.raises(ValueError, match=r"lib\.nothing"):
        found(lib, "lib.nothing")


@pytest.mark.parametrize("name", RESULTS)
def test_kept_results_know_their_code_and_not_what_shows_them(name):
    roots, needed = RESULTS[name]
    counted = deciding_modules(roots)
    assert {f"dc2lib.{one}" for one in needed} <= set(counted)
    assert not [one for one in counted if SHOWS.search(one)]


@pytest.mark.parametrize("name", ALL)
def test_systems_know_their_own_code_and_not_each_others(name):
    own = ALL[name].fit.__module__
    counted = deciding_modules([trials.__name__, own], (trials.SYSTEMS,))
    assert {"dc2lib.baselines.contract", "dc2lib.signals", own} <= set(counted)
    assert ("dc2lib.training.fit" in counted) == (ALL[name].epochs is not None)
    assert trials.SYSTEMS not in counted


def test_modules_are_imported_by_statements_only():
    """`code_digest` reads these; a module named by a string it would not see."""
    for name, file in modules_of(digests.Path(digests.__file__).parent).items():
        assert not re.search(r"import_module\(|__import__\(", file.read_text()), name
