"""The pages of the documentation, as the tests read them."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"

PAGES = sorted(DOCS.rglob("*.md"))


def name_of(page: Path) -> str:
    """`ops/index.md`: what a page is called in the name of a test."""
    return page.relative_to(DOCS).as_posix()


def tables(text: str) -> list[list[list[str]]]:
    """Every table of a page as rows of cells, its header first."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE):
        rows = [re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in block.splitlines()]
        found.append([[cell.strip() for cell in row] for row in rows if set(row[0]) - set(" -:")])
    return found
