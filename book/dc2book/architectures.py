"""Architectures side by side: the same cells, genes and label rules for each.

Sections 3.2 and 4.3 of DeepChrome 2.0 (Table 2).  "Network minus linear" means one thing in the
whole book: the mean over the seeds of the network, minus the linear model with the best validation
AUROC of five restarts, both trained by the same recipe and scored on the same test genes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dc2book import style
from dc2book.style import LABEL_NAMES, estimates
from dc2lib.datasets import HistoneDataset, published
from dc2lib.datasets.gene_windows import genome_blocks
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.evaluation.statistics import Interval, bootstrap_mean_auroc, compared, equivalence_test
from dc2lib.labels import RULES as LABEL_RULES
from dc2lib.labels import flipped, label
from dc2lib.models.deepchrome import MODELS, build, count_parameters
from dc2lib.signals import oriented_counts, training_genes
from dc2lib.training.fit import PAPER, TUNED, Recipe, levelled_off
from dc2lib.training.grid import run_grid
from dc2lib.training.grid_fits import Fit, FitRecord
from dc2lib.training.linear import fit_linear

BASE = "deepchrome_max"
NETWORKS = tuple(name for name in MODELS if name != "linear")
VARIANTS = tuple(name for name in NETWORKS if name != BASE)
RATES = (1e-3, 3e-4, 3e-3)
LINEAR_RATE = 0.1
GROUP = ["cell", "labels", "recipe", "orientation", "model"]
CONVERGED = 0.8  # share of the fits behind a value that must have levelled off
NOT_CONVERGED = "not converged"
WINDOWS = (1, 5, 10, 20, 50)
INVERSE_PENALTY = 0.1
SETUPS = {
    "paper's recipe": ("paper", "genome", NETWORKS),
    "tuned, along the genome": ("tuned", "genome", (BASE,)),
    "tuned, along the gene": ("tuned", "gene", NETWORKS),
}
ALL_CELLS = ("tuned", "gene")  # recipe and orientation that no budget keeps from a cell type
PAPER_AUROC = {
    "deepchrome_max": "0.77", "deepchrome_average": "0.78", "deepchrome_strided": "0.76",
    "linear": "0.77",
}
RELEASED_RUNS = {
    "deepchrome_max": "deepchrome_maxpool", "deepchrome_average": "deepchrome",
    "deepchrome_strided": "deepchrome_strided", "linear": "linear_chosen",
}
CONDITIONS = {
    "released labels, released score": ("lexicographic", "paper", "genome", "positive_logit"),
    "released labels, probability": ("lexicographic", "paper", "genome", "probability"),
    "numeric labels, probability": ("numeric", "paper", "genome", "probability"),
    "tuned recipe, released labels": ("lexicographic", "tuned", "gene", "probability"),
    "tuned recipe, numeric labels": ("numeric", "tuned", "gene", "probability"),
}


@dataclass(frozen=True)
class TrainingBudget:
    """What each architecture may spend, on every cell type and label rule.

    For the tuned recipe a network tries the first ``rates`` of `RATES` with its first seed, and
    trains the other seeds at the best; the linear model has one rate, which reaches its lowest
    loss.  Of the cell types the first ``full_cells`` get all rates and seeds and the others the
    first of each; ``variant_cells`` get the variants of the network; ``recipe_cells`` get every
    set-up and the others `ALL_CELLS` alone.  0 means all.
    """

    paper_epochs: int = 100
    tuned_epochs: int = 8
    rates: int = 2
    seeds: int = 5
    n_train: int = 0
    variant_cells: int = 2
    restarts: int = 5
    full_cells: int = 0
    recipe_cells: int = 0

    def of_setup(
        self, datasets: Mapping[str, HistoneDataset], recipe: str, orientation: str
    ) -> dict[str, HistoneDataset]:
        """The cell types that get a set-up."""
        every = (recipe, orientation) == ALL_CELLS
        return dict(datasets) if every else first_cells(datasets, self.recipe_cells)

    def full(self, datasets: Mapping[str, HistoneDataset]) -> set[str]:
        """Cell types on which a network tries every rate and trains every seed."""
        return set(first_cells(datasets, self.full_cells))

    def recipes(self, recipe: str, model: str = BASE) -> list[Recipe]:
        """The candidates among which validation genes choose; one for the paper's recipe."""
        if recipe == "paper":
            return [replace(PAPER, epochs=self.paper_epochs)]
        if not 1 <= self.rates <= len(RATES):
            raise ValueError(f"rates is {self.rates}: expected 1 to {len(RATES)}")
        epochs = self.tuned_epochs
        rates = (LINEAR_RATE,) if model == "linear" else RATES[: self.rates]
        return [
            replace(TUNED, learning_rate=rate, epochs=epochs, patience=epochs) for rate in rates
        ]


@dataclass(frozen=True)
class Scored:
    """A fitted model's logits ``(gene, 2)`` on test genes and, where they choose, validation ones.

    As `FitRecord` has them.
    """

    test_logits: np.ndarray
    valid_logits: np.ndarray | None = None


def distinct_rules(dataset: HistoneDataset) -> dict[str, tuple[str, ...]]:
    """The label rules to train under, and those that each of them stands for.

    Where the median begins with 1 both rules give the same labels, and one fit serves both.
    """
    if flipped(dataset).any():
        return {rule: (rule,) for rule in LABEL_RULES}
    return {LABEL_RULES[0]: LABEL_RULES}


def first_cells(datasets: Mapping[str, HistoneDataset], number: int) -> dict[str, HistoneDataset]:
    """The first cell types, those with counts of reads (as the paper's) before others; 0: all."""
    first = sorted(datasets, key=lambda cell: datasets[cell].unit != "reads")[: number or None]
    return {cell: one for cell, one in datasets.items() if cell in first}


def planned_fits(
    datasets: Mapping[str, HistoneDataset], home: str, budget: TrainingBudget, *, recipe: str,
    orientation: str = "genome", models: Sequence[str] = NETWORKS, seed: int = 0,
) -> list[Fit]:
    """The first seed of every network, cell type, distinct label rule and candidate recipe."""
    varied, full = first_cells(datasets, budget.variant_cells), budget.full(datasets)
    return [
        Fit(model, candidate, (cell,), cell, home, rule, orientation, seed, budget.n_train)
        for cell, dataset in datasets.items()
        for rule in distinct_rules(dataset)
        for model in models
        if model == BASE or cell in varied
        for candidate in budget.recipes(recipe, model)[: None if cell in full else 1]
    ]


def trained_models(
    datasets: Mapping[str, HistoneDataset], home: str, budget: TrainingBudget,
    setups: Iterable[tuple[str, str, Sequence[str]]], seed: int = 0,
) -> pd.DataFrame:
    """Train what is not on disk yet: a row per cell type, label rule, set-up and model.

    ``setups``: recipe, orientation, and the networks to train; the linear model comes with each.

    Returns columns as `GROUP`, ``dataset``, ``fits`` (records: one per seed, of the linear model
    one per restart), ``learning_rate`` and ``converged`` (share of the networks' fits that levelled
    off; NaN for the linear model).
    """
    setups = list(setups)
    planned = [
        one
        for recipe, orientation, models in setups
        for one in planned_fits(budget.of_setup(datasets, recipe, orientation), home, budget,
                                recipe=recipe, orientation=orientation, models=models, seed=seed)
    ]
    best = chosen_rates(run_grid(planned, progress=False))
    full = budget.full(datasets)
    fits = [
        [replace(one.fit, seed=seed + number)
         for number in range(budget.seeds if one.fit.test_cell in full else 1)] for one in best
    ]
    records = iter(run_grid([one for part in fits for one in part], progress=False))
    rows = [
        row
        for part in fits
        for row in _network_rows([next(records) for _ in part], datasets)
    ]
    for recipe, orientation in dict.fromkeys((recipe, turned) for recipe, turned, _ in setups):
        some = budget.of_setup(datasets, recipe, orientation)
        rows += linear_rows(some, budget, recipe, orientation, seed)
    return pd.DataFrame(rows)


def chosen_rates(records: Sequence[FitRecord]) -> list[FitRecord]:
    """Of fits that differ in the learning rate only, the one with the best validation AUROC."""
    best: dict[Fit, FitRecord] = {}
    for one in sorted(records, key=lambda one: one.fit.recipe.learning_rate):
        key = replace(one.fit, recipe=replace(one.fit.recipe, learning_rate=0.0))
        if key not in best or one.valid_auroc > best[key].valid_auroc:
            best[key] = one
    return list(best.values())


def _network_rows(
    records: Sequence[FitRecord], datasets: Mapping[str, HistoneDataset]
) -> list[dict[str, object]]:
    """A row for each label rule that these fits, which differ in the seed only, stand for."""
    one = records[0].fit
    dataset = datasets[one.test_cell]
    row = {
        "cell": one.test_cell,
        "recipe": "paper" if one.recipe.optimizer == "sgd" else "tuned",
        "orientation": one.orientation,
        "model": one.model,
        "dataset": dataset,
        "fits": list(records),
        "learning_rate": one.recipe.learning_rate,
        "converged": float(np.mean([levelled_off(r.history["valid_auroc"]) for r in records])),
    }
    return [row | {"labels": rule} for rule in distinct_rules(dataset)[one.labels]]


def linear_rows(
    datasets: Mapping[str, HistoneDataset], budget: TrainingBudget, recipe: str, orientation: str,
    seed: int,
) -> list[dict[str, object]]:
    """All restarts of the linear model, rows as of `trained_models`.

    It sees no direction: its inputs are means over the bins.
    """
    (settings,) = budget.recipes(recipe, "linear")
    rows = []
    for rule in LABEL_RULES:
        fits = fit_linear(
            list(datasets.values()), labels=rule, recipe=settings,
            seeds=range(seed, seed + budget.restarts), n_train=budget.n_train,
        )
        for number, (cell, dataset) in enumerate(datasets.items()):
            test, valid = (fits.logits(number, dataset.take(split).counts)
                           for split in ("test", "valid"))
            rows.append({
                "cell": cell, "labels": rule, "recipe": recipe, "orientation": orientation,
                "model": "linear", "dataset": dataset,
                "fits": [Scored(*one) for one in zip(test, valid, strict=True)],
                "learning_rate": settings.learning_rate, "converged": np.nan,
            })
    return rows


def scores_of(row: pd.Series, scoring: str = "probability") -> np.ndarray:
    """Scores of the test genes, float64 ``(fit, gene)``; of the linear model the best restart."""
    fits = row["fits"]
    if row["model"] == "linear":
        truth = labels_of(row, split="valid")
        by_restart = [auroc(truth, positive_score(one.valid_logits, scoring)) for one in fits]
        fits = [fits[int(np.argmax(by_restart))]]
    return np.stack([positive_score(one.test_logits, scoring) for one in fits])


def labels_of(row: pd.Series, rule: str | None = None, split: str = "test") -> np.ndarray:
    """Labels of the test genes, ``(gene,)``; by default under the rule trained on."""
    dataset = row["dataset"]
    return label(dataset, rule or row["labels"])[dataset.split == split]


def restricted(trained: pd.DataFrame, genes: np.ndarray) -> pd.DataFrame:
    """The same fits judged on some test genes only, those whose ids are in `genes`."""
    kept = {
        cell: np.isin(part["dataset"].iloc[0].take("test").gene_id, genes)
        for cell, part in trained.groupby("cell", sort=False)
    }
    rows = trained.copy()
    rows["dataset"] = [
        one.select((one.split != "test") | np.isin(one.gene_id, genes)) for one in rows["dataset"]
    ]
    rows["fits"] = [
        [Scored(one.test_logits[kept[cell]], one.valid_logits) for one in fits]
        for cell, fits in zip(rows["cell"], rows["fits"], strict=True)
    ]
    return rows


def blocks_of(dataset: HistoneDataset) -> np.ndarray:
    """The stretch of the genome that each test gene lies in, ``(gene,)``."""
    return genome_blocks(dataset.gene_id[dataset.split == "test"])


def mean_auroc(
    rows: pd.DataFrame, scoring: str = "probability", other: pd.DataFrame | None = None,
    **options: float,
) -> Interval:
    """Mean test AUROC over the cell types of ``rows``, or the mean paired difference to ``other``.

    Rows of both tables are matched by cell type.  Stretches of the genome are resampled with all
    their genes, seeds, and from five cell types on the cell types too.  ``n``
    counts cell types, or, if there is one only, its genes.
    """
    first = rows.set_index("cell")
    second = None if other is None else other.set_index("cell").loc[first.index]
    interval = bootstrap_mean_auroc(
        [labels_of(row) for _, row in first.iterrows()],
        [scores_of(row, scoring) for _, row in first.iterrows()],
        None if second is None else [scores_of(row, scoring) for _, row in second.iterrows()],
        blocks=[blocks_of(one) for one in first["dataset"]],
        **options,
    )
    return replace(interval, n=len(first)) if len(first) > 1 else interval


def auroc_table(
    trained: pd.DataFrame, by: Sequence[str],
    scorings: Sequence[str] = ("probability", "positive_logit"), n_resamples: int = 1000,
) -> pd.DataFrame:
    """Mean test AUROC of each group of rows under each score rule.

    Columns as in ``by``, then scoring, estimate, low, high and n.
    """
    return pd.concat([
        estimates(trained, by, lambda part, scoring=scoring: mean_auroc(
            part, scoring, n_resamples=n_resamples)).assign(scoring=scoring)
        for scoring in scorings
    ])


def difference_table(
    trained: pd.DataFrame, by: Sequence[str], models: Sequence[str], reference: str,
    n_resamples: int = 1000, seed: int = 0,
) -> pd.DataFrame:
    """AUROC of models minus that of a reference model, paired over genes: each cell type and mean.

    Columns cell (the last rows of a model: ``"mean"``), those in ``by``, model, estimate, low,
    high, n, converged (share of all networks' fits that levelled off), verdict (`compared`, or
    `NOT_CONVERGED`) and equivalence_p, of two one-sided tests.
    """
    rows = []
    for group, part in trained.groupby(list(by), sort=False):
        of = dict(list(part.groupby("model", sort=False)))
        for model in (one for one in models if one in of):
            own, other = of[model], of[reference].set_index("cell", drop=False)
            other = other.loc[own["cell"]].reset_index(drop=True)
            parts = {cell: own[own["cell"] == cell] for cell in own["cell"]} | {"mean": own}
            for cell, some in parts.items():
                against = other[other["cell"].isin(some["cell"])]
                gap = mean_auroc(some, other=against, n_resamples=n_resamples, seed=seed)
                if cell == "mean":
                    gap = replace(gap, n=len(some))
                share = pd.concat([some, against])["converged"].mean()
                rows.append(
                    {"cell": cell} | dict(zip(by, group, strict=True)) | {"model": model}
                    | vars(gap) | {"converged": share, "verdict": verdict(gap, share)}
                    | {"equivalence_p": equivalence_test(gap)}
                )
    return pd.DataFrame(rows)


def converged_table(trained: pd.DataFrame) -> pd.DataFrame:
    """Share of the networks' fits that levelled off.

    Columns cell, model, recipe, orientation, labels, estimate and n (fits).
    """
    networks = trained[trained["model"] != "linear"]
    table = networks[["cell", "model", "recipe", "orientation", "labels"]]
    return table.assign(estimate=networks["converged"].astype(float), n=networks["fits"].map(len))


def with_setup(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column set-up: the name in `SETUPS` of its recipe and orientation."""
    names = {(recipe, turned): name for name, (recipe, turned, _) in SETUPS.items()}
    keys = pd.MultiIndex.from_frame(table[["recipe", "orientation"]])
    return table.assign(**{"set-up": keys.map(names)})


def released_means() -> pd.DataFrame:
    """Mean test AUROC of the authors' runs: columns experiment, estimate.

    ``linear_chosen`` are the restarts of the linear model that validation AUROC chose.
    """
    means = published.released_aurocs().mean().rename_axis("experiment").rename("estimate")
    return means.rename(index=str.lower).reset_index()


def table2(means: pd.DataFrame) -> pd.DataFrame:
    """Table 2 of the paper above ours: a row per condition of `CONDITIONS`, a column per model.

    ``means`` has columns labels, recipe, orientation, scoring, model, n and text.  A dash stands
    where a model is not the paper's.
    """
    of = means.set_index(["labels", "recipe", "orientation", "scoring", "model"]).sort_index()
    released = released_means().set_index("experiment")["estimate"]
    rows = {
        "parameters": {name: f"{count_parameters(build(name)):,}" for name in MODELS},
        "paper": PAPER_AUROC,
        "released runs": {name: f"{released[run]:.3f}" for name, run in RELEASED_RUNS.items()},
    }
    rows |= {title: of["text"].loc[key].to_dict() for title, key in CONDITIONS.items()}
    numbers = [of["n"].loc[key].to_dict() for key in CONDITIONS.values()]
    rows["our cell types"] = {
        name: " to ".join(map(str, sorted({one[name] for one in numbers}))) for name in MODELS}
    return pd.DataFrame(rows).T.fillna("–").rename_axis("test AUROC")


def leads(
    differences: pd.DataFrame, tags: Sequence[str] = ("recipe", "orientation", "labels")
) -> pd.DataFrame:
    """The lead of `BASE` in a table of differences: columns as in ``tags``, lead, ahead.

    The lead is the mean over cell types with its interval, as text; ahead counts the cell types in
    which the whole interval lies above zero.
    """
    own = differences[differences["model"] == BASE]
    mean = own[own["cell"] == "mean"].set_index(list(tags))
    columns = {"lead": style.interval_texts(mean, signed=True), "ahead": cells_ahead(own, tags)}
    return pd.DataFrame(columns, mean.index).reset_index()


def cells_ahead(differences: pd.DataFrame, tags: Sequence[str]) -> pd.Series:
    """In how many cell types the whole interval lies above zero, as "3 of 7", by the tags."""
    each = differences[differences["cell"] != "mean"]
    counts = each.assign(ahead=each["low"] > 0, n=1).groupby(list(tags))[["ahead", "n"]].sum()
    return counts["ahead"].astype(str) + " of " + counts["n"].astype(str)


def direction_gains(trained: pd.DataFrame, n_resamples: int = 1000) -> pd.DataFrame:
    """What turning minus-strand genes adds to the tuned network, paired by seed.

    Columns labels, estimate, low, high, n (cell types), verdict.
    """
    tuned = trained[(trained["recipe"] == "tuned") & (trained["model"] == BASE)]
    rows = []
    for labels, part in tuned.groupby("labels"):
        gene, genome = (part[part["orientation"] == one] for one in ("gene", "genome"))
        gene = gene[gene["cell"].isin(genome["cell"])]
        gap = mean_auroc(gene, other=genome, paired_fits=True, n_resamples=n_resamples)
        rows.append({"labels": labels} | vars(gap) | {"n": len(gene), "verdict": compared(gap)})
    return pd.DataFrame(rows)


def histories(trained: pd.DataFrame, cell: str) -> pd.DataFrame:
    """Every epoch of the fits of `BASE` on a cell type: set-up, labels, fit, epoch, valid_auroc."""
    rows = with_setup(trained[(trained["model"] == BASE) & (trained["cell"] == cell)])
    return pd.concat([
        one.history.assign(**{"set-up": row["set-up"], "labels": row["labels"],
                              "fit": one.fit.seed})
        for _, row in rows.iterrows() for one in row["fits"]
    ])[["set-up", "labels", "fit", "epoch", "valid_auroc"]]


def verdict(gap: Interval, converged: float = 1.0) -> str:
    """`compared`, or `NOT_CONVERGED` where too few of the fits levelled off.

    >>> verdict(Interval(0.03, 0.02, 0.04, 7)), verdict(Interval(0.03, 0.02, 0.04, 7), 0.5)
    ('better', 'not converged')
    """
    return NOT_CONVERGED if converged < CONVERGED else compared(gap)


# Windows: how much of the network's lead is resolution and direction?


def window_means(counts: np.ndarray, n_windows: int) -> np.ndarray:
    """Mean log count of each mark in each window, ``(gene, window * mark)``."""
    genes, bins, marks = counts.shape
    logs = np.log1p(counts.astype(np.float32))
    windows = logs.reshape(genes, n_windows, bins // n_windows, marks)
    return windows.mean(axis=2).reshape(genes, n_windows * marks)


def window_regression(
    dataset: HistoneDataset, rule: str, n_windows: int, orientation: str,
    n_train: int = 0,
) -> Scored:  # fmt: skip
    """Logistic regression on window means (C: `INVERSE_PENALTY`)."""
    train, test = training_genes(dataset, n_train), dataset.take("test")
    x, x_test = (window_means(oriented_counts(part, orientation), n_windows)
                 for part in (train, test))
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=INVERSE_PENALTY, max_iter=500))
    scores = model.fit(x, label(train, rule)).decision_function(x_test)
    return Scored(np.column_stack([np.zeros(len(scores)), scores]))


def window_ladder(
    datasets: Mapping[str, HistoneDataset], windows: Sequence[int] = WINDOWS, n_train: int = 0
) -> pd.DataFrame:
    """Regressions on more and more windows: rows as those of `trained_models`, and ``windows``.

    One window has no direction and is fitted once.
    """
    rows = []
    for cell, dataset in datasets.items():
        for rule, stands_for in distinct_rules(dataset).items():
            for number in windows:
                fit = None
                for orientation in ("genome", "gene"):
                    if fit is None or number > 1:
                        fit = window_regression(dataset, rule, number, orientation, n_train)
                    rows += [{"cell": cell, "labels": one, "orientation": orientation,
                              "model": "window_regression", "windows": number,
                              "dataset": dataset, "fits": [fit], "converged": np.nan}
                             for one in stands_for]
    return pd.DataFrame(rows)


def ladder_gaps(
    trained: pd.DataFrame, ladder: pd.DataFrame, n_resamples: int = 1000
) -> pd.DataFrame:
    """AUROC of the tuned network minus that of each regression, same cells, labels and orientation.

    Columns labels, orientation, windows, estimate, low, high and n (cell types).
    """
    networks = trained[(trained["recipe"] == "tuned") & (trained["model"] == BASE)
                       & trained["cell"].isin(ladder["cell"])]
    keys = ["labels", "orientation"]
    of = dict(list(networks.groupby(keys)))
    return pd.DataFrame([
        {"labels": rule, "orientation": orientation, "windows": number}
        | vars(mean_auroc(of[rule, orientation], other=part, n_resamples=n_resamples))
        for (rule, orientation, number), part in ladder.groupby([*keys, "windows"], sort=False)
    ])


def plot_ladder(ladder: pd.DataFrame, networks: pd.DataFrame) -> Figure:
    """Mean AUROC by windows, a panel per label rule, a line per direction; dashed: networks.

    ``ladder``: columns labels, orientation, windows, estimate, low, high. ``networks``: columns
    labels, orientation, estimate.
    """
    looks = {"genome": ("along the genome", style.OTHER_COLOURS[2], "s"),
             "gene": ("along the gene", style.OTHER_COLOURS[1], "o")}
    fig, panels = style.panels(
        style.split_by(ladder, "labels"), (3.6, 3.3), LABEL_NAMES, sharey=False,
        xlabel="windows that 10 kb are cut into", ylabel="mean test AUROC")
    for axis, rule, by_windows in panels:
        network = networks[networks["labels"] == rule].set_index("orientation")["estimate"]
        for shift, (orientation, (name, colour, marker)) in enumerate(looks.items()):
            part = by_windows[by_windows["orientation"] == orientation]
            places = np.arange(len(part)) + 0.12 * shift - 0.06
            style.intervals(axis, part, places, vertical=True, color=colour, fmt=f"{marker}-",
                            label=f"regression, {name}")
            axis.axhline(network[orientation], color=colour, linestyle="--",
                         label=f"network, {name}")
        axis.set_xticks(np.arange(len(part)), part["windows"])
        axis.grid(axis="y", alpha=0.3)
    style.legend_below(fig)
    return fig


def plot_learning_curves(histories: pd.DataFrame) -> Figure:
    """Validation AUROC by epoch, a panel per set-up, a line per fit.

    ``histories``: as of `histories`.
    """
    fig, panels = style.panels(style.split_by(histories, "set-up"), (3.3, 3.2), xlabel="epoch",
                               ylabel="validation AUROC")
    for axis, _, part in panels:
        for (labels, _), line in part.groupby(["labels", "fit"], sort=False):
            axis.plot(line["epoch"] + 1, line["valid_auroc"], color=style.LABEL_COLOURS[labels],
                      alpha=0.8, label=LABEL_NAMES[labels], marker="." if len(line) < 3 else None)
        axis.grid(alpha=0.3)
    style.legend_below(fig)
    return fig
