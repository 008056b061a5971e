"""One fit of one system: what decides it, what it leaves, and the name under which that is kept."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn

from dc2lib.baselines.contract import genes_of, to_probability
from dc2lib.baselines.splits import resplit
from dc2lib.baselines.systems import ALL
from dc2lib.cache import code_digest
from dc2lib.datasets import HistoneDataset, open_cell
from dc2lib.evaluation.scores import auroc
from dc2lib.files import replacing
from dc2lib.labels import label
from dc2lib.signals import training_genes

SYSTEMS = "dc2lib.baselines.systems"


@dataclass(frozen=True)
class Trial:
    """One fit of one system: all that decides its result.

    ``setting`` holds the pairs of the chosen candidate; ``split`` is one of
    `dc2lib.baselines.splits.SPLITS`, drawn with the seed.
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

    ``seconds`` is the time of fitting on one thread; ``about`` holds arrays and plain values.
    """

    trial: Trial
    valid_score: np.ndarray
    test_score: np.ndarray
    valid_auroc: float
    seconds: float
    parameters: int
    about: dict[str, Any]

    def probability(self) -> np.ndarray:
        """Probability of class 1 of each test gene, calibrated on the validation genes."""
        truth = label(self.trial.dataset().take("valid"), self.trial.labels)
        return to_probability(self.valid_score, truth, self.test_score)

    def truth(self) -> np.ndarray:
        """Labels of the test genes under the trial's rule, ``(gene,)``."""
        return label(self.trial.dataset().take("test"), self.trial.labels)


def fit_trial(trial: Trial, path: Path) -> None:
    """Fit one system and write its record."""
    dataset = trial.dataset()
    train = genes_of(training_genes(dataset, trial.n_train, trial.seed), trial.labels)
    valid, test = (genes_of(dataset, trial.labels, split) for split in ("valid", "test"))
    start = time.perf_counter()
    fitted = ALL[trial.system].fit(train, valid, dict(trial.setting), trial.seed)
    seconds = time.perf_counter() - start
    valid_score = fitted.score(valid.counts)
    arrays = {k: v for k, v in fitted.about.items() if isinstance(v, np.ndarray)}
    about = {
        "seconds": seconds,
        "parameters": int(fitted.parameters),
        "valid_auroc": auroc(valid.label, valid_score),
        "trial": asdict(trial),
        "about": {k: v for k, v in fitted.about.items() if k not in arrays},
    }
    test_score = fitted.score(test.counts)
    with replacing(path) as temporary:
        np.savez(
            temporary,
            record=np.array(json.dumps(about)),
            valid_score=valid_score,
            test_score=test_score,
            **{f"about.{name}": values for name, values in arrays.items()},
        )


def read_trial(trial: Trial, path: Path) -> TrialRecord:
    """The record of a finished fit."""
    with np.load(path) as arrays:
        record = json.loads(str(arrays["record"]))
        kept = {n[6:]: arrays[n] for n in arrays.files if n.startswith("about.")}
        return TrialRecord(
            trial=trial,
            valid_score=arrays["valid_score"],
            test_score=arrays["test_score"],
            valid_auroc=record["valid_auroc"],
            seconds=record["seconds"],
            parameters=record["parameters"],
            about=record["about"] | kept,
        )


def trial_key(trial: Trial) -> str:
    """Hash of the trial, of its data and labels, and of the code that fits it.

    Of the table of systems only the one that is fitted counts.
    """
    settings = asdict(trial)
    del settings["home"]
    dataset = open_cell(trial.cell, trial.home)
    truth = hashlib.sha256(label(dataset, trial.labels).tobytes()).hexdigest()
    code = code_digest(__name__, ALL[trial.system].fit.__module__, without=(SYSTEMS,))
    parts = [settings, dataset.fingerprint, truth, code, sklearn.__version__]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
