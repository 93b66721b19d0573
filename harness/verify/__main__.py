"""``python -m harness.verify``."""

import sys

from harness.verify.command import main

if __name__ == "__main__":
    sys.exit(main())
