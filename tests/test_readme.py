"""Every command in the README is run: as it stands where that is quick, else as VARIANTS says."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent
TEXT = (HOME / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
SHELL = [line.split("  #")[0].strip() for kind, text in BLOCKS if not kind for line in text.splitlines()]
COMMANDS = [line for line in SHELL if line.startswith(("python ", "make ", "pip ", "examples/"))]
BARE = {"python -m harness.run", "python -m harness.evaluate", "python -m harness.search", "python -m harness.bench"}
INLINE = set(re.findall(r"`((?:python -m harness|python -c|make )[^`]*)`", TEXT)) - BARE
MAKE = sorted({line for line in [*COMMANDS, *INLINE] if line.startswith("make ")})
VARIANTS = {  # command -> what is run in its place
    "python -m harness.run studies/table2.yaml": "{} --dry-run",
    "python -m harness.run table3 table4 --quick": "{} --dry-run",
    "python -m harness.run my_study.yaml": "{} --dry-run",
    "python -m harness.run table11": "{} --dry-run",
    "python -m harness.search studies/search_case.yaml": "{} --dry-run",
    "python -m harness.run studies/table2.yaml --executor ray --address 10.0.0.5:6379": "python -m harness.run "
    "studies/table2.yaml --executor print --address 10.0.0.5:6379",
    "examples/slurm.sh studies/table2.yaml --output /shared/mlruns": "bash -n examples/slurm.sh",
    "python -m harness.data check data/thumos14": "python -m harness.data check mydata",
    "python -m harness.run table2 --data thumos14 --dry-run": "python -m harness.run table2 --data mydata --dry-run",
    "python -m harness.run table2 --data thumos14": "python -m harness.run table2 --data mydata --dry-run",
    "python -m harness.predict table2:8 --data thumos14 --features DIR --out predictions.json "
    "--timelines pictures": "python -m harness.predict --help",  # test_predict.py runs it
    "python -m harness.verify table2 --runs 3": "python -m harness.verify --help",  # test_verify.py runs them
    "python -m harness.verify STUDY": "python -m harness.verify --help",
    "python -m harness.bench --scale tiny --steps 3": "python -m harness.bench --help",  # test_bench.py runs it
    "python -m harness.data check NAME|DIR": "python -m harness.data check mydata --json",
    "python -m harness.run table2 --data mydata": "{} --dry-run",
    "python -m harness.run table7 --data activitynet-1.3": "python -m harness.run table7 --data mydata --dry-run",
    "python -m harness.data convert DIR OUT --allow-pickle": "python -m harness.data convert mydata out --allow-pickle",
    "python -m pytest -q -n 2 -m 'not slow'": "python -m pytest -q -m 'not slow' --collect-only tests/test_readme.py",
    "python -m harness.run studies/table2.yaml --base mlruns/reports/search_case/best.yaml": "{} --dry-run",
}


def read_yaml(word):
    """The study in the README that sets ``word``."""
    return next(text for kind, text in BLOCKS if kind == "yaml" and word in text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working directory with the project's folders and the files that the README writes or has made before."""
    path = tmp_path_factory.mktemp("readme")
    for name in ("studies", "examples", "tests", "Makefile", "README.md", "constraints.txt", "pyproject.toml"):
        (path / name).symlink_to(HOME / name)
    (path / "my_study.yaml").write_text(read_yaml("sweep:"))
    (path / "my_search.yaml").write_text(read_yaml("tune:"))
    best = path / "mlruns/reports/search_case/best.yaml"
    best.parent.mkdir(parents=True)
    best.write_text("title: best\nbase: paper\ntuned: {training.lr: 0.002}\n")
    assert call("python -m harness.data synthetic --out mydata --scale tiny", path).returncode == 0
    return path


def call(command, folder):
    env = os.environ | {"PYTHONPATH": str(HOME), "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    return subprocess.run(command, shell=True, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith(("python", "examples"))])
def test_command_runs(line, folder):
    command = VARIANTS.get(line, line).format(line)
    done = call(command, folder)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("line", MAKE)
def test_make_target_is_there(line, folder):
    done = call(f"{line} --dry-run", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("line", sorted(line for line in INLINE if line.startswith("python")))
def test_command_in_a_sentence_runs(line, folder):
    command = VARIANTS.get(line, line).format(line)
    done = call(command, folder)
    assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_installation_names_what_there_is():
    import tomllib

    extras = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    lines = [shlex.split(line) for line in COMMANDS if line.startswith("pip")]
    assert lines
    for words in lines:
        assert words[:4] == ["pip", "install", "-c", "constraints.txt"]
        assert set(re.findall(r"\w+", words[-1])) <= extras.keys()


def test_python_in_the_readme_runs(folder):
    (code,) = [text for kind, text in BLOCKS if kind == "python"]
    (folder / "block.py").write_text(code)
    done = call("python block.py", folder)
    assert done.returncode == 0, done.stderr


def test_messages_are_those_of_the_program():
    table = TEXT[TEXT.index("| message |") :].split("\n\n")[0].splitlines()[2:]
    messages = [line.split("`")[1] for line in table]
    sources = "\n".join(path.read_text() for path in (HOME / "harness").rglob("*.py"))
    assert len(messages) == 11
    assert [message for message in messages if message not in sources] == []


def test_places_and_links_exist():
    names = set(re.findall(r"`((?:model|harness|studies|examples|tests|\.ci)/[\w./-]*\w)`", TEXT))
    assert len(names) > 10
    assert [name for name in sorted(names) if not (HOME / name).exists()] == []
    titles = re.findall(r"^#+ (.*)", TEXT, re.MULTILINE)
    heads = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert [link for link in links if link[0] == "#" and link[1:] not in heads] == []
    assert [link for link in links if link[0] != "#" and not (HOME / link).exists()] == []


def test_variants_belong_to_commands():
    assert VARIANTS.keys() <= {*COMMANDS, *INLINE}
