"""The kinds of ops that a step spends its time on."""

from __future__ import annotations

import re

#: Kinds, and patterns in the names of their ops, in lower case without underscores; the first that
#: fits counts. A batch norm that takes on a ReLU or an addition is a batch norm.
KINDS = {
    "batch norm": "batchnorm|normgraph|selectbymask",
    "convolution": "conv",
    "ReLU": "relu|hardtanh|threshold|clamp",
    "add": "aten::add$|addbackward",
}
OTHER = "other"

#: The events around a backward op, which are named after it.
_EVALUATION = "autograd::engine::evaluate_function: "


def kind_of(name: str) -> str:
    """The kind of an op or of autograd's node for it."""
    plain = name.removeprefix(_EVALUATION).replace("_", "").lower()
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, plain)), OTHER)
