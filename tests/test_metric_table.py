"""The table of metrics against what a training and its scoring write: nothing more, nothing less."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.compute import train
from harness.store import records
from harness.store.jobs import Job
from harness.study import Run
from harness.study.metrics import CURVE, CURVES, METRICS, find_metric, is_curve, list_names
from harness.study.presets import load_preset
from harness.study.study import Column

ANET = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A training of six steps, scored at all tIoU of the usual averages."""
    root, settings = tmp_path_factory.mktemp("store"), load_preset("paper", "tiny")
    knobs = {"train_videos": 6, "test_videos": 4}
    settings = replace(
        settings,
        case=replace(settings.case, width=8, clusters=3),
        training=replace(settings.training, steps=6, evaluate_every=3, snippets=12, batch=2),
        metrics=replace(settings.metrics, tiou=tuple(sorted({*settings.metrics.tiou, *ANET}))),
        source=replace(settings.source, knobs=knobs),
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train.fit(Job("key", settings, 0, {"s": settings}, root, "toy"), lambda progress: None)
    torch.set_num_threads(threads)
    run = Run("toy", 1, 0, settings, "key", "s", ("x",))
    return next(iter(records.read_runs([run], root)))


def test_every_metric_of_the_table_is_written_and_every_written_one_is_in_the_table(record):
    written = set(record.result["metrics"])
    assert written - {name for name in written if find_metric(name)} == set()
    assert {name for name in list_names("result") if not any(find_metric(name).covers(w) for w in written)} == set()
    assert {"map/0.50", "map/0.95"} <= written


def test_every_curve_of_the_table_is_written_and_every_written_one_is_in_the_table(record):
    written = set(record.curves) - {"step"}
    assert {name for name in written if not is_curve(name)} == set()
    assert set(CURVES) <= written


def test_a_curve_as_a_column_is_its_mean_over_the_last_twentieth_of_the_steps(record):
    steps = np.arange(1, 101)
    long = replace(record, run=replace(record.run, settings=steps_of(record.run.settings, 100)))
    long.__dict__["curves"] = {"step": steps, "P_A/mean": steps / 100}
    column = Column("mean P^A", f"{CURVE}P_A/mean")
    assert long.value(column) == pytest.approx(np.mean([0.96, 0.97, 0.98, 0.99, 1.0]))
    assert np.isnan(long.value(replace(column, metric=f"{CURVE}Q_R/mean")))
    assert np.isnan(replace(long, status="failed").value(column))


def steps_of(settings, steps):
    return replace(settings, training=replace(settings.training, steps=steps))


def test_names_are_told_apart():
    assert [find_metric(name).printed for name in ("map/0.55", "video_map", "acc/fused", "curve/loss")] == [
        "mAP", "video_mAP", "ACC", "curve",
    ]  # fmt: skip
    assert [find_metric(name).digits for name in ("map/avg", "entropy/Q_R", "curve/P_A/mean")] == [1, 2, 2]
    assert find_metric("map/0.555") is None
    assert find_metric("map/0.2:0.6") is None
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    weak = {metric.name for metric in METRICS if not metric.temporal}
    assert {"video_map", "seconds", "memory_gb", "entropy/P_C", "entropy/Q_R"} <= weak
    assert not weak & {"map/avg", "map/0.50", "acc", "acc/fused", "auc/clusters"}
