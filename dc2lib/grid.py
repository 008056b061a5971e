"""Many fits: each described by a value, run on any executor, kept on disk, never run twice.

A `Fit` says everything that decides its result.  `run_grid` trains what is missing and returns one
`FitRecord` a fit.  A record lies in a file named by a hash of the fit, of the content and labels of
its cell types and of the code that trains it, so an interrupted grid goes on where it stopped and a
changed parameter trains only what it touches.  Workers get the path of the store and map the counts
into memory; no array is sent to them.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from dc2lib.datasets import HistoneDataset, data_home, open_cell
from dc2lib.labels import label
from dc2lib.models import build
from dc2lib.scoring import auroc, positive_score
from dc2lib.training import Recipe, fit, predict_logits

ORIENTATIONS = ("genome", "gene")
CODE = ("models.py", "training.py")
RECORD_VERSION = 1


@dataclass(frozen=True)
class Fit:
    """One model to train, and the cell type that it is validated and tested on.

    Attributes
    ----------
    model
        A name of `dc2lib.models.MODELS`.
    recipe
        How it is trained.
    train_cells
        Cell types whose training genes are used.
    test_cell
        Its validation genes choose the epoch, its test genes are scored.
    home
        The store that holds the cell types (see `dc2lib.datasets.store_of`).
    labels
        Label rule, ``"numeric"`` or ``"lexicographic"``.
    orientation
        ``"genome"`` as released, or ``"gene"``: bins of minus-strand genes reversed.
    seed
        Decides weights, order and dropout.
    n_train
        Train on so many genes of each cell type, drawn with the seed; 0 means all.
    """

    model: str
    recipe: Recipe
    train_cells: tuple[str, ...]
    test_cell: str
    home: str
    labels: str = "numeric"
    orientation: str = "genome"
    seed: int = 0
    n_train: int = 0

    def __post_init__(self) -> None:
        if self.orientation not in ORIENTATIONS:
            raise ValueError(
                f"unknown orientation {self.orientation!r}: expected one of {ORIENTATIONS}"
            )


@dataclass(frozen=True)
class FitRecord:
    """What a finished fit left: logits, history and cost.

    ``valid_logits`` and ``test_logits`` are float32 ``(gene, 2)`` on the test cell's genes.
    """

    fit: Fit
    valid_logits: np.ndarray
    test_logits: np.ndarray
    history: pd.DataFrame
    best_epoch: int
    seconds: float
    path: Path

    @property
    def valid_auroc(self) -> float:
        """Validation AUROC (probability scoring) of the kept epoch."""
        return float(self.history["valid_auroc"].max())

    def test_auroc(self, labels: np.ndarray, scoring: str = "probability") -> float:
        """AUROC of the test logits for labels ``(gene,)`` under a score rule."""
        return auroc(labels, positive_score(self.test_logits, scoring))

    def weights(self) -> dict[str, np.ndarray]:
        """The fitted parameters by name."""
        with np.load(self.path) as arrays:
            prefix = "weights."
            return {n[len(prefix) :]: arrays[n] for n in arrays.files if n.startswith(prefix)}

    def load_model(self) -> torch.nn.Module:
        """The fitted model, ready to predict."""
        dataset = open_cell(self.fit.test_cell, self.fit.home)
        model = build(self.fit.model, len(dataset.marks), dataset.counts.shape[1])
        model.load_state_dict({k: torch.from_numpy(v) for k, v in self.weights().items()})
        return model.eval()


def signals(dataset: HistoneDataset, orientation: str) -> np.ndarray:
    """Counts ``(gene, bin, mark)`` along the genome (as stored) or along each gene."""
    return dataset.gene_oriented() if orientation == "gene" else dataset.counts


def run_grid(
    fits: Sequence[Fit],
    folder: Path | str | None = None,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> list[FitRecord]:
    """Train the fits that are not on disk yet and return the records of all, in order.

    Parameters
    ----------
    fits
        Equal fits are trained once.
    folder
        Where the records are kept; default ``fits`` in the data folder.
    executor
        Any `concurrent.futures.Executor`; default: ``workers`` processes of one thread each, or
        this process if ``workers`` is 1.
    workers
        Default: the environment variable ``DC2LIB_WORKERS``, else 1.
    progress
        Show a bar over the fits.

    Raises
    ------
    RuntimeError
        If fits failed, after all others are done; the message lists them with their errors.
    """
    place = Path(folder) if folder is not None else data_home() / "fits"
    place.mkdir(parents=True, exist_ok=True)
    paths = {one: place / f"{fit_key(one)}.npz" for one in fits}
    missing = [one for one, path in paths.items() if not path.exists()]
    failures: dict[Fit, BaseException] = {}
    bar = tqdm(total=len(paths), initial=len(paths) - len(missing), disable=not progress)
    with bar, _engine(executor, workers, len(missing)) as engine:
        for one, error in _train_all(missing, paths, engine):
            bar.update()
            if error is not None:
                failures[one] = error
    if failures:
        listing = "\n".join(f"  {one}: {error!r}" for one, error in failures.items())
        raise RuntimeError(f"{len(failures)} of {len(paths)} fits failed:\n{listing}")
    return [read_record(one, paths[one]) for one in fits]


def fit_key(one: Fit) -> str:
    """Hash of the fit, of its cell types' content and labels, and of the code that trains it."""
    settings = asdict(one)
    del settings["home"]
    cells = dict.fromkeys((*one.train_cells, one.test_cell))
    settings["cells"] = {cell: _cell_digest(cell, one.home, one.labels) for cell in cells}
    settings["code"] = [_code_digest(), RECORD_VERSION]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _cell_digest(cell: str, home: str, rule: str) -> str:
    dataset = open_cell(cell, home)
    return dataset.fingerprint + hashlib.sha256(label(dataset, rule).tobytes()).hexdigest()[:16]


def train_to_file(one: Fit, path: Path) -> None:
    """Train one fit and write its record, to a temporary name first."""
    start = time.perf_counter()
    test_cell = open_cell(one.test_cell, one.home)
    counts, labels = _training_genes(one)
    valid, test = test_cell.take("valid"), test_cell.take("test")
    model = build(one.model, counts.shape[2], counts.shape[1], seed=one.seed)
    result = fit(
        model,
        counts,
        labels,
        signals(valid, one.orientation),
        label(valid, one.labels),
        recipe=one.recipe,
        seed=one.seed,
    )
    logits = {
        f"{name}_logits": predict_logits(
            result.model, signals(part, one.orientation), transform=one.recipe.transform
        )
        for name, part in (("valid", valid), ("test", test))
    }
    weights = {f"weights.{k}": v.cpu().numpy() for k, v in result.model.state_dict().items()}
    about = {
        "history": result.history.to_dict("list"),
        "best_epoch": result.best_epoch,
        "seconds": time.perf_counter() - start,
        "fit": asdict(one),
    }
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    np.savez(temporary, about=np.array(json.dumps(about)), **logits, **weights)
    os.replace(temporary, path)


def read_record(one: Fit, path: Path) -> FitRecord:
    """The record of a finished fit."""
    with np.load(path) as arrays:
        about = json.loads(str(arrays["about"]))
        return FitRecord(
            fit=one,
            valid_logits=arrays["valid_logits"],
            test_logits=arrays["test_logits"],
            history=pd.DataFrame(about["history"]),
            best_epoch=about["best_epoch"],
            seconds=about["seconds"],
            path=path,
        )


def _training_genes(one: Fit) -> tuple[np.ndarray, np.ndarray]:
    counts, labels = [], []
    for cell in one.train_cells:
        train = open_cell(cell, one.home).take("train")
        if 0 < one.n_train < len(train):
            drawn = np.random.default_rng(one.seed).choice(len(train), one.n_train, replace=False)
            train = train.select(np.sort(drawn))
        counts.append(signals(train, one.orientation))
        labels.append(label(train, one.labels))
    if len(counts) == 1:
        return counts[0], labels[0]
    return np.concatenate(counts), np.concatenate(labels)


@cache
def _code_digest() -> str:
    """Digest of what the training code does: comments and docstrings do not count."""
    here = Path(__file__).parent
    trees = [ast.parse((here / name).read_text(encoding="utf-8")) for name in CODE]
    for node in (node for tree in trees for node in ast.walk(tree)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            node.body = body[1:]
    return hashlib.sha256("".join(map(ast.dump, trees)).encode()).hexdigest()


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)


@contextmanager
def _engine(
    executor: Executor | None, workers: int | None, missing: int
) -> Iterator[Executor | None]:
    if executor is not None:
        yield executor
        return
    count = workers if workers is not None else int(os.environ.get("DC2LIB_WORKERS", "1"))
    count = min(count, missing)
    if count <= 1:
        yield None
        return
    with ProcessPoolExecutor(count, get_context("spawn"), initializer=one_thread) as pool:
        yield pool


def one_thread() -> None:
    """Give this worker one thread; many workers of one thread beat one of many on a CPU."""
    torch.set_num_threads(1)


def _train_all(
    missing: list[Fit], paths: dict[Fit, Path], engine: Executor | None
) -> Iterator[tuple[Fit, BaseException | None]]:
    if engine is None:
        for one in missing:
            yield one, _attempt(one, paths[one])
        return
    futures = {engine.submit(train_to_file, one, paths[one]): one for one in missing}
    for done in as_completed(futures):
        yield futures[done], done.exception()


def _attempt(one: Fit, path: Path) -> BaseException | None:
    try:
        train_to_file(one, path)
    except Exception as error:
        return error
    return None
