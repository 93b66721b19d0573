r"""The contract between CASE and a baseline, in words; a baseline's name is its file's name.

A file of this folder offers

* ``class Baseline(nn.Module)`` with ``__init__(options, shape, seed)``: ``options`` is its dataclass of
  ``model/settings.py``, ``shape`` a ``Shape``; every sub-module is built under ``seeded(seed, its name)``.
  Attributes ``streams`` (the length of axis M of P^A and Z: 1 for a fused baseline) and ``width`` (H, of Z).
* ``forward(batch) -> Snippets``: T-CAS logits, attention P^A in [0, 1] and embedding Z of every snippet.
* ``losses(snippets, batch, co_label) -> (loss, parts, Q_A)``: its own weighted loss (a scalar with gradient), the
  un-weighted terms by name, and the foreground pseudo-labels Q^A (M, B, T) in {0, 1} without gradient.
  ``co_label`` is Eq. 24's switch.
* ``inference(scores, refined, options) -> Inference``: a function of stored scores (numpy) and of the refined attention
  ``(1 - cat) P^A + cat \hat P^A`` (V, T), mean over streams; the sequences to threshold and to score, per named group.

CASE takes P^A, Z and Q^A from it and hands the refined attention back; nothing else passes between them.
"""

from importlib import import_module
from types import ModuleType

from model.settings import OPTIONS


def load(name: str) -> ModuleType:
    """The module of baseline ``name``. Raises KeyError with the choices when there is none."""
    if name not in OPTIONS:
        raise KeyError(f"unknown baseline {name!r}; there are {', '.join(sorted(OPTIONS))}")
    return import_module(f"model.baselines.{name}")
