"""Full size by simulation: 56 cell types of 19,802 genes, from CSV files to Test-on-Rest.

``make scale`` runs what is missing of it, piece by piece, each in a process of its own whose peak
memory is measured, and keeps every piece in ``_build/scale.json``; run it again to go on.
"""

from __future__ import annotations

import argparse
import inspect
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from dc2lib.crosscell.transfer import cell_logits
from dc2lib.datasets import list_cells, open_cell, read_csv_folder, write_cell
from dc2lib.datasets.released import write_released_csv
from dc2lib.datasets.rpkm import write_rpkm_table
from dc2lib.datasets.simulated import simulate
from dc2lib.datasets.simulated.design import checked_design
from dc2lib.datasets.simulated.study import draw_genes, simulate_cell
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.files import atomic_write
from dc2lib.labels import label
from dc2lib.training.fit import PAPER, TUNED
from dc2lib.training.grid import run_grid
from dc2lib.training.grid_fits import Fit
from dc2lib.training.linear import fit_linear
from tools.bench import machine, untrained

OUTPUT = Path("_build") / "scale.json"
HOME = Path("_build") / "scale"
SIZES = (7, 14, 28, 56)
PART = 14
MIB = 2**20


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the pieces that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genes", type=int, default=19_802, help="genes of a cell type")
    parser.add_argument("--stop-after", type=float, default=np.inf, metavar="SECONDS",
                        help="begin no piece later than this")
    parser.add_argument("--keep-store", action="store_true", help="do not remove the store at last")
    parser.add_argument("--piece", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.piece:
        torch.set_num_threads(1)
        name, cells, part = options.piece
        print(json.dumps(PIECES[name](int(cells), int(part), options.genes)))
        return
    start, state = time.monotonic(), read_state(options.genes)
    done = {(row["piece"], row["cells"], row["part"]) for row in state["rows"]}
    for piece in pieces():
        if piece in done:
            continue
        if time.monotonic() - start > options.stop_after:
            print("stopped; run again to go on")
            return
        row = run_piece(piece, options.genes)
        state["rows"].append(row)
        state["about"]["date"] = datetime.now(UTC).isoformat(timespec="seconds")
        write_state(state)
        print(f"{row['piece']:16} {row['cells']:3} cells, part {row['part']}:"
              f" {row['seconds']:7.1f} s, peak {row['peak_mib']:,.0f} MiB", flush=True)
    if not options.keep_store:
        shutil.rmtree(HOME, ignore_errors=True)
    print(f"whole: {OUTPUT}")


def pieces() -> Iterator[tuple[str, int, int]]:
    """Every piece: its name, number of cell types, and part of them."""
    for cells in SIZES:
        yield "ingest", cells, 0
    for name in ("linear", "inclusive_epoch"):
        for cells in SIZES:
            yield name, cells, 0
    for cells in SIZES:
        for part in range(-(-cells // PART)):
            yield "test_on_rest", cells, part


def run_piece(piece: tuple[str, int, int], genes: int) -> dict:
    """Run one piece in a process of its own.

    Raises
    ------
    RuntimeError
        If it fails; what was kept stays.
    """
    command = [sys.executable, "-m", "tools.scale", "--genes", str(genes), "--piece"]
    done = subprocess.run([*command, *map(str, piece)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{piece}: {done.stderr[-2000:]}")
    name, cells, part = piece
    row = json.loads(done.stdout.splitlines()[-1])
    return {"piece": name, "cells": cells, "part": part, **row}


def ingest(cells: int, part: int, genes: int) -> dict[str, float]:
    """CSV files in the released layout and an expression table to the store, a cell type a time.

    Seconds count reading, checking and writing; simulating and writing the CSV do not count.
    """
    timings = HOME / "ingest.json"
    known = json.loads(timings.read_text(encoding="utf-8")) if timings.exists() else {}
    bound = inspect.signature(simulate).bind(cells, genes, seed=0)
    bound.apply_defaults()
    design = checked_design(**bound.arguments)
    drawn = draw_genes(design)
    for index in range(len(known), cells):
        dataset, _ = simulate_cell(design, drawn, index)
        cell = dataset.cell
        folder = write_released_csv(dataset, HOME / "csv")
        table = HOME / "csv" / "rpkm.gz"
        write_rpkm_table({cell: dataset}, table)
        size = sum(path.stat().st_size for path in folder.rglob("*.csv"))
        start = time.perf_counter()
        write_cell(read_csv_folder(folder, cell=cell, rpkm=table), HOME)
        known[cell] = [time.perf_counter() - start, size]
        timings.write_text(json.dumps(known), encoding="utf-8")
        shutil.rmtree(folder)
    names = sorted(known)[:cells]
    seconds, csv_bytes = (sum(known[name][i] for name in names) for i in (0, 1))
    disk = sum(path.stat().st_size for name in names
               for path in (HOME / "cells" / name).rglob("*") if path.is_file())
    return measured(seconds, csv_mib=csv_bytes / MIB, disk_mib=disk / MIB)


def linear(cells: int, part: int, genes: int) -> dict[str, float]:
    """The linear baseline, five restarts, at most 100 epochs, of each cell type."""
    start = time.perf_counter()
    datasets = [open_cell(cell, HOME) for cell in list_cells(HOME)[:cells]]
    fits = fit_linear(datasets, recipe=PAPER, seeds=range(5))
    return measured(time.perf_counter() - start, auroc=float(np.mean(fits.valid_auroc)))


def inclusive_epoch(cells: int, part: int, genes: int) -> dict[str, float]:
    """One epoch of Inclusive All: the training genes of all cell types, one of them as the test."""
    names = tuple(list_cells(HOME)[:cells])
    one = Fit("deepchrome_average", replace(TUNED, epochs=1), names, names[0], str(HOME))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        (record,) = run_grid([one], folder, workers=1, progress=False)
        seconds = time.perf_counter() - start
    return measured(seconds, auroc=record.valid_auroc, genes=float(cells * (genes // 3)))


def test_on_rest(cells: int, part: int, genes: int) -> dict[str, float]:
    """One model a cell type on the test genes of a part of them, and the AUROCs.

    The models have initial weights, which take as long to evaluate as trained ones.
    """
    names = list_cells(HOME)[:cells]
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        records = untrained(HOME, open_cell(names[0], HOME), cells, Path(folder))
        start = time.perf_counter()
        found = []
        for cell in names[part * PART : (part + 1) * PART]:
            truth = label(open_cell(cell, HOME).take("test"))
            found += [auroc(truth, positive_score(one))
                      for one in cell_logits(records, cell, folder)]
    return measured(time.perf_counter() - start, pairs=float(len(found)))


PIECES = {"ingest": ingest, "linear": linear, "inclusive_epoch": inclusive_epoch,
          "test_on_rest": test_on_rest}


def measured(seconds: float, **more: float) -> dict[str, float]:
    """Seconds and the peak memory of this process, with what else a piece tells."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mib": peak, **more}


def read_state(genes: int) -> dict:
    """What was measured so far at this size; nothing if it was another size."""
    about = machine() | {"genes": genes, "threads": 1}
    if not OUTPUT.exists():
        return {"about": about, "rows": []}
    state = json.loads(OUTPUT.read_text(encoding="utf-8"))
    if state["about"]["genes"] != genes:
        return {"about": about, "rows": []}
    return {"about": about, "rows": state["rows"]}


def write_state(state: dict) -> None:
    """Write what was measured, to a temporary name first."""
    with atomic_write(OUTPUT) as unfinished:
        unfinished.write_text(json.dumps(state, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
