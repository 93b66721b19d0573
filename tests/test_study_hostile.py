"""Study files and command lines meant to break something: each is answered in words, and nothing is written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import study
from harness.errors import MOST, ConfigError
from harness.report.writing import locate_report
from harness.settings import Settings
from harness.study.document import Mark, parse
from harness.study.sizes import estimate_parts

from support import study_files
from support.study_files import refused

HOME = Path(__file__).resolve().parent.parent
LONG = "x" * 5000
HERE = Mark("x.yaml", 1, 1)


@pytest.fixture
def write(tmp_path, monkeypatch):
    return study_files.writer(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('rows: [{label: "a\\0b"}]', "x.yaml:1:16: a control character (U+0000) in a text"),
        ('title: "\\e[31mred"', "x.yaml:1:8: a control character (U+001B)"),
        ('columns: {"a\\u202Eb": acc}', "x.yaml:1:11: a control character (U+202E)"),
        ('title: "a\\ud800"', "x.yaml:1:12: not YAML: found invalid Unicode character escape code"),
        ('data: ""', "x.yaml:1:7: data: found the text ''; allowed: a name"),
        ('base: ""', "x.yaml:1:7: base: unknown preset ''"),
        ('toggles: {"": {}}', "x.yaml:1:11: a key that is no name"),
        ("figures: [../../etc/passwd]", "x.yaml:1:11: figures: unknown figure '../../etc/passwd'"),
        ("seeds: " + "9" * 5000, "x.yaml:1:8: seeds: found .inf"),
        ("set: {training.lr: 1e" + "9" * 500 + "}", "training.lr: found .inf"),
        ("set: {metrics.tiou: [" + "0.1, " * 101 + "]}", "found a list; allowed: a list, each entry a number above 0"),
        ("rows:\n" + "- {}\n" * 1001, "x.yaml:2:1: rows: found 1001; allowed: 1000"),
        ("rows:\n" + "- {}\n" * 100_000, "x.yaml:10002:3: more than 10000 entries in one list or mapping"),
        ("rows: [" + "{}, " * 900_000 + "]", "x.yaml: 3600008 characters; allowed: 1000000"),
        ("\n".join(f"k{i}: 1" for i in range(11_000)), "x.yaml:10001:1: more than 10000 entries"),
        ("set: {" + ".".join("a" * 400) + ": 1}", "unknown key"),
    ],
    ids=range(16),
)
def test_hostile_files_are_answered_in_words(write, text, message):
    errors = refused(write(text))
    assert any(message in error for error in errors), errors
    assert len(errors) <= MOST + 1


def test_toggles_called_like_attributes_are_toggles(write):
    names = ("__class__", "keys", "items", "model_fields", "copy")
    toggles = ", ".join(f"{name}: {{case.cat: 0}}" for name in names)
    found = study.load(write(f"toggles: {{{toggles}}}\nrows: [{{on: [__class__, keys, items, copy]}}, {{on: []}}]"))
    assert found.toggles == names
    assert found.rows[0].label == "__class__ + keys + items + copy"


@pytest.mark.parametrize(
    "path",
    [
        *("case.clusters", "case.width", "training.snippets", "training.batch", "localization.upsampling"),
        *(f"source.knobs.{name}" for name in ("classes", "dimension", "train_videos", "duration_median")),
        *("source.knobs.code_dimension", "source.knobs.sub_actions"),
    ],
)
def test_what_no_machine_holds_is_refused_with_its_size(write, path):
    name = write(f"set: {{{path}: 1000000000}}\n")
    (error,) = refused(name)
    assert error.startswith(f"x.yaml:1:{len(path) + 9}: {path}: 1000000000")
    assert "GB of memory; this machine has" in error


def test_many_instances_are_refused_and_many_steps_are_not(write):
    knobs = "source.knobs: {instances_median: 1000000000, instances_most: 1000000000}"
    assert "GB of memory" in refused(write(f"set: {{{knobs}}}"))[0]
    assert study.load(write("set: {training.steps: 1000000000}"), seeds=1).runs


def test_the_estimate_is_that_of_the_paper_s_scale():
    """T = 750, B = 16, two streams of 2048 features, 512 channels, 16 clusters: 250 MB for a batch in float32."""
    parts = {paths: needed for needed, paths in estimate_parts(Settings())}
    batch = next(needed for paths, needed in parts.items() if "training.batch" in paths)
    assert batch == 4 * 16 * 750 * 2 * (64 + 512 + 20 + 3 * 16)
    assert max(parts.values()) < 2**30


@pytest.mark.parametrize("option", ["base", "data"])
@pytest.mark.parametrize("name", [LONG, LONG + ".yaml", "", "a\0b", "../" * 50 + "x", "\udc80"])
def test_hostile_names_on_the_command_line(write, option, name):
    (error,) = refused(write("title: x"), **{option: name})
    assert error.startswith(f"--{option}:1:1: ")
    assert error.isprintable()
    assert len(error) < 600


@pytest.mark.parametrize(
    "text", ["case.cat=\udc80", "case.cat=[" * 300, "case.cat=\0", "a" * 5000 + "=1", "=", "case.cat=&a 1"]
)
def test_hostile_settings_on_the_command_line(write, text):
    errors = refused(write("title: x"), sets=[text])
    assert all(error.startswith("--set") and error.isprintable() for error in errors)


def test_long_settings_give_short_folders_and_other_settings_other_folders(write, tmp_path):
    name, long = write("title: x"), "case.cat=0.1" + "0" * 300
    texts = [[long], [long + "0"], ["case.cat=0.1"], ["case.cat= 0.1"], ["case.cat=0.1", "case.rho=3"]]
    folders = [locate_report(study.load(name, sets=sets, seeds=1), tmp_path).name for sets in texts]
    assert len(set(folders)) == len(folders)
    assert max(map(len, folders)) < 120
    assert folders[2] == "case.cat=0.1"


def test_presets_and_folders_of_one_name_have_reports_of_their_own(write, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.data.fingerprint", lambda source, root: "f")
    name = write("title: x")
    for place in ("one", "two"):
        write("case.rho: 3\n", f"{place}/best.yaml")
        (tmp_path / place / "mine").mkdir()
        write("training.snippets: 99\n", f"{place}/mine/data.yaml")
    bases = [study.load(name, base=f"{place}/best.yaml", seeds=1) for place in ("one", "two", "./one")]
    data = [study.load(name, data=f"{place}/mine", seeds=1) for place in ("one", "two", "./one")]
    for first, second, again in (bases, data):
        assert locate_report(first, tmp_path) != locate_report(second, tmp_path)
        assert locate_report(first, tmp_path) == locate_report(again, tmp_path)
    outside = study.load(name, base="../" + tmp_path.name + "/one/best.yaml", seeds=1)
    assert locate_report(outside, tmp_path).resolve().is_relative_to(tmp_path / "reports" / "x")


def links(folder):
    """Files and links that are no folder for results."""
    (folder / "file").touch()
    os.symlink("nowhere/deep", folder / "dangling")
    os.symlink("loop", folder / "loop")
    os.symlink("/proc", folder / "kernel")


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--output", name] for name in ("file", "file/x", "dangling", "loop", "loop/x", "/proc/x", "/sys/x")),
        *(["--output", name] for name in ("kernel/x", LONG, f"a/{LONG}/b", "/dev/null")),
        *(["--jobs", number] for number in ("1000000000", "9" * 5000, "\u0663")),
        *(["--runs-per-gpu", number] for number in ("1000000000", "0")),
        *(["--seeds", number] for number in ("1000000000", "9" * 5000, "-1", "1e9")),
        *(["--base", name] for name in (LONG, "/dev/zero.yaml")),
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[1][:12]}",
)
def test_hostile_command_lines_exit_with_2_and_write_nothing(arguments, tmp_path):
    links(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    command = [sys.executable, "-m", "harness.run", "table2", *arguments]
    env = os.environ | {"PYTHONPATH": str(HOME)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert arguments[0] in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == before


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False) | st.text("ab1.~\u00e9 :#"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=12,
)


def quoted(value):
    """A value as YAML that leaves nothing to guess: JSON, with infinity as YAML has it."""
    return json.dumps(value, ensure_ascii=False).replace("-Infinity", "-.inf").replace("Infinity", ".inf")


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.text("abc", min_size=1), PLAIN, max_size=5))
def test_what_is_written_as_json_is_read_back(value):
    assert parse(quoted(value), HERE).plain() == value


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="ab:{}[]-,'\"\n #&*!?|>%@`\t0.1~<\u00e9\u2028\x00\ud800", max_size=60))
def test_any_text_is_a_document_or_an_error_with_its_place(text):
    try:
        errors, places = [], [parse(text, HERE).mark.line]
    except ConfigError as error:
        errors, places = error.errors, []
    assert errors or places[0] >= 1
    assert all(line.startswith("x.yaml") and line.isprintable() for line in errors)
