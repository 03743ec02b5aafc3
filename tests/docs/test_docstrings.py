"""Docstrings as the pages show them."""

from __future__ import annotations

import sys

from tests.docs.pages import DOCS

sys.path.insert(0, str(DOCS))
import docstrings

# What stands before and after a link, of which no width is shown.
GAP = "\\ "
DOCSTRING = """Title with `x_` and a*b.

The formula:

    y = a * b

    z = |y|

Parameters
----------
first, second : arrays, see Known
third, fourth,
    fifth : text of three,
    continued

Returns
-------
Known(y): calls known() and no known
""".splitlines()

RENDERED = rf"""Title with {GAP}``x_``{GAP} and a\*b.

The formula:

.. code-block:: text

    y = a * b

    z = |y|

.. rubric:: Parameters

``first, second``
    arrays, see {GAP}:py:obj:`Known <p.Known>`{GAP}
``third, fourth, fifth``
    text of three,
    continued

.. rubric:: Returns

{GAP}:py:obj:`Known <p.Known>`{GAP}(y): calls {GAP}:py:obj:`known() <p.known>`{GAP} and no known
""".splitlines()


def test_sections_formulas_and_links() -> None:
    targets = {"Known": "p.Known", "known": "p.known"}
    assert docstrings.rendered(DOCSTRING, targets.get)[:-1] == RENDERED
