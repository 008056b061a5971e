"""What one fit is, what it leaves behind, and the name under which that is kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dc2lib.cache import code_digest
from dc2lib.datasets import open_cell
from dc2lib.datasets.store import cell_stamp
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.labels import label
from dc2lib.models.deepchrome import build
from dc2lib.signals import ORIENTATIONS
from dc2lib.training.fit import Recipe


@dataclass(frozen=True)
class Fit:
    """One model to train, and the cell type that it is validated and tested on.

    Attributes
    ----------
    model
        A name of `dc2lib.models.deepchrome.MODELS`.
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
    each_gene_once
        Take every training gene from one of the cell types only, drawn with the seed: as many
        genes as one cell type has, whatever the number of cell types.
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
    each_gene_once: bool = False

    def __post_init__(self) -> None:
        if self.orientation not in ORIENTATIONS:
            raise ValueError(
                f"unknown orientation {self.orientation!r}: expected one of {ORIENTATIONS}"
            )
        if not self.train_cells:
            raise ValueError(f"no cell type to train on, for test cell {self.test_cell}")
        if self.each_gene_once and self.n_train:
            raise ValueError("each_gene_once takes all genes: leave n_train at 0")


@dataclass(frozen=True)
class FitRecord:
    """What a finished fit left: logits, history and cost.

    ``valid_logits`` and ``test_logits`` are float32 ``(gene, 2)`` on the test cell's genes;
    ``seconds`` is this fit's share of a training that several fits had in common.
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

    def load_model(self, shape: tuple[int, int] | None = None) -> torch.nn.Module:
        """The fitted model, ready to predict signals of ``shape`` (bin, mark).

        Default are those of its test cell, which is opened for that.
        """
        n_bins, n_marks = shape or open_cell(self.fit.test_cell, self.fit.home).counts.shape[1:]
        with torch.device("meta"):
            model = build(self.fit.model, n_marks, n_bins)
        weights = {name: torch.from_numpy(value) for name, value in self.weights().items()}
        model.load_state_dict(weights, assign=True)
        return model.eval()


def fit_key(one: Fit) -> str:
    """Hash of the fit, of its cell types' content and labels, and of the code that trains it."""
    settings = asdict(one)
    del settings["home"]
    if not one.each_gene_once:
        del settings["each_gene_once"]
    cells = dict.fromkeys((*one.train_cells, one.test_cell))
    settings["cells"] = {
        cell: _cell_digest(cell, one.home, one.labels, cell_stamp(cell, one.home)) for cell in cells
    }
    settings["code"] = code_digest("dc2lib.training.grid_training")
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]


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


@cache
def _cell_digest(cell: str, home: str, rule: str, stamp: int) -> str:
    dataset = open_cell(cell, home)
    return dataset.fingerprint + hashlib.sha256(label(dataset, rule).tobytes()).hexdigest()[:16]
