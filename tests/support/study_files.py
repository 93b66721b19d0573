"""Study files written for a test, and what is wrong with them."""

import pytest

from harness import study
from harness.errors import ConfigError


def writer(tmp_path, monkeypatch):
    """A function that writes x.yaml (or another file) into an empty working directory and gives its name."""
    monkeypatch.chdir(tmp_path)

    def file(text, name="x.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return name

    return file


def refused(path, **options):
    with pytest.raises(ConfigError) as caught:
        study.load(path, **options)
    return caught.value.errors


def folder(tmp_path, yaml=None):
    """A data folder that is none, but for its data.yaml."""
    path = tmp_path / "mine"
    path.mkdir()
    if yaml is not None:
        (path / "data.yaml").write_text(yaml)
    return path
