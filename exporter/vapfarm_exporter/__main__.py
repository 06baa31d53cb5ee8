"""`python -m vapfarm_exporter` is `vapfarm-export`."""

import sys

from .cli import main

sys.exit(main())
