"""The list of systems: what each is called, where it comes from, how it is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dc2lib.baselines import boosting, cheng, costa, dong, ho, karlic, networks, shallow_chrome
from dc2lib.baselines.contract import Fitted, Genes, Setting


@dataclass(frozen=True)
class System:
    """One row of the table.

    `network` is its name in `dc2lib.models`, if it has one: the grid then trains it on the released
    split.  `epochs` is ``"convolution"`` or ``"lstm"`` where the setting has to say how many.
    """

    title: str
    year: int
    candidates: tuple[Setting, ...]  #: the first is used where there is no choice
    fit: Callable[[Genes, Genes, Setting, int], Fitted]
    network: str | None = None
    random: bool = True  #: whether a seed changes the fit
    epochs: str | None = None


SYSTEMS: dict[str, System] = {
    "karlic": System("linear regression", 2010, karlic.CANDIDATES, karlic.fit, random=False),
    "cheng": System("SVM on the best bin", 2011, cheng.CANDIDATES, cheng.fit, random=False),
    "costa": System("mixture of regressions", 2011, costa.CANDIDATES, costa.fit),
    "dong_best_bin": System("forest, best bins", 2012, dong.CANDIDATES, dong.fit_best_bin),
    "dong_all_bins": System("forest, all bins", 2012, dong.CANDIDATES, dong.fit_all_bins),
    "ho": System("rules", 2015, ho.CANDIDATES, ho.fit, random=False),
    "deepchrome": System(
        "DeepChrome", 2016, networks.DEEPCHROME_CANDIDATES, networks.fit_deepchrome,
        network="deepchrome_max", epochs="convolution",
    ),
    "attentive_chrome": System(
        "AttentiveChrome", 2017, networks.ATTENTIVE_CANDIDATES, networks.fit_attentive_chrome,
        epochs="lstm",
    ),
    "boosting": System("gradient boosting", 2001, boosting.CANDIDATES, boosting.fit),
    "shallow_chrome": System(
        "after ShallowChrome", 2022, shallow_chrome.CANDIDATES, shallow_chrome.fit, random=False
    ),
    "linear": System(
        "12 parameters", 2022, networks.LINEAR_CANDIDATES, networks.fit_linear,
        network="linear", epochs="convolution",
    ),
}
EXTRA: dict[str, System] = {
    "cheng_balanced": System(
        "SVM, classes balanced", 2011,
        tuple({**one, "class_weight": "balanced"} for one in cheng.CANDIDATES), cheng.fit,
        random=False,
    ),
    "joint_lstm": System(
        "one LSTM for all marks", 2017, networks.ATTENTIVE_CANDIDATES, networks.fit_joint_lstm,
        epochs="lstm",
    ),
}
ALL = SYSTEMS | EXTRA
