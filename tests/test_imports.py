"""Rules about files, read from the source: what is imported where and how late, how long things are.

Which package may import which is a contract of import-linter (pyproject.toml, `lint-imports`).

Every check is a function that returns offenders. It is called on this repository, where there must be none, and on a
small bad example, where it must find what was planted.
"""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("harness", "model", "tests")
LONGEST_FILE, LONGEST_FUNCTION = 300, 50

BENCH = {f"harness.bench.{name}" for name in ("growth", "scale", "parts", "reference", "subject")}
TORCH_AT_ONCE = {
    f"harness.compute.{name}" for name in ("batches", "checkpoint", "machine", "optimiser", "outer", "train")
} | BENCH
TORCH = {"harness.predict", "harness.execute.worker", *TORCH_AT_ONCE}  # in the worker, late
TORCH |= {"harness.bench.__main__", "harness.bench.processes"}  # late
ONLY = {  # package -> harness modules that may import it at all
    "torch": TORCH,
    "mlflow": {"harness.track.database", "harness.track.experiments", "harness.track.mirror"},
    "optuna": {"harness.search.proposals"},
    "ray": {"harness.execute.cluster"},
}
LATE = ("mlflow", "ray")  # never at module level
SLOW = {*ONLY, "scipy", "pandas", "matplotlib"}  # what no plan needs
TORCHLESS = (
    "model",
    "model.settings",
    "model.inference",
    "model.segments",
    "model.baselines",
)  # a study validates without torch
BASELINE = {"model.inference", "model.mil", "model.options", "model.segments", "model.settings", "model.streams"}
BASELINE |= {f"model.baselines.{name}" for name in ("proposed", "acmnet", "co2net", "wtalc")}  # others are made of them
MODEL: Mapping[str, set[str]] = {  # the one-way street inside model/; every file of baselines/ is as BASELINE says
    "model": set(),
    "model.ranges": set(),
    "model.options": {"model.ranges"},
    "model.settings": {"model.options", "model.ranges"},
    "model.inference": set(),
    "model.segments": {"model.options"},
    "model.streams": set(),
    "model.mil": {"model.streams"},
    "model.transport": set(),
    "model.labeling": {"model.settings", "model.streams", "model.transport"},
    "model.clustering": {"model.labeling", "model.settings", "model.streams"},
    "model.baselines": {"model.options"},
    "model.case": {
        *("model.baselines", "model.clustering", "model.labeling", "model.settings", "model.streams", "model.transport")
    },
}


@dataclass(frozen=True)
class Import:
    """``module`` imports ``target``; ``late``: inside a function; ``typing``: under TYPE_CHECKING only."""

    module: str
    target: str
    late: bool
    typing: bool

    @property
    def package(self) -> str:
        return self.target.split(".")[0]


def sources(*folders: str) -> dict[str, str]:
    """Dotted module -> source text of every Python file below the folders."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {named(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


def named(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def statements(node: ast.AST, late: bool = False, typing: bool = False) -> Iterator[tuple[ast.AST, bool, bool]]:
    """Each import statement below ``node``, whether it stands in a function, and whether only type checkers see it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, late, typing
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        checked = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield from statements(child, late or inside, typing or checked)


def imports(files: Mapping[str, str]) -> list[Import]:
    """All imports; ``from package import x`` means module package.x where there is such a file."""
    out = []
    for module, text in files.items():
        for node, late, typing in statements(ast.parse(text)):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            else:
                assert isinstance(node, ast.ImportFrom)
                assert not node.level, f"{module}: a relative import"
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = [name if name in files else str(node.module) for name in inner]
            out += [Import(module, target, late, typing) for target in dict.fromkeys(targets)]
    return out


def model_reaches_harness(found: Iterable[Import]) -> list[str]:
    return [f"{i.module} -> {i.target}" for i in found if i.module.startswith("model") and i.package == "harness"]


def foreign_to_model(found: Iterable[Import]) -> list[str]:
    """Packages in model/ beside torch (numpy, where scores are read; annotated-types, for ranges of settings)."""
    known = {"torch", "numpy", "annotated_types", "model"} | set(sys.stdlib_module_names)
    return [f"{i.module} -> {i.target}" for i in found if i.module.startswith("model") and i.package not in known]


def against_the_street(found: Iterable[Import]) -> list[str]:
    """Imports inside model/ that MODEL does not allow; a module that MODEL does not know may import none."""
    inside = [i for i in found if i.module.startswith("model") and i.package == "model"]
    return [f"{i.module} -> {i.target}" for i in inside if i.target not in allowed(i.module)]


def allowed(module: str) -> set[str]:
    return BASELINE if module.startswith("model.baselines.") else MODEL.get(module, set())


def out_of_place(found: Iterable[Import]) -> list[str]:
    """Heavy packages in harness modules that ONLY does not name, or at module level although LATE."""
    heavy = [i for i in found if i.module.startswith("harness") and i.package in ONLY and not i.typing]
    wrong = [i for i in heavy if i.module not in ONLY[i.package] or (i.package in LATE and not i.late)]
    return [f"{i.module} -> {i.target}" for i in wrong]


def graph(found: Iterable[Import]) -> dict[str, set[str]]:
    """What importing a module imports at once. A module's own package is no edge: it is being imported already."""
    edges: dict[str, set[str]] = {}
    for i in found:
        if not i.late and not i.typing:
            edges.setdefault(i.module, set()).add(i.target)
    return edges


def reaching(found: Iterable[Import], package: str) -> set[str]:
    """Modules whose import imports ``package``, directly or through others."""
    edges, out = graph(found), set[str]()

    def reaches(target: str) -> bool:
        return target.split(".", maxsplit=1)[0] == package or target in out

    while more := {module for module, to in edges.items() if module not in out and any(map(reaches, to))}:
        out |= more
    return out


def long_files(files: Mapping[str, str]) -> list[str]:
    lengths = {module: len(text.splitlines()) for module, text in files.items()}
    return [f"{module}: {lines} lines" for module, lines in lengths.items() if lines > LONGEST_FILE]


def long_functions(files: Mapping[str, str]) -> list[str]:
    out = []
    for module, text in files.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                out += [f"{module}.{node.name}: {lines} lines"] if lines > LONGEST_FUNCTION else []
    return out


def heaps(files: Iterable[str]) -> list[str]:
    """Files named after nothing."""
    return [module for module in files if module.rsplit(".", maxsplit=1)[-1] in {"utils", "util", "helpers", "misc"}]


def loaded(code: str, folder: Path, packages: Iterable[str] = ONLY) -> set[str]:
    """Which of these packages a fresh interpreter has imported after ``code``."""
    code += f"\nimport sys; print('HEAVY', *sorted({set(packages)} & set(sys.modules)))"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("HEAVY")[-1].split())


ALL = sources(*FOLDERS)
PRODUCT = {module: text for module, text in ALL.items() if not module.startswith("tests")}
FOUND = imports(PRODUCT)
LIGHT = sorted(set(PRODUCT) - reaching(FOUND, "torch") - reaching(FOUND, "optuna"))


@pytest.mark.parametrize("check", [model_reaches_harness, foreign_to_model, against_the_street, out_of_place])
def test_imports_go_one_way(check) -> None:
    assert check(FOUND) == []


@pytest.mark.parametrize(
    ("check", "module", "text"),
    [
        (model_reaches_harness, "model.mil", "def f():\n    from harness import results"),
        (model_reaches_harness, "model.mil", "import harness.settings"),
        (foreign_to_model, "model.mil", "import scipy.stats"),
        (against_the_street, "model.labeling", "from model.case import Case"),
        (against_the_street, "model.baselines.new", "from model import clustering"),
        (against_the_street, "model.new", "import model.mil"),
        (out_of_place, "harness.compute.metrics", "def f():\n    import torch"),
        (out_of_place, "harness.store.results", "from mlflow.entities import Run"),
        (out_of_place, "harness.track.mirror", "import mlflow"),
    ],
)
def test_what_is_planted_is_found(check, module, text) -> None:
    assert check(imports({**PRODUCT, module: text})) != []


def test_imports_for_type_checkers_and_inside_functions_are_told_apart() -> None:
    text = (
        "import a\nif TYPE_CHECKING:\n    import b\nclass C:\n    import c\n    def f(self):\n        from d import e"
    )
    flags = {i.target: (i.late, i.typing) for i in imports({"x": text})}
    assert flags == {"a": (False, False), "b": (False, True), "c": (False, False), "d": (True, False)}


def test_torch_comes_with_training_only() -> None:
    harness = {module for module in reaching(FOUND, "torch") if module.startswith("harness")}
    assert harness == TORCH_AT_ONCE
    assert not reaching(FOUND, "torch") & set(TORCHLESS)
    assert reaching(FOUND, "mlflow") == set()
    planted = imports({**PRODUCT, "harness.settings": "from model import mil"})
    assert {"harness.settings", "harness.data", "harness.study.loading"} <= reaching(planted, "torch")


def test_the_source_is_what_python_does(tmp_path: Path) -> None:
    """Importing all that reads as light imports nothing heavy; importing the trainer does."""
    assert {
        "harness.run",
        "harness.report.writing",
        "harness.compute.score",
        "harness.track.mirror",
        "model.settings",
    } <= set(LIGHT)
    assert loaded("import " + ", ".join(LIGHT), tmp_path) == set()
    assert loaded("import harness.compute.train", tmp_path) == {"torch"}


@pytest.mark.parametrize(
    ("arguments", "packages"),
    [
        (["--help"], {*SLOW, "numpy", "pydantic"}),
        (["table2", "--dry-run"], SLOW),
        (["table4", "--dry-run"], SLOW),
    ],
)
def test_a_question_imports_nothing_heavy(arguments: list[str], packages: set[str], tmp_path: Path) -> None:
    code = f"from harness import run\ntry: run.main({arguments})\nexcept SystemExit as e: assert not e.code"
    assert loaded(code, tmp_path, packages) == set()
    assert list(tmp_path.iterdir()) == []


def test_files_and_functions_are_short_and_named_after_something() -> None:
    assert long_files(ALL) == []
    assert long_functions(ALL) == []
    assert heaps(ALL) == []


def test_long_files_and_functions_and_heaps_are_found() -> None:
    body = "    x = 1\n" * LONGEST_FUNCTION
    nested = "class A:\n    async def g(self):\n" + "        x = 1\n" * (LONGEST_FUNCTION - 1)
    assert long_functions({"m": f"def f():\n{body}"}) == ["m.f: 51 lines"]
    assert long_functions({"m": nested}) == []
    assert long_functions({"m": nested + "        x = 1\n"}) == ["m.g: 51 lines"]
    assert long_files({"m": "\n" * 300}) == []
    assert long_files({"m": "\n" * 301}) == ["m: 301 lines"]
    assert heaps(["harness.utils", "tests.helpers", "model.case"]) == ["harness.utils", "tests.helpers"]
