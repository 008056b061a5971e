"""The archive is taken for the released one; a killed make goes on; runs are compared."""

import json
import os
import signal

import numpy as np
import psutil
import pytest

from dc2lib.datasets import list_cells, open_cell, write_cell
from dc2lib.datasets.roadmap import ARCHIVE, RPKM, ingest_archive
from dc2lib.datasets.rpkm import read_rpkm
from dc2lib.datasets.simulated import simulate
from dc2lib.labels import label
from tools import rehearsal
from tools.errors import BuildError


def test_the_archive_is_taken_for_the_released_one(tmp_path):
    files = rehearsal.write_archive(tmp_path / "mirror", n_cells=2, n_genes=60) / "roadmap"
    table = read_rpkm(files / RPKM.name)
    ingest_archive(files / ARCHIVE.name, table, tmp_path / "home", progress=False)
    assert list_cells(tmp_path / "home") == ["E003", "E004"] == table.cells
    one = open_cell("E004", tmp_path / "home")
    assert len(one) == 60 < 19_000 < len(table.gene_id) and one.strand is not None
    np.testing.assert_array_equal(label(one, "lexicographic"), one.released_label)
    assert not (tmp_path / "mirror" / "csv" / "E004").exists()


def test_a_make_that_is_killed_leaves_no_process_and_goes_on(tmp_path):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "Makefile").write_text(
        ".PHONY: env\nenv:\n\tfalse\nwork: env\n"
        "\t@test -e started || { echo $$$$ > pid; mv pid started; sleep 20; }\n")
    started = checkout / "started"
    _, peak, status = rehearsal.run_make(["work"], tmp_path, killed_when=started.is_file)
    assert status == -signal.SIGKILL and peak > 0
    shell = int(started.read_text())
    assert not psutil.pid_exists(shell) or psutil.Process(shell).status() == psutil.STATUS_ZOMBIE
    assert rehearsal.run_make(["work"], tmp_path)[2] == 0
    with pytest.raises(BuildError, match="exit 2"):
        rehearsal.run_make(["nothing"], tmp_path)


def test_runs_that_recorded_other_results_are_refused(tmp_path):
    cell = simulate(n_cells=1, n_genes=60).datasets["S001"]
    for run, value in (("a", 0.5), ("b", 0.5), ("c", 0.6)):
        write_cell(cell, tmp_path / run / "data")
        folder = tmp_path / run / "checkout" / "_build" / "executed" / "data" / "0123"
        folder.mkdir(parents=True)
        rows = [{"chapter": "data", "key": "calibration_error", "value": value},
                *({"chapter": "data", "key": key, "value": 10 * ord(run)}
                  for key in ("seconds", "samples_per_second", "minutes_for_three_million"))]
        (folder / "results.jsonl").write_text("\n".join(map(json.dumps, rows)))
    before = tmp_path / "a" / "checkout" / "_build" / "executed" / "data" / "4567"
    before.mkdir()
    earlier = {"chapter": "data", "key": "calibration_error", "value": 0.4}  # of older code
    (before / "results.jsonl").write_text(json.dumps(earlier))
    os.utime(before / "results.jsonl", (0, 0))
    rehearsal._agree(tmp_path / "a", tmp_path / "b")
    with pytest.raises(BuildError, match="1 of 4 results"):
        rehearsal._agree(tmp_path / "a", tmp_path / "c")
