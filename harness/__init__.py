"""The study runner."""

# built in: the public `signal` imports `enum` first, which Ctrl-C would end with a traceback
import _signal  # type: ignore[import-not-found]
import sys

# ``python -m harness.NAME``: until the command hears signals itself, Ctrl-C ends it without a traceback of its imports.
if sys.argv[:1] == ["-m"] and _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
