"""Lines that read: how much a statement may hold. Each check is called on this project and on a planted offender."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for folder in ("harness", "model") for path in (ROOT / folder).rglob("*.py"))
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def own_nodes(statement: ast.stmt) -> Iterator[ast.AST]:
    """Expressions of a statement, without those of the statements below it."""
    waiting = list(ast.iter_child_nodes(statement))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


def statements(source: str) -> Iterator[tuple[ast.stmt, list[ast.AST]]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node, list(own_nodes(node))


def crowded(source: str) -> list[int]:
    """Lines of statements with more than one comprehension or more than one conditional expression."""
    out = []
    for statement, nodes in statements(source):
        loops = sum(isinstance(node, COMPREHENSIONS) for node in nodes)
        choices = sum(isinstance(node, ast.IfExp) for node in nodes)
        if loops > 1 or choices > 1:
            out.append(statement.lineno)
    return out


def hidden_assignments(source: str) -> list[int]:
    """Lines with ``:=`` inside a conditional expression, or a loop over one element that stands for a name."""
    out = []
    for statement, nodes in statements(source):
        choices = [node for node in nodes if isinstance(node, ast.IfExp)]
        inside = [inner for node in choices for inner in ast.walk(node)]
        loops = [loop for node in nodes if isinstance(node, COMPREHENSIONS) for loop in node.generators]
        single = [loop for loop in loops if isinstance(loop.iter, ast.List | ast.Tuple) and len(loop.iter.elts) == 1]
        if single or any(isinstance(node, ast.NamedExpr) for node in inside):
            out.append(statement.lineno)
    return out


@pytest.mark.parametrize("check", [crowded, hidden_assignments])
def test_statements_hold_little(check) -> None:
    found = {str(path.relative_to(ROOT)): check(path.read_text(encoding="utf-8")) for path in FILES}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_crowded_statements_are_found() -> None:
    assert crowded("x = [a for a in b] + [c for c in d]") == [1]
    assert crowded("x = 1 if a else 2 if b else 3") == [1]
    assert crowded("def f():\n    x = [a for a in b]\n    y = {c for c in d}\n    return 1 if x else y") == []
    assert crowded("if any(a for a in b):\n    x = [a for a in b]") == []


def test_hidden_assignments_are_found() -> None:
    assert hidden_assignments("x = (y if (y := f()) else 0)") == [1]
    assert hidden_assignments("x = [g(y) for a in b for y in [f(a)]]") == [1]
    assert hidden_assignments("if (y := f()):\n    x = [g(a) for a in y]") == []
