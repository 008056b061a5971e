"""One fit of one system: all that decides it, and its record, which is kept on disk."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn

from dc2lib.baselines.contract import genes_of, resplit, to_probability
from dc2lib.baselines.systems import ALL
from dc2lib.cache import cache_path, cached
from dc2lib.datasets import HistoneDataset, open_cell
from dc2lib.evaluation.scores import auroc
from dc2lib.labels import label
from dc2lib.signals import training_genes

SYSTEMS = "dc2lib.baselines.systems"  # of this table only the system that is fitted decides
ABOUT = "about."


@dataclass(frozen=True)
class Trial:
    """One fit of one system: all that decides its result.

    ``setting`` holds the pairs of the chosen candidate; ``split`` is one of
    `dc2lib.baselines.contract.SPLITS`, drawn with the seed.
    """

    system: str
    setting: tuple[tuple[str, float | int | str], ...]
    cell: str
    home: str
    labels: str
    seed: int = 0
    n_train: int = 0
    split: str = "released"

    def dataset(self) -> HistoneDataset:
        """The cell type, with its genes split as the trial says."""
        return resplit(open_cell(self.cell, self.home), self.split, self.seed)


@dataclass(frozen=True)
class TrialRecord:
    """What a fit gave: scores of the validation and test genes, cost, and what it says of itself.

    ``seconds`` is the time of fitting on one thread; ``about`` is that of the `Fitted`.
    """

    trial: Trial
    valid_score: np.ndarray
    test_score: np.ndarray
    valid_auroc: float
    seconds: float
    parameters: int
    about: dict[str, np.ndarray]

    def probability(self) -> np.ndarray:
        """Probability of class 1 of each test gene, calibrated on the validation genes."""
        truth = label(self.trial.dataset().take("valid"), self.trial.labels)
        return to_probability(self.valid_score, truth, self.test_score)

    def truth(self) -> np.ndarray:
        """Labels of the test genes under the trial's rule, ``(gene,)``."""
        return label(self.trial.dataset().take("test"), self.trial.labels)


def fit_trial(trial: Trial) -> TrialRecord:
    """The record of a fit, read from disk if it was computed before."""
    arrays = cached("related", _settings(trial), lambda: _fitted(trial), **_code(trial))
    about = {
        name.removeprefix(ABOUT): values
        for name, values in arrays.items()
        if name.startswith(ABOUT)
    }
    return TrialRecord(
        trial,
        arrays["valid_score"],
        arrays["test_score"],
        float(arrays["valid_auroc"]),
        float(arrays["seconds"]),
        int(arrays["parameters"]),
        about,
    )


def trial_path(trial: Trial) -> Path:
    """Where the record of a fit is kept; it depends on the trial, its data, labels and code."""
    return cache_path("related", _settings(trial), **_code(trial))


def select(
    records: Iterable[TrialRecord], system: str, labels: str, cell: str | None = None
) -> list[TrialRecord]:
    """The records of one system under one label rule, of one cell type or of all."""
    return [
        one
        for one in records
        if (one.trial.system, one.trial.labels) == (system, labels)
        and cell in (None, one.trial.cell)
    ]


def probabilities_of(records: Sequence[TrialRecord]) -> np.ndarray:
    """Calibrated probabilities of the test genes, a row per fit that differs, ``(fit, gene)``."""
    distinct = {one.test_score.tobytes(): one for one in records}
    return np.stack([one.probability() for one in distinct.values()])


def _fitted(trial: Trial) -> dict[str, Any]:
    dataset = trial.dataset()
    train = genes_of(training_genes(dataset, trial.n_train, trial.seed), trial.labels)
    valid, test = (genes_of(dataset, trial.labels, split) for split in ("valid", "test"))
    start = time.perf_counter()
    fitted = ALL[trial.system].fit(train, valid, dict(trial.setting), trial.seed)
    seconds = time.perf_counter() - start
    valid_score = fitted.score(valid.counts)
    return {
        "valid_score": valid_score,
        "test_score": fitted.score(test.counts),
        "valid_auroc": auroc(valid.label, valid_score),
        "seconds": seconds,
        "parameters": fitted.parameters,
    } | {f"{ABOUT}{name}": values for name, values in fitted.about.items()}


def _settings(trial: Trial) -> dict[str, Any]:
    settings = asdict(trial)
    del settings["home"]
    dataset = open_cell(trial.cell, trial.home)
    truth = hashlib.sha256(label(dataset, trial.labels).tobytes()).hexdigest()
    return settings | {
        "data": dataset.fingerprint, "truth": truth, "sklearn": sklearn.__version__
    }


def _code(trial: Trial) -> dict[str, tuple[str, ...]]:
    return {"code": (__name__, ALL[trial.system].fit.__module__), "without": (SYSTEMS,)}
