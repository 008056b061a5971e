"""Stream a generator through a classifier and keep what the classifier likes best.

Sample number i depends on the seed and on i alone, so neither the batch size, nor the number of
processes, nor an interruption changes which samples are drawn.  Memory is that of one batch and of
the samples kept, however many are drawn.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import expit, logit
from torch import Tensor, nn
from tqdm import tqdm

from dc2lib.cache import resume, write_checkpoint
from dc2lib.errors import DataError
from dc2lib.evaluation.statistics import proportion
from dc2lib.fast.generator import matrix_form
from dc2lib.models.gan import draw_noise
from dc2lib.models.networks import Network, evaluating, weights_digest
from dc2lib.training.fit import default_device

BLOCK = 4096


@dataclass(frozen=True)
class Samples:
    """Some of the samples of a stream."""

    index: np.ndarray  #: int64 (sample,): the number of each in the stream
    log_odds: np.ndarray  #: float64 (sample,): natural, of the class for which it was chosen
    samples: np.ndarray  #: (sample, ...)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def probability(self) -> np.ndarray:
        """Probability of the class, float64 ``(sample,)``."""
        return expit(self.log_odds)

    def joined(self, other: Samples) -> Samples:
        """These samples and then the others."""
        if not len(self) or not len(other):
            return self if len(self) else other
        parts = zip(vars(self).values(), vars(other).values(), strict=True)
        return Samples(*(np.concatenate(part) for part in parts))

    def take(self, rows: np.ndarray | slice) -> Samples:
        """Those of the given rows."""
        return Samples(self.index[rows], self.log_odds[rows], self.samples[rows])

    def best(self, keep: int) -> Samples:
        """The ``keep`` samples of the highest log odds, best first; ties go to the earlier one."""
        return self.take(np.lexsort((self.index, -self.log_odds))[:keep])


NO_SAMPLES = Samples(np.empty(0, np.int64), np.empty(0), np.empty((0,), np.float32))


def top_samples(samples: np.ndarray, log_odds: np.ndarray, keep: int) -> Samples:
    """The ``keep`` samples ``(sample, ...)`` of the highest log odds ``(sample,)``, best first.

    Examples
    --------
    >>> top_samples(np.array([[5.0], [6.0], [7.0]]), np.array([0.5, 2.0, 1.0]), 2).index.tolist()
    [1, 2]
    """
    return Samples(np.arange(len(samples)), np.asarray(log_odds), np.asarray(samples)).best(keep)


@dataclass
class ProbeResult:
    """What a probe found; `class` is a column of the classifier's logits.

    `top` holds, for each class, the ``keep`` samples with the highest probability, best first;
    `first[class][j]` the first ``keep_first`` samples that exceeded threshold j.
    """

    keep: int
    keep_first: int
    thresholds: tuple[float, ...]  #: probabilities that were watched
    accepted: np.ndarray | None = None  #: int64 (class, threshold): samples that exceeded it
    top: list[Samples] = field(default_factory=list)
    first: list[list[Samples]] = field(default_factory=list)
    n: int = 0  #: samples drawn so far
    seconds: float = 0.0  #: in this call; of a resumed probe, since it was resumed
    resumed_from: int = 0  #: samples that came from the checkpoint

    @property
    def samples_per_second(self) -> float:
        """Samples drawn and classified a second in this call."""
        return (self.n - self.resumed_from) / self.seconds if self.seconds else float("nan")

    @property
    def floors(self) -> list[float]:
        """For each class the log odds that a further sample needs to be among the best."""
        return [float(t.log_odds[-1]) if len(t) == self.keep else -np.inf for t in self.top]

    def acceptance(self) -> pd.DataFrame:
        """Share of the samples above each threshold, a row a class and threshold.

        Columns ``class``, ``threshold``, ``accepted``, ``n``, ``rate``, ``low``, ``high``
        (Wilson's interval; a class that never passed has rate 0 and an upper end above 0).
        """
        rows = []
        for (label, j), count in np.ndenumerate(self.accepted):
            share = proportion(count, self.n)
            rows.append(
                {"class": label, "threshold": self.thresholds[j], "accepted": int(count),
                 "n": self.n, "rate": share.estimate, "low": share.low, "high": share.high}
            )  # fmt: skip
        return pd.DataFrame(rows)

    def add(
        self, start: int, samples: Tensor, log_odds: np.ndarray, floors: Sequence[float]
    ) -> None:
        """Take in samples ``(sample, ...)`` of which the first has the number ``start``.

        Log odds are float64 ``(sample, class)``; floors are, for each class, log odds below which
        no sample is among the best, or empty.  Raises FloatingPointError where one is no number.
        """
        if np.isnan(log_odds).any():
            raise FloatingPointError(
                f"the classifier gave a logit that is not a number for sample {start} or one of "
                f"the {len(log_odds) - 1} after it"
            )
        if not self.n:
            n_classes, n_limits = log_odds.shape[1], len(self.thresholds)
            self.accepted = np.zeros((n_classes, n_limits), np.int64)
            self.top = [NO_SAMPLES] * n_classes
            self.first = [[NO_SAMPLES] * n_limits for _ in range(n_classes)]
        self.n += len(log_odds)
        least = [max(pair) for pair in zip(self.floors, floors or self.floors, strict=True)]
        for label, odds in enumerate(log_odds.T):
            rows = np.flatnonzero(odds >= least[label])
            if len(rows):
                chosen = _chosen(rows, odds, start, samples)
                self.top[label] = self.top[label].joined(chosen).best(self.keep)
            for j, limit in enumerate(logit(self.thresholds)):
                rows = np.flatnonzero(odds > limit)
                self.accepted[label, j] += len(rows)
                rows = rows[: self.keep_first - len(self.first[label][j])]
                if len(rows):
                    chosen = _chosen(rows, odds, start, samples)
                    self.first[label][j] = self.first[label][j].joined(chosen)

    def merged(self, other: ProbeResult) -> ProbeResult:
        """This probe and another of the samples that come after its own, as one."""
        if not self.n or not other.n:
            return self if self.n else other
        early = slice(self.keep_first)
        return replace(
            self,
            accepted=self.accepted + other.accepted,
            top=[a.joined(b).best(self.keep) for a, b in zip(self.top, other.top, strict=True)],
            first=[[a.joined(b).take(early) for a, b in zip(one, two, strict=True)]
                   for one, two in zip(self.first, other.first, strict=True)],
            n=self.n + other.n,
        )  # fmt: skip

    def of(self, first: int, n_classes: int) -> ProbeResult:
        """What was found for some classes that follow each other, such as one of a `Panel`."""
        part = slice(first, first + n_classes)
        return replace(
            self, accepted=self.accepted[part], top=self.top[part], first=self.first[part]
        )

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds: numbers and tensors."""
        return {
            "n": self.n,
            "accepted": torch.from_numpy(self.accepted),
            "top": [_tensors(one) for one in self.top],
            "first": [[_tensors(one) for one in row] for row in self.first],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint holds."""
        self.n, self.accepted = state["n"], state["accepted"].numpy()
        self.top = [_from_tensors(one) for one in state["top"]]
        self.first = [[_from_tensors(one) for one in row] for row in state["first"]]


def _chosen(rows: np.ndarray, odds: np.ndarray, start: int, samples: Tensor) -> Samples:
    chosen = samples[torch.from_numpy(rows).to(samples.device)].float().cpu().numpy()
    return Samples(rows + start, odds[rows], chosen)


def _tensors(samples: Samples) -> list[Tensor]:
    return [torch.from_numpy(array.copy()) for array in vars(samples).values()]


def _from_tensors(tensors: list[Tensor]) -> Samples:
    return Samples(*(tensor.numpy() for tensor in tensors))


def monte_carlo_probe(
    generator: nn.Module,
    classifier: Network,
    n: int,
    keep: int = 100,
    *,
    thresholds: Sequence[float] = (),
    keep_first: int = 10,
    seed: int = 0,
    batch_size: int = 128,
    chunk_size: int = 16_384,
    workers: int = 1,
    device: str | torch.device | None = None,
    checkpoint: Path | str | None = None,
    progress: bool = False,
) -> ProbeResult:
    """Draw ``n`` samples, classify them, and keep the best of each class and the first to pass.

    Section 3.1 of DeepChrome 2.0.

    Parameters
    ----------
    generator
        Turns noise ``(sample, generator.n_latent)``, independent standard normal float32, into
        samples ``(sample, ...)``.  Modules are put into evaluation mode.
    classifier
        Turns samples into logits ``(sample, class)``; a `Panel` asks several at once.
    n, keep
        Samples to draw, and how many of the most probable are kept for each class.
    thresholds
        Probabilities between 0 and 1; for each class the first ``keep_first`` samples above each
        of them are kept, and all that pass are counted.
    batch_size
        Samples through the networks at once; 128 to 256 is fastest on a CPU.
    chunk_size
        Samples between two checkpoints, and the work that is handed to a process at once.
    workers
        Processes, of one thread each.  More than one needs networks that can be pickled.
    device
        Default CUDA if present, else the CPU; with several workers always the CPU.
    checkpoint
        A file that is written after every chunk; if it exists the probe goes on from it.

    Raises
    ------
    DataError
        If a size is not positive, a threshold is no probability, the generator has no ``n_latent``,
        or the checkpoint belongs to another probe.
    FloatingPointError
        If a logit is not a number.
    """
    place = default_device("cpu" if workers > 1 else device)
    _check(generator, thresholds, n=n, keep=keep, batch_size=batch_size, chunk_size=chunk_size,
           workers=workers)  # fmt: skip
    probing = _Probing(
        generator, classifier, keep, keep_first, tuple(map(float, thresholds)), seed, batch_size,
        str(place),
    )  # fmt: skip
    path, settings = None if checkpoint is None else Path(checkpoint), probing.settings(n)
    resume(path, settings, probing.so_far.restore)
    result, resumed_from = probing.so_far, probing.so_far.n
    chunk = max(chunk_size // BLOCK, 1) * BLOCK
    starts = range(result.n, n, chunk)
    begin = time.perf_counter()
    with (
        tqdm(total=n, initial=result.n, unit=" samples", disable=not progress) as bar,
        _mapping(probing, workers) as mapped,
    ):
        for found in mapped(starts, [min(start + chunk, n) for start in starts]):
            result = result.merged(found)
            bar.update(found.n)
            if path is not None:
                write_checkpoint(path, settings, result.state())
    return replace(result, seconds=time.perf_counter() - begin, resumed_from=resumed_from)


def noise_block(seed: int, block: int, n_latent: int) -> Tensor:
    """Standard normal noise of one block of the stream, float32 ``(BLOCK, n_latent)``."""
    key = np.random.SeedSequence((seed, block)).generate_state(1, np.uint64)[0]
    return draw_noise(BLOCK, n_latent, torch.Generator().manual_seed(int(key >> np.uint64(1))))


class Panel(nn.Module):
    """Several classifiers of the same samples, which are drawn once: ``(sample, member, class)``.

    The classes of a member follow those of the member before it in what a probe finds.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, samples: Tensor) -> Tensor:
        """Logits ``(sample, member, class)``."""
        return torch.stack([member(samples) for member in self.members], 1)

    def fast(self) -> Network:
        """The same in evaluation mode as matrix products, where a member has them."""
        forms = [matrix_form(member) for member in self.members]
        return lambda samples: torch.stack([form(samples) for form in forms], 1)


def log_odds(logits: Tensor) -> Tensor:
    """Log odds of each class against all others, from logits ``(sample, class)`` or a panel's.

    Unlike a float32 probability this never saturates at 1, so it ranks the most confident
    samples.  For two classes it is the difference of the logits.
    """
    n_classes = logits.shape[-1]
    if n_classes == 2:
        return logits - logits.flip(-1)
    itself = torch.eye(n_classes, dtype=torch.bool, device=logits.device)
    others = logits.unsqueeze(-2).masked_fill(itself, -math.inf)
    return logits - others.logsumexp(-1)


@dataclass
class _Probing:
    """All that decides what a probe finds, and what this process has found so far."""

    generator: nn.Module
    classifier: Network
    keep: int
    keep_first: int
    thresholds: tuple[float, ...]
    seed: int
    batch_size: int
    device: str
    so_far: ProbeResult | None = None

    def __post_init__(self) -> None:
        self.so_far = ProbeResult(self.keep, self.keep_first, self.thresholds)

    def settings(self, n: int) -> dict[str, Any]:
        """What a checkpoint must agree on."""
        return {
            "n": n, "keep": self.keep, "thresholds": list(self.thresholds),
            "keep_first": self.keep_first, "n_latent": self.generator.n_latent, "seed": self.seed,
            "networks": [weights_digest(self.generator), weights_digest(self.classifier)],
        }  # fmt: skip

    def __call__(self, start: int, stop: int) -> ProbeResult:
        """Probe some samples of the stream, whole blocks but for the last one.

        What is worse than all that this process has kept before is not kept.
        """
        generator, classifier = self.generator, self.classifier
        found = ProbeResult(self.keep, self.keep_first, self.thresholds)
        with (evaluating(generator, classifier, device=self.device),
              torch.inference_mode()):
            if self.device == "cpu":
                panel = isinstance(classifier, Panel)
                classifier = classifier.fast() if panel else matrix_form(classifier)
                generator = matrix_form(generator)
            for number, noise in self._batches(start, stop):
                samples = generator(noise)
                odds = (log_odds(classifier(samples).float()).flatten(1)
                        .double().cpu().numpy())
                found.add(number, samples, odds, self.so_far.floors)
        self.so_far = self.so_far.merged(found)
        return found

    def _batches(self, start: int, stop: int) -> Iterator[tuple[int, Tensor]]:
        """Number of the first sample, and noise, of each batch."""
        for first in range(start, stop, BLOCK):
            noise = noise_block(self.seed, first // BLOCK, self.generator.n_latent)[: stop - first]
            for offset, batch in zip(
                range(0, len(noise), self.batch_size), noise.split(self.batch_size), strict=True
            ):
                yield first + offset, batch.to(self.device)


@contextmanager
def _mapping(probing: _Probing, workers: int) -> Iterator[Callable[..., Iterator[ProbeResult]]]:
    """A map over chunks in this process or in several; results come in order."""
    if workers == 1:
        yield partial(map, probing)
        return
    with evaluating(probing.generator, probing.classifier, device="cpu"):
        pool = ProcessPoolExecutor(
            workers, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
        )
        try:
            yield partial(pool.map, probing)
        finally:
            pool.shutdown(cancel_futures=True)


def _check(generator: nn.Module, thresholds: Sequence[float], **sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise DataError(f"{name}={size}: expected at least 1")
    for threshold in thresholds:
        if not 0 < threshold < 1:
            raise DataError(f"the threshold {threshold} is no probability between 0 and 1")
    if not isinstance(getattr(generator, "n_latent", None), int):
        raise DataError("the generator has no attribute n_latent: the length of its noise")
