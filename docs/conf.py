"""Configuration of the documentation: `make docs`, or `sphinx-build -W docs build/docs/html`."""

import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import normgraph

sys.path.insert(0, str(Path(__file__).parent))
import cpp_reference
import docstrings

project = "normgraph"
author = "the normgraph authors"
version = release = normgraph.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]
# Pages include parts of what stands in these folders.
exclude_patterns = ["_*", "accuracy", "benchmarks", "examples", "front_page", "training"]

# Breathe shows what Doxygen reads out of the headers. Where there is none the page is left out.
doxygen_xml = Path(__file__).parents[1] / "build" / "docs" / "doxygen"
if cpp_reference.write_xml(doxygen_xml):
    extensions.append("breathe")
    breathe_projects = {"normgraph": str(doxygen_xml)}
    breathe_default_project = "normgraph"
else:
    print("the C++ reference is left out, as there is no Doxygen")
    exclude_patterns.append("cpp_reference.md")
    suppress_warnings = ["toc.excluded", "toc.not_readable", "myst.xref_missing"]

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"normgraph {release}"
html_css_files = ["style.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

# Formulas are drawn by a script that stands in the built pages, out of the package
# django-static-mathjax: neither the build nor the reader needs a network. The package is looked up
# and not imported, as its import wants Django.
mathjax_package = find_spec("mathjax")
if mathjax_package is None or not mathjax_package.submodule_search_locations:
    raise ModuleNotFoundError("building the documentation needs django-static-mathjax")
mathjax_folder = Path(mathjax_package.submodule_search_locations[0], "static", "mathjax", "es5")
html_static_path = ["_static", str(mathjax_folder / "tex-svg.js")]
mathjax_path = "tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}}

# Copied examples run: without prompts and without their output.
copybutton_prompt_text = r">>> |\.\.\. ?|\$ "
copybutton_prompt_is_regexp = True

# A constructor's signature stands in the docstring of its __init__.
autoclass_content = "both"
autodoc_member_order = "bysource"
autodoc_typehints = "none"


def public_target(name: str) -> str | None:
    """The full name of what is public in normgraph, or in normgraph.op."""
    for module in (normgraph, normgraph.op):
        if name.isidentifier() and hasattr(module, name):
            return f"{module.__name__}.{name}"
    return name if name.startswith("normgraph.") else None


def render(
    app: Sphinx, what: str, name: str, described: Any, options: Any, lines: list[str]
) -> None:
    """Show a docstring as text with lists and links."""
    lines[:] = docstrings.rendered(lines, public_target)


def plain_signature(
    app: Sphinx,
    what: str,
    name: str,
    described: Any,
    options: Any,
    signature: str | None,
    returned: str | None,
) -> tuple[str, str | None] | None:
    """Drop the annotation `object`, which says nothing: the docstring says the types."""
    if signature is None:
        return None
    without_self = re.sub(r"\(self: [\w.]+(, )?", "(", signature)
    plain = without_self.replace(": object = ", "=").replace(": object", "")
    return plain, None if what == "class" or returned == "object" else returned


def setup(app: Sphinx) -> None:
    """Connect what the pages need beside the extensions."""
    app.connect("autodoc-process-docstring", render)
    app.connect("autodoc-process-signature", plain_signature)
