"""DeepChrome, AttentiveChrome and the linear model of DeepChrome 2.0, all fitted in one way.

Sources: Singh et al. 2016 (doi:10.1093/bioinformatics/btw427), Singh et al. 2017
(doi:10.48550/arXiv.1708.00339), Kadavath et al. 2022 (doi:10.48550/arXiv.2209.11923, section 3.4).
All describe these very inputs, so nothing is missing.  There: raw counts, SGD and up to 100 epochs;
here every network gets the tuned recipe (log counts, Adam), and as many epochs as it is given.
AttentiveChrome's released code asks for a learning rate of 1e-4, batches of 10 and 90 epochs, which
takes hours on a core; `dc2lib.training.fit.levelled_off` says whether a shorter fit has converged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from dc2lib.baselines.contract import Fitted, Genes, Setting
from dc2lib.models.attentive_chrome import AttentiveChrome, JointLSTM
from dc2lib.models.deepchrome import DeepChrome, TemporalMeanLinear, count_parameters
from dc2lib.models.networks import device_of, evaluating, initial_weights
from dc2lib.training.fit import TUNED, fit, predict_logits

DEEPCHROME_CANDIDATES: tuple[Setting, ...] = tuple({"learning_rate": r} for r in (1e-3, 3e-4, 3e-3))
ATTENTIVE_CANDIDATES: tuple[Setting, ...] = tuple({"learning_rate": r} for r in (2e-3, 1e-3, 4e-3))
LINEAR_CANDIDATES: tuple[Setting, ...] = tuple({"learning_rate": r} for r in (1e-1, 1e-2, 1.0))

BATCH = 256


def fit_deepchrome(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """A convolution over all marks, max pooling and two hidden layers."""
    return fit_network(DeepChrome, train, valid, setting, seed)


def fit_attentive_chrome(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """An LSTM a mark with attention over bins, and attention over marks."""
    return fit_network(AttentiveChrome, train, valid, setting, seed)


def fit_joint_lstm(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """One LSTM that reads all marks at once."""
    return fit_network(JointLSTM, train, valid, setting, seed)


def fit_linear(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """A softmax of each mark's mean: 12 parameters for five marks."""
    return fit_network(lambda marks, bins: TemporalMeanLinear(marks), train, valid, setting, seed)


def fit_network(
    build: Callable[[int, int], nn.Module], train: Genes, valid: Genes, setting: Setting, seed: int
) -> Fitted:
    """Train ``build(n_marks, n_bins)`` and keep the epoch with the best validation AUROC.

    The setting has ``learning_rate`` and ``epochs``, and ``patience`` where it stops early; the
    seed decides weights, order and dropout.
    The score is the log odds of class 1; ``about`` holds the weights as ``weights.NAME`` and the
    validation AUROC of every epoch.
    """
    _, n_bins, n_marks = train.counts.shape
    with initial_weights(seed):
        model = build(n_marks, n_bins)
    epochs = int(setting["epochs"])
    patience = int(setting.get("patience", epochs))
    recipe = replace(
        TUNED, learning_rate=float(setting["learning_rate"]), epochs=epochs, patience=patience
    )
    result = fit(
        model, train.counts, train.label, valid.counts, valid.label, recipe=recipe, seed=seed
    )

    def score(counts: np.ndarray) -> np.ndarray:
        return log_odds_high(predict_logits(result.model, counts, transform="log1p"))

    weights = {f"weights.{k}": v.cpu().numpy() for k, v in result.model.state_dict().items()}
    about = {"valid_auroc": result.history["valid_auroc"].to_numpy()} | weights
    return Fitted(score, parameters=count_parameters(result.model), about=about)


def fitted_weights(about: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The weights that `fit_network` left in ``about``, for a module's ``load_state_dict``."""
    return {
        name.removeprefix("weights."): torch.from_numpy(values)
        for name, values in about.items()
        if name.startswith("weights.")
    }


def attention_maps(model: AttentiveChrome, signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Attention over bins ``(gene, mark, bin)`` and marks ``(gene, mark)``, from log counts."""
    place = device_of(model)
    with evaluating(model), torch.inference_mode():
        parts = [
            model.attention(torch.from_numpy(signals[start : start + BATCH]).float().to(place))
            for start in range(0, len(signals), BATCH)
        ]
    bins, marks = (torch.cat(one).cpu().numpy() for one in zip(*parts, strict=True))
    return bins, marks


def log_odds_high(logits: np.ndarray) -> np.ndarray:
    """Log odds of class 1, float64 ``(gene,)``, from logits ``(gene, 2)``."""
    return logits[:, 1].astype(np.float64) - logits[:, 0]
