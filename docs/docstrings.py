"""Docstrings as reStructuredText: sections as lists, formulas as they stand, public names as links.

Docstrings are written to be read by `help()`; nothing in them is markup but backticks around code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Links = Callable[[str], str | None]  # the target of a name; None for one that is not public

_underline = re.compile(r"-{3,}$")
_code = re.compile(r"`([^`]+)`")
_name = re.compile(r"\b([A-Za-z_][\w.]*\w)(\(\))?")


def rendered(docstring: list[str], link: Links) -> list[str]:
    """The lines of a docstring, without common indentation, as lines of reStructuredText."""
    result: list[str] = []
    for title, body in _sections(docstring):
        if title:
            result += [f".. rubric:: {title}", ""]
        for block in _blocks(body):
            result += [*_block(block, title, link), ""]
    return result


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    title, body = "", []
    for index, line in enumerate(lines):
        if index and _underline.match(line) and len(line) == len(lines[index - 1]):
            yield title, body[:-1]
            title, body = lines[index - 1], []
        else:
            body.append(line)
    yield title, body


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Paragraphs; blank lines within an indented block belong to it."""
    block: list[str] = []
    for index, line in enumerate(lines):
        following = next((later for later in lines[index + 1 :] if later), "")
        is_within = block and block[0].startswith(" ") and following.startswith(" ")
        if line or is_within:
            block.append(line)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _block(block: list[str], title: str, link: Links) -> list[str]:
    if all(line.startswith("    ") or not line for line in block):
        return [".. code-block:: text", "", *block]
    if title and re.match(r"[\w, ]+( : |,$)", block[0]):
        return _definitions(block, link)
    return [_prose(line, link) for line in block]


def _definitions(block: list[str], link: Links) -> list[str]:
    result, names = [], ""
    for line in block:
        if line.startswith(" ") and not names.endswith(","):
            result.append(f"    {_prose(line.strip(), link)}")
            continue
        begun, colon, text = line.strip().partition(" : ")
        names = f"{names} {begun}".strip() if names.endswith(",") else begun
        if colon:
            result += [f"``{names}``", f"    {_prose(text, link)}"]
    return result


def _prose(line: str, link: Links) -> str:
    parts = _code.split(line)
    return "".join(
        _linked(part, link) if index % 2 == 0 else _as_code(part, link)
        for index, part in enumerate(parts)
    )


def _as_code(text: str, link: Links) -> str:
    target = link(text.removesuffix("()"))
    return f"\\ ``{text}``\\ " if target is None else _reference(text, target)


def _reference(text: str, target: str) -> str:
    """A link; whatever stands beside it may touch it."""
    return f"\\ :py:obj:`{text} <{target}>`\\ "


def _linked(text: str, link: Links) -> str:
    """The text, with classes and called functions that are public as links."""

    def replaced(match: re.Match[str]) -> str:
        name, call = match.groups(default="")
        target = link(name) if call or name[:1].isupper() else None
        return _escaped(match[0]) if target is None else _reference(match[0], target)

    result, end = "", 0
    for match in _name.finditer(text):
        result += _escaped(text[end : match.start()]) + replaced(match)
        end = match.end()
    return result + _escaped(text[end:])


def _escaped(text: str) -> str:
    return re.sub(r"([\\*`|_])", r"\\\1", text)
