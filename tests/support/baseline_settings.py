"""What choosing a baseline sets, over the defaults."""

from harness.settings import Settings
from harness.study.building import build
from harness.study.document import Mark, Node
from harness.study.layers import fold


def of_baseline(name: str) -> Settings:
    here = Mark("test")
    errors: list[str] = []
    settings = build(fold([{"case.baseline": Node(name, here, here)}]), errors)
    assert errors == []
    return settings
