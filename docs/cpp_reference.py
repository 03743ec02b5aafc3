"""What the C++ reference is made of: the XML that Doxygen reads out of the public headers."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

_project = Path(__file__).resolve().parents[1]
_sources = _project / "csrc" / "normgraph"
_groups = ("ir", "op", "pass", "runtime", "indices", "kernel")


def public_headers() -> list[str]:
    """The headers that are installed, as CMakeLists.txt says: "normgraph/ir/node.hpp" and so on."""
    text = (_project / "CMakeLists.txt").read_text("utf-8")
    blocks = re.findall(r"^    INTERNAL_HEADERS\n((?:        \"[^\"]+\"\)?\n)+)", text, re.M)
    internal = [re.compile(each) for block in blocks for each in re.findall(r'"([^"]+)"', block)]
    found = []
    for group in _groups:
        for header in sorted((_sources / group).rglob("*.hpp")):
            name = header.relative_to(_sources).as_posix()
            if not any(pattern.match(name) for pattern in internal):
                found.append(f"normgraph/{name}")
    return found


def write_xml(folder: Path) -> bool:
    """Doxygen's XML of the public headers, in `folder`; False where there is no Doxygen."""
    if shutil.which("doxygen") is None:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    headers = " ".join(f'"{_sources.parent / name}"' for name in public_headers())
    settings = {
        "PROJECT_NAME": "normgraph",
        "INPUT": headers,
        "OUTPUT_DIRECTORY": f'"{folder}"',
        "XML_OUTPUT": ".",
        "STRIP_FROM_PATH": f'"{_sources.parent}"',
        "STRIP_FROM_INC_PATH": f'"{_sources.parent}"',
        "GENERATE_XML": "YES",
        "GENERATE_HTML": "NO",
        "GENERATE_LATEX": "NO",
        "JAVADOC_AUTOBRIEF": "YES",
        "SORT_MEMBER_DOCS": "NO",
        "XML_PROGRAMLISTING": "NO",
        "QUIET": "YES",
        "EXTRACT_ALL": "YES",
        # The values of constants are long texts that Sphinx does not read as C++.
        "MAX_INITIALIZER_LINES": "0",
        "WARNINGS": "NO",
    }
    text = "".join(f"{name} = {value}\n" for name, value in settings.items())
    subprocess.run(["doxygen", "-"], input=text, text=True, check=True)
    return True
