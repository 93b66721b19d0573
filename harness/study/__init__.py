"""The study: one YAML file, one table, as frozen dataclasses; no torch."""

from harness.study.loading import load
from harness.study.study import Column, Row, Run, Seeds, Study, with_seeds

__all__ = ["Column", "Row", "Run", "Seeds", "Study", "load", "with_seeds"]
