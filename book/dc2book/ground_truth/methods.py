"""The methods that are graded, each from a classifier to an `Attribution`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from dc2book.gan_probe.study import classifier_log_odds
from dc2book.ground_truth import attributions
from dc2book.ground_truth.attributions import Attribution
from dc2lib.probing import attribution as by_gene
from dc2lib.probing import optimise

METHODS = {
    "deepchrome_recipe": "DeepChrome's recipe",
    "classifier_loss": "loss (a)",
    "discriminator_loss": "loss (b)",
    "distance_loss": "loss (c)",
    "gan_probe": "GAN probe",
    "likelihood_probe": "likelihood probe",
    "real_favourites": "perfect-GAN probe",
    "saliency": "saliency",
    "integrated_gradients": "integrated gradients",
    "window_ablation": "window ablation",
    "mark_ablation": "mark ablation",
    "attention": "attention",
}
DEEPCHROME_PATH = 50.0  # learning rate times steps: 0.05 x 1,000
LOSS_WEIGHTS = {  # of the discriminator (lambda) and of the distance from the start (phi)
    "classifier_loss": (0, 0),
    "discriminator_loss": (1.0, 0),
    "distance_loss": (0, 0.01),
}


@dataclass(frozen=True)
class Effort:
    """How much work a method may do."""

    n_genes: int = 100  # genes that gradients and ablations are averaged over
    ig_steps: int = 16  # points of integrated gradients
    window: int = 10  # bins of an ablated window
    starts: int = 4  # inputs that are optimised, for each class and loss
    deepchrome_steps: int = 150  # of DeepChrome's recipe
    steps: int = 60  # of the three losses
    keep: int = 100  # signals that a probe keeps of each class


@dataclass(frozen=True)
class Generated:
    """What the probes of one kind of signal share."""

    pool: np.ndarray  # signals of the GAN, float32 ``(sample, mark, bin)``
    likelihood: np.ndarray  # as many of the likelihood model
    real: np.ndarray  # what both learned from, and a perfect generator makes
    discriminator: nn.Module  # logits ``(sample,)``, positive for real signals


def attribute(
    classifier: nn.Module, signals: np.ndarray, generated: Generated, marks: Sequence[str], *,
    effort: Effort | None = None, seed: int = 0,
) -> dict[str, Attribution]:
    """What every method but attention says of one classifier.

    The mean of the signals, real or simulated, float32 ``(gene, mark, bin)``, is the baseline of
    integrated gradients and ablations; ``generated`` are of the same kind.
    """
    effort = effort or Effort()
    chosen = np.random.default_rng(seed).permutation(len(signals))[: effort.n_genes]
    genes = signals[np.sort(chosen)]
    pools = {"gan_probe": generated.pool, "likelihood_probe": generated.likelihood,
             "real_favourites": generated.real}
    log_odds = {name: classifier_log_odds(classifier, pool) for name, pool in pools.items()}
    return {
        "deepchrome_recipe": by_deepchrome_recipe(classifier, genes.shape[1:], effort, seed),
        **by_losses(classifier, generated, log_odds["gan_probe"], effort, seed, genes.max()),
        **{
            name: attributions.of_favourites(
                pool, log_odds[name], min(effort.keep, len(pool) // 4), marks)
            for name, pool in pools.items()
        },
        **by_gene_attributions(classifier, genes, signals.mean(0), effort),
    }


def by_gene_attributions(
    classifier: nn.Module, genes: np.ndarray, baseline: np.ndarray, effort: Effort
) -> dict[str, Attribution]:
    """Saliency, integrated gradients and ablations of signals ``(gene, mark, bin)``."""
    inputs = classifier, genes, baseline
    gradients = by_gene.saliency(classifier, genes)
    integrated = by_gene.integrated_gradients(*inputs, steps=effort.ig_steps)
    windows = by_gene.window_ablation(*inputs, width=effort.window)
    whole, together = by_gene.mark_ablation(*inputs), by_gene.pair_ablation(*inputs)
    return {
        "saliency": attributions.of_gradients(gradients, genes),
        "integrated_gradients": attributions.of_integrated(integrated, genes),
        "window_ablation": attributions.of_windows(windows, genes),
        "mark_ablation": attributions.of_marks(whole, together, genes),
    }


def by_deepchrome_recipe(
    classifier: nn.Module, shape: tuple[int, int], effort: Effort, seed: int
) -> Attribution:
    """DeepChrome's recipe for both classes: score minus 0.009 times the squared norm.

    Start uniform in [0, 1], gradient descent, and no bounds; with fewer than 1,000 steps these are
    longer, so that the path stays as long.  Singh et al. 2016 (doi:10.1093/bioinformatics/btw427).
    """
    start = optimise.uniform_start(effort.starts, shape, seed)
    steps = effort.deepchrome_steps
    return attributions.of_optimised(*(
        optimise.optimise_input(
            start, [optimise.score_term(classifier, target), optimise.norm_term()], steps=steps,
            learning_rate=DEEPCHROME_PATH / steps, optimizer="gradient_descent").final
        for target in (1, 0)
    ))


def by_losses(
    classifier: nn.Module, generated: Generated, log_odds: np.ndarray, effort: Effort, seed: int,
    largest: float,
) -> dict[str, Attribution]:
    """The three losses of Figure 1: classifier alone, with discriminator, near the start.

    All start from the same generated signals, which the classifier is not sure about, and move to
    both classes; signals stay between 0 and the `largest` real one.
    """
    unsure = np.argsort(np.abs(log_odds), kind="stable")[: 10 * effort.starts]
    rows = np.random.default_rng(seed).permutation(unsure)[: effort.starts]
    n_losses = len(LOSS_WEIGHTS)
    start = np.tile(generated.pool[rows].clip(0, largest), (2 * n_losses, 1, 1))
    weights = np.array(list(LOSS_WEIGHTS.values()), np.float32)
    weights = np.repeat(weights, 2 * effort.starts, axis=0)
    by_discriminator, by_distance = torch.from_numpy(weights.T.copy())
    target = np.tile(np.repeat([1, 0], effort.starts), n_losses)
    terms = [optimise.class_term(classifier, target.tolist()),
             optimise.discriminator_term(generated.discriminator, by_discriminator),
             optimise.distance_term(by_distance)]
    final = optimise.optimise_input(
        start, terms, steps=effort.steps, bounds=(0.0, float(largest)),
    ).final.reshape(n_losses, 2, effort.starts, *start.shape[1:])
    return {
        name: attributions.of_optimised(*both)
        for name, both in zip(LOSS_WEIGHTS, final, strict=True)
    }
