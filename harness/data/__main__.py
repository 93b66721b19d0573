"""``python -m harness.data check | describe | convert | synthetic | import``."""

import sys

from harness.data.tools.command import main

sys.exit(main())
