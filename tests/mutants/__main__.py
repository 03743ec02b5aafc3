"""`python -m tests.mutants`, from the project's folder."""

import sys

from .run import main

sys.exit(main())
