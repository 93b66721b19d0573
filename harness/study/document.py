"""YAML with line numbers: what may stand in a file of this project, and how a mistake in one is told.

Plain YAML only: no tags, anchors or aliases, no duplicate keys; ``1e-4`` is a number, ``on`` and ``off``,
``yes`` and ``no`` are text, ``.inf`` is infinity. Every value keeps its place, so that an error names file:line:column.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ConfigError, shorten_path

Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it is built in: ten times faster
LARGEST = 1_000_000  # characters of a file
DEEPEST = 20  # nesting of a value
WIDEST = 10_000  # entries of a list or mapping
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})  # kinds of characters that are no text: controls, directions
WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
NUMBER = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan")


@dataclass(frozen=True)
class Mark:
    """Where something stands; line and column count from 1, line 0 is a place without lines."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True)
class Node:
    """A value with its place: a scalar, a list of nodes or a mapping of names to nodes; ``key`` is its name's place."""

    value: Any
    mark: Mark
    key: Mark

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {name: node.plain() for name, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value

    def at(self, steps: Sequence[str | int]) -> "Node":
        """The node reached by these names and positions, or the last one on the way to it."""
        node = self
        for step in steps:
            inside = node.value
            if isinstance(inside, dict) and step in inside:
                node = inside[str(step)]
            elif isinstance(inside, list) and isinstance(step, int) and step < len(inside):
                node = inside[step]
        return node


def wrap(value: Any, mark: Mark) -> Node:
    """A Python value as nodes that all stand at ``mark``."""
    if isinstance(value, dict):
        return Node({name: wrap(inner, mark) for name, inner in value.items()}, mark, mark)
    return Node([wrap(v, mark) for v in value] if isinstance(value, list | tuple) else value, mark, mark)


def is_file(path: Path) -> bool:
    """Whether a regular file is there; names that no file can have are none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def read_document(path: Path) -> Node:
    """The single YAML document in ``path``; ConfigError lists everything that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([f"{shorten_path(path)}: not UTF-8 text (byte {error.start})"]) from error
    except OSError as error:
        raise ConfigError([f"{shorten_path(path)}: cannot be read: {error.strerror}"]) from error
    return parse(text, Mark(shorten_path(path), 1, 1))


def parse(text: str, origin: Mark) -> Node:
    """The single YAML document ``text``, which begins at ``origin``."""
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise ConfigError([f"{origin}: not UTF-8 text"])
    if len(text) > LARGEST:
        raise ConfigError([f"{origin.file}: {len(text)} characters; allowed: {LARGEST}"])
    reader = Reader(text, origin)
    try:
        node = reader.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError([*reader.errors, f"{reader.place(mark)}: not YAML: {error.problem}"]) from error
    except yaml.reader.ReaderError as error:
        raise ConfigError([f"{origin.file}: not YAML: character {error.position}: {error.reason}"]) from error
    if reader.errors:
        raise ConfigError(reader.errors)
    return node


class Reader:
    """Composes nodes from the parser's events; ``errors`` collects what plain YAML does not allow."""

    def __init__(self, text: str, origin: Mark) -> None:
        self.events: Iterator[Any] = yaml.parse(text, Loader=Parser)
        self.origin, self.lines = origin, text.count("\n") + 1
        self.errors: list[str] = []

    def place(self, mark: Any) -> Mark:
        """A parser's mark, counted from 1 and from the origin."""
        line = min(mark.line, self.lines - 1)  # the end of an unfinished text is on its last line
        shift = self.origin.column if line == 0 else 1
        return Mark(self.origin.file, line + self.origin.line, shift + (mark.column if line == mark.line else 0))

    def refuse(self, event: Any, message: str) -> None:
        self.errors.append(f"{self.place(event.start_mark)}: {message}")

    def document(self) -> Node:
        """The one document of the text; an empty text is an empty mapping."""
        roots: list[Node] = []
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if roots:
                    self.refuse(event, "a second document; allowed: one document per file")
                    break
                roots.append(self.compose(next(self.events), None, 0))
        return roots[0] if roots else Node({}, self.origin, self.origin)

    def compose(self, event: Any, key: Mark | None, depth: int) -> Node:
        """The node that begins with ``event``."""
        self.check(event)
        mark = self.place(event.start_mark)
        if depth > DEEPEST:
            raise ConfigError([*self.errors, f"{mark}: nested deeper than {DEEPEST} levels"])
        value: Any = None
        if isinstance(event, yaml.MappingStartEvent):
            value = self.mapping(depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self.sequence(depth)
        elif isinstance(event, yaml.ScalarEvent):
            self.check_text(event)
            value = read_scalar(event.value) if event.implicit[0] else event.value
        return Node(value, mark, key or mark)

    def check(self, event: Any) -> None:
        """Refuse aliases, anchors and tags."""
        if isinstance(event, yaml.AliasEvent):
            self.refuse(event, f"alias '*{event.anchor}'; anchors and aliases are not allowed, write the value out")
        elif event.anchor is not None:
            self.refuse(event, f"anchor '&{event.anchor}'; anchors and aliases are not allowed")
        if getattr(event, "tag", None) is not None:
            self.refuse(event, f"tag '{event.tag}'; tags are not allowed, only plain YAML")

    def check_text(self, event: Any) -> None:
        """Refuse characters that would be obeyed by a terminal or change the order of what is read."""
        if bad := next((c for c in event.value if unicodedata.category(c) in UNSEEN and c not in "\n\t"), None):
            self.refuse(event, f"a control character (U+{ord(bad):04X}) in a text; allowed: letters, signs, line ends")

    def check_width(self, event: Any, entries: Sized) -> None:
        """Stop at a list or mapping that is too long to be meant."""
        if len(entries) >= WIDEST:
            message = f"{self.place(event.start_mark)}: more than {WIDEST} entries in one list or mapping"
            raise ConfigError([*self.errors, message])

    def sequence(self, depth: int) -> list[Node]:
        """Nodes up to the end of the list."""
        out: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            self.check_width(event, out)
            out.append(self.compose(event, None, depth + 1))
        return out

    def mapping(self, depth: int) -> dict[str, Node]:
        """Names and nodes up to the end of the mapping; a name stands once."""
        out: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            self.check_width(event, out)
            key = self.compose(event, None, depth + 1)
            node = self.compose(next(self.events), key.mark, depth + 1)
            name = event.value if isinstance(event, yaml.ScalarEvent) else ""
            if not name:
                self.refuse(event, "a key that is no name; allowed: text")
            elif name in out:
                self.refuse(event, f"duplicate key '{name}' (first in line {out[name].key.line})")
            else:
                out[name] = node
        return out


def read_scalar(text: str) -> Any:
    """What unquoted ``text`` means."""
    lower = text.lower()
    if lower in WORDS:
        return WORDS[lower]
    if INTEGER.fullmatch(text):
        return int(text)
    return float(lower.replace(".inf", "inf").replace(".nan", "nan")) if NUMBER.fullmatch(lower) else text
