"""Kept results that nothing uses any more are listed, removed when told so, and nothing else is."""

import os
import re
import time
from dataclasses import replace

import numpy as np
import pytest

from dc2lib import cache
from dc2lib.datasets.simulated import stored_simulation
from dc2lib.errors import DataError
from dc2lib.training.fit import PAPER
from dc2lib.training.grid import run_grid
from dc2lib.training.grid_fits import Fit
from tools import tidy

OLD, NEW = "0" * 32, "f" * 32
PLANTED = {
    "fits": (f"fits/{OLD}.npz", f"fits/.{OLD}.0123abcd.part.npz"),
    "related": (f"related/change-{OLD[:24]}.npz",),
    "histone_gans": (f"histone_gans/{OLD}.pt", f"histone_gans/gan-{OLD[:20]}.pt"),
    "digits": (f"digits/{OLD}.pt", f"digits/digit_judge-{OLD[:20]}.pt"),
    "simulated": (f"simulated/{OLD[:16]}/cells/S001/counts.npy",),
    "executed chapters": (f"_build/executed/data/{OLD[:16]}/executed.ipynb",
                          f"_build/executed/audit/.{OLD[:16]}.removed/run.json"),
    "pages of single chapters": ("_build/chapters/data-00000000/html/data.html",),
}
OTHERS = (
    "cells/E012/counts.npy", "downloads/digests.json", "fits/notes.txt", "fits/thesis.npz",
    "mine/" + OLD + ".npz", "_build/html/index.html", "_build/executed/readme.md",
)


def plant(home, name, days):
    """A file, and the folders that hold it, read and written so many days ago."""
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 1000)
    then = time.time() - days * tidy.DAY_S
    for one in (path, *path.parents):
        if one == home:
            break
        os.utime(one, (then, then))
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data folder and a build in one place, all of it used forty days ago."""
    monkeypatch.setenv("DC2LIB_DATA", str(tmp_path))
    monkeypatch.setattr(tidy, "ROOT", tmp_path)
    for name in (*OTHERS, *(name for names in PLANTED.values() for name in names)):
        plant(tmp_path, name, days=40)
    return tmp_path


def files(home):
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}


def test_a_list_removes_nothing(home, capsys):
    before = files(home)
    assert tidy.main([]) == 0
    assert files(home) == before
    output = capsys.readouterr().out
    for kind, names in PLANTED.items():
        assert re.search(rf"^ *{kind} +{len(names)} of {len(names)} ", output, re.MULTILINE)
    assert "nothing was removed: add YES=1" in output


def test_only_what_the_library_and_the_build_name_is_removed(home, capsys):
    assert tidy.main(["--yes"]) == 0
    assert files(home) == set(OTHERS)
    assert not (home / "simulated" / OLD[:16]).exists()
    assert f"{sum(map(len, PLANTED.values()))} removed" in capsys.readouterr().out
    assert tidy.main(["--yes", "--days", "0"]) == 0


def test_what_was_used_stays(home):
    written = plant(home, f"fits/{NEW}.npz", days=20)
    read = plant(home, f"digits/{NEW}.pt", days=40)
    os.utime(read, (time.time(), read.stat().st_mtime))
    cell = plant(home, f"simulated/{NEW[:16]}/cells/S002/counts.npy", days=20)
    plant(home, f"simulated/{NEW[:16]}/cells/S001/counts.npy", days=40)
    shown = home / "_build" / "executed" / "data" / OLD[:16]
    os.utime(shown)
    assert tidy.main(["--yes"]) == 0
    assert files(home) - set(OTHERS) == {
        str(path.relative_to(home))
        for path in (written, read, cell, cell.parents[1] / "S001" / "counts.npy",
                     shown / "executed.ipynb")
    }
    assert tidy.main(["--yes", "--days", "10"]) == 0
    assert not written.exists() and read.exists() and shown.exists()
    assert tidy.main(["--yes", "--days", "0"]) == 0
    assert files(home) == set(OTHERS)


def test_a_fit_of_older_code_is_removed_before_its_time(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DC2LIB_DATA", str(tmp_path))
    monkeypatch.setattr(tidy, "ROOT", tmp_path)
    store = str(stored_simulation(1, 60))
    one = Fit("linear", replace(PAPER, epochs=1), ("S001",), "S001", store)
    current = run_grid([one], progress=False)[0].path
    older = current.with_name(f"{OLD}.npz")
    older.write_bytes(current.read_bytes())
    strange = current.with_name(f"{NEW}.npz")
    np.savez(strange, about=np.array('{"fit": {"train_cells": [], "recipe": {"speed": 1}}}'))
    elsewhere = current.with_name(f"{'a' * 32}.npz")
    told = f'{{"fit": {{"model": "linear", "recipe": {{}}, "train_cells": ["S001"], ' \
           f'"test_cell": "S001", "home": "{tmp_path / "none"}"}}}}'
    np.savez(elsewhere, about=np.array(told))
    before = current.stat()
    assert tidy.main(["--yes"]) == 0
    assert current.exists() and elsewhere.exists()
    assert not older.exists() and not strange.exists()
    assert (current.stat().st_atime_ns, current.stat().st_mtime_ns) == (
        before.st_atime_ns, before.st_mtime_ns)
    monkeypatch.setattr(cache, "code_digest", lambda *_, **__: "other")
    assert tidy.main(["--yes"]) == 0
    assert not current.exists()


@pytest.mark.parametrize("content", ["empty", "cut", "flipped", "array", "list", "no fit"])
def test_a_fit_that_does_not_say_what_it_is_stays(tmp_path, content):
    path = tmp_path / f"{NEW}.npz"
    told = {"list": "[1]", "no fit": '{"fit": {"model": "linear"}}'}.get(content, "{}")
    np.savez_compressed(path, about=np.array(told), other=np.arange(5000))
    whole = path.read_bytes()
    if content == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2],
                      "flipped": whole[:60] + b"???" + whole[63:]}.get(content, path.read_bytes()))
    assert not tidy.is_of_older_code(path)


def test_links_are_neither_followed_nor_removed(home, tmp_path_factory):
    away = tmp_path_factory.mktemp("away")
    kept = plant(away, f"{OLD}.npz", days=40)
    links = {
        home / "replicates": away,
        home / "fits" / f"{NEW}.npz": kept,
        home / "simulated" / NEW[:16]: away,
        home / "_build" / "executed" / "linked": away,
        home / "simulated" / OLD[:16] / "cells" / "S002": away,
    }
    for link, target in links.items():
        link.symlink_to(target)
    assert tidy.main(["--yes", "--days", "0"]) == 0
    assert kept.exists()
    assert [link.is_symlink() for link in links] == [True, True, True, True, False]


def test_a_file_in_place_of_the_data_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DC2LIB_DATA", str(tmp_path / "file"))
    with pytest.raises(DataError, match="Set DC2LIB_DATA"):
        tidy.main([])
