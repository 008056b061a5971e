"""The same calls on an accelerator; where there is none the rows say that nothing was measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from dc2lib.fast.lockstep import fit_many
from dc2lib.labels import label
from dc2lib.models.deepchrome import build
from dc2lib.models.gan import build_histone_gan
from dc2lib.probing import monte_carlo_probe
from dc2lib.training.fit import PAPER, fit, predict_logits
from dc2lib.training.grid import LOCKSTEP_ON_CUDA
from tools.bench.harness import Row, Stage, Task, paired

ABSENT = "not measured: no CUDA device on this machine"
SAMPLES = 16_384
UNITS = {
    "gpu:train": "genes/s", "gpu:lockstep": "genes/s", "gpu:evaluate": "genes/s",
    "gpu:probe": "samples/s",
}  # fmt: skip


def gpu(task: Task) -> list[Row]:
    """Training, evaluation and the probe with ``device="cuda"`` against ``device="cpu"``.

    In lockstep as many models as the grid trains at once on the device, against one on the CPU; the
    rates are genes times models.
    """
    if not torch.cuda.is_available():
        return [Row(name, None, None, None, unit, None, 1, 0, ABSENT)
                for name, unit in UNITS.items()]
    train, valid = task.dataset.take("train"), task.dataset.take("valid").select(np.arange(64))
    judged = valid.counts, np.arange(64) % 2
    labels, recipe = label(train), replace(PAPER, epochs=1)
    model, generator = build("deepchrome_max").eval(), build_histone_gan()[0].eval()

    def trained(device: str) -> None:
        fit(build("deepchrome_max"), train.counts, labels, *judged, recipe=recipe, device=device)

    def in_lockstep() -> None:
        seeds = range(LOCKSTEP_ON_CUDA)
        fit_many(
            [build("deepchrome_max", seed=seed) for seed in seeds],
            *([part] * len(seeds) for part in (train.counts, labels, *judged)),
            recipe=recipe, seeds=seeds, device="cuda",
        )  # fmt: skip

    def evaluated(device: str) -> None:
        predict_logits(model, train.counts, transform="raw", device=device, batch_size=4096)

    def probed(device: str) -> None:
        monte_carlo_probe(generator, model, SAMPLES, 100, device=device)

    ours = [lambda: trained("cuda"), in_lockstep, lambda: evaluated("cuda"), lambda: probed("cuda")]
    plain = [lambda: trained("cpu")] * 2 + [lambda: evaluated("cpu"), lambda: probed("cpu")]
    work = [len(train), LOCKSTEP_ON_CUDA * len(train), len(train), SAMPLES]
    plain_work = [len(train)] * 3 + [SAMPLES]
    return [
        paired(task, name, *ways, work=done, plain_work=plain_done, unit=UNITS[name])
        for name, *ways, done, plain_done in zip(UNITS, ours, plain, work, plain_work, strict=True)
    ]


STAGES = (Stage("gpu", gpu),)
