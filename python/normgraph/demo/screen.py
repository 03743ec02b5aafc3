"""The demo's output: eighty columns, alive in a terminal, plain lines in a pipe."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

WIDTH = 80
MARGIN = "   "


class Screen:
    """Headings, paragraphs, tables and progress of one demo. `quiet` prints results only."""

    def __init__(self, quiet: bool) -> None:
        self.console = Console(markup=False, highlight=False, emoji=False, quiet=quiet)
        self.console.width = min(WIDTH, self.console.width) if self.console.is_terminal else WIDTH
        self.quiet = quiet

    def title(self, name: str, sentence: str) -> None:
        """Print the first paragraph."""
        lines = textwrap.wrap(f"{name}: {sentence}", self.console.width, subsequent_indent=MARGIN)
        text = Text("\n".join(lines))
        text.stylize("bold cyan", 0, len(name))
        self.console.print(text)

    def heading(self, number: int, text: str) -> None:
        """Print the heading of a section."""
        self.console.print(Text(f"\n{number}  {text}", style="bold"))

    def paragraph(self, text: str, style: str = "") -> None:
        """Print lines of a section; what is too long goes on in the next line, indented."""
        for line in text.splitlines():
            indent = MARGIN + " " * (len(line) - len(line.lstrip()))
            wrapped = textwrap.wrap(
                line.lstrip(),
                self.console.width,
                initial_indent=indent,
                subsequent_indent=indent + MARGIN,
                break_on_hyphens=False,
            )
            self.console.print(Text("\n".join(wrapped), style=style))

    def table(self, header: list[str], lines: list[list[str]]) -> None:
        """Print a table: the first column is text, the others are numbers."""
        columns = list(zip(header, *lines, strict=True))
        widths = [max(map(len, column)) for column in columns]
        for index, line in enumerate([header, *lines]):
            numbers = (f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True))
            text = f"{MARGIN}{line[0]:<{widths[0]}}  {'  '.join(numbers)}"
            self.console.print(Text(text, style="" if index else "dim"))

    def result(self, text: str) -> None:
        """Print a line also when quiet."""
        if self.quiet:
            print(text)
        else:
            self.paragraph(text, style="green")

    @contextmanager
    def progress(self, total: int) -> Iterator[Callable[[str], None]]:
        """Show a bar over `total` steps that is gone at the end.

        Yields what to call after each step, with a description of it.

        Where nothing can be redrawn (a pipe, a dumb terminal) there is no bar.
        """
        bar = Progress(
            TextColumn("  "),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            console=self.console,
            transient=True,
            disable=self.quiet or not self.is_live,
        )
        with bar:
            task = bar.add_task("", total=total)
            yield lambda description: bar.update(task, advance=1, description=description)

    @property
    def is_live(self) -> bool:
        """Whether lines can be redrawn."""
        return self.console.is_terminal and not self.console.is_dumb_terminal
