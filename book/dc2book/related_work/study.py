"""Fit every system on every cell type and label rule, with equal budgets, and keep what it gave.

A fit's scores are kept in a file named by a hash of everything that decides them, so an interrupted
study goes on where it stopped and a second one reads.  The convolutional network and the linear
model are fitted by `dc2lib.grid`, whose records the other chapters share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dc2book.related_work.trials import Trial, TrialRecord, fit_trial, read_trial, trial_key
from dc2lib.baselines.network import log_odds
from dc2lib.baselines.systems import ALL, SYSTEMS
from dc2lib.datasets import data_home
from dc2lib.labels import RULES as LABEL_RULES
from dc2lib.training.executors import outcomes
from dc2lib.training.fit import TUNED
from dc2lib.training.grid import GridError, run_grid
from dc2lib.training.grid_fits import Fit


@dataclass(frozen=True)
class Budget:
    """What each system may spend.

    Attributes
    ----------
    candidates
        Settings tried, on the first cell type with numeric labels and the first seed.
    n_tune, n_train
        Training genes for that choice, and for everything else; 0 means all.
    seeds, released_seeds
        Fits a cell type with numeric labels and with released (lexicographic) labels.
    epochs, lstm_epochs
        Of the convolutional network and the linear model, and of the LSTMs.
    """

    candidates: int = 2
    n_tune: int = 2000
    n_train: int = 0
    seeds: int = 2
    released_seeds: int = 1
    epochs: int = 8
    lstm_epochs: int = 5

    def seeds_of(self, labels: str) -> int:
        """Number of fits under a label rule."""
        return self.seeds if labels == "numeric" else self.released_seeds


def run_study(
    cells: Sequence[str],
    home: str,
    budget: Budget,
    *,
    systems: Iterable[str] = tuple(SYSTEMS),
    label_rules: Sequence[str] = LABEL_RULES,
    seed: int = 0,
    **options: Any,
) -> list[TrialRecord]:
    """Choose each system's setting, then fit it on every cell type, label rule and seed.

    A system that no seed changes is fitted once, and its record stands for every seed.
    """
    tried = {
        name: [
            Trial(name, one, cells[0], home, "numeric", seed, budget.n_tune)
            for one in candidates_of(name, budget)
        ]
        for name in systems
    }
    choices = [one for group in tried.values() if len(group) > 1 for one in group]
    best = {name: group[0].setting for name, group in tried.items()}
    best |= best_settings(run_trials(choices, **options))
    trials = [
        Trial(name, best[name], cell, home, rule, seed + number, budget.n_train)
        for name in systems
        for rule in label_rules
        for cell in cells
        for number in range(budget.seeds_of(rule))
    ]
    distinct = [replace(one, seed=one.seed if ALL[one.system].drawn else seed) for one in trials]
    found = dict(zip(distinct, run_trials(distinct, **options), strict=True))
    return [
        replace(found[same], trial=one) for one, same in zip(trials, distinct, strict=True)
    ]


def candidates_of(name: str, budget: Budget) -> list[tuple[tuple[str, Any], ...]]:
    """The settings that a system may try, as pairs, with the budget's epochs where it has some."""
    system = ALL[name]
    if not 1 <= budget.candidates <= len(system.candidates):
        raise ValueError(f"candidates is {budget.candidates}: expected 1 to 3")
    epochs = {"convolution": budget.epochs, "lstm": budget.lstm_epochs}.get(system.epochs or "")
    extra = {} if epochs is None else {"epochs": epochs}
    return [tuple((dict(one) | extra).items()) for one in system.candidates[: budget.candidates]]


def best_settings(records: Sequence[TrialRecord]) -> dict[str, tuple[tuple[str, Any], ...]]:
    """The setting with the highest validation AUROC of each system; ties go to the first."""
    best: dict[str, TrialRecord] = {}
    for one in records:
        name = one.trial.system
        if name not in best or one.valid_auroc > best[name].valid_auroc:
            best[name] = one
    return {name: one.trial.setting for name, one in best.items()}


def run_trials(
    trials: Sequence[Trial],
    folder: Path | str | None = None,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> list[TrialRecord]:
    """Fit what is not on disk yet and return the records of all, in order.

    Parameters
    ----------
    folder
        Default ``related`` in the data folder; the grid's records stay in ``fits``.
    executor, workers
        As for `dc2lib.training.grid.run_grid`.

    Raises
    ------
    GridError
        If fits failed, after all others are done.
    """
    place = data_home() / "related" if folder is None else Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    by_grid = [
        one for one in dict.fromkeys(trials)
        if ALL[one.system].network and one.split == "released"
    ]
    records = dict(zip(by_grid, _from_grid(by_grid, executor, workers, progress), strict=True))
    own = [one for one in dict.fromkeys(trials) if one not in records]
    paths = {one: place / f"{trial_key(one)}.npz" for one in own}
    missing = [one for one, path in paths.items() if not path.exists()]
    jobs = [(one, paths[one]) for one in missing]
    failures: dict[Any, BaseException] = {}
    with tqdm(total=len(own), initial=len(own) - len(missing), disable=not progress) as bar:
        for number, _, error in outcomes(fit_trial, jobs, executor=executor, workers=workers):
            bar.update()
            if error is not None:
                failures[missing[number]] = error
    if failures:
        raise GridError(failures, len(trials))
    records |= {one: read_trial(one, path) for one, path in paths.items()}
    return [records[one] for one in trials]


def _from_grid(
    trials: Sequence[Trial], executor: Executor | None, workers: int | None, progress: bool
) -> list[TrialRecord]:
    fits = [_as_fit(one) for one in trials]
    if not fits:
        return []
    records = run_grid(fits, executor=executor, workers=workers, progress=progress)
    return [
        TrialRecord(
            trial=trial,
            valid_score=log_odds(one.valid_logits),
            test_score=log_odds(one.test_logits),
            valid_auroc=one.valid_auroc,
            seconds=one.seconds,
            parameters=sum(values.size for values in one.weights().values()),
            about={},
        )
        for trial, one in zip(trials, records, strict=True)
    ]


def _as_fit(trial: Trial) -> Fit:
    setting = dict(trial.setting)
    epochs = int(setting["epochs"])
    return Fit(
        model=ALL[trial.system].network,
        recipe=replace(
            TUNED, learning_rate=setting["learning_rate"], epochs=epochs, patience=epochs
        ),
        train_cells=(trial.cell,),
        test_cell=trial.cell,
        home=trial.home,
        labels=trial.labels,
        orientation="gene",
        seed=trial.seed,
        n_train=trial.n_train,
    )
