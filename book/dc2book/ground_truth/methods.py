"""The methods that are graded, each from a classifier to a `Picture`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from dc2book.gan_probe.study import classifier_log_odds
from dc2book.ground_truth import pictures
from dc2book.ground_truth.pictures import Picture
from dc2lib.probing import attribution as local
from dc2lib.probing import (
    class_term,
    discriminator_term,
    distance_term,
    norm_term,
    optimise_input,
    score_term,
    uniform_start,
)

METHODS = {
    "deepchrome_recipe": "class optimisation, DeepChrome's recipe",
    "classifier_loss": "class optimisation (a), classifier alone",
    "discriminator_loss": "class optimisation (b), with discriminator",
    "distance_loss": "class optimisation (c), near the start",
    "gan_probe": "GAN probe",
    "real_favourites": "the probe among real genes",
    "saliency": "saliency",
    "integrated_gradients": "integrated gradients",
    "window_ablation": "ablation of windows",
    "mark_ablation": "ablation of marks",
    "attention": "attention (AttentiveChrome)",
}
SHORT = {
    "deepchrome_recipe": "DeepChrome's recipe",
    "classifier_loss": "loss (a)",
    "discriminator_loss": "loss (b)",
    "distance_loss": "loss (c)",
    "gan_probe": "GAN probe",
    "real_favourites": "perfect-GAN probe",
    "saliency": "saliency",
    "integrated_gradients": "integrated gradients",
    "window_ablation": "window ablation",
    "mark_ablation": "mark ablation",
    "attention": "attention",
}
DEEPCHROME_PATH = 50.0  # learning rate times steps: 0.05 x 1,000
LOSSES = ("classifier_loss", "discriminator_loss", "distance_loss")
LAMBDA = 1.0
PHI = 0.01


@dataclass(frozen=True)
class Effort:
    """How much work a method may do.

    Attributes
    ----------
    n_genes
        Genes that gradients and ablations are averaged over.
    ig_steps
        Points of integrated gradients.
    window
        Bins of an ablated window.
    starts
        Inputs that are optimised, for each class and loss.
    deepchrome_steps, steps
        Steps of DeepChrome's recipe, and of the three losses.
    keep
        Generated signals that the GAN probe keeps of each class.
    """

    n_genes: int = 100
    ig_steps: int = 16
    window: int = 10
    starts: int = 4
    deepchrome_steps: int = 150
    steps: int = 60
    keep: int = 100


@dataclass(frozen=True)
class Generated:
    """What the probes of one kind of signal share.

    Attributes
    ----------
    pool
        Generated signals, float32 ``(sample, mark, bin)``.
    real
        Signals that the GAN learned from, ``(gene, mark, bin)``: what a perfect generator makes.
    discriminator
        Logits ``(sample,)``, positive for real signals.
    """

    pool: np.ndarray
    real: np.ndarray
    discriminator: nn.Module


def all_pictures(
    classifier: nn.Module,
    signals: np.ndarray,
    generated: Generated,
    marks: Sequence[str],
    *,
    effort: Effort | None = None,
    seed: int = 0,
) -> dict[str, Picture]:
    """What every method but attention shows of one classifier.

    Parameters
    ----------
    classifier
        Signals ``(gene, mark, bin)`` to logits ``(gene, 2)``.
    signals
        Real or simulated signals, float32 ``(gene, mark, bin)``; their mean is the baseline of
        integrated gradients and ablations.
    generated
        Of signals of the same kind.
    """
    effort = effort or Effort()
    chosen = np.random.default_rng(seed).permutation(len(signals))[: effort.n_genes]
    genes, mean = signals[np.sort(chosen)], signals.mean(0)
    log_odds = classifier_log_odds(classifier, generated.pool)
    favourites = {
        name: pictures.picture_of_sampled(pool, odds, min(effort.keep, len(odds) // 4), marks)
        for name, pool, odds in (
            ("gan_probe", generated.pool, log_odds),
            ("real_favourites", generated.real, classifier_log_odds(classifier, generated.real)),
        )
    }
    return {
        "deepchrome_recipe": deepchrome_picture(classifier, genes.shape[1:], effort, seed),
        **optimised_pictures(classifier, generated, log_odds, effort, seed, genes.max()),
        **favourites,
        **local_pictures(classifier, genes, mean, effort),
    }


def local_pictures(
    classifier: nn.Module, genes: np.ndarray, baseline: np.ndarray, effort: Effort
) -> dict[str, Picture]:
    """Saliency, integrated gradients and ablations of signals ``(gene, mark, bin)``."""
    gradients = local.saliency(classifier, genes)
    integrated = local.integrated_gradients(classifier, genes, baseline, steps=effort.ig_steps)
    windows = local.window_ablation(classifier, genes, baseline, width=effort.window)
    whole = local.mark_ablation(classifier, genes, baseline)
    together = local.pair_ablation(classifier, genes, baseline)
    return {
        "saliency": pictures.picture_of_gradients(gradients, genes),
        "integrated_gradients": pictures.picture_of_attributions(integrated, genes),
        "window_ablation": pictures.picture_of_windows(windows, genes),
        "mark_ablation": pictures.picture_of_marks(whole, together, genes),
    }


def deepchrome_picture(
    classifier: nn.Module, shape: tuple[int, int], effort: Effort, seed: int
) -> Picture:
    """DeepChrome's recipe for both classes: score minus 0.009 times the squared norm.

    Start uniform in [0, 1], gradient descent, and no bounds; with fewer than 1,000 steps these are
    longer, so that the path stays as long.  Singh et al. 2016 (doi:10.1093/bioinformatics/btw427).
    """
    start = uniform_start(effort.starts, shape, seed)
    high, low = (
        optimise_input(
            start,
            [score_term(classifier, target), norm_term()],
            steps=effort.deepchrome_steps,
            learning_rate=DEEPCHROME_PATH / effort.deepchrome_steps,
            optimizer="gradient_descent",
        ).final
        for target in (1, 0)
    )
    return pictures.picture_of_optimised(high, low)


def optimised_pictures(
    classifier: nn.Module,
    generated: Generated,
    log_odds: np.ndarray,
    effort: Effort,
    seed: int,
    largest: float,
) -> dict[str, Picture]:
    """The three losses of Figure 1: classifier alone, with discriminator, near the start.

    All start from the same generated signals, which the classifier is not sure about, and move to
    both classes; signals stay between 0 and the `largest` real one.
    """
    unsure = np.argsort(np.abs(log_odds), kind="stable")[: 10 * effort.starts]
    rows = np.random.default_rng(seed).permutation(unsure)[: effort.starts]
    losses = dict(zip(LOSSES, ((0, 0), (LAMBDA, 0), (0, PHI)), strict=True))
    start = np.tile(generated.pool[rows].clip(0, largest), (2 * len(losses), 1, 1))
    weights = np.repeat(np.array(list(losses.values()), np.float32), 2 * effort.starts, axis=0)
    target = np.tile(np.repeat([1, 0], effort.starts), len(losses))
    final = optimise_input(
        start,
        [
            class_term(classifier, target.tolist()),
            discriminator_term(generated.discriminator, torch.from_numpy(weights[:, 0].copy())),
            distance_term(torch.from_numpy(weights[:, 1].copy())),
        ],
        steps=effort.steps,
        bounds=(0.0, float(largest)),
    ).final.reshape(len(losses), 2, effort.starts, *start.shape[1:])
    return {
        name: pictures.picture_of_optimised(*pair)
        for name, pair in zip(losses, final, strict=True)
    }
