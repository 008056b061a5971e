"""Fit every system on every cell type and label rule, with equal numbers of settings to choose.

The convolutional network and the linear model are fitted by `dc2lib.training.grid`, whose records
the other chapters share; the records of all others are kept by `trials.fit_trial`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from dc2book.related_work.trials import Trial, TrialRecord, fit_trial, select, trial_path
from dc2book.style import estimates
from dc2lib.baselines.contract import SPLITS
from dc2lib.baselines.networks import log_odds_high
from dc2lib.baselines.systems import ALL, SYSTEMS
from dc2lib.datasets import HistoneDataset, open_cell
from dc2lib.evaluation.scores import auroc
from dc2lib.evaluation.statistics import (
    Interval,
    bootstrap_auroc,
    proportion,
    student_interval,
)
from dc2lib.labels import RULES as LABEL_RULES
from dc2lib.labels import flipped
from dc2lib.training.executors import outcomes
from dc2lib.training.fit import PAPER, TUNED, levelled_off
from dc2lib.training.grid import GridError, run_grid
from dc2lib.training.grid_fits import Fit, FitRecord

Setting = tuple[tuple[str, Any], ...]
OWN_RECIPE = "deepchrome_own"
PATIENCE = 10
LSTMS = [name for name, system in ALL.items() if system.epochs == "lstm"]
TITLES = {name: system.title for name, system in ALL.items()}
TITLES[OWN_RECIPE] = "DeepChrome, released recipe"


@dataclass(frozen=True)
class StudySize:
    """What each system may spend."""

    candidates: int = 2  # settings tried: first cell type, numeric labels, first seed
    n_tune: int = 2000  # training genes for that choice; 0 means all
    n_train: int = 0  # training genes for everything else
    seeds: int = 2  # fits per cell type with numeric labels
    released_seeds: int = 1  # the same with released (lexicographic) labels
    epochs: int = 8  # of the convolutional network and the linear model
    lstm_epochs: int = 5  # of the LSTMs, which stop early
    lstm_cells: int = 1  # LSTMs are fitted on the first so many, with one seed each; 0 means all


def run_study(
    cells: Sequence[str], home: str, size: StudySize, *, systems: Iterable[str] = tuple(SYSTEMS),
    seed: int = 0,
) -> list[TrialRecord]:
    """Choose each system's setting, then fit it on every cell type, label rule and seed.

    A system that no seed changes is fitted once, and its record stands for every seed.  Where both
    label rules give the same labels, one fit stands for both.
    """
    same = {cell for cell in cells if not labels_differ(open_cell(cell, home))}
    seeds = {"numeric": size.seeds, "lexicographic": size.released_seeds}
    tried = {name: [Trial(name, one, cells[0], home, "numeric", seed, size.n_tune)
                    for one in candidates_of(name, size)] for name in systems}
    chosen = {name: group[0].setting for name, group in tried.items()}
    several = [one for group in tried.values() if len(group) > 1 for one in group]
    chosen |= best_settings(run_trials(several))
    trials = [
        Trial(name, chosen[name], cell, home, rule, seed + number, size.n_train)
        for name in systems
        for rule in LABEL_RULES
        for cell in (cells[: size.lstm_cells or None] if name in LSTMS else cells)
        for number in range(1 if name in LSTMS else seeds[rule])
    ]
    fitted = [
        replace(one, seed=one.seed if ALL[one.system].random else seed,
                labels="numeric" if one.cell in same else one.labels)
        for one in trials
    ]
    records = run_trials(fitted)
    return [replace(record, trial=one) for one, record in zip(trials, records, strict=True)]


def candidates_of(name: str, size: StudySize) -> list[Setting]:
    """The settings that a system may try, as pairs, with its epochs where it has some.

    LSTMs have one setting, since they take so long: their budget goes into epochs.
    """
    system = ALL[name]
    if not 1 <= size.candidates <= len(system.candidates):
        raise ValueError(f"candidates is {size.candidates}: expected 1 to 3")
    n_candidates = 1 if name in LSTMS else size.candidates
    extra = {
        "convolution": {"epochs": size.epochs},
        "lstm": {"epochs": size.lstm_epochs, "patience": PATIENCE},
    }.get(system.epochs or "", {})
    return [tuple((dict(one) | extra).items()) for one in system.candidates[:n_candidates]]


def best_settings(records: Sequence[TrialRecord]) -> dict[str, Setting]:
    """The setting with the highest validation AUROC of each system; ties go to the first."""
    best: dict[str, TrialRecord] = {}
    for one in records:
        name = one.trial.system
        if name not in best or one.valid_auroc > best[name].valid_auroc:
            best[name] = one
    return {name: one.trial.setting for name, one in best.items()}


def labels_differ(dataset: HistoneDataset) -> bool:
    """Whether the two label rules differ for any gene of a cell type."""
    return bool(flipped(dataset).any())


def run_own_recipe(
    cells: Sequence[str], home: str, seeds: int, epochs: int, *, seed: int = 0
) -> list[TrialRecord]:
    """DeepChrome as its authors trained it: raw counts, SGD, bins along the genome.

    The fits are those of the chapter on architectures, so they are read where it has run.
    """
    recipe = replace(PAPER, epochs=epochs)
    trials = [
        Trial(OWN_RECIPE, (("epochs", epochs),), cell, home, rule, seed + number)
        for cell in cells
        for rule in LABEL_RULES
        for number in range(seeds)
    ]
    same = {cell for cell in cells if not labels_differ(open_cell(cell, home))}
    fits = [
        Fit(ALL["deepchrome"].network, recipe, (one.cell,), one.cell, home,
            "numeric" if one.cell in same else one.labels, "genome", one.seed)
        for one in trials
    ]
    return _of_fits(trials, run_grid(fits, progress=False))


def converged(records: Sequence[TrialRecord]) -> Interval:
    """Share of the fits whose validation AUROC has levelled off, with its interval."""
    curves = [one.about["valid_auroc"] for one in records]
    return proportion(sum(levelled_off(curve) for curve in curves), len(curves))


def best_by_validation(records: Sequence[TrialRecord]) -> str:
    """The system with the highest validation AUROC on numeric labels, averaged over its fits."""
    table = pd.DataFrame([(one.trial.system, one.valid_auroc) for one in records
                          if one.trial.labels == "numeric"])
    return str(table.groupby(0, sort=False)[1].mean().idxmax())


def run_trials(trials: Sequence[Trial]) -> list[TrialRecord]:
    """Fit what is not on disk yet and return the records of all, in order.

    Raises GridError if fits failed, after all others are done.
    """
    distinct = dict.fromkeys(trials)
    by_grid = [one for one in distinct if ALL[one.system].network and one.split == "released"]
    fits = run_grid([_as_fit(one) for one in by_grid], progress=False) if by_grid else []
    records = dict(zip(by_grid, _of_fits(by_grid, fits), strict=True))
    own = [one for one in distinct if one not in records]
    missing = [one for one in own if not trial_path(one).exists()]
    failures = {missing[number]: error
                for number, _, error in outcomes(fit_trial, [(one,) for one in missing])
                if error is not None}
    if failures:
        raise GridError(failures, len(trials))
    records |= {one: fit_trial(one) for one in own}
    return [records[one] for one in trials]


def split_trials(records: Sequence[TrialRecord], systems: Sequence[str], draws: int) -> list[Trial]:
    """Fits of some systems on the first cell type under every split, ``draws`` seeds each."""
    trials = []
    for system in systems:
        first = select(records, system, "numeric")[0].trial
        for split in SPLITS:
            once = split == "released" and not ALL[system].random
            trials += [
                replace(first, split=split, seed=first.seed + number)
                for number in range(1 if once else draws)
            ]
    return trials


def split_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """Test AUROC by system and split: columns system, split, estimate, low, high, n.

    The interval is over the drawn splits where there are three or more, else over the test genes of
    the first.
    """
    records = run_trials(trials)
    table = pd.DataFrame({
        "system": [ALL[one.trial.system].title for one in records],
        "split": [one.trial.split for one in records],
        "record": records,
        "value": [auroc(one.truth(), one.test_score) for one in records],
    })
    return estimates(table, ["system", "split"], _over_draws)


def _over_draws(group: pd.DataFrame) -> Interval:
    values = group["value"].to_numpy()
    if len(values) >= 3:
        return student_interval(values)
    first = group["record"].iloc[0]
    one = bootstrap_auroc(first.truth(), first.test_score, n_resamples=300)
    shift = float(values.mean() - one.estimate)
    return Interval(float(values.mean()), one.low + shift, one.high + shift, one.n)


def _of_fits(trials: Sequence[Trial], records: Sequence[FitRecord]) -> list[TrialRecord]:
    return [
        TrialRecord(
            trial=trial,
            valid_score=log_odds_high(one.valid_logits),
            test_score=log_odds_high(one.test_logits),
            valid_auroc=one.valid_auroc,
            seconds=one.seconds,
            parameters=sum(values.size for values in one.weights().values()),
            about={"valid_auroc": one.history["valid_auroc"].to_numpy()},
        )
        for trial, one in zip(trials, records, strict=True)
    ]


def _as_fit(trial: Trial) -> Fit:
    setting = dict(trial.setting)
    epochs = int(setting["epochs"])
    recipe = replace(TUNED, learning_rate=setting["learning_rate"], epochs=epochs, patience=epochs)
    return Fit(ALL[trial.system].network, recipe, (trial.cell,), trial.cell, trial.home,
               trial.labels, "gene", trial.seed, trial.n_train)
