"""``python -m harness.data check | describe | convert | synthetic | import``."""

import sys

from harness.data.tools.command import main

if __name__ == "__main__":
    sys.exit(main())
