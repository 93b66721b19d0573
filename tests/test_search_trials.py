"""Trials as trainings: where a worker dies, the training is tried again, and only its own trial is lost in the end."""

from dataclasses import replace

import pytest

from harness.execute.events import DIED, Event
from harness.search.trials import ATTEMPTS, TrainingEvaluator
from harness.store.results import write_failure, write_result

from support import workers
from support.searches import task_writer

VIDEO_MAP = 50.0


@pytest.fixture
def trainer(tmp_path):
    """A function that makes the evaluator of a search whose jobs a function of the test runs."""

    def make(run_jobs):
        said = []
        found = task_writer(tmp_path)()
        return TrainingEvaluator(found, tmp_path, [{}], said.append, run_jobs), said

    return make


def kill_worker_of(trial, times):
    """An executor that finishes every job but loses its worker ``times`` times on those of one trial."""
    calls = []

    def run_jobs(jobs, on_event, slots):
        for job in jobs:
            calls.append(job.label)
            if f"trial {trial}," in job.label and calls.count(job.label) <= times:
                write_failure(job, f"{DIED}: SIGKILL")
                on_event(Event(job, "failed", reason=f"{DIED}: SIGKILL"))
            else:
                finish_with_video_map(job)
                on_event(Event(job, "ok"))

    return run_jobs, calls


def finish_with_video_map(job):
    workers.finish(job)
    for key, settings in job.scorings.items():
        write_result(job.root, job.training_key, key, {"metrics": {"video_map": VIDEO_MAP}}, {}, settings)


@pytest.mark.parametrize("times", [1, 2])
def test_killed_worker_is_tried_again(trainer, times):
    run_jobs, calls = kill_worker_of(1, times)
    evaluate, said = trainer(run_jobs)
    measured = evaluate([(0, {"case.cat": 0.25}), (1, {"case.lambda_c": 0.5})], [0, 1])
    assert all(m.values.get("video_map") == VIDEO_MAP for seeds in measured for m in seeds)
    assert len(calls) == 4 + 2 * times
    assert sum("tried again" in line for line in said) == 2 * times


def test_worker_that_dies_each_time_fails_its_trial_alone(trainer):
    run_jobs, calls = kill_worker_of(1, 99)
    evaluate, said = trainer(run_jobs)
    measured = evaluate([(0, {"case.cat": 0.25}), (1, {"case.lambda_c": 0.5})], [0])
    assert measured[0][0].values["video_map"] == VIDEO_MAP
    assert measured[1][0].reason.startswith(DIED)
    assert len(calls) == 1 + ATTEMPTS
    assert "FAILED" in said[-1]


def test_how_many_trainings_are_left_is_said_while_they_run(trainer):
    heard = []
    run_jobs, _ = kill_worker_of(1, 1)
    evaluate, _ = trainer(run_jobs)
    replace(evaluate, busy=heard.append)([(0, {"case.cat": 0.25}), (1, {"case.lambda_c": 0.5})], [0])
    assert [int(text.split()[0]) for text in heard] == [2, 1, 0, 1, 0], "one of them twice"
