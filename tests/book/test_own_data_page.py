"""The page on own cell types, run as it stands in an empty folder."""

from importlib.util import find_spec
from pathlib import Path

import jupytext
import pytest

from dc2lib.datasets import MARKS, list_cells, open_cell
from dc2lib.labels import RULES, label

PAGE = Path(__file__).resolve().parents[2] / "book" / "your_own_data.md"
UNITS = {
    "liver": ("peaks", "peak signal", MARKS),
    "kidney": ("tracks", "coverage", MARKS),
    "heart": ("binned", "reads", MARKS[:3]),
    "skin": ("binned", "reads", MARKS),
    "lung": ("binned", "reads", MARKS),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What the page's cells leave behind, and the store that they filled."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("page")
        patch.chdir(home)
        patch.setenv("DC2LIB_DATA", str(home / "simulated"))
        patch.setattr("tempfile.mkdtemp", lambda: str(home))
        names: dict[str, object] = {"__name__": "page"}
        for cell in jupytext.reads(PAGE.read_text(), fmt="md:myst").cells:
            if cell.cell_type == "code":
                exec(cell.source, names)
    return names, home / "store"


def test_every_way_in_stores_its_cell_type(ran):
    _, home = ran
    expected = set(UNITS) - (set() if find_spec("pyBigWig") else {"kidney"})
    assert set(list_cells(home)) == expected
    for name in expected:
        cell = open_cell(name, home)
        assert (cell.source, cell.unit, cell.marks) == UNITS[name]
        assert len(cell) == 300
        for rule in RULES:
            assert 0 < label(cell, rule).mean() < 1


def test_the_ways_in_agree(ran):
    names, home = ran
    lung, skin, heart = (open_cell(name, home) for name in ("lung", "skin", "heart"))
    assert (skin.counts == lung.counts).all()
    assert (heart.counts == lung.with_marks(heart.marks).counts).all()
    assert (lung.gene_oriented() == names["along_gene"]).all()
    liver = open_cell("liver", home).counts
    assert (liver == lung.counts * (lung.counts >= 4)).all()


def test_tracks_hold_the_counts(ran):
    pytest.importorskip("pyBigWig", reason="the extra tracks is not installed")
    _, home = ran
    kidney, lung = open_cell("kidney", home), open_cell("lung", home)
    assert (kidney.counts == lung.counts).all()
