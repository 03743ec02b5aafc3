"""A readable summary of what was built and what was chosen."""

from __future__ import annotations

from ._core import config


def show_config() -> None:
    """Print what `config()` returns, a line for each fact."""
    facts = {name.replace("_", " "): value for name, value in config().items()}
    width = max(map(len, facts))
    for name, value in facts.items():
        lines = value if name == "built implementations" else [value]
        for line in lines:
            text = ", ".join(line) if isinstance(line, list) else line
            print(f"{name:<{width}}  {text}")
            name = ""
