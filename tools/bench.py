"""Time each stage of the library against the plain way of doing it: ``make bench``.

Ours and the plain way run in turn, in one process, on the same data; a row quotes medians, and the
median of the ratios pair by pair, so that a machine whose speed drifts does not decide.  Results go
to ``_build/bench.json``; stages that are named replace their rows there and leave the others.
Nothing here is a test: no time is ever asserted.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

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
from dc2lib.datasets.simulated import simulate
from dc2lib.evaluation.statistics import bootstrap_auroc
from dc2lib.files import atomic_write
from dc2lib.labels import label
from dc2lib.models.deepchrome import DeepChrome, build
from dc2lib.models.gan import HistoneGenerator, build_histone_gan, counts_to_signals
from dc2lib.probing import monte_carlo_probe
from dc2lib.training.fit import PAPER, TUNED, Recipe, fit
from dc2lib.training.gan import GanRecipe, train_gan
from dc2lib.training.grid import run_grid
from dc2lib.training.grid_fits import Fit, FitRecord
from dc2lib.training.linear import fit_linear, mark_means

OUTPUT = Path("_build") / "bench.json"
PACKAGES = ("torch", "numpy", "pyarrow", "scikit-learn")
FIELDS = ("gene", "bin", "H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3", "label")
# Multiply-adds of one gene: trained on, evaluated; of one sample: generated and scored.
TRAINING, EVALUATION, PROBE = 4.745e6 / 2, 866e3, 866e3 + 872e3
GRID_MODELS, GRID_EPOCHS, PROCESSES = 8, 3, 2
CELLS, RESTARTS, LINEAR_EPOCHS = 55, 5, 100
REAL_CELL, REAL_TARGET, SIMULATED_TARGET = "E012", 0.94, 0.93
TUNED_RUNS = 5
MODELS, EVALUATED_CELLS, PLAIN_MODELS, PLAIN_BATCH = 8, 4, 2, 32
KEEP, SAMPLES, PLAIN_SAMPLES, PROBE_BATCH = 100, 131_072, 16_384, 4096
MANY, FEW = 3_000_000, 100_000
SHARES, REPEATS = (1 / 4, 1 / 2, 1), 3
DASK_FITS, DASK_GENES = 8, 6000
# dask lets workers return memory at once, and each step of training then asks for it again.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**30)}


@dataclass(frozen=True)
class Task:
    """What a stage is given: simulated genes, a folder to write in, pairs to run, threads set."""

    dataset: HistoneDataset
    folder: Path
    pairs: int
    threads: int


@dataclass(frozen=True)
class Row:
    """One stage: medians of both ways, how much faster ours is, and its share of what is possible.

    ``ours`` and ``plain`` are rates in ``unit`` (more is better), or seconds where the unit is
    ``s``; ``share_of_limit`` is ours over the rate that the machine's matrix product allows.
    ``work`` is how much was done, in rows that show how seconds grow with it; ``ratio_low`` and
    ``ratio_high`` are the lowest and highest ratio of a pair.  None where there is no such number.
    """

    name: str
    ours: float
    plain: float | None
    ratio: float | None
    unit: str
    share_of_limit: float | None
    threads: int
    pairs: int
    note: str = ""
    work: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None


Stage = Callable[[Task], "Row | list[Row]"]
STAGES: dict[str, tuple[Stage, tuple[int, ...]]] = {}


def stage(*threads: int) -> Callable[[Stage], Stage]:
    """Register a function as a stage that is measured with these numbers of threads."""

    def register(measure: Stage) -> Stage:
        STAGES[measure.__name__] = (measure, threads or (1,))
        return measure

    return register


def paired(
    task: Task,
    name: str,
    ours: Callable[[], object],
    plain: Callable[[], object],
    *,
    work: float,
    unit: str,
    plain_work: float | None = None,
    pairs: int | None = None,
    limit: float | None = None,
    plain_threads: int | None = None,
    note: str = "",
) -> Row:
    """Run both ways in turn after a warm-up of ours.

    Parameters
    ----------
    ours, plain
        One run of each way.
    work, plain_work
        Units done by one run; the plain way may do a part of the work (default the same).
    pairs
        In place of the task's, for stages that take long.
    limit
        Units a second that the machine allows.
    plain_threads
        Of torch for the plain way; default those that are set.
    """
    pairs, plain_work = pairs or task.pairs, plain_work or work
    ours()
    times = []
    for _ in range(pairs):
        fast = seconds(ours) / work
        torch.set_num_threads(plain_threads or task.threads)
        times.append((fast, seconds(plain) / plain_work))
        torch.set_num_threads(task.threads)
    rates = [statistics.median(1 / one[side] for one in times) for side in (0, 1)]
    ratios = [slow / fast for fast, slow in times]
    share = None if limit is None else rates[0] / limit
    return Row(name, *rates, statistics.median(ratios), unit, share, task.threads, pairs, note,
               ratio_low=min(ratios), ratio_high=max(ratios))


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


@stage()
def csv_to_store(task: Task) -> Row:
    """Released CSV files to the store, against reading their rows with ``csv.DictReader``."""
    source = write_released_csv(task.dataset, task.folder / "csv")

    def plain() -> None:
        for path in sorted(source.rglob("*.csv")):
            with path.open(newline="") as file:
                for row in csv.DictReader(file, FIELDS):
                    [int(row[mark]) for mark in task.dataset.marks]

    return paired(task, "csv_to_store",
                  lambda: write_cell(read_csv_folder(source, cell="S001"), task.folder / "store"),
                  plain, work=len(task.dataset) * 100, unit="rows/s")


@stage()
def store_open(task: Task) -> Row:
    """Opening a stored cell type, against loading its counts from a compressed NumPy file."""
    write_cell(task.dataset, task.folder / "store")
    np.savez_compressed(task.folder / "plain.npz", counts=task.dataset.counts)

    def plain() -> None:
        with np.load(task.folder / "plain.npz") as arrays:
            arrays["counts"]

    row = paired(task, "store_open", lambda: open_cell("S001", task.folder / "store"), plain,
                 work=len(SPLITS), unit="splits/s")
    return replace(row, note=f"{1000 / row.ours:.2f} ms a split, memory-mapped")


@stage()
def bootstrap(task: Task) -> Row:
    """200 bootstrap AUROCs, against scikit-learn on each resample."""
    rng = np.random.default_rng(0)
    labels = label(task.dataset)
    scores = rng.normal(labels, 1.0)

    def plain() -> None:
        for _ in range(200):
            drawn = rng.integers(len(labels), size=len(labels))
            roc_auc_score(labels[drawn], scores[drawn])

    return paired(task, "bootstrap", lambda: bootstrap_auroc(labels, scores, n_resamples=200),
                  plain, work=200, unit="resamples/s")


@stage(1, 2)
def train_one(task: Task) -> Row:
    """One epoch of the max-pooling network, against a textbook loop over a DataLoader."""
    train = task.dataset.take("train")
    return paired(task, "train_one", lambda: one_epoch(task.dataset, PAPER, len(train)),
                  lambda: textbook_epochs(train, 1), work=len(train), unit="genes/s",
                  limit=product_rate(TRAINING))


def one_epoch(dataset: HistoneDataset, recipe: Recipe, n_genes: int) -> None:
    """Train on some training genes for one epoch, with hardly any validation."""
    train = dataset.take("train").select(np.arange(n_genes))
    valid = dataset.take("valid").select(np.arange(64))
    fit(build("deepchrome_max"), train.counts, label(train), valid.counts, np.arange(64) % 2,
        recipe=replace(recipe, epochs=1), device="cpu")


@stage(2)
def train_grid(task: Task) -> Row:
    """Eight models in two processes of one thread, against textbook models one after the other.

    Both validate after every epoch and score the test genes in the end; ours keeps records.
    """
    store = task.folder / "trained"
    write_cell(task.dataset, store)
    train, *judges = (task.dataset.take(split) for split in SPLITS)
    recipe = replace(PAPER, epochs=GRID_EPOCHS, patience=GRID_EPOCHS)
    fits = [Fit("deepchrome_max", recipe, ("S001",), "S001", str(store), seed=seed)
            for seed in range(GRID_MODELS)]
    few = train.select(np.arange(min(1000, len(train))))
    threads = faster_threads(lambda: textbook_epochs(few, 1), task.threads)
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:

        def ours() -> None:
            shutil.rmtree(store / "fits", ignore_errors=True)
            run_grid(fits, store / "fits", executor=pool, progress=False)

        work = len(train) * GRID_EPOCHS
        return paired(
            task, "train_grid", ours,
            lambda: textbook_epochs(train, GRID_EPOCHS, *judges),
            work=work * GRID_MODELS, plain_work=work, unit="genes/s",
            limit=product_rate(TRAINING), plain_threads=threads,
            note=f"{PROCESSES} processes of one thread; one textbook model stands for all, with "
            f"{threads} thread(s), which was faster for it",
        )


@stage()
def time_to_auroc(task: Task) -> Row:
    """Seconds until a validation AUROC is reached: the tuned recipe against the paper's."""
    real = REAL_CELL in list_cells()
    dataset, target = (
        (open_cell(REAL_CELL), REAL_TARGET) if real else (task.dataset, SIMULATED_TARGET)
    )
    counts = dataset.counts if dataset.strand is None else dataset.gene_oriented()
    labels = label(dataset, "numeric")
    parts = [part[dataset.split == split] for split in SPLITS[:2] for part in (counts, labels)]

    def taken(recipe: Recipe, seed: int) -> tuple[float, bool]:
        """Seconds up to the epoch that reaches the target, or of all; epochs cost the same."""
        start = time.perf_counter()
        trained = fit(build("deepchrome_max", seed=seed), *parts, recipe=recipe, seed=seed,
                      device="cpu")
        scores = trained.history["valid_auroc"].to_numpy()
        each = (time.perf_counter() - start) / len(scores)
        reached = np.flatnonzero(scores >= target)
        return each * (reached[0] + 1 if len(reached) else len(scores)), len(reached) > 0

    tuned = sorted(taken(TUNED, seed)[0] for seed in range(TUNED_RUNS))
    plain, reached = taken(PAPER, 0)
    ours, never = statistics.median(tuned), "" if reached else ", which did not reach it"
    note = (f"{dataset.cell}, {dataset.source}, numeric labels, AUROC {target:g}; "
            f"median of {TUNED_RUNS} tuned runs, one of the paper's recipe{never}")
    return Row("time_to_auroc", ours, plain, plain / ours, "s", None, task.threads, TUNED_RUNS,
               note, ratio_low=plain / tuned[-1], ratio_high=plain / tuned[0])


@stage()
def linear_all_cells(task: Task) -> Row:
    """Five restarts on 55 cell types at once, against one model after the other."""
    recipe = replace(PAPER, epochs=LINEAR_EPOCHS, patience=LINEAR_EPOCHS)
    cells = [replace(task.dataset, cell=f"S{number:03d}") for number in range(CELLS)]
    return paired(
        task, "linear_all_cells",
        lambda: fit_linear(cells, recipe=recipe, seeds=range(RESTARTS)),
        lambda: textbook_linear(task.dataset, LINEAR_EPOCHS),
        work=CELLS * RESTARTS, plain_work=1, unit="models/s",
        note=f"{CELLS} cell types x {RESTARTS} restarts x {LINEAR_EPOCHS} epochs; one textbook "
        "model stands for all",
    )


@stage(1, 2)
def evaluate(task: Task) -> Row:
    """Test-on-Rest and its AUROCs, against a DataLoader pass and a scikit-learn call each.

    With two threads ours are two processes of one thread, as `transfer(workers=2)` starts them,
    and the plain way has both threads, or one where that is faster.
    """
    home, run = task.folder / "evaluated", count()
    records = own_models(home, task.dataset, MODELS)
    test, models = task.dataset.take("test"), list(records.values())[:PLAIN_MODELS]
    few = test.select(np.arange(min(1000, len(test))))
    threads = faster_threads(lambda: plain_column(models[:1], few), task.threads)
    with ProcessPoolExecutor(task.threads, get_context("spawn")) as pool:

        def ours() -> None:
            transfer(records, home / f"{task.threads}-{next(run)}", workers=1,
                     cells=list(records)[:EVALUATED_CELLS],
                     executor=pool if task.threads > 1 else None)

        return paired(
            task, "evaluate", ours, lambda: plain_column(models, test), plain_threads=threads,
            work=MODELS * EVALUATED_CELLS * len(test), plain_work=PLAIN_MODELS * len(test),
            unit="genes/s", limit=product_rate(EVALUATION),
            note=f"{MODELS} models x {EVALUATED_CELLS} cell types (plain {PLAIN_MODELS} x 1, "
            f"batches of {PLAIN_BATCH}, {threads} thread(s))",
        )


@stage()
def probe(task: Task) -> list[Row]:
    """Samples a second."""
    generator, classifier = trained_pair()
    return [paired(
        task, "probe",
        lambda: monte_carlo_probe(generator, classifier, SAMPLES, KEEP, device="cpu"),
        lambda: plain_probe(generator, classifier, PLAIN_SAMPLES),
        work=SAMPLES, plain_work=PLAIN_SAMPLES, unit="samples/s", limit=product_rate(PROBE),
    )]  # fmt: skip


@stage(2)
def probe_memory(task: Task) -> list[Row]:
    """Three million samples in two processes: their rate, and memory as of a hundred thousand."""
    generator, classifier = trained_pair()
    plain = PLAIN_SAMPLES / seconds(lambda: plain_probe(generator, classifier, PLAIN_SAMPLES))
    few, many = (_probe_alone(n) for n in (FEW, MANY))
    rate, mib = many["rate"], (many["mib"], few["mib"])
    return [
        Row("probe_3_million", rate, plain, rate / plain, "samples/s", rate / product_rate(PROBE),
            task.threads, 1, f"{MANY / rate:.0f} s for all, in two processes, their "
            "start included; the plain loop has two threads"),
        Row("probe_memory", *mib, mib[1] / mib[0], "MiB", None, task.threads, 1,
            f"largest process at {MANY:,} samples against {FEW:,}; a ratio of 1 is constant"),
    ]


def _probe_alone(n: int) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-m", "tools.bench", "--probe", str(n)], check=True,
                          text=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def probe_here(n: int) -> dict[str, float]:
    """Rate of so many samples in two processes, and the memory of the largest, in MiB."""
    found = monte_carlo_probe(*trained_pair(), n, KEEP, workers=2)
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    mib = max(resource.getrusage(who).ru_maxrss for who in whose) / 1024
    return {"mib": mib, "rate": found.samples_per_second}


@stage()
def growth(task: Task) -> list[Row]:
    """Seconds at a quarter, half and the whole of the work, medians of three."""
    dataset, home, run = task.dataset, task.folder / "growth", count()
    write_cell(dataset, home)
    records = untrained(home, open_cell(dataset.cell, home), MODELS)
    generator, classifier = build_histone_gan(0)[0].eval(), build("deepchrome_max").eval()
    folders = {}
    for share in SHARES:
        n = int(len(dataset) * share)
        thinned = dataset.select(np.linspace(0, len(dataset) - 1, n).astype(int))
        folders[n] = write_released_csv(thinned, task.folder / f"{n}-genes")
    series = (
        ("csv_to_store", len(dataset), "genes",
         lambda n: write_cell(read_csv_folder(folders[n], cell="S001"), task.folder / "grown")),
        ("train_one", len(dataset.take("train")), "genes",
         lambda n: one_epoch(dataset, TUNED, n)),
        ("evaluate", MODELS, "models",
         lambda n: cell_logits(records[:n], dataset.cell, home / f"{n}-{next(run)}")),
        ("probe", 32_768, "samples",
         lambda n: monte_carlo_probe(generator, classifier, n, KEEP, device="cpu")),
    )
    rows = []
    for name, whole, unit, do in series:
        for share in SHARES:
            work = int(whole * share)
            do(work)
            taken = statistics.median(
                seconds(lambda do=do, work=work: do(work)) for _ in range(REPEATS)
            )
            rows.append(Row(f"growth:{name}:{share:g}", taken, None, None, "s", None, task.threads,
                            REPEATS, unit, work))
    return rows


@stage(1, 2)
def grid_dask(task: Task) -> Row:
    """Fits on dask workers of one thread each, against this process alone."""
    import dask
    from distributed import Client, LocalCluster

    home = task.folder / "grid"
    chosen = np.linspace(0, len(task.dataset) - 1, min(DASK_GENES, len(task.dataset))).astype(int)
    write_cell(task.dataset.select(chosen), home)
    fits = [Fit("deepchrome_max", replace(TUNED, epochs=1), (task.dataset.cell,),
                task.dataset.cell, str(home), seed=seed) for seed in range(DASK_FITS)]
    before = dict(os.environ)
    os.environ.update(KEEP_MEMORY)
    try:
        with (
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
                          plain_work=2, unit="fits/s", pairs=min(task.pairs, 3),
                          note=f"{task.threads} workers of one thread")
    finally:
        # A local cluster leaves what it sets for its workers in this process.
        os.environ.clear()
        os.environ.update(before)


class TextbookNetwork(nn.Sequential):
    """DeepChrome's layers as a tutorial would write them."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv1d(5, 50, 10), nn.ReLU(), nn.MaxPool1d(5), nn.Flatten(), nn.Dropout(0.5),
            nn.Linear(900, 625), nn.ReLU(), nn.Linear(625, 125), nn.ReLU(), nn.Linear(125, 2),
        )


def textbook_epochs(train: HistoneDataset, epochs: int, *judges: HistoneDataset) -> None:
    """Train as a tutorial does; score validation genes after every epoch, test genes in the end."""
    loader = DataLoader(_genes(train), batch_size=PAPER.batch_size, shuffle=True)
    model = TextbookNetwork()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        model.train()
        for batch, truth in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), truth).backward()
            optimizer.step()
        for judge in judges[:1]:
            textbook_auroc(model, _genes(judge), PAPER.batch_size)
    for judge in judges[1:]:
        textbook_auroc(model, _genes(judge), PAPER.batch_size)


def textbook_auroc(model: nn.Module, genes: TensorDataset, batch_size: int) -> float:
    """AUROC by one pass of a DataLoader and one call of scikit-learn."""
    model.eval()
    with torch.no_grad():
        scored = [(model(batch).softmax(1)[:, 1], truth)
                  for batch, truth in DataLoader(genes, batch_size=batch_size)]
    scores, labels = (torch.cat(part).numpy() for part in zip(*scored, strict=True))
    return roc_auc_score(labels, scores)


def textbook_linear(dataset: HistoneDataset, epochs: int) -> None:
    """One linear model on means over the bins that lie in memory: no DataLoader slows it down."""
    train, valid = dataset.take("train"), dataset.take("valid")
    features, truth = torch.from_numpy(mark_means(train.counts)), _targets(train)
    judged, valid_labels = torch.from_numpy(mark_means(valid.counts)), label(valid)
    model = nn.Linear(features.shape[1], 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for index in torch.randperm(len(truth)).split(PAPER.batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(features[index]), truth[index]).backward()
            optimizer.step()
        with torch.no_grad():
            roc_auc_score(valid_labels, model(judged).softmax(1)[:, 1].numpy())


def plain_column(records: Sequence[FitRecord], test: HistoneDataset) -> list[float]:
    """AUROC of each fitted model by one textbook pass."""
    genes = _genes(test, np.log1p)
    return [textbook_auroc(textbook_network(record), genes, PLAIN_BATCH) for record in records]


def textbook_network(record: FitRecord) -> TextbookNetwork:
    """The fitted model in a tutorial's layers, which flatten filter by filter."""
    weights = {name: torch.from_numpy(value) for name, value in record.weights().items()}
    hidden = weights["hidden1.weight"]
    n_filters = len(weights["convolution.bias"])
    weights["hidden1.weight"] = hidden.unflatten(1, (-1, n_filters)).transpose(1, 2).flatten(1)
    model = TextbookNetwork().eval()
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    return model


def plain_probe(generator: HistoneGenerator, classifier: DeepChrome, n: int) -> list[Tensor]:
    """The best samples of each class by a loop over large batches, as one writes it first."""
    best = [(torch.empty(0), torch.empty(0)) for _ in range(2)]
    with torch.no_grad():
        for start in range(0, n, PROBE_BATCH):
            samples = generator(torch.randn(min(PROBE_BATCH, n - start), generator.n_latent))
            probability = classifier(samples).softmax(1)
            for number, (scores, chosen) in enumerate(best):
                top, order = torch.cat([scores, probability[:, number]]).topk(KEEP)
                best[number] = top, torch.cat([chosen, samples])[order]
    return [chosen for _, chosen in best]


def trained_pair() -> tuple[HistoneGenerator, DeepChrome]:
    """A generator and a classifier at the size of the book, trained for seconds.

    Initial weights would not do: they give all samples nearly the same score, so that rounding
    decides which are best.
    """
    dataset = simulate(n_cells=1, n_genes=3000, seed=0).datasets["S001"]
    train, valid = dataset.take("train"), dataset.take("valid")
    classifier = fit(build("deepchrome_max"), train.counts, label(train), valid.counts,
                     label(valid), recipe=replace(TUNED, epochs=3), device="cpu").model
    trained = train_gan(*build_histone_gan(0), counts_to_signals(train.counts),
                        recipe=GanRecipe(steps=150))
    return trained.generator.eval(), classifier.eval()


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
    """Records of networks with initial weights, which take as long as trained ones.

    Parameters
    ----------
    home
        Store that holds the cell type.
    folder
        Where the weights are written; default the same.
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


def _genes(
    dataset: HistoneDataset, transform: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> TensorDataset:
    signal = torch.from_numpy(transform(dataset.counts.astype(np.float32)))
    return TensorDataset(signal.transpose(1, 2).contiguous(), _targets(dataset))


def _targets(dataset: HistoneDataset) -> Tensor:
    return torch.from_numpy(label(dataset).astype(np.int64))


def machine() -> dict[str, object]:
    """Processor, cores, memory, accelerator, load by other work, and versions of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def line(row: Row) -> str:
    """A row of the table, for the terminal."""
    plain = "" if row.plain is None else f"  plain {row.plain:12,.1f}"
    ratio = "" if row.ratio is None else f"  ratio {row.ratio:8.1f}"
    share = "" if row.share_of_limit is None else f"  {row.share_of_limit:.0%} of the limit"
    return f"{row.name:24} {row.threads} thread(s)  ours {row.ours:12,.1f}{plain} " \
           f"{row.unit:12}{ratio}{share}"


def write_rows(rows: Sequence[Row], about: dict[str, object]) -> None:
    """Put rows into the table, in place of older ones of the same stage and threads.

    The name of a stage's row may go on after a colon.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    new = [{**asdict(row), "genes": about["genes"], "measured": now} for row in rows]
    old = json.loads(OUTPUT.read_text(encoding="utf-8"))["rows"] if OUTPUT.exists() else []
    replaced = {_stage_of(row) for row in new}
    table = [row for row in old if _stage_of(row) not in replaced] + new
    with atomic_write(OUTPUT) as unfinished:
        content = {"about": about | {"date": now}, "rows": table}
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _stage_of(row: dict[str, object]) -> tuple[str, object]:
    return str(row["name"]).partition(":")[0], row["threads"]


def measurements(names: Sequence[str], genes: int, pairs: int) -> Iterator[list[Row]]:
    """Measure the stages, with one thread and then with two; yield the rows of each."""
    dataset = simulate(n_cells=1, n_genes=genes, seed=0).datasets["S001"]
    with tempfile.TemporaryDirectory() as folder:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for measure, wanted in (STAGES[name] for name in names):
                if threads in wanted:
                    rows = measure(Task(dataset, Path(folder), pairs, threads))
                    yield [rows] if isinstance(rows, Row) else rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stages that are named, or all, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"stages, of {', '.join(STAGES)}; default all")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each way (default 5)")
    parser.add_argument("--genes", type=int, default=19_802, help="genes of the cell type")
    parser.add_argument("--probe", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.probe:
        print(json.dumps(probe_here(options.probe)))
        return
    unknown = set(options.names) - set(STAGES)
    if unknown:
        parser.error(f"no stage {', '.join(sorted(unknown))}; there are {', '.join(STAGES)}")
    about = machine() | {"genes": options.genes, "pairs": options.pairs}
    for rows in measurements(options.names or list(STAGES), options.genes, options.pairs):
        print("\n".join(map(line, rows)), flush=True)
        write_rows(rows, about)
    print(f"written to {OUTPUT}")


if __name__ == "__main__":
    main()
