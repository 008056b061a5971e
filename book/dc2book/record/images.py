"""Images that weigh less and look the same."""

from __future__ import annotations

import base64
import io

from PIL import Image

COLOURS = 256


def lighter_png(content: bytes, *, flatten: bool = True) -> bytes:
    """Return a PNG with a palette of at most 256 colours, or the content if that is no smaller.

    ``content``: of a PNG file. ``flatten``: put what is transparent on white; otherwise images with
    transparency stay as they are.
    """
    with Image.open(io.BytesIO(content)) as drawn:
        clear = "A" in drawn.getbands() and drawn.getchannel("A").getextrema()[0] < 255
        if drawn.mode == "P" or (clear and not flatten):
            return content
        flat = Image.new("RGB", drawn.size, "white")
        flat.paste(drawn, mask=drawn.getchannel("A") if "A" in drawn.getbands() else None)
    made = io.BytesIO()
    covering = Image.Quantize.MAXCOVERAGE
    paletted = flat.quantize(COLOURS, covering, kmeans=1, dither=Image.Dither.NONE)
    paletted.save(made, "PNG", optimize=True)
    return min(made.getvalue(), content, key=len)


def lighter_base64(encoded: str | bytes, *, flatten: bool = True) -> str:
    """Return what `lighter_png` makes of a PNG in base64, as notebooks and SVG files hold it."""
    content = lighter_png(base64.b64decode(encoded), flatten=flatten)
    return base64.b64encode(content).decode()
