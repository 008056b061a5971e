"""Figures and tables with captions, alternative text and the numbers behind them."""

from __future__ import annotations

import base64
import io
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dc2book.record.context import display_bundle, output_folder, results_path, run_context
from dc2book.record.images import lighter_base64
from dc2lib.errors import DataError
from dc2lib.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_MIME = "application/vnd.dc2lib.figure+json"
TABLE_MIME = "application/vnd.dc2lib.table+json"
SOURCE_NAMES = {
    "roadmap": "Roadmap cell types",
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
    fig: Figure,
    name: str,
    alt: str,
    caption: str | None = None,
    data: pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    *,
    data_source: str | None = None,
) -> None:
    """Show a figure with alternative text; write it as SVG and its data as CSV.

    In the built book the figure is numbered, prose refers to it by the role ``numref`` and the
    label ``fig-<name>``, and its SVG and CSV files are linked below it.  Its caption ends with the
    data source and profile.

    Parameters
    ----------
    fig
        Matplotlib figure; it is closed afterwards.
    name
        Unique in the book: lower-case letters, digits, ``-`` and ``_``.
    alt
        One or two sentences that say what is seen, for readers who do not see the figure.
    caption
        MyST Markdown; by default the alternative text.
    data
        The numbers behind the figure, one row a drawn item.  None takes them from the drawn
        lines, points, bars and images.
    data_source
        One of `VOCABULARY` ``["data_source"]``; by default that of the run.

    Raises
    ------
    DataError
        If the name or alternative text is missing or malformed, or there is no data.
    """
    import matplotlib.pyplot as plt

    _check_name("figure", name)
    alt = _one_line(alt)
    if len(alt) < 15:
        raise DataError(f"figure {name!r}: alt={alt!r} is too short; say what is seen")
    table = drawn_data(fig) if data is None else pd.DataFrame(data)
    if table.empty:
        raise DataError(f"figure {name!r} has no data behind it; pass data= with at least one row")
    description = {
        "name": name,
        "alt": alt,
        "caption": f"{_sentence(caption or alt)} {_origin(data_source)}",
    }
    png = _image(fig, "png")
    folder = output_folder("figures")
    if folder is not None:
        _write(folder / f"{name}.png", png)
        _write(folder / f"{name}.svg", _svg(fig))
        _write(folder / f"{name}.csv", table.to_csv(index=False, float_format="%.10g").encode())
    plt.close(fig)
    display_bundle(
        {
            "image/png": base64.b64encode(png).decode(),
            "text/plain": f"Figure {name}: {description['caption']}",
            FIGURE_MIME: description,
        },
        {"image/png": {"alt": alt}},
    )
    _caption_by_hand(description["caption"])


def show_table(
    table: pd.DataFrame,
    name: str,
    caption: str,
    *,
    digits: int = 3,
    data_source: str | None = None,
) -> None:
    """Show a small table with a numbered caption and a link to its CSV file.

    Prose refers to it by the role ``numref`` and the label ``tab-<name>``.  The caption ends with
    the data source and profile.

    Parameters
    ----------
    table
        Columns in the order shown; the index is shown only where it has a name.
    name
        Unique in the book: lower-case letters, digits, ``-`` and ``_``.
    caption
        MyST Markdown.
    digits
        Decimals of the floats that are shown; the CSV file keeps them all.
    data_source
        One of `VOCABULARY` ``["data_source"]``; by default that of the run.

    Raises
    ------
    DataError
        If the name is malformed or the table has no rows.
    """
    _check_name("table", name)
    if table.empty:
        raise DataError(f"table {name!r} has no rows; show_table needs at least one")
    flat = table.reset_index() if any(level is not None for level in table.index.names) else table
    rows = flat.itertuples(index=False)
    description = {
        "name": name,
        "caption": f"{_sentence(caption)} {_origin(data_source)}",
        "header": [str(column) for column in flat.columns],
        "rows": [[_cell_text(cell, digits) for cell in row] for row in rows],
        "numeric": [pd.api.types.is_numeric_dtype(kind) for kind in flat.dtypes],
    }
    folder = output_folder("figures")
    if folder is not None:
        _write(folder / f"{name}.csv", flat.to_csv(index=False).encode())
    shown = pd.DataFrame(description["rows"], columns=description["header"])
    display_bundle(
        {
            "text/html": shown.to_html(index=False, border=0),
            "text/plain": shown.to_string(index=False),
            TABLE_MIME: description,
        },
        {},
    )
    _caption_by_hand(description["caption"])


def drawn_data(fig: Figure) -> pd.DataFrame:
    """Return what is drawn in a figure as a table: panel, kind, series, x, y, value.

    Lines and points give x and y, bars their centre and height, images row, column and value.
    """
    parts = [part for i, axes in enumerate(fig.axes) for part in _axes_data(axes, i)]
    columns = ["panel", "kind", "series", "x", "y", "value"]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def _axes_data(axes: Any, panel: int) -> list[pd.DataFrame]:
    parts = []
    for line in axes.get_lines():
        x, y = (np.asarray(v) for v in line.get_data(orig=True))
        parts.append(_part(panel, "line", line.get_label(), x=x, y=y))
    for points in axes.collections:
        offsets = np.asarray(np.ma.getdata(points.get_offsets()), dtype=float)
        if offsets.ndim == 2 and len(offsets) > 1:
            parts.append(
                _part(panel, "points", points.get_label(), x=offsets[:, 0], y=offsets[:, 1])
            )
        elif points.get_array() is not None and np.ma.getdata(points.get_array()).ndim == 2:
            parts.append(_grid_part(panel, np.ma.getdata(points.get_array())))
    for bar in axes.patches:
        if hasattr(bar, "get_height"):
            centre = bar.get_x() + bar.get_width() / 2
            parts.append(
                _part(panel, "bar", bar.get_label(), x=[centre], y=[bar.get_y() + bar.get_height()])
            )
    for image in axes.get_images():
        parts.append(_grid_part(panel, np.ma.getdata(image.get_array())))
    return parts


def _part(panel: int, kind: str, series: Any, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"panel": panel, "kind": kind, "series": str(series), **columns})


def _grid_part(panel: int, grid: np.ndarray) -> pd.DataFrame:
    grey = grid if grid.ndim == 2 else grid[..., :3].mean(axis=-1)
    row, column = np.indices(grey.shape)
    return _part(panel, "image", "", x=column.ravel(), y=row.ravel(), value=grey.ravel())


def _check_name(what: str, name: Any) -> None:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise DataError(f"{what} name {name!r}: expected lower-case letters, digits, - and _")


def _origin(data_source: str | None) -> str:
    context = run_context()
    source = data_source or context.get("data_source")
    if source is not None and source not in SOURCE_NAMES:
        raise DataError(f"data_source={source!r} is not one of {', '.join(SOURCE_NAMES)}")
    named = SOURCE_NAMES.get(source, "no cell type data")
    return f"({named[0].upper()}{named[1:]}; profile {context.get('profile', 'unknown')}.)"


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
    return _one_line(cell)


def _image(fig: Figure, kind: str) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    stamp = {"Date": None} if kind == "svg" else {"Software": None}
    with mpl.rc_context({"svg.hashsalt": "dc2lib", "svg.fonttype": "path"}):
        fig.savefig(
            buffer, format=kind, dpi=DPI, bbox_inches="tight", facecolor="white", metadata=stamp
        )
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


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def _caption_by_hand(caption: str) -> None:
    if results_path() is None:
        display_bundle({"text/markdown": caption, "text/plain": caption}, {})
