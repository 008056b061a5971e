"""The same calls on an accelerator; where there is none the rows say that nothing was measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from dc2lib.labels import label
from dc2lib.models import build
from dc2lib.training import PAPER, fit, predict_logits
from tools.bench.harness import Row, Stage, Task, paired

ABSENT = "not measured: no CUDA device on this machine"


def gpu(task: Task) -> list[Row]:
    """Training and evaluation with ``device="cuda"`` against the same with ``device="cpu"``."""
    names = ("gpu:train", "gpu:evaluate")
    if not torch.cuda.is_available():
        return [Row(name, None, None, None, "genes/s", None, 1, 0, ABSENT) for name in names]
    train, valid = task.dataset.take("train"), task.dataset.take("valid").select(np.arange(64))
    labels, recipe = label(train), replace(PAPER, epochs=1)
    model = build("deepchrome_max").eval()

    def trained(device: str) -> None:
        fit(build("deepchrome_max"), train.counts, labels, valid.counts, np.arange(64) % 2,
            recipe=recipe, device=device)

    def evaluated(device: str) -> None:
        predict_logits(model, train.counts, transform="raw", device=device, batch_size=4096)

    return [
        paired(task, name, lambda run=run: run("cuda"), lambda run=run: run("cpu"),
               work=len(train), unit="genes/s")
        for name, run in zip(names, (trained, evaluated), strict=True)
    ]


STAGES = (Stage("gpu", gpu),)
