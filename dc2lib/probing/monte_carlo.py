"""Stream a generator through a classifier and keep what the classifier likes best.

Sample number i depends on the seed and on i alone, so neither the batch size, nor the number of
processes, nor an interruption changes which samples are drawn.  Memory is that of one batch and of
the samples kept, however many are drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from dc2lib.errors import DataError
from dc2lib.fast.generator import matrix_form
from dc2lib.models.networks import Network, evaluating, weights_digest
from dc2lib.probing.collector import Bars, Collector
from dc2lib.probing.result import Probe, from_tensors, to_tensors
from dc2lib.probing.screening import Classify, MarginError, Screening
from dc2lib.probing.top_samples import log_odds, log_odds_of
from dc2lib.training.checkpoints import resume, write_checkpoint
from dc2lib.training.fit import default_device

BLOCK = 4096


def monte_carlo_probe(
    generator: Network,
    classifier: Network,
    n: int,
    keep: int = 100,
    *,
    thresholds: Sequence[float] = (),
    keep_first: int = 10,
    n_latent: int | None = None,
    seed: int = 0,
    batch_size: int = 128,
    chunk_size: int = 16_384,
    workers: int = 1,
    screen: bool = False,
    device: str | torch.device | None = None,
    checkpoint: Path | str | None = None,
    progress: bool = False,
) -> Probe:
    """Draw ``n`` samples, classify them, and keep the best of each class and the first to pass.

    Section 3.1 of DeepChrome 2.0.

    Parameters
    ----------
    generator
        Turns latents ``(sample, latent)``, independent standard normal float32, into samples
        ``(sample, ...)``.  Modules are put into evaluation mode.
    classifier
        Turns samples into logits ``(sample, class)``.
    n
        Samples to draw.
    keep
        How many of the most probable samples are kept for each class.
    thresholds
        Probabilities between 0 and 1; for each class the first ``keep_first`` samples above each
        of them are kept, and all that pass are counted.
    n_latent
        Length of a latent; by default the generator's attribute of that name.
    seed
        Decides the latents; sample i is the same for any ``n``, batch size and number of workers.
    batch_size
        Samples through the networks at once; 128 to 256 is fastest on a CPU.
    chunk_size
        Samples between two checkpoints, and the work that is handed to a process at once.
    workers
        Processes, of one thread each.  More than one needs networks that can be pickled.
    screen
        Classify in bfloat16 first, and again in float32 whatever comes near a threshold or the
        samples kept so far: what is kept and what is accepted stays the same, the mean
        probability and the histogram are those of bfloat16.  Only for networks that
        `dc2lib.fast.generator` knows; pays where the CPU has bfloat16 instructions, and is not
        done on another device.
    device
        Default CUDA if present, else the CPU; with several workers always the CPU.
    checkpoint
        A file that is written after every chunk; if it exists the probe goes on from it.
    progress
        Show a bar with the samples a second.

    Raises
    ------
    DataError
        If a size is not positive, a threshold is no probability, the latent's length is not
        known, or the checkpoint belongs to another probe.
    FloatingPointError
        If a logit is not a number.
    """
    place = default_device("cpu" if workers > 1 else device)
    task = _Task(
        generator,
        classifier,
        keep,
        tuple(float(t) for t in thresholds),
        keep_first,
        _latent_length(generator, n_latent),
        seed,
        batch_size,
        str(place),
        screen and place.type == "cpu",
    )
    task.check()
    _check_sizes(n=n, keep=keep, batch_size=batch_size, chunk_size=chunk_size, workers=workers)
    blocks_a_chunk = max(1, chunk_size // BLOCK)
    state = _State.start(task, n, None if checkpoint is None else Path(checkpoint))
    chunks = state.missing_chunks(blocks_a_chunk)
    begin = time.perf_counter()
    with tqdm(total=n, initial=state.drawn, unit=" samples", disable=not progress) as bar:
        for blocks, found in _run_chunks(task, n, chunks, workers, state.bars):
            state.add(blocks, found)
            bar.update(found.n)
    probe = state.probe
    if probe is None:
        raise DataError(f"n={n}: nothing was drawn")
    probe.seconds = time.perf_counter() - begin
    probe.resumed_from = state.resumed_from
    return probe


def latents(seed: int, block: int, n_latent: int) -> Tensor:
    """Standard normal latents of one block of the stream, float32 ``(BLOCK, latent)``."""
    key = np.random.SeedSequence((seed, block)).generate_state(1, np.uint64)[0]
    source = torch.Generator().manual_seed(int(key >> np.uint64(1)))
    return torch.randn(BLOCK, n_latent, generator=source)


@dataclass(frozen=True)
class _Task:
    """All that decides what a probe finds, apart from the number of samples."""

    generator: Network
    classifier: Network
    keep: int
    thresholds: tuple[float, ...]
    keep_first: int
    n_latent: int
    seed: int
    batch_size: int
    device: str
    screen: bool = False

    def check(self) -> None:
        """Refuse thresholds that are no probabilities, and to screen what has no matrix form."""
        for threshold in self.thresholds:
            log_odds_of(threshold)
        if not self.screen:
            return
        unknown = [f for f in (self.generator, self.classifier) if matrix_form(f) is f]
        if unknown:
            raise DataError(
                "screen=True needs a HistoneGenerator and a DeepChrome; got "
                f"{type(self.generator).__name__} and {type(self.classifier).__name__}: probe "
                "without screening"
            )

    def settings(self, n: int) -> dict[str, Any]:
        """What a checkpoint must agree on."""
        return {
            "n": n,
            "keep": self.keep,
            "thresholds": list(self.thresholds),
            "keep_first": self.keep_first,
            "n_latent": self.n_latent,
            "seed": self.seed,
            "screen": self.screen,
            "networks": [weights_digest(self.generator), weights_digest(self.classifier)],
        }


def _run_chunks(
    task: _Task, n: int, chunks: list[range], workers: int, bars: Callable[[], Bars | None]
) -> Iterator[tuple[range, Probe]]:
    if workers == 1:
        for blocks in chunks:
            yield blocks, _probe_blocks(task, n, blocks, bars())
        return
    with (
        evaluating(task.generator, task.classifier, device=task.device),
        ProcessPoolExecutor(
            workers, get_context("spawn"), initializer=_start_worker, initargs=(task,)
        ) as pool,
    ):
        queue = iter(chunks)
        running: dict[Future[Probe], range] = {}
        try:
            while True:
                for blocks in queue:
                    running[pool.submit(_probe_in_worker, n, blocks, bars())] = blocks
                    if len(running) >= 2 * workers:
                        break
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)


_worker_task: list[_Task] = []


def _start_worker(task: _Task) -> None:
    torch.set_num_threads(1)
    _worker_task[:] = [task]


def _probe_in_worker(n: int, blocks: range, bars: Bars | None) -> Probe:
    return _probe_blocks(_worker_task[0], n, blocks, bars)


def _probe_blocks(task: _Task, n: int, blocks: range, bars: Bars | None) -> Probe:
    """Probe the samples of some blocks of the stream, cut at ``n``.

    What lies below ``bars``, the log odds of the worst sample kept so far of each class, is not
    kept.
    """
    with evaluating(task.generator, task.classifier, device=task.device), torch.inference_mode():
        exact = _classify(task, torch.float32)
        if task.screen:
            screening = Screening(exact, _classify(task, torch.bfloat16))
            with suppress(MarginError):
                return _collect(task, n, blocks, bars, screening, BLOCK)
        return _collect(task, n, blocks, bars, lambda z, _: exact(z))


def _classify(task: _Task, dtype: torch.dtype) -> Classify:
    """Latents to samples and log odds, a batch at a time."""
    generator, classifier = task.generator, task.classifier
    if task.device == "cpu":
        generator, classifier = matrix_form(generator, dtype), matrix_form(classifier, dtype)

    def classify(z: Tensor) -> tuple[Tensor, Tensor]:
        if len(z) > task.batch_size:
            parts = [classify(part) for part in z.split(task.batch_size)]
            samples, odds = zip(*parts, strict=True)
            return torch.cat(samples), torch.cat(odds)
        samples = generator(z)
        return samples, log_odds(classifier(samples).float())

    return classify


def _collect(
    task: _Task,
    n: int,
    blocks: range,
    bars: Bars | None,
    classify: Callable[[Tensor, Callable[[Tensor, float], Tensor]], tuple[Tensor, Tensor]],
    step: int | None = None,
) -> Probe:
    """Classify ``step`` samples at once (default a batch) and keep what is to be kept."""
    step = step or task.batch_size
    found = Collector(task.keep, task.thresholds, task.keep_first, bars)
    for block in blocks:
        start = block * BLOCK
        z = latents(task.seed, block, task.n_latent)[: n - start].to(task.device)
        for offset in range(0, len(z), step):
            samples, odds = classify(z[offset : offset + step], found.undecided)
            found.add(start + offset, samples, odds)
    return found.probe()


@dataclass
class _State:
    """The probe so far and the blocks that are in it, kept in the checkpoint file."""

    task: _Task
    n: int
    path: Path | None
    done: np.ndarray
    probe: Probe | None = None
    resumed_from: int = 0

    @classmethod
    def start(cls, task: _Task, n: int, path: Path | None) -> _State:
        state = cls(task, n, path, np.zeros(-(-n // BLOCK), bool))
        resume(path, task.settings(n), state._restore)
        return state

    @property
    def drawn(self) -> int:
        return 0 if self.probe is None else self.probe.n

    def bars(self) -> Bars | None:
        """The worst log odds kept of each class; minus infinity while there is room."""
        if self.probe is None:
            return None
        full = [len(kept) == self.task.keep for kept in self.probe.top]
        return [
            float(kept.log_odds[-1]) if room_is_gone else -np.inf
            for kept, room_is_gone in zip(self.probe.top, full, strict=True)
        ]

    def missing_chunks(self, blocks_a_chunk: int) -> list[range]:
        """Runs of blocks that are not done yet, none longer than a chunk."""
        chunks: list[range] = []
        for block in np.flatnonzero(~self.done).tolist():
            last = chunks[-1] if chunks else None
            if last is not None and last.stop == block and len(last) < blocks_a_chunk:
                chunks[-1] = range(last.start, block + 1)
            else:
                chunks.append(range(block, block + 1))
        return chunks

    def add(self, blocks: range, found: Probe) -> None:
        task = self.task
        self.probe = (
            found if self.probe is None else self.probe.merged(found, task.keep, task.keep_first)
        )
        self.done[blocks.start : blocks.stop] = True
        if self.path is not None:
            state = {"done": torch.from_numpy(self.done), "probe": to_tensors(self.probe)}
            write_checkpoint(self.path, task.settings(self.n), state)

    def _restore(self, saved: dict[str, Any]) -> None:
        self.done, self.probe = saved["done"].numpy(), from_tensors(saved["probe"])
        self.resumed_from = self.probe.n


def _latent_length(generator: Network, n_latent: int | None) -> int:
    length = n_latent if n_latent is not None else getattr(generator, "n_latent", None)
    if not isinstance(length, int) or length < 1:
        raise DataError(
            "the length of the generator's latents is not known: give n_latent=, or give the "
            "generator an attribute of that name"
        )
    return length


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise DataError(f"{name}={size}: expected at least 1")
