"""The pieces of the full-size run, at a size of nothing; no time is asserted."""

import json

import pytest

from dc2lib.datasets import list_cells, open_cell
from dc2lib.datasets.simulated import simulate
from tools import scale


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scale")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scale, "HOME", folder)
        patch.setattr(scale, "PART", 1)
        scale.ingest(1, 0, 300)
        patch.setattr(scale, "simulate_cell", _only_the_second(scale.simulate_cell))
        scale.ingest(2, 0, 300)
        yield folder


def _only_the_second(simulate_cell):
    def second(design, genes, index):
        assert index == 1
        return simulate_cell(design, genes, index)

    return second


def test_cells_come_through_csv_as_they_were_simulated(home):
    assert list_cells(home) == ["S001", "S002"]
    for cell, dataset in simulate(n_cells=2, n_genes=300, seed=0).datasets.items():
        stored = open_cell(cell, home)
        assert (stored.counts == dataset.counts).all()
        assert stored.rpkm_text.tolist() == dataset.rpkm_text.tolist()
        assert stored.rpkm_median_text == dataset.rpkm_median_text


def test_pieces_say_its_seconds_and_memory(home):
    timed = ("ingest", "inclusive_epoch", "test_on_rest")
    pieces = {name: scale.PIECES[name](2, 0, 300) for name in timed}
    assert all(row["seconds"] > 0 and row["peak_mib"] > 50 for row in pieces.values())
    assert pieces["ingest"]["csv_mib"] > pieces["ingest"]["disk_mib"] > 0
    assert pieces["test_on_rest"]["pairs"] == 2


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scale, "SIZES", (2,))
    monkeypatch.setattr(scale, "PART", 1)
    asked = []

    def one(piece, genes):
        asked.append(piece)
        if piece[0] == "linear" and len(asked) < 3:
            raise RuntimeError("killed")
        return {"piece": piece[0], "cells": piece[1], "part": piece[2], "seconds": 1.0,
                "peak_mib": 1.0}

    monkeypatch.setattr(scale, "run_piece", one)
    with pytest.raises(RuntimeError, match="killed"):
        scale.main(["--genes", "300"])
    scale.main(["--genes", "300"])
    assert [piece[0] for piece in asked] == ["ingest", "linear", "linear", "inclusive_epoch",
                                             "test_on_rest", "test_on_rest"]
    rows = json.loads(scale.OUTPUT.read_text())["rows"]
    assert [row["piece"] for row in rows].count("test_on_rest") == 2
    scale.main(["--genes", "300"])
    assert len(asked) == 6
