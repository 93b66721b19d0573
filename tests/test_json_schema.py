"""The JSON Schema of study files: every setting with its range, and the comment that stands on it."""

import json
import subprocess
import sys

from harness.study.json_schema import list_settings, read_comments
from harness.study.layers import list_leaves
from model.options import OPTIONS
from model.settings import CaseSettings, CoLabel


def test_schema_describes_every_setting():
    command = [sys.executable, "-m", "harness.study.json_schema"]
    schema = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    known = schema["properties"]["set"]["properties"]
    assert {path for name in OPTIONS for path in list_leaves(name)} == set(known)
    assert known["case.cat"]["maximum"] == 1
    assert "argsort" in known["case.rank"]["enum"]
    assert schema["additionalProperties"] is False


def test_every_setting_of_the_method_has_a_comment():
    for cls in (CaseSettings, CoLabel, *OPTIONS.values()):
        assert read_comments(cls), cls
    assert list_settings()["case.sigma"]["description"].startswith("standard deviation of the prior, Eq. 13")


def test_settings_of_one_name_keep_their_own_comments_and_ranges():
    """Co-labeling of clusters is not their number, and an option means what its baseline says."""
    known = list_settings()
    assert known["case.clusters"]["description"].startswith("K^C")
    assert known["case.co_label.clusters"]["description"].startswith("Eq. 20")
    assert "d2net: weight of the separation of means" in known["case.options.gamma"]["description"]
    assert {shape["type"] for shape in known["case.options.attention"]["anyOf"]} == {"string", "number"}
