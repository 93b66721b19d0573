"""``python -m harness.report``."""

import sys

from harness.report.command import main

if __name__ == "__main__":
    sys.exit(main())
