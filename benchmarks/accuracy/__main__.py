"""The command `python -m benchmarks.accuracy`: measures, and writes docs/accuracy/tables.md."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.peers.machine import processor_name
from benchmarks.peers.tables import markdown

from .errors import Error, relative_text, units_text
from .inputs import DATA, SHAPE, draw
from .libraries import LIBRARIES
from .measure import backward_errors, forward_errors

OUTPUT = Path(__file__).parents[2] / "docs" / "accuracy" / "tables.md"


def table(rows: Sequence[tuple[str, str, Mapping[str, Error]]]) -> str:
    """One line per data and output: errors in u, then relative ones."""
    names = list(LIBRARIES)
    lines = [
        [
            *("data", "output"),
            *(f"{name}, u" for name in names),
            *(f"{name}, relative" for name in names),
        ]
    ]
    for data, output, errors in rows:
        units = [units_text(errors[name].units) for name in names]
        relative = [relative_text(errors[name].relative) for name in names]
        lines.append([data, f"`{output}`", *units, *relative])
    return markdown(lines, text_columns=2)


def sections() -> Iterator[str]:
    """The generated part of the page."""
    shape = " × ".join(str(length) for length in SHAPE)
    versions = ", ".join(f"{name} {library.version()}" for name, library in LIBRARIES.items())
    yield "<!-- Written by `make accuracy`. -->\n"
    yield f"Shape {shape}; {versions}; {processor_name()}.\n"
    for title, measure in (("Forward", forward_errors), ("Backward", backward_errors)):
        for element_type, all_data in DATA.items():
            rows = []
            for data in all_data:
                if measure is forward_errors and data.is_about_normalized_delta:
                    continue
                what = f"{title.lower()}, {element_type}, {data.name}"
                print(what, flush=True)
                errors = measure(draw(data, element_type), what)
                rows += [(data.name, output, errors[output]) for output in errors]
            yield f"## {title}, {element_type}\n"
            yield table(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser("python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    options = parser.parse_args(arguments)
    text = "\n".join(sections())
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
