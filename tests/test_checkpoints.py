"""Checkpoints: a training that was cut off goes on and ends with the same bits; a foreign file counts as absent."""

import io
from functools import cache
from math import inf

import pytest
import torch

from harness.compute import checkpoint, train
from harness.store import checkpoints
from harness.store.jobs import Job
from model.options import AsmlocOptions

from support.trainings import different, fitted, left, small

STEPS = 12
TRAININGS = {
    "paper": small(training={"steps": STEPS}),
    "released": small(training={"steps": STEPS}, head="projected", rank="argsort", hard=True, sinkhorn_steps=3),
    "no head": small(training={"steps": STEPS}, clusters=0, cat=0.0),
    "pairs": small("wtalc", training={"steps": STEPS, "pairs": 2}),  # and dropout
    "rskp": small("rskp", training={"steps": STEPS}),  # a memory, refreshed once
    "d2net": small("d2net", training={"steps": STEPS}),  # a running background
    "delu": small("delu", training={"steps": STEPS, "pairs": 2}),  # the step's number
    "asmloc": small("asmloc", training={"steps": STEPS}),  # running moments
    "segments": small(  # made of its own detections before steps 4, 7 and 10, with new weights
        "asmloc",
        training={"steps": STEPS},
        options=AsmlocOptions(segments=5, refresh=3, for_steps=0, channels=16),
    ),
}


class Killed(BaseException):
    """As sudden as a signal."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A run store for the whole file: its data sets are made once."""
    return tmp_path_factory.mktemp("mlruns")


@pytest.fixture(scope="module")
def whole(root):
    """What an uninterrupted training leaves, by name."""
    return cache(lambda name: fitted(TRAININGS[name], root, f"{name} whole"))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """As a worker trains."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def count(monkeypatch):
    """A function that runs another, which is killed after ``most`` steps, and returns how many were done."""
    update = train.update

    def run(body, most=inf):
        done = []

        def limited(state, batch):
            if len(done) == most:
                raise Killed
            done.append(state)
            return update(state, batch)

        monkeypatch.setattr(train, "update", limited)
        try:
            body()
        except Killed:
            pass
        finally:
            monkeypatch.setattr(train, "update", update)
        return len(done)

    return run


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("cuts", [(1,), (4, 3), (11,)], ids=str)
def test_a_training_that_was_cut_off_ends_with_the_same_bits(name, cuts, root, whole, count):
    """Weights, memory, Q^R, curves, scores, metrics and their curve; each step is done once."""
    key = f"{name} {cuts}"
    for most in cuts:
        count(lambda: fitted(TRAININGS[name], root, key, every=0), most)
        assert checkpoints.locate_checkpoint(root, key).exists()
    assert count(lambda: fitted(TRAININGS[name], root, key, every=0)) == STEPS - sum(cuts)
    resumed = left(root, key, "s")
    assert resumed.record["resumed"] == [sum(cuts[:i]) for i in range(1, len(cuts) + 1)]
    assert different(whole(name), resumed) == []
    for part in ("metrics", "curve", "best"):
        assert resumed.result[part] == whole(name).result[part]
    assert not checkpoints.locate_checkpoint(root, key).exists()


def test_what_is_spent_before_the_cut_counts(root, count):
    key = "spent"
    count(lambda: fitted(TRAININGS["paper"], root, key, every=0), 6)
    path = checkpoints.locate_checkpoint(root, key)
    job = Job(key, TRAININGS["paper"], 0, {}, root, key)
    content = checkpoints.read_checkpoint(path, checkpoint.name_origin(job, torch.device("cpu")))
    held = torch.load(io.BytesIO(content), weights_only=True)
    held["seconds"] = {"total": 5000.0, "evaluation": 4000.0}
    rewrite(path, held)
    record = fitted(TRAININGS["paper"], root, key).record
    assert record["seconds"]["total"] > 5000
    assert record["seconds"]["evaluation"] > 4000


def test_a_training_that_becomes_nan_ends_as_it_would_have(root, count):
    settings = small(training={"steps": STEPS, "lr": 1e30, "evaluate_every": 4})
    whole = fitted(settings, root, "nan whole")
    count(lambda: fitted(settings, root, "nan", every=0), 3)
    resumed = fitted(settings, root, "nan", every=0)
    assert whole.record["status"] == resumed.record["status"] == "nan"
    assert whole.record["reason"] == resumed.record["reason"]
    assert different(whole, resumed) == []
    assert not checkpoints.locate_checkpoint(root, "nan").exists()


def test_short_trainings_write_none(root, monkeypatch):
    monkeypatch.setattr(checkpoint, "write_checkpoint", lambda *_: pytest.fail("a checkpoint was written"))
    fitted(TRAININGS["paper"], root, "short")


def test_the_last_step_writes_none(root, monkeypatch):
    """What follows it takes less time than a step of a long training, and the file would go at once."""
    written = []
    monkeypatch.setattr(checkpoint, "write_checkpoint", lambda path, origin, step, content: written.append(step))
    fitted(TRAININGS["paper"], root, "all", every=0)
    assert written == list(range(1, STEPS))


def test_a_full_disk_costs_the_checkpoint_and_not_the_run(root, whole, monkeypatch, capfd):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_checkpoint", fail)
    full = fitted(TRAININGS["paper"], root, "full disk", every=0)
    assert "no checkpoint after step 1: OSError: [Errno 28] No space left on device" in capfd.readouterr().out
    assert different(full, whole("paper")) == []


def rewrite(path, held=None, content=None, **origin):
    """Change what a checkpoint holds, or what it says of its origin; it stays whole."""
    with path.open("rb") as stream:
        header = checkpoints.read_header(stream)
        old = stream.read()
    if held is not None:
        buffer = io.BytesIO()
        torch.save(held, buffer)
        content = buffer.getvalue()
    checkpoints.write_checkpoint(path, header["origin"] | origin, header["step"], content or old)


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


class Dangerous:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return print, ("code of the file was run",)


WRONG = {  # what is done to the file, and what is said of it
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "damaged"),
    "empty": (lambda path: path.write_bytes(b""), "damaged"),
    "garbage": (lambda path: path.write_bytes(b"\x80\x04garbage\n" * 99), "damaged"),
    "no mapping": (lambda path: path.write_bytes(b"[3]\n"), "damaged"),
    "a bit of the content": (lambda path: flip(path, -100), "damaged"),
    "a bit of the first line": (lambda path: flip(path, 0), "damaged"),
    "another training's": (lambda path: rewrite(path, key="other"), "key is other"),
    "other sources": (lambda path: rewrite(path, sources="0123"), "sources is 0123"),
    "another torch": (lambda path: rewrite(path, torch="1.0"), "torch is 1.0"),
    "another device": (lambda path: rewrite(path, device="abacus"), "device is abacus"),
    "another numpy": (lambda path: rewrite(path, numpy="1.0"), "numpy is 1.0"),
    "more threads": (lambda path: rewrite(path, threads="7"), "threads is 7"),
    "no content": (lambda path: rewrite(path, held={"weights": {}}), "KeyError"),
    "a pickle": (lambda path: rewrite(path, held=Dangerous()), "UnpicklingError"),
    "no archive": (lambda path: rewrite(path, content=b"nothing of torch's"), "UnpicklingError"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_checkpoint_that_does_not_count_is_named_and_the_training_starts_over(name, root, whole, count, capfd):
    spoil, said = WRONG[name]
    key = f"wrong {name}"
    count(lambda: fitted(TRAININGS["paper"], root, key, every=0), 5)
    path = checkpoints.locate_checkpoint(root, key)
    spoil(path)
    capfd.readouterr()
    assert count(lambda: fitted(TRAININGS["paper"], root, key)) == STEPS
    out = capfd.readouterr().out
    assert f"{path}: counts as absent" in out
    assert said in out
    assert "code of the file" not in out
    ended = left(root, key, "s")
    assert ended.record["resumed"] == []
    assert different(ended, whole("paper")) == []
    assert not path.exists()


@pytest.mark.parametrize("name", WRONG)
def test_the_driver_names_what_is_damaged(name, root, count):
    """It knows no torch: what only a worker can tell stands in the run's log."""
    key = f"named {name}"
    count(lambda: fitted(TRAININGS["paper"], root, key, every=0), 2)
    path = checkpoints.locate_checkpoint(root, key)
    assert checkpoints.find_damaged_checkpoint(root, key) == []
    assert checkpoints.tell_step(root, key) == 2
    WRONG[name][0](path)
    seen = checkpoints.find_damaged_checkpoint(root, key)
    assert seen == ([path] if WRONG[name][1] in {"damaged", "key is other"} else [])


@pytest.mark.parametrize(("before", "after", "steps"), [("", "s", STEPS), ("s", "", STEPS - 7), ("", "", STEPS - 7)])
def test_only_evaluations_that_are_asked_for_since_make_it_start_over(before, after, steps, root, count, capfd):
    """What nobody watched has no curve for one who does; what was watched serves one who does not."""
    settings, key = TRAININGS["paper"], f"watched {before}-{after}"
    whole = fitted(settings, root, f"{key} whole", watched=frozenset(after))
    count(lambda: fitted(settings, root, key, watched=frozenset(before), every=0), 7)
    assert count(lambda: fitted(settings, root, key, watched=frozenset(after))) == steps
    ended = left(root, key, "s")
    assert (ended.result["curve"], ended.result["best"]) == (whole.result["curve"], whole.result["best"])
    assert different(ended, whole) == []
    assert ("lacks evaluations that are asked for now" in capfd.readouterr().out) == (steps == STEPS)
