"""``python -m harness.search``."""

import sys

from harness.search.command import main

if __name__ == "__main__":
    sys.exit(main())
