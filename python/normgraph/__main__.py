"""`python -m normgraph`: the command line of the package."""

import sys

from normgraph.cli import main

sys.exit(main())
