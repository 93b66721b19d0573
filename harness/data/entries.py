"""The annotation file that all layouts share: JSON with a ``database`` of entries, one a video."""

from pathlib import Path
from typing import Any

from harness.data.findings import Findings
from harness.data.reading import UnreadableError, read_json
from harness.errors import explain_unsafe


def refuse_id(video: str) -> str:
    """Why a text cannot be a video's id; empty when it can."""
    if any(character.isspace() for character in video):
        return "has a space; expected one id a line"
    return explain_unsafe(video) or ("" if video.isprintable() else "has characters that cannot be printed")


def read_database(path: Path, findings: Findings) -> dict[str, Any] | None:
    """An annotation file with a ``database``, or None."""
    repeated: list[str] = []
    try:
        content = read_json(path, repeated)
    except UnreadableError as error:
        note = str(error)
        if "JSON" in note and note[0].isdigit():
            findings.error(f"{path}:{note}", "")
        else:
            findings.error(path, f"{note}; expected the annotations as JSON")
        return None
    for key in dict.fromkeys(repeated):
        findings.error(path, f"key '{key[:60]}' stands twice in one mapping")
    if not isinstance(content, dict) or not isinstance(content.get("database"), dict):
        findings.error(path, 'no \'database\'; expected {"database": {ID: {"annotations": [...]}}}')
        return None
    return content


def is_entry(entry: Any, video: str, path: Path, findings: Findings) -> bool:
    """Whether the entry of a video is well-formed."""
    if isinstance(entry, dict) and isinstance(entry.get("annotations"), list):
        return True
    findings.error(path, f"video '{video}' has no list 'annotations'")
    return False
