"""Figures and tables with captions, alternative text and the numbers behind them."""

from __future__ import annotations

import base64
import io
import math
import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dc2book.record import context
from dc2book.record.images import lighter_base64
from dc2book.record.recording import ESTIMATE, record_table
from dc2book.style import interval_texts
from dc2lib.errors import DataError
from dc2lib.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_MIME = "application/vnd.dc2lib.figure+json"
TABLE_MIME = "application/vnd.dc2lib.table+json"
MISSING_MIME = "application/vnd.dc2lib.missing+json"
SHOWN_AS = {"lexicographic": "released"}  # the pages' word for a rule, where a table has its key
SOURCE_NAMES = {
    "roadmap": "measured cell types",
    "peaks": "measured cell types, called peaks",
    "tracks": "measured cell types, tracks",
    "binned": "measured cell types, counts in bins",
    "patternchrome": "measured cell types, PatternChrome's counts",
    "simulated": "simulated cell types",
    "published": "published figures",
    "mnist": "MNIST digits",
}
NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
DPI = 120
MAX_SVG_BYTES = 300_000
EMBEDDING = b"data:image/png;base64,"
EMBEDDED = re.compile(EMBEDDING + rb"([^\"]+)")


def show_figure(
    fig: Figure, name: str, alt: str, caption: str | None = None,
    data: pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None, *,
    data_source: str | None = None, profile: str | None = None,
) -> None:
    """Show a figure with alternative text; write it as SVG and its data as CSV.

    In the built book the figure is numbered, prose refers to it by the role ``numref`` and the
    label ``fig-<name>``, and its SVG and CSV files are linked below it.  Its caption ends with the
    data source and profile.  The figure is closed.

    Parameters
    ----------
    name
        Unique in the book: lower-case letters, digits, ``-`` and ``_``.
    alt
        One or two sentences that say what is seen, for readers who do not see the figure.
    caption
        MyST Markdown; by default the alternative text.
    data
        The numbers behind the figure, one row a drawn item; by default `drawn_data`.
    data_source, profile
        Where the numbers come from, if not from this run: one of `VOCABULARY` ``["data_source"]``,
        and a profile.

    Raises DataError if name or alternative text is missing or malformed, or there is no data.
    """
    import matplotlib.pyplot as plt

    _check_name("figure", name)
    alt = _one_line(alt)
    if len(alt) < 15:
        raise DataError(f"figure {name!r}: alt={alt!r} is too short; say what is seen")
    table = drawn_data(fig) if data is None else pd.DataFrame(data)
    if table.empty:
        raise DataError(
            f"figure {name!r} has no data behind it: only lines, points and images are read from"
            " it; for bars and histograms pass data= with at least one row"
        )
    caption = f"{_sentence(caption or alt)} {_origin(data_source, profile)}"
    png = _image(fig, "png")
    _write(f"{name}.png", png)
    _write(f"{name}.svg", _svg(fig))
    _write(f"{name}.csv", table.to_csv(index=False, float_format="%.10g").encode())
    plt.close(fig)
    context.display_bundle(
        {
            "image/png": base64.b64encode(png).decode(),
            "text/plain": f"Figure {name}: {caption}",
            FIGURE_MIME: {"name": name, "alt": alt, "caption": caption},
        },
        {"image/png": {"alt": alt}},
    )
    _caption_by_hand(caption)


def show_table(
    table: pd.DataFrame, name: str, caption: str, *, digits: int = 3,
    data: pd.DataFrame | None = None, data_source: str | None = None, profile: str | None = None,
) -> None:
    """Show a small table with a numbered caption and a link to its CSV file.

    Prose refers to it by the role ``numref`` and the label ``tab-<name>``.  Columns are shown in
    their order, the index only where it has a name, floats with so many ``digits``.  The CSV file
    holds ``data``, by default what is shown, in full.  Everything else is as in `show_figure`.

    Raises DataError if the name is malformed or the table has no rows.
    """
    _check_name("table", name)
    if table.empty:
        raise DataError(f"table {name!r} has no rows; show_table needs at least one")
    flat = table.reset_index() if any(level is not None for level in table.index.names) else table
    rows = flat.itertuples(index=False)
    description = {
        "name": name,
        "caption": f"{_sentence(caption)} {_origin(data_source, profile)}",
        "header": [SHOWN_AS.get(column, str(column)) for column in flat.columns],
        "rows": [[_cell_text(cell, digits) for cell in row] for row in rows],
        "numeric": [pd.api.types.is_numeric_dtype(kind) for kind in flat.dtypes],
    }
    _write(f"{name}.csv", (flat if data is None else data).to_csv(index=False).encode())
    shown = pd.DataFrame(description["rows"], columns=description["header"])
    context.display_bundle(
        {
            "text/html": shown.to_html(index=False, border=0),
            "text/plain": shown.to_string(index=False),
            TABLE_MIME: description,
        }
    )
    _caption_by_hand(description["caption"])


def report(
    table: pd.DataFrame,
    name: str,
    caption: str,
    key: str | None,
    *,
    by: Sequence[str] = (),
    wide: str | None = None,
    names: Mapping[Any, str] | None = None,
    digits: int = 3,
    layout: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    data_source: str | None = None,
    **tags: Any,
) -> None:
    """Show a tidy table of estimates, record each of its rows, and glue each value for prose::

        report(table, "scores", "Test AUROC", "auroc", wide="model", scoring="probability")

    Parameters
    ----------
    table, key, by, **tags
        As in `dc2book.record.record_table`; ``tags`` of all rows are not shown.
    name, caption, digits, data_source
        As in `show_table`; the rows that are recorded get the source too.
    wide
        Column whose values become columns of the table that is shown.
    names
        Text of a column or value in the table that is shown.
    layout
        Makes the table that is shown from ``table`` with a further column, text (the estimate with
        its interval), where tags, text and ``wide`` are not enough.
    """
    record_table(table, key, by=by, **tags, **({"data_source": data_source} if data_source else {}))
    full = table.assign(**{one: np.nan for one in ("low", "high") if one not in table})
    full["text"] = interval_texts(full, digits)
    if layout is None:
        columns = ["text" if one == "estimate" else one for one in table.columns]
        shown = full[[one for one in columns if one not in ESTIMATE]]
    else:
        shown = layout(full)
    if wide is not None:
        rest = [one for one in shown.columns if one not in (wide, "text")]
        shown = shown.set_index([*rest, wide])["text"].unstack(wide, sort=False)
        shown = shown.reset_index().rename_axis(columns=None)
    quantity = (key or "value").replace("_", " ").replace("auroc", "AUROC")
    texts = {"text": quantity} | dict(names or {})
    shown = shown.replace(dict(names or {})).rename(columns=texts)
    show_table(shown, name, caption, digits=digits, data=table, data_source=data_source)


def not_computed(name: str, why: str) -> None:
    """Say in place of a figure or table that this build has none, and why, in a sentence.

    In the built book references of the page to it become the words "not computed here".
    """
    _check_name("figure", name)
    said = f"**Not computed here.** {_sentence(why)}"
    context.display_bundle({"text/markdown": said, "text/plain": said, MISSING_MIME: name})


def drawn_data(fig: Figure) -> pd.DataFrame:
    """The lines, points and images of a figure as a table.

    Columns panel (its title, or number), kind ("line", "points" or "image"), series, x, y and, for
    images, value.
    """
    parts = []
    for number, axes in enumerate(fig.axes):
        panel = axes.get_title() or axes.get_title("left") or number
        for line in axes.get_lines():
            x, y = line.get_data(orig=True)
            parts.append((panel, "line", line.get_label(), {"x": x, "y": y}))
        for points in axes.collections:
            x, y = np.ma.getdata(points.get_offsets()).T
            parts.append((panel, "points", points.get_label(), {"x": x, "y": y}))
        for image in axes.get_images():
            grid = np.ma.getdata(image.get_array())
            grid = grid if grid.ndim == 2 else grid[..., :3].mean(axis=-1)
            y, x = np.indices(grid.shape)
            flat = {"x": x.ravel(), "y": y.ravel(), "value": grid.ravel()}
            parts.append((panel, "image", "", flat))
    tables = [
        pd.DataFrame({"panel": panel, "kind": kind, "series": str(series), **columns})
        for panel, kind, series, columns in parts
    ]
    columns = ["panel", "kind", "series", "x", "y", "value"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _check_name(what: str, name: Any) -> None:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise DataError(f"{what} name {name!r}: expected lower-case letters, digits, - and _")


def _origin(data_source: str | None, profile: str | None) -> str:
    about = context.run_context()
    source = data_source or about.get("data_source")
    if source is not None and source not in SOURCE_NAMES:
        raise DataError(f"data_source={source!r} is not one of {', '.join(SOURCE_NAMES)}")
    named = SOURCE_NAMES.get(source, "no cell type data")
    named = f"{named[0].upper()}{named[1:]}"
    if source == "published":
        return f"({named}.)"
    return f"({named}; profile {profile or about.get('profile', 'unknown')}.)"


def _sentence(text: str) -> str:
    text = _one_line(text)
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


def _cell_text(cell: Any, digits: int) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, float | np.floating):
        return f"{cell:.{digits}f}".replace("-", "−")
    if isinstance(cell, numbers.Integral) and not isinstance(cell, bool):
        return f"{int(cell):,}".replace("-", "−")
    text = _one_line(cell)
    return SHOWN_AS.get(text, text)


def _image(fig: Figure, kind: str) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    stamp = {"Date": None} if kind == "svg" else {"Software": None}
    with mpl.rc_context({"svg.hashsalt": "dc2lib", "svg.fonttype": "path"}):
        fig.savefig(buffer, format=kind, dpi=DPI, bbox_inches="tight", facecolor="white",
                    metadata=stamp)
    return buffer.getvalue()


def _svg(fig: Figure) -> bytes:
    """Heat maps and digits keep their own pixels; points too many for a file become an image."""
    for axes in fig.axes:
        for image in axes.get_images():
            image.set_interpolation("none")
    drawn = EMBEDDED.sub(_lighter, _image(fig, "svg"))
    if len(drawn) <= MAX_SVG_BYTES:
        return drawn
    for axes in fig.axes:
        for artist in (*axes.collections, *axes.get_lines(), *axes.patches):
            artist.set_rasterized(True)
    return EMBEDDED.sub(_lighter, _image(fig, "svg"))


def _lighter(found: re.Match[bytes]) -> bytes:
    return EMBEDDING + lighter_base64(found[1], flatten=False).encode()


def _write(name: str, content: bytes) -> None:
    """Write one file of a figure or table; nothing outside the build."""
    path = context.results_path()
    if path is None:
        return
    (path.parent / "figures").mkdir(exist_ok=True)
    with atomic_write(path.parent / "figures" / name) as unfinished:
        unfinished.write_bytes(content)


def _caption_by_hand(caption: str) -> None:
    if context.results_path() is None:
        context.display_bundle({"text/markdown": caption, "text/plain": caption})
