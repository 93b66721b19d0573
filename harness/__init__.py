"""The study runner."""

import signal
import sys

# ``python -m harness.NAME``: until the command hears signals itself, Ctrl-C ends it without a traceback of its imports.
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
