"""Streaming a generator through a classifier, against a plain loop; and its memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from dc2lib.datasets.simulated import simulate
from dc2lib.labels import label
from dc2lib.models.deepchrome import DeepChrome, build
from dc2lib.models.gan import HistoneGenerator, build_histone_gan, counts_to_signals
from dc2lib.probing import monte_carlo_probe
from dc2lib.training.fit import TUNED, fit
from dc2lib.training.gan import train_gan
from dc2lib.training.gan_losses import GanRecipe
from tools.bench.harness import Row, Stage, Task, paired, product_rate, seconds

KEEP = 100
PLAIN_BATCH = 4096
SAMPLES, PLAIN_SAMPLES = 131_072, 16_384
MULTIPLY_ADDS = 866e3 + 872e3
MANY, FEW = 3_000_000, 100_000
CHILD = """
import json, resource, sys
from tools.bench.probing import pair
from dc2lib.probing import monte_carlo_probe
if __name__ == "__main__":
    probe = monte_carlo_probe(*pair(), int(sys.argv[1]), 100, workers=2, screen=True)
    used = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF,
                                                          resource.RUSAGE_CHILDREN)]
    print(json.dumps({"kib": max(used), "rate": probe.samples_per_second}))
"""


def pair() -> tuple[HistoneGenerator, DeepChrome]:
    """A generator and a classifier at the size of the book, trained for seconds.

    Initial weights would not do: they give all samples nearly the same score, so that rounding
    decides which are best and screening has to look at all of them again.
    """
    dataset = simulate(n_cells=1, n_genes=3000, seed=0).datasets["S001"]
    train, valid = dataset.take("train"), dataset.take("valid")
    classifier = fit(build("deepchrome_max"), train.counts, label(train), valid.counts,
                     label(valid), recipe=replace(TUNED, epochs=3), device="cpu").model
    recipe = GanRecipe(steps=150)
    trained = train_gan(*build_histone_gan(0), counts_to_signals(train.counts), recipe=recipe)
    return trained.generator.eval(), classifier.eval()


def plain_probe(generator: HistoneGenerator, classifier: DeepChrome, n: int) -> list[Tensor]:
    """The best samples of each class by a loop over large batches, as one writes it first."""
    best: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad():
        for start in range(0, n, PLAIN_BATCH):
            samples = generator(torch.randn(min(PLAIN_BATCH, n - start), generator.n_latent))
            probability = classifier(samples).softmax(1)
            for label in (0, 1):
                scores, kept = probability[:, label], samples
                if len(best) == 2:
                    scores = torch.cat([best[label][0], scores])
                    kept = torch.cat([best[label][1], kept])
                scores, order = scores.topk(KEEP)
                best[label : label + 1] = [(scores, kept[order])]
    return [kept for _, kept in best]


def probe(task: Task) -> list[Row]:
    """Samples a second in float32, and screened in bfloat16."""
    generator, classifier = pair()
    limit = product_rate() / MULTIPLY_ADDS

    def ours(screen: bool) -> Callable[[], object]:
        return lambda: monte_carlo_probe(generator, classifier, SAMPLES, KEEP, screen=screen,
                                         device="cpu")

    def row(name: str, screen: bool, note: str) -> Row:
        def plain() -> list[Tensor]:
            return plain_probe(generator, classifier, PLAIN_SAMPLES)

        return paired(task, name, ours(screen), plain, work=SAMPLES, plain_work=PLAIN_SAMPLES,
                      unit="samples/s", limit=limit, note=note)

    return [row("probe", True, "screened in bfloat16, near candidates again in float32; the limit "
                "is that of float32; what is no product (latents, activations, copies of "
                "windows, counting) does not get faster in bfloat16"),
            row("probe_float32", False, "float32 alone")]


def probe_memory(task: Task) -> list[Row]:
    """Three million samples in two processes: their rate, and memory as of a hundred thousand."""
    generator, classifier = pair()
    plain = PLAIN_SAMPLES / seconds(lambda: plain_probe(generator, classifier, PLAIN_SAMPLES))
    few, many = (_child(n) for n in (FEW, MANY))
    mebibytes = [found["kib"] / 1024 for found in (many, few)]
    rate = many["rate"]
    limit = product_rate() / MULTIPLY_ADDS
    return [
        Row("probe_3_million", rate, plain, rate / plain, "samples/s", rate / limit, task.threads,
            1, f"{MANY / rate:.0f} s for all, screened, in two processes, their start included; "
            "the plain loop has two threads"),
        Row("probe_memory", *mebibytes, mebibytes[1] / mebibytes[0], "MiB", None, task.threads, 1,
            f"largest process at {MANY:,} samples against {FEW:,}; a ratio of 1 is constant"),
    ]


def _child(n: int) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", CHILD, str(n)], check=True, text=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout)


STAGES = (
    Stage("probe", probe),
    Stage("probe_memory", probe_memory, threads=(2,)),
)
