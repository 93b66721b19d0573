"""Small wrong changes that the tests must notice: ``make mutants``."""
