"""``python -m harness.report``."""

import sys

from harness.report.writing import main

if __name__ == "__main__":
    sys.exit(main())
