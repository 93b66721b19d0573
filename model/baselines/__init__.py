r"""The contract between CASE and a baseline, in words; a baseline's name is its file's name.

A file of this folder offers

* ``class Baseline(nn.Module)`` with ``__init__(options, shape, seed)``: ``options`` is its dataclass of
  ``model/options.py``, ``shape`` a ``Shape``; every sub-module is built under ``seeded(seed, its name)``, as
  ``PerStream`` does.
  Attributes ``streams`` (the length of axis M of P^A and Z: 1 for a fused baseline) and ``width`` (H, of Z).
* ``forward(batch) -> Snippets``: T-CAS logits and attention P^A in [0, 1] of every position, embedding Z of every row.
* ``losses(snippets, batch, co_label) -> Losses``: its own weighted loss (a scalar with gradient), the un-weighted terms
  by name, and the foreground pseudo-labels Q^A (M, B, T) in {0, 1} without gradient. ``co_label`` is Eq. 24's switch.
  ``Losses.unit`` says how often one cross-entropy a video is in that loss, so that lambda_C and lambda_R mean the same.
* ``inference(scores, refined, options) -> Inference``: a function of stored scores (numpy) and of the refined attention
  ``(1 - cat) P^A + cat \hat P^A`` (V, T), mean over streams; the sequences to threshold and to score, per named group.
* ``READS``, a tuple: the names of ``Snippets.extra`` that its inference reads, without which nothing of it is stored.

What a method may need beyond a batch of videos of one length:

* *The grid.* A batch holds each snippet once (``Batch.x``, rows) and the row at each position (``Batch.rows``). Layers
  per snippet run on rows (``encode`` with kernel 1); ``encode`` with a wider kernel gives the grid, with ``rows`` None.
  Dropout masks over entries or time, pooling and losses belong to the grid: ``batch.spread(values, rows)`` takes values
  of rows there, ``batch.grid`` splits its one axis of positions. A batch made by ``Batch.of`` is a grid from the start.
* *State between steps* (a memory, a running background, the step's number): ``initial_memory() -> {name: tensor}`` of
  the class gives it before step 1, ``batch.memory`` is what the step is given (testing, too), ``Losses.memory`` what is
  carried on: all of it, without gradient, never written to in place. Checkpoints hold it. State per training video
  (pseudo segments of an outer loop) is a tensor (V, ...) read at ``batch.videos``.
* *A pass over all training videos* before some steps: ``refreshes(number, steps) -> bool`` says when, and
  ``refresh(batches, detect) -> memory`` is given them batch after batch, without dropout, in evaluation mode.
  ``detect(batch)`` gives what the baseline detects in each video, by the module's ``PSEUDO`` rule and its own P^A
  (``model.segments.Found``, in snippets). With an attribute ``restarts`` that is true, first weights, optimiser and Q^R
  follow. ``prepare(batch, detect) -> memory`` makes the like of test videos, without their labels, before each pass.
* *Sampling that is not even.* Where memory holds "clock" (V, n + 1), NaN beyond a video's end, batches show features
  between snippets, as often as the clock says; ``Inference.clock`` takes detections back to time.
* *Pairs.* With ``training.pairs`` n, videos 2i and 2i + 1 of a batch share a class for i < n = ``batch.pairs``; the
  other videos are drawn from all that are left.
* *Lengths.* With ``batch.lengths`` (B,), positions from there on are padding and repeat any row: a baseline
  named in ``PADDED`` (``model/options.py``) leaves them out of its own losses and sets Q^A to 0 there; CASE labels the
  others only (``Batch.counted``). None: all count.

CASE takes P^A, Z and Q^A from it and hands the refined attention back; nothing else passes between them.
"""

from importlib import import_module
from types import ModuleType

from model.options import OPTIONS


def load(name: str) -> ModuleType:
    """The module of baseline ``name``. Raises KeyError with the choices when there is none."""
    if name not in OPTIONS:
        raise KeyError(f"unknown baseline {name!r}; there are {', '.join(sorted(OPTIONS))}")
    return import_module(f"model.baselines.{name}")
