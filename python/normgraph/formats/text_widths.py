"""Widths of the texts in an SVG image: those that their boxes were made for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["with_text_widths"]

TEXT = re.compile(r'<text (text-anchor="\w+" x="([-.\d]+)" y="([-.\d]+)")')


def with_text_widths(image: str, layout: str) -> str:
    """Give each text of an SVG image the width that Graphviz has laid it out with.

    layout: the same drawing in Graphviz' format `json`. Readers then squeeze or stretch a text
    whose font is another one than Graphviz has measured, instead of letting it leave its box.
    """
    widths = {place_of(x, -y): width for x, y, width in texts_of(json.loads(layout))}

    def with_width(found: re.Match[str]) -> str:
        width = widths.get(place_of(float(found[2]), float(found[3])))
        if not width:
            return found[0]
        return f'<text textLength="{width:g}" lengthAdjust="spacingAndGlyphs" {found[1]}'

    return TEXT.sub(with_width, image)


def place_of(x: float, y: float) -> tuple[float, float]:
    """A point of the image, in the precision of Graphviz' SVG."""
    return round(x, 2), round(y, 2)


def texts_of(layout: dict[str, Any]) -> Iterator[tuple[float, float, float]]:
    """Place and width of each text of a drawing; the vertical axis points upwards."""
    for part in (layout, *layout.get("objects", ()), *layout.get("edges", ())):
        for operations in (value for key, value in part.items() if key.endswith("draw_")):
            for operation in operations:
                if operation["op"] == "T":
                    yield (*operation["pt"], operation["width"])
