"""The drawings of the documentation are those of the ops as they are; Graphviz is not needed."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from .pages import DOCS, PAGES

AGAIN = "`python docs/draw.py` draws it anew"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw", DOCS / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DRAWINGS = load_script().drawings()


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_text_is_what_the_source_draws(name: str) -> None:
    text = (DOCS / "mathematics" / f"{name}.dot").read_text("utf-8")
    assert text == DRAWINGS[name].dot, AGAIN


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_image_is_of_the_text(name: str) -> None:
    image = (DOCS / "mathematics" / f"{name}.svg").read_text("utf-8")
    identity = DRAWINGS[name].dot.splitlines()[1].strip().removeprefix("id=").rstrip(";")
    assert f'<g id={identity} class="graph"' in image, AGAIN


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_text_of_the_image_has_its_width(name: str) -> None:
    image = (DOCS / "mathematics" / f"{name}.svg").read_text("utf-8")
    assert image.count("<text ") == image.count("<text textLength=") > 10, AGAIN


def test_pages_show_every_drawing_and_no_other() -> None:
    pages = "".join(page.read_text("utf-8") for page in PAGES)
    files = sorted(path.name for path in (DOCS / "mathematics").iterdir())
    assert files == sorted(f"{name}.{ending}" for name in DRAWINGS for ending in ("dot", "svg"))
    for name in DRAWINGS:
        assert f"](mathematics/{name}.svg)" in pages
