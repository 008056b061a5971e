"""Time each stage of the library against the plain way (``make bench``), or all of it at full size.

Ours and the plain way run in turn, in one process, on the same data; a row quotes medians, and the
median of the ratios pair by pair, so that a machine whose speed drifts does not decide.  Results go
to ``_build/bench.json``.

With --full-size (``make scale``): 56 simulated cell types of 19,802 genes, from CSV files to
Test-on-Rest, piece by piece, each in a process of its own whose peak memory is measured, kept in
``_build/scale.json``; run it again to go on.  Nothing here is a test: no time is ever asserted.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count, product
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import psutil
import torch

from dc2lib.crosscell.transfer import cell_logits, transfer
from dc2lib.datasets import (
    SPLITS,
    HistoneDataset,
    list_cells,
    open_cell,
    read_csv_folder,
    write_cell,
)
from dc2lib.datasets.released import write_released_csv
from dc2lib.datasets.rpkm import write_rpkm_table
from dc2lib.datasets.simulated import iter_cells, simulate
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.evaluation.statistics import bootstrap_auroc
from dc2lib.fast.fused_step import POOL_WIDTH, FusedStep
from dc2lib.files import atomic_write
from dc2lib.labels import label
from dc2lib.models.deepchrome import DeepChrome, build
from dc2lib.models.gan import HistoneGenerator, counts_to_signals, histone_gan_for
from dc2lib.probing import monte_carlo_probe
from dc2lib.training.fit import PAPER, TUNED, Recipe, fit, make_optimizer
from dc2lib.training.grid import run_grid
from dc2lib.training.grid_fits import Fit, FitRecord
from dc2lib.training.linear import fit_linear
from tools import textbook
from tools.children import end_with

BENCH, SCALE = Path("_build") / "bench.json", Path("_build") / "scale.json"
HOME = Path("_build") / "scale"  # store of the full-size run, while it is not whole
PACKAGES = ("torch", "numpy", "pyarrow", "scikit-learn")
FIELDS = ("gene", "bin", "H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3", "label")
# Multiply-adds of one gene: trained on, evaluated; of one sample: generated and scored.
TRAINING, EVALUATION, PROBE = 4.745e6 / 2, 866e3, 866e3 + 872e3
GRID_MODELS, GRID_EPOCHS, PROCESSES = 8, 3, 2
GENES, PAIRS = 19_802, 5
CELLS, RESTARTS, LINEAR_EPOCHS = 55, 5, 100
MODELS, EVALUATED_CELLS, PLAIN_MODELS = 8, 4, 2
KEEP, SAMPLES, PLAIN_SAMPLES = 100, 131_072, 16_384
SHARES, REPEATS = (1 / 4, 1 / 2, 1), 3
TURN_S = 2.0  # how long a process does one thing, alone or beside another
# dask lets workers return memory at once, and each step of training then asks for it again.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**30)}
SIZES, PART = (7, 14, 28, 56), 14  # cell types of the full-size run; those of one piece of pairs
MIB = 2**20


@dataclass(frozen=True)
class Task:
    """What a stage is given: simulated genes, a folder to write in, pairs to run, threads set."""

    dataset: HistoneDataset
    folder: Path
    pairs: int
    threads: int


def paired(
    task: Task, name: str, ours: Callable[[], object], plain: Callable[[], object], *,
    work: float, unit: str, plain_work: float | None = None, limit: float | None = None,
    plain_threads: int | None = None,
) -> dict[str, object]:
    """Run both ways in turn after a warm-up of ours, and return the row of the stage.

    ``work`` and ``plain_work`` are the units done by one run: the plain way may do a part of the
    work.  ``limit``: units a second that the machine's matrix product allows; ``plain_threads``: of
    torch for the plain way, default those that are set.

    In the row are the median rates of both in ``unit``, the median, lowest and highest ratio of a
    pair, and ours as a share of the limit.
    """
    plain_work = plain_work or work
    ours()
    rates = []
    for _ in range(task.pairs):
        fast = work / seconds(ours)
        torch.set_num_threads(plain_threads or task.threads)
        rates.append((fast, plain_work / seconds(plain)))
        torch.set_num_threads(task.threads)
    row = row_of_pairs(name, task.threads, unit, rates)
    return row | {"share_of_limit": None if limit is None else row["ours"] / limit}


def row_of_pairs(
    name: str, threads: int, unit: str, rates: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    """The row of rates that were measured in pairs: medians, lowest and highest ratio of a pair."""
    ratios = [fast / slow for fast, slow in rates]
    ours, plain = map(statistics.median, zip(*rates, strict=True))
    return {"name": name, "threads": threads, "unit": unit, "ours": ours, "plain": plain,
            "ratio": statistics.median(ratios), "ratio_low": min(ratios), "ratio_high": max(ratios)}


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def product_rate(multiply_adds: float, size: int = 1024) -> float:
    """Units a second that a large matrix product allows, now, with the threads that are set."""
    a = torch.rand(size, size)
    a @ a
    return size**3 / min(seconds(lambda: a @ a) for _ in range(5)) / multiply_adds


def faster_threads(run: Callable[[], object], most: int) -> int:
    """Threads, 1 or ``most``, with which ``run`` is the faster just now.

    Several threads of one process can be far slower than one where the machine is busy.
    """
    taken = {}
    for threads in {1, most}:
        torch.set_num_threads(threads)
        taken[threads] = seconds(run)
    torch.set_num_threads(most)
    return min(taken, key=taken.__getitem__)


def csv_to_store(task: Task) -> dict[str, object]:
    """Released CSV files to the store, against reading their rows with ``csv.DictReader``."""
    source = write_released_csv(task.dataset, task.folder / "csv")

    def plain() -> None:
        for path in sorted(source.rglob("*.csv")):
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file, FIELDS):
                    [int(row[mark]) for mark in task.dataset.marks]

    return paired(task, "csv_to_store",
                  lambda: write_cell(read_csv_folder(source, cell="S001"), task.folder / "store"),
                  plain, work=len(task.dataset) * 100, unit="rows/s")


def bootstrap(task: Task) -> dict[str, object]:
    """200 bootstrap AUROCs, against scikit-learn on each resample."""
    rng = np.random.default_rng(0)
    labels = label(task.dataset)
    scores = rng.normal(labels, 1.0)
    return paired(task, "bootstrap", lambda: bootstrap_auroc(labels, scores, n_resamples=200),
                  lambda: textbook.bootstrap(labels, scores, 200, rng), work=200,
                  unit="resamples/s")


def train_one(task: Task) -> dict[str, object]:
    """One epoch of the max-pooling network, against a textbook loop over a DataLoader."""
    train = task.dataset.take("train")
    return paired(task, "train_one", lambda: one_epoch(task.dataset, PAPER, len(train)),
                  lambda: textbook.epochs(train, 1), work=len(train), unit="genes/s",
                  limit=product_rate(TRAINING))


def one_epoch(dataset: HistoneDataset, recipe: Recipe, n_genes: int) -> None:
    """Train on some training genes for one epoch, with hardly any validation."""
    train = dataset.take("train").select(np.arange(n_genes))
    valid = dataset.take("valid").select(np.arange(64))
    fit(build("deepchrome_max"), train.counts, label(train), valid.counts, np.arange(64) % 2,
        recipe=replace(recipe, epochs=1), device="cpu")


def train_grid(task: Task) -> dict[str, object]:
    """Eight models in two processes of one thread, against textbook models one after the other.

    Both validate after every epoch and score the test genes in the end; ours keeps records.  One
    textbook model stands for all, with the threads that are faster for it.
    """
    store = task.folder / "trained"
    write_cell(task.dataset, store)
    train, *judges = (task.dataset.take(split) for split in SPLITS)
    recipe = replace(PAPER, epochs=GRID_EPOCHS, patience=GRID_EPOCHS)
    fits = [Fit("deepchrome_max", recipe, ("S001",), "S001", str(store), seed=seed)
            for seed in range(GRID_MODELS)]
    few = train.select(np.arange(min(1000, len(train))))
    threads = faster_threads(lambda: textbook.epochs(few, 1), task.threads)
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:

        def ours() -> None:
            shutil.rmtree(store / "fits", ignore_errors=True)
            run_grid(fits, store / "fits", executor=pool, progress=False)

        work = len(train) * GRID_EPOCHS
        return paired(task, "train_grid", ours,
                      lambda: textbook.epochs(train, GRID_EPOCHS, *judges),
                      work=work * GRID_MODELS, plain_work=work, unit="genes/s",
                      limit=product_rate(TRAINING), plain_threads=threads)


def grid_dask(task: Task) -> dict[str, object]:
    """Fits on dask workers of one thread each, against this process alone."""
    import dask
    from distributed import Client, LocalCluster

    home = task.folder / "grid"
    write_cell(task.dataset, home)
    fits = [Fit("deepchrome_max", replace(TUNED, epochs=1), ("S001",), "S001", str(home), seed=seed)
            for seed in range(GRID_MODELS)]
    with (
        patch.dict(os.environ, KEEP_MEMORY),  # and undo what the cluster sets here for its workers
        dask.config.set({"distributed.worker.memory.terminate": False}),
        LocalCluster(n_workers=task.threads, threads_per_worker=1, dashboard_address=":0",
                     silence_logs=logging.ERROR) as cluster,
        Client(cluster) as client,
    ):

        def trained(few: list[Fit], executor: object = None) -> None:
            with tempfile.TemporaryDirectory(dir=task.folder) as folder:
                run_grid(few, folder, executor=executor, workers=1, progress=False)

        executor = client.get_executor()
        return paired(task, "grid_dask", lambda: trained(fits, executor),
                      lambda: trained(fits[:2]), plain_threads=1, work=len(fits),
                      plain_work=2, unit="fits/s")


def linear_all_cells(task: Task) -> dict[str, object]:
    """Five restarts on 55 cell types at once; one textbook model stands for one after the other."""
    recipe = replace(PAPER, epochs=LINEAR_EPOCHS, patience=LINEAR_EPOCHS)
    cells = [replace(task.dataset, cell=f"S{number:03d}") for number in range(CELLS)]
    return paired(task, "linear_all_cells",
                  lambda: fit_linear(cells, recipe=recipe, seeds=range(RESTARTS)),
                  lambda: textbook.linear(task.dataset, LINEAR_EPOCHS),
                  work=CELLS * RESTARTS, plain_work=1, unit="models/s")


def evaluate(task: Task) -> dict[str, object]:
    """Test-on-Rest and its AUROCs, against a DataLoader pass and a scikit-learn call each.

    With two threads ours are two processes of one thread, as `transfer(workers=2)` starts them,
    and the plain way has both threads, or one where that is faster.
    """
    home, run = task.folder / "evaluated", count()
    records = own_models(home, task.dataset, MODELS)
    test, models = task.dataset.take("test"), list(records.values())[:PLAIN_MODELS]
    few = test.select(np.arange(min(1000, len(test))))
    threads = faster_threads(lambda: textbook.column(models[:1], few), task.threads)
    with ProcessPoolExecutor(task.threads, get_context("spawn")) as pool:

        def ours() -> None:
            transfer(records, home / f"{task.threads}-{next(run)}", workers=1,
                     cells=list(records)[:EVALUATED_CELLS],
                     executor=pool if task.threads > 1 else None)

        return paired(
            task, "evaluate", ours, lambda: textbook.column(models, test), plain_threads=threads,
            work=MODELS * EVALUATED_CELLS * len(test), plain_work=PLAIN_MODELS * len(test),
            unit="genes/s", limit=product_rate(EVALUATION),
        )


def probe(task: Task) -> dict[str, object]:
    """Samples a second."""
    generator, classifier = initial_pair(task.dataset)
    return paired(task, "probe",
                  lambda: monte_carlo_probe(generator, classifier, SAMPLES, KEEP, device="cpu"),
                  lambda: textbook.best_samples(generator, classifier, PLAIN_SAMPLES, KEEP),
                  work=SAMPLES, plain_work=PLAIN_SAMPLES, unit="samples/s",
                  limit=product_rate(PROBE))


def growth(task: Task) -> list[dict[str, object]]:
    """Seconds at a quarter, half and the whole of the work, medians of three."""
    dataset, home, run = task.dataset, task.folder / "growth", count()
    write_cell(dataset, home)
    records = untrained(home, open_cell(dataset.cell, home), MODELS)
    generator, classifier = initial_pair(dataset)
    folders = {}
    for share in SHARES:
        n = int(len(dataset) * share)
        thinned = dataset.select(np.linspace(0, len(dataset) - 1, n).astype(int))
        folders[n] = write_released_csv(thinned, task.folder / f"{n}-genes")
    series = (
        ("csv_to_store", len(dataset),
         lambda n: write_cell(read_csv_folder(folders[n], cell="S001"), task.folder / "grown")),
        ("train_one", len(dataset.take("train")), lambda n: one_epoch(dataset, TUNED, n)),
        ("evaluate", MODELS,
         lambda n: cell_logits(records[:n], dataset.cell, home / f"{n}-{next(run)}")),
        ("probe", 32_768,
         lambda n: monte_carlo_probe(generator, classifier, n, KEEP, device="cpu")),
    )
    rows = []
    for name, whole, do in series:
        for share in SHARES:
            work = int(whole * share)
            _, *taken = (seconds(lambda do=do, work=work: do(work)) for _ in range(REPEATS + 1))
            rows.append({"name": f"growth:{name}:{share:g}", "threads": task.threads, "unit": "s",
                         "ours": statistics.median(taken), "work": work})
    return rows


def side_by_side(task: Task) -> list[dict[str, object]]:
    """A training step and its parts in two processes at once, against one process alone.

    Each process has one thread; a ratio of 2 says that neither slows the other.
    """
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        rates = {part: [] for part in PARTS}
        for _, part in product(range(task.pairs), PARTS):
            alone = pool.submit(rate, part).result()
            rates[part].append((sum(pool.map(rate, [part] * PROCESSES)), alone))
    return [row_of_pairs(f"side_by_side:{part}", PROCESSES, PARTS[part], pairs)
            for part, pairs in rates.items()]


PARTS = {"product": "products/s", "step": "genes/s", "step_products": "genes/s", "copy": "MiB/s"}


def rate(part: str) -> float:
    """Units a second of one thread that does nothing but this part for some seconds."""
    torch.set_num_threads(1)
    run, units = {"product": large_product, "step": training_step, "copy": copying,
                  "step_products": products_of_a_step}[part]()
    run()
    start, turns = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < TURN_S:
        run()
        turns += 1
    return turns * units / taken


def large_product() -> tuple[Callable[[], object], float]:
    """A matrix product that its operands' way from memory does not slow."""
    a, out = torch.rand(512, 512), torch.empty(512, 512)
    return lambda: torch.mm(a, a, out=out), 1


def copying() -> tuple[Callable[[], object], float]:
    """A copy of more than any cache holds, MiB read and written."""
    a, b = torch.ones(2, 2**25)
    return lambda: b.copy_(a), 2 * a.nbytes / MIB


def training_step() -> tuple[Callable[[], object], float]:
    """The whole step of the max-pooling network on a batch of the paper's."""
    model = build("deepchrome_max")
    step = FusedStep(model, make_optimizer(model, PAPER), "log1p")
    rng, n = np.random.default_rng(0), PAPER.batch_size
    counts = rng.integers(0, 50, (n, 100, 5)).astype(np.uint16)
    return lambda: step(counts, np.arange(n) % 2, rng), n


def products_of_a_step() -> tuple[Callable[[], object], float]:
    """Only the matrix products of such a step: forwards, backwards, and into the weights."""
    model, n = build("deepchrome_max"), PAPER.batch_size
    windows = n * model.positions * POOL_WIDTH
    layers = []
    for layer in (model.convolution, model.hidden1, model.hidden2, model.output):
        weight = layer.weight.detach().flatten(1)
        rows = windows if layer is model.convolution else n
        layers.append((weight, torch.rand(rows, weight.shape[1]), torch.rand(rows, len(weight))))

    def run() -> None:
        for weight, values, _ in layers:
            values @ weight.T
        for weight, values, error in reversed(layers):
            if weight is not layers[0][0]:
                error @ weight
            weight.addmm_(error.T, values, alpha=-1e-9)

    return run, n


STAGES = {  # and the numbers of threads that they are measured with
    csv_to_store: (1,), bootstrap: (1,), train_one: (1, 2), train_grid: (2,), grid_dask: (1, 2),
    linear_all_cells: (1,), evaluate: (1, 2), probe: (1,),
}


# the full size ----------------------------------------------------------------------------------


def ingest(cells: int, part: int, genes: int) -> dict[str, float]:
    """CSV files in the released layout and an expression table to the store, a cell type a time.

    Seconds count reading, checking and writing; simulating and writing the CSV do not count.
    """
    timings = HOME / "ingest.json"
    known = _read(timings, {})
    for dataset, _ in iter_cells(cells, genes, seed=0):
        cell = dataset.cell
        if cell in known:
            continue
        folder, table = write_released_csv(dataset, HOME / "csv"), HOME / "csv" / "rpkm.gz"
        write_rpkm_table({cell: dataset}, table)
        taken = seconds(lambda cell=cell, folder=folder, table=table: write_cell(
            read_csv_folder(folder, cell=cell, rpkm=table), HOME))
        known[cell] = taken, _bytes(folder, "*.csv")
        _write(timings, known)
        shutil.rmtree(folder)
    names = sorted(known)[:cells]
    taken, csv_bytes = (sum(known[name][i] for name in names) for i in (0, 1))
    disk = sum(_bytes(HOME / "cells" / name, "*") for name in names)
    return {"seconds": taken, "csv_mib": csv_bytes / MIB, "disk_mib": disk / MIB}


def linear(cells: int, part: int, genes: int) -> dict[str, float]:
    """The linear baseline, five restarts, at most 100 epochs, of each cell type."""
    start = time.perf_counter()
    datasets = [open_cell(cell, HOME) for cell in list_cells(HOME)[:cells]]
    fits = fit_linear(datasets, recipe=PAPER, seeds=range(RESTARTS))
    return {"seconds": time.perf_counter() - start, "auroc": float(np.mean(fits.valid_auroc))}


def inclusive_epoch(cells: int, part: int, genes: int) -> dict[str, float]:
    """One epoch of Inclusive All: the training genes of all cell types, one of them as the test."""
    names = tuple(list_cells(HOME)[:cells])
    one = Fit("deepchrome_average", replace(TUNED, epochs=1), names, names[0], str(HOME))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        (record,) = run_grid([one], folder, workers=1, progress=False)
        taken = time.perf_counter() - start
    return {"seconds": taken, "auroc": record.valid_auroc, "genes": float(cells * (genes // 3))}


def test_on_rest(cells: int, part: int, genes: int) -> dict[str, float]:
    """One model of initial weights a cell type on the test genes of a part of them, with AUROCs."""
    names = list_cells(HOME)[:cells]
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        records = untrained(HOME, open_cell(names[0], HOME), cells, Path(folder))
        start = time.perf_counter()
        scores = []
        for cell in names[part * PART : (part + 1) * PART]:
            truth = label(open_cell(cell, HOME).take("test"))
            scores += [auroc(truth, positive_score(one))
                       for one in cell_logits(records, cell, folder)]
    return {"seconds": time.perf_counter() - start, "pairs": float(len(scores))}


PIECES = {"ingest": ingest, "linear": linear, "inclusive_epoch": inclusive_epoch,
          "test_on_rest": test_on_rest}


def full_size(genes: int) -> None:
    """Run the pieces that are missing, and keep each."""
    about = machine() | {"genes": genes, "threads": 1}
    kept = _read(SCALE, {"about": about, "rows": []})
    rows = kept["rows"] if kept["about"]["genes"] == genes else []
    done = {(row["piece"], row["cells"], row["part"]) for row in rows}
    pieces = [(name, cells, part) for name in PIECES for cells in SIZES
              for part in range(-(-cells // PART) if name == "test_on_rest" else 1)]
    for name, cells, part in pieces:
        if (name, cells, part) in done:
            continue
        row = {"piece": name, "cells": cells, "part": part} | alone(name, cells, part, genes)
        rows.append(row)
        _write(SCALE, {"about": about | {"date": _now()}, "rows": rows})
        print(f"{name:16} {cells:3} cells, part {part}: {row['seconds']:7.1f} s,"
              f" peak {row['peak_mib']:,.0f} MiB", flush=True)
    shutil.rmtree(HOME, ignore_errors=True)
    print(f"whole: {SCALE}")


def alone(name: str, *numbers: int) -> dict[str, float]:
    """Run one of `PIECES` in a process of its own; what it tells, and the peak memory in MiB.

    RuntimeError if it fails; what was kept stays.
    """
    command = [sys.executable, "-m", "tools.bench", "--alone", name, *map(str, numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} {numbers}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_alone(name: str, *numbers: str) -> dict[str, float]:
    """What a process of its own does: run it with one thread, and look at its peak memory."""
    torch.set_num_threads(1)
    told = PIECES[name](*map(int, numbers))
    return told | {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def initial_pair(dataset: HistoneDataset) -> tuple[HistoneGenerator, DeepChrome]:
    """A generator and a classifier at the size of the book, which take as long as trained ones."""
    signals = counts_to_signals(dataset.counts[:1000])
    return histone_gan_for(signals)[0].eval(), build("deepchrome_max", seed=0).eval()


def own_models(home: Path, dataset: HistoneDataset, n_cells: int) -> dict[str, FitRecord]:
    """A store of cell types with the same genes, and a model of initial weights for each."""
    cells = [f"S{number:03d}" for number in range(1, n_cells + 1)]
    for cell in cells:
        write_cell(replace(dataset, cell=cell), home)
    records = untrained(home, open_cell(cells[0], home), n_cells)
    return dict(zip(cells, records, strict=True))


def untrained(
    home: Path, dataset: HistoneDataset, n_models: int, folder: Path | None = None
) -> list[FitRecord]:
    """Networks with initial weights, which take as long as trained ones, written into ``folder``.

    ``home`` is the store that holds the cell type, and the folder where none is named.
    """
    cell, none = dataset.cell, np.empty((0, 2), np.float32)
    records = []
    for seed in range(n_models):
        one = Fit("deepchrome_max", TUNED, (cell,), cell, str(home), seed=seed)
        path = (folder or home) / f"model-{seed}.npz"
        weights = build(one.model, seed=seed).state_dict()
        np.savez(path, **{f"weights.{name}": value.numpy() for name, value in weights.items()})
        records.append(FitRecord(one, none, none, pd.DataFrame(), 0, 0.0, path))
    return records


def machine() -> dict[str, object]:
    """Processor, cores, memory, accelerator, load by other work, and versions of this machine."""
    info = Path("/proc/cpuinfo")
    named = re.findall("model name.*: (.*)", info.read_text("utf-8")) if info.exists() else []
    return {
        "processor": [*named, platform.processor() or platform.machine()][0],
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def line(row: Mapping[str, Any]) -> str:
    """A row of the table, for the terminal."""
    text = f"{row['name']:24} {row['threads']} thread(s)  ours {row['ours']:12,.1f} {row['unit']}"
    if "ratio" not in row:
        return text
    return f"{text}  plain {row['plain']:12,.1f}  ratio {row['ratio']:8.1f}"


def _read(path: Path, otherwise: dict) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else otherwise


def _write(path: Path, content: dict) -> None:
    with atomic_write(path) as unfinished:
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _bytes(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file())


def measurements(genes: int, pairs: int) -> Iterator[dict[str, object]]:
    """Measure growth and the stages, with one thread and then with two; yield each row."""
    dataset = simulate(n_cells=1, n_genes=genes, seed=0).datasets["S001"]
    with tempfile.TemporaryDirectory() as folder:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            task = Task(dataset, Path(folder), pairs, threads)
            yield from (measure(task) for measure, wanted in STAGES.items() if threads in wanted)
            yield from (*growth(task), *side_by_side(task)) if threads == 1 else ()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stages or the full size, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--full-size", action="store_true", help="56 cell types, not the stages")
    parser.add_argument("--alone", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.alone:
        end_with(os.getppid())
        print(json.dumps(run_alone(*options.alone)))
    elif options.full_size:
        full_size(GENES)
    else:
        about, table = machine() | {"genes": GENES, "pairs": PAIRS}, []
        for row in measurements(GENES, PAIRS):
            print(line(row), flush=True)
            table.append(row | {"genes": GENES, "measured": _now()})
        _write(BENCH, {"about": about | {"date": _now()}, "rows": table})
        print(f"written to {BENCH}")


if __name__ == "__main__":
    main()
