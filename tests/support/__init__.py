"""Fixtures that several test files share, named as nouns."""
