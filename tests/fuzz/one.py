"""`python -m tests.fuzz.one TARGET [OPTION OF LIBFUZZER]…`: one target, until it fails."""

import sys

import atheris

with atheris.instrument_imports(include=["normgraph"]):
    import normgraph  # noqa: F401  # what is instrumented is what is imported here

from .targets import TARGETS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
