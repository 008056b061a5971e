"""The environment is made once for each lock file."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def commands(monkeypatch):
    run = []
    monkeypatch.setattr(environment, "_run", run.append)
    return run


@pytest.fixture
def root(tmp_path):
    for name in environment.INGREDIENTS:
        (tmp_path / name).write_text("numpy\n")
    (tmp_path / ".venv").mkdir()
    return tmp_path


def test_a_second_call_installs_nothing(root, commands):
    environment.make_environment(root)
    made = len(commands)
    environment.make_environment(root)
    assert made == 3
    assert len(commands) == made


def test_a_changed_lock_is_installed(root, commands):
    environment.make_environment(root)
    (root / "requirements.lock").write_text("numpy==2\n")
    commands.clear()
    environment.make_environment(root)
    assert commands


def test_an_interrupted_installation_is_not_taken_for_whole(root, monkeypatch):
    def fail(command):
        sys.exit("no network")

    monkeypatch.setattr(environment, "_run", fail)
    with pytest.raises(SystemExit):
        environment.make_environment(root)
    assert not environment.is_current(root / ".venv", environment.environment_hash(root))


def test_an_old_python_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer"):
        environment.main()


def test_the_lock_satisfies_every_declared_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    declared = [*project["dependencies"], *(line for extra in extras for line in extra)]
    lines = (ROOT / "requirements.lock").read_text().splitlines()[1:]
    locked = {canonicalize_name(need.name): need for need in map(Requirement, lines)}
    for need in map(Requirement, declared):
        version = next(iter(locked[canonicalize_name(need.name)].specifier)).version
        assert need.specifier.contains(version, prereleases=True), need


def test_the_lock_names_no_local_or_cuda_build():
    text = (ROOT / "requirements.lock").read_text()
    assert "torch==2.13.0\n" in text
    assert "+" not in text
    assert not re.search("^(nvidia|triton|pip==|setuptools==)", text, re.MULTILINE)


def test_every_extra_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) == {
        "attribution",
        "book",
        "cluster",
        "pages",
        "test",
        "tracks",
    }
