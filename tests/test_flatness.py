"""Flatness: planted slopes are measured, noise is not taken for one, and the report warns where a row still moves."""

import numpy as np
import pytest

from harness.claims import flatness
from harness.report import notes
from harness.store import records

from support import stores


def falling(steps, rest):
    """A curve from 3 that falls steeply, then by ``rest`` over its last tenth, to end at 1."""
    last = steps // 10
    return np.concatenate([np.linspace(3, 1 + rest, steps - last), np.linspace(1 + rest, 1, last)])


@pytest.mark.parametrize("rest", [0.0, 0.05, 0.2, -0.2])
def test_a_planted_slope_is_measured(rest):
    curve = falling(400, rest)
    drift = flatness.fit_drift(1, "loss", np.array([curve, curve]))
    way = abs(curve[0] - curve[-40:].mean())
    assert drift.change == pytest.approx(-rest / way, rel=0.03, abs=1e-9)
    assert drift.moves == (abs(rest) / way > flatness.BOUND)


def test_noise_of_batches_is_not_a_slope():
    draw = np.random.default_rng(0)
    for rest, least, most in ((0.0, 0.0, 0.02), (0.5, 0.95, 1.0)):
        noisy = [falling(300, rest) + 0.2 * draw.normal(size=(5, 300)) for _ in range(100)]
        assert least <= np.mean([flatness.fit_drift(1, "loss", curves).moves for curves in noisy]) <= most


def test_a_curve_that_is_constant_or_of_a_step_or_two_does_not_move():
    assert flatness.fit_drift(1, "loss", np.full((3, 100), 0.1)) == flatness.Drift(1, "loss", 0.0, 0.0)
    for steps in (1, 2):
        short = flatness.fit_drift(1, "loss", np.arange(float(steps))[None])
        assert np.isnan(short.change)
        assert not short.moves


def test_the_report_names_rows_that_still_move(tmp_path):
    loaded = stores.load(tmp_path)
    root = tmp_path / "mlruns"
    stores.fill(loaded, root, curve=lambda row, seed: falling(100, 0.4 if row > 1 else 0.0))
    said = [note for note in notes.list_notes(records.read(loaded, root)) if "moves" in note]
    assert said[0].startswith("Over the last tenth of training a curve moves by 2")
    moved = [note.split(" by ")[0] for note in said[1:]]
    assert moved == ["Row 2 still moves: entropy/Q_R", "Row 3 still moves: entropy/Q_R"]
    quick = stores.load(tmp_path, quick=True)
    assert not any("moves" in note for note in notes.list_notes(records.read(quick, root)))
