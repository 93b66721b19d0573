"""Files from outside, read so that none can hang, fill memory or run code: regular files only, sizes checked first.

Every function raises ``UnreadableError`` with the reason in a few words; nothing else escapes, whatever a file holds.
"""

import bz2
import gzip
import json
import math
import stat
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy

LARGEST_TEXT = 2**30  # bytes of a text file: THUMOS14's annotations have 0.4 MB, ActivityNet's 12 MB
LONGEST_INTEGER = 4000  # digits; Python itself refuses to convert more than 4,300
PACKED: Mapping[bytes, Callable[[BinaryIO], BinaryIO]] = {  # what opens a compressed file, by how it begins
    b"\x1f\x8b": lambda stream: cast(BinaryIO, gzip.GzipFile(fileobj=stream)),
    b"BZh": lambda stream: cast(BinaryIO, bz2.BZ2File(stream)),
}
MAGIC = {b"PK\x03\x04": "a zip archive (.npz?) renamed", b"\x80\x04": "a pickle", b"\x80\x05": "a pickle"}


class UnreadableError(Exception):
    """Why a file cannot be read."""


def open_regular(path: Path) -> BinaryIO:
    """``path`` opened for reading; pipes, devices and folders are refused without being opened."""
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            raise UnreadableError("is not a regular file")
        return path.open("rb")
    except FileNotFoundError:
        raise UnreadableError("missing") from None
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        raise UnreadableError(f"cannot be read ({error})") from None


def read_text(path: Path) -> str:
    """A text file in UTF-8, or one compressed by gzip or bzip2."""
    with open_regular(path) as stream:
        first = stream.read(max(map(len, PACKED)))
        stream.seek(0)
        unpack = next((opener for magic, opener in PACKED.items() if first.startswith(magic)), None)
        try:
            content = (unpack(stream) if unpack else stream).read(LARGEST_TEXT + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableError(f"cannot be read ({error})") from None
    if len(content) > LARGEST_TEXT:
        raise UnreadableError(f"cannot be read (larger than {LARGEST_TEXT >> 30} GiB)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"cannot be read (not UTF-8, byte {error.start})") from None


def read_json(path: Path, repeated: list[str]) -> Any:
    """A JSON file; keys that stand twice in one mapping are appended to ``repeated``."""

    def pair_up(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in pairs:
            if key in out:
                repeated.append(key)
            out[key] = value
        return out

    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=pair_up, parse_int=read_integer)
    except json.JSONDecodeError as error:
        raise UnreadableError(f"{error.lineno}:{error.colno}: broken JSON: {error.msg}") from None
    except RecursionError:
        raise UnreadableError("broken JSON: nested too deeply") from None


def read_integer(digits: str) -> int | float:
    """A whole number; one of thousands of digits is infinite, which every check of a number refuses."""
    return int(digits) if len(digits) <= LONGEST_INTEGER else math.inf


def read_shape(path: Path) -> tuple[tuple[int, int], np.dtype]:
    """Shape (n, D) and type of a feature file, from its header and its size alone."""
    with open_regular(path) as stream:
        shape, _, kind = read_header(stream)
        present = path.stat().st_size - stream.tell()
    if kind.hasobject:
        raise UnreadableError("cannot be read (pickled objects, see `python -m harness.data convert --help`)")
    if len(shape) != 2 or kind.kind != "f" or kind.itemsize > 8 or min(shape) < 1:
        raise UnreadableError(f"{kind} array of shape {shape}; expected (snippets, D) float16 or float32")
    needed = math.prod(shape) * kind.itemsize
    if present < needed:
        raise UnreadableError(f"cannot be read (truncated: {present} of {needed} bytes)")
    return (shape[0], shape[1]), kind


def read_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and type from the header of a .npy file; the stream then stands at the data."""
    start = stream.read(len(npy.MAGIC_PREFIX))
    stream.seek(0)
    if start != npy.MAGIC_PREFIX:
        what = next((name for magic, name in MAGIC.items() if start.startswith(magic)), "no .npy header")
        raise UnreadableError(f"cannot be read ({what if start else 'empty file'})")
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, order, kind = read(stream)
    except (ValueError, OSError, SyntaxError, TypeError, TokenError, RecursionError, MemoryError, OverflowError) as bad:
        reason = str(bad).partition("\n")[0][:80] or type(bad).__name__
        raise UnreadableError(f"cannot be read (broken header: {reason})") from None
    if any(type(size) is not int or size < 0 for size in shape):
        raise UnreadableError(f"cannot be read (broken header: shape {shape})")
    return shape, order, kind


def load_features(path: Path) -> np.ndarray:
    """A feature file as a read-only memory map (n, D)."""
    shape, kind = read_shape(path)
    with open_regular(path) as stream:
        _, fortran, _ = read_header(stream)
        offset = stream.tell()
    return np.memmap(path, kind, "r", offset, shape, order="F" if fortran else "C")
