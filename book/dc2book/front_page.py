"""The front page: the findings it states, each with the numbers behind it, and the claims it shows.

Everything is read from recorded results, of the reference run where there is one; what has not been
computed yet is missing from the picture, and its finding is None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from dc2book.audit.evidence import toy_labels_under_rules
from dc2book.claims.recorded import Query, named_rows, recorded_value
from dc2book.cross_cell.gains import released_gains
from dc2book.record import finding, record
from dc2book.style import interval_text, intervals
from dc2lib.datasets import SOURCES
from dc2lib.evaluation.statistics import MARGIN

HEADLINES = (
    "network_level",
    "linear_as_good",
    "counts_are_enough",
    "all_cells_help",
    "cell_type_independent",
    "correlation_unrelated",
    "optimised_unrealistic",
    "sampled_realistic",
)
NOT_COMPUTED = "not computed yet"
MOST = 0.5  # of the network's lead over 12 parameters
MEASURED = tuple(one for one in SOURCES if one != "simulated")


@dataclass(frozen=True)
class Row:
    """One row of the picture: its name in prose, panel and text, and where its value stands."""

    name: str
    panel: str
    text: str
    query: Query


_SCORES = {"labels": "numeric", "scoring": "probability"}
_PROBABILITY = {"scoring": "probability"}
_TUNED = {**_SCORES, "recipe": "tuned", "orientation": "gene"}
_OWN = {"study": "five_marks"}
_POOLED = {"experiment": "inclusive_all", "model": "deepchrome_average", "study": "five_marks",
           "data_source": MEASURED}
GAIN = "What more cell types add (AUROC)"
DEPTH = "Position along the gene matters, depth little (AUROC)"
ELSEWHERE = "Expression elsewhere is hard to beat (AUROC)"
SAMPLED = "Sampled digits rank above optimised ones (lead in rank)"
_LEAD = ("mnist_visualization", "judge_lead")
ROWS = (
    Row("gain_text_labels", GAIN, "our cell types, trained on released labels",
        Query("cross_cell", "relabelling_gain", {**_POOLED, "trained_on": "lexicographic"},
              cells="n")),
    Row("gain_numeric_labels", GAIN, "the same ones, trained on numeric labels",
        Query("cross_cell", "relabelling_gain", {**_POOLED, "trained_on": "numeric"}, cells="n")),
    Row("gain_epochs", GAIN, "three marks, paper's recipe, as many epochs",
        Query("cross_cell", "gain_by_length", {"length": "epochs"}, cells="n",
              prefer=_PROBABILITY)),
    Row("gain_steps", GAIN, "three marks, paper's recipe, as many steps",
        Query("cross_cell", "gain_by_length", {"length": "steps"}, cells="n",
              prefer=_PROBABILITY)),
    Row("linear", DEPTH, "mark totals, 12 parameters",
        Query("architectures", "auroc", {**_TUNED, "model": "linear"})),
    Row("windows", DEPTH, "1-kb windows, 51 parameters",
        Query(("linear_baseline", "architectures"), "auroc",
              {"model": "window_regression", "labels": "numeric", "windows": 10},
              prefer={"orientation": "gene", "scoring": "probability"})),
    Row("network", DEPTH, "network, 644,177 parameters",
        Query("architectures", "auroc", {**_TUNED, "model": "deepchrome_max"})),
    Row("marks", ELSEWHERE, "the cell type's own marks",
        Query("cross_cell", "auroc", {"predictor": "own", "genes": "all", "labels": "numeric",
                                      "data_source": MEASURED}, prefer=_OWN)),
    Row("elsewhere", ELSEWHERE, "expression in other cell types",
        Query("cross_cell", "auroc", {"predictor": "expression_elsewhere", "genes": "all",
                                      "labels": "numeric", "data_source": MEASURED}, prefer=_OWN)),
    *(Row(f"lead_{judge}", SAMPLED, f"rated by {name}",
          Query(*_LEAD, {"judge": judge}, "lowest", per=("method",)))
      for judge, name in (("other_classifier", "another classifier"),
                          ("nearest_digit", "the nearest real digit"),
                          ("real_or_not", "a judge of real or not"))),
)
LEAD = Query(*_LEAD, {}, "lowest", per=("method", "judge"))


def picture_rows(results: pd.DataFrame) -> pd.DataFrame:
    """The numbers of the picture that have been computed.

    Columns name, panel, row, estimate, low, high, n (cell types), data.
    """
    released = released_gains().query("experiment == 'inclusive_all' and flipped != 'all'")
    names = {"yes": "released runs, labels flipped", "no": "released runs, no labels flipped"}
    rows = released.assign(
        name="gain_" + released["flipped"], panel=GAIN, row=released["flipped"].map(names),
        data="published").drop(columns=["experiment", "flipped"]).to_dict("records")
    for row in ROWS:
        value = recorded_value(results, row.query)
        if value is not None and "simulated" not in value.data_source:
            rows.append({
                "name": row.name, "panel": row.panel, "row": row.text, "estimate": value.estimate,
                "low": value.low, "high": value.high, "n": value.cells,
                "data": ", ".join(value.data_source),
            })
    return pd.DataFrame(rows)


def plot_findings(rows: pd.DataFrame) -> Figure:
    """The picture: a panel per finding, one below the other, each with rows and scale of its own.

    ``rows``: as from `picture_rows`.
    """
    panels = list(rows.groupby("panel", sort=False))
    sizes = [len(part) for _, part in panels]
    fig, axes = plt.subplots(
        len(panels), 1, figsize=(5.4, 0.3 * sum(sizes) + 0.85 * len(panels)), squeeze=False,
        gridspec_kw={"height_ratios": [size + 0.5 for size in sizes]})
    for axis, (title, part) in zip(axes[:, 0], panels, strict=True):
        intervals(axis, part, range(len(part)), color="#1F1F1F")
        axis.set_yticks(range(len(part)), part["row"])
        axis.set_ylim(len(part) - 0.5, -0.5)
        axis.set_title(title, loc="left", x=-0.9)
        axis.grid(axis="x", alpha=0.3)
        axis.locator_params(axis="x", nbins=5)
        axis.margins(x=0.15)
    return fig


def findings(results: pd.DataFrame) -> dict[str, bool | None]:
    """Whether the sentences of the front page hold; None where something is not computed yet."""
    toy = toy_labels_under_rules()
    shown = picture_rows(results).set_index("name")
    at = shown["estimate"].to_dict()
    lead = recorded_value(results, LEAD)
    not_worse = recorded_cell(results, "ground_truth", "finding", name="optimisation-not-worse")

    def where(names: str, holds: Callable[..., bool]) -> bool | None:
        known = [at.get(name) for name in names.split()]
        return None if None in known else bool(holds(*known))

    return {
        "labels-are-text": bool((toy["lexicographic"] == toy["released"]).all()),
        "gains-where-flipped": bool(shown.at["gain_yes", "low"] > shown.at["gain_no", "high"]),
        "flips-alone-make-no-gain": where(
            "gain_text_labels gain_numeric_labels",
            lambda text, numeric: max(text, numeric) < MARGIN),
        "length-makes-most-of-the-gain": where(
            "gain_epochs gain_steps",
            lambda epochs, steps: epochs > MARGIN and steps < epochs / 2),
        "position-not-depth": where(
            "linear windows network",
            lambda linear, windows, network: network - windows < MARGIN
            and windows - linear > MOST * (network - linear)),
        "elsewhere-as-good": where(
            "marks elsewhere", lambda marks, elsewhere: elsewhere > marks - MARGIN),
        "sampled-not-optimised": None if lead is None else lead.low > 0,
        "optimised-not-worse": None if not_worse is None else bool(not_worse),
    }


def recorded_cell(results: pd.DataFrame, chapter: str, key: str, **tags: str) -> Any:
    """The one value that a chapter recorded on measured cell types with these tags, or None."""
    rows = named_rows(results, Query(chapter, key, {"data_source": MEASURED, **tags}))
    known = [] if rows.empty else rows["value"].dropna().tolist()
    return known[0] if known else None


def record_values(results: pd.DataFrame, build: pd.DataFrame) -> None:
    """Record the numbers of the front page, and its findings, each glued under its own name.

    ``results``: what the page shows, the reference run's.  ``build``: what the findings are about.
    """
    for name, text in texts(results).items():
        record("front_page_value", text, name=name, glue=name)
    for name, holds in findings(build).items():
        finding(name, holds)
    for flipped, part in released_gains().query("experiment == 'inclusive_all'").groupby("flipped"):
        record("released_cells", int(part["n"].iloc[0]), flipped=flipped, glue=f"cells_{flipped}",
               data_source="published")
    direction = recorded_cell(results, "architectures", "lead_explained", part="direction")
    record("part_direction", NOT_COMPUTED if direction is None else f"{direction:.3f}")
    lead = recorded_cell(results, "cross_cell", "marks_win_by")
    record("marks_lead", NOT_COMPUTED if lead is None else lead)
    for study in ("five_marks", "three_marks"):
        value = recorded_value(results, Query("cross_cell", "cell_types", {"study": study}))
        record("cells", NOT_COMPUTED if value is None else int(value.estimate), study=study,
               glue=f"cells_{study}")


def texts(results: pd.DataFrame) -> dict[str, str]:
    """Each number of the picture as text, with its interval; a name that is not there is not yet.

    >>> texts(pd.DataFrame())["network"]
    'not computed yet'
    """
    known = {row.name: interval_text(row.estimate, row.low, row.high)
             for row in picture_rows(results).itertuples(index=False)}
    return dict.fromkeys((row.name for row in ROWS), NOT_COMPUTED) | known
