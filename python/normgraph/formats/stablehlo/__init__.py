"""Functions as text of StableHLO, the dialect of MLIR that XLA compiles, and back.

`dumps` and `dump` write text. `loads` and `load` read text and portable artifacts: `program` has
jaxlib's parser make one list of operations of them, `scalars` knows the numbers in it, `patterns`
the ops that are several operations, and `reader` makes nodes. Only these need the package jaxlib,
which the extra normgraph[jax] installs.
"""

from ..errors import FormatError, NotExpressibleError, NotImportableError
from .reader import load, loads
from .writer import Family, dump, dumps

__all__ = [
    "Family",
    "FormatError",
    "NotExpressibleError",
    "NotImportableError",
    "dump",
    "dumps",
    "load",
    "loads",
]
