"""How far a fit has come: history, best weights and the checkpoint file they are kept in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dc2lib.training.checkpoints import resume, write_checkpoint


class TrainingState:
    """Best weights and history so far, kept in the checkpoint file after every epoch.

    Parameters
    ----------
    model, optimizer
        Their states are in the checkpoint, and are taken from it where the file exists.
    settings
        What a checkpoint must agree on.
    patience
        Epochs without a better validation AUROC until the fit stops.
    checkpoint
        None keeps nothing.

    Raises
    ------
    DataError
        If the checkpoint cannot be read or belongs to other settings.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        settings: Mapping[str, Any],
        patience: int,
        checkpoint: Path | str | None,
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.settings, self.patience = settings, patience
        self.path = None if checkpoint is None else Path(checkpoint)
        self.rows: list[dict[str, float]] = []
        self.best_epoch = -1
        self.best_weights = _copy(model)
        resume(self.path, settings, self._restore)

    @property
    def epochs_done(self) -> int:
        """Epochs finished, those of an interrupted run included."""
        return len(self.rows)

    @property
    def stopped(self) -> bool:
        """Whether the patience is used up."""
        return self.epochs_done - 1 - max(self.best_epoch, 0) >= self.patience

    def finish_epoch(self, row: dict[str, float]) -> None:
        """Note an epoch with its ``epoch`` and ``valid_auroc``; write the checkpoint."""
        best = max((r["valid_auroc"] for r in self.rows), default=-np.inf)
        self.rows.append(row)
        if row["valid_auroc"] > best:
            self.best_epoch, self.best_weights = int(row["epoch"]), _copy(self.model)
        if self.path is not None:
            write_checkpoint(self.path, self.settings, self._state())

    def _state(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
            "weights": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def _restore(self, saved: dict[str, Any]) -> None:
        self.model.load_state_dict(saved["weights"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.rows, self.best_epoch = saved["rows"], saved["best_epoch"]
        self.best_weights = saved["best_weights"]


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
