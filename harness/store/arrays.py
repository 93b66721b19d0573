"""Arrays as a .npz of .npy files, each compressed by xz; files of earlier versions, which ``np.load`` reads, too.

Codes of scores are noise around a slow course. So what is coded is the difference from one snippet to the next, and
what the compressor looks for are not repetitions but which differences are frequent: a tenth smaller than by bzip2, for
half a second a training of default scale (1.0 s instead of 0.5 s), and read in less time (0.25 s instead of 0.35 s).
"""

import lzma
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

TURNED = "~turned"  # of (..., C, T), kept as (..., T, C): the classes of a snippet side by side
PACKED = ".xz"
LITERAL = {"preset": 6, "mf": lzma.MF_BT4, "nice_len": 16, "depth": 2, "dict_size": 1 << 12}
BYTES: Mapping[str, Any] = {"id": lzma.FILTER_LZMA2, **LITERAL, "lc": 4, "lp": 0, "pb": 0}  # after the byte before
PAIRS: Mapping[str, Any] = {"id": lzma.FILTER_LZMA2, **LITERAL, "lc": 3, "lp": 1, "pb": 1}  # and by place in the pair


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays so that ``read_arrays`` gives back their bits."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays.items():
            turned = values.dtype.kind in "iu" and values.ndim > 3 and values.shape[-1] > 1
            kept = np.ascontiguousarray(values.swapaxes(-1, -2)) if turned else values
            content = BytesIO()
            np.lib.format.write_array(content, kept, allow_pickle=False)
            packed = lzma.compress(content.getvalue(), filters=choose_filters(kept, turned))
            archive.writestr(f"{name}{TURNED if turned else ''}.npy{PACKED}", packed)


def choose_filters(kept: np.ndarray, turned: bool) -> list[Mapping[str, Any]]:
    """How an array is compressed: whole numbers and float16 by differences along time."""
    distance = kept.itemsize * (kept.shape[-1] if turned else 1)
    code = PAIRS if kept.itemsize == 2 else BYTES
    if kept.ndim < 2 or kept.itemsize > 2 or not 1 <= distance <= 256:  # the most that xz takes
        return [code]
    return [{"id": lzma.FILTER_DELTA, "dist": distance}, code]


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file, by name. ValueError where a part of it is damaged."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            content = archive.read(member)
            try:
                plain = lzma.decompress(content) if member.endswith(PACKED) else content
            except lzma.LZMAError as error:
                raise ValueError(f"{path}: {error}") from error
            values = np.lib.format.read_array(BytesIO(plain), allow_pickle=False)
            name = member.removesuffix(PACKED).removesuffix(".npy")
            turned = name.endswith(TURNED)
            arrays[name.removesuffix(TURNED)] = np.ascontiguousarray(values.swapaxes(-1, -2)) if turned else values
    return arrays
