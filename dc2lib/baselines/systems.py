"""The list of systems: what each is called, where it comes from, how it is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dc2lib.baselines import (
    attentive_chrome,
    boosting,
    cheng,
    costa,
    deepchrome,
    dong,
    ho,
    karlic,
    shallow_chrome,
)
from dc2lib.baselines.contract import Fitted, Genes, Setting

Fit = Callable[[Genes, Genes, Setting, int], Fitted]


@dataclass(frozen=True)
class System:
    """One row of the table.

    Attributes
    ----------
    title, year, cite
        For readers; ``cite`` is the key of the bibliography.
    candidates
        Settings to choose from, the description's own first.
    fit
        Fits the system.
    network
        Its name in `dc2lib.models`, if it has one: the grid then trains it on the released split.
    drawn
        Whether a seed changes the fit.
    epochs
        ``"convolution"`` or ``"lstm"`` where the budget says how many epochs there are.
    """

    title: str
    year: int
    cite: str
    candidates: tuple[Setting, ...]
    fit: Fit
    network: str | None = None
    drawn: bool = True
    epochs: str | None = None


SYSTEMS: dict[str, System] = {
    "karlic": System(
        "linear regression", 2010, "karlic2010histone", karlic.CANDIDATES, karlic.fit, drawn=False
    ),
    "cheng": System(
        "SVM on the best bin", 2011, "cheng2011statistical", cheng.CANDIDATES, cheng.fit,
        drawn=False,
    ),
    "costa": System(
        "mixture of regressions", 2011, "costa2011predicting", costa.CANDIDATES, costa.fit
    ),
    "dong_best_bin": System(
        "forest, best bins", 2012, "dong2012modeling", dong.CANDIDATES, dong.fit_best_bin
    ),
    "dong_all_bins": System(
        "forest, all bins", 2012, "dong2012modeling", dong.CANDIDATES, dong.fit_all_bins
    ),
    "ho": System("rules", 2015, "ho2015combinatorial", ho.CANDIDATES, ho.fit, drawn=False),
    "deepchrome": System(
        "DeepChrome", 2016, "singh2016deepchrome", deepchrome.CANDIDATES, deepchrome.fit,
        network="deepchrome_max", epochs="convolution",
    ),
    "attentive_chrome": System(
        "AttentiveChrome", 2017, "singh2017attentivechrome", attentive_chrome.CANDIDATES,
        attentive_chrome.fit, epochs="lstm",
    ),
    "boosting": System(
        "gradient boosting", 2001, "friedman2001greedy", boosting.CANDIDATES, boosting.fit
    ),
    "shallow_chrome": System(
        "after ShallowChrome", 2022, "frasca2022shallowchrome", shallow_chrome.CANDIDATES,
        shallow_chrome.fit, drawn=False,
    ),
    "linear": System(
        "12 parameters", 2022, "kadavath2022deepchrome2", deepchrome.LINEAR_CANDIDATES,
        deepchrome.fit_linear, network="linear", epochs="convolution",
    ),
}
EXTRA: dict[str, System] = {
    "joint_lstm": System(
        "one LSTM for all marks", 2017, "singh2017attentivechrome", attentive_chrome.CANDIDATES,
        attentive_chrome.fit_joint, epochs="lstm",
    ),
}
ALL = SYSTEMS | EXTRA
