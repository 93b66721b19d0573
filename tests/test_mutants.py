"""The list of mutants fits the sources; ``make mutants`` runs it."""

from pathlib import Path

from mutants.__main__ import HOME, read_mutants


def test_each_wrong_change_can_be_made_once() -> None:
    mutants = read_mutants([])
    texts = {mutant.file: (HOME / mutant.file).read_text(encoding="utf-8") for mutant in mutants}
    assert [m.what for m in mutants if texts[m.file].count(m.before) != 1 or m.before == m.after] == []
    assert len({(m.file, m.before, m.after) for m in mutants}) == len(mutants)


def test_the_tests_that_must_notice_are_there() -> None:
    named = {Path(HOME / name) for mutant in read_mutants([]) for name in mutant.tests.split()}
    assert [path for path in named if not path.is_file()] == []
